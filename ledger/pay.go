package ledger

import (
	"cmp"
	"fmt"
	"maps"
	"math/big"
	"slices"

	"github.com/commonseal/commonseal/incentive"
)

// pay divides the pot as the rankings say, fills in Paid, and moves the credits:
// what data earns is locked while it vests (INCENTIVES §1 step 10, §2).
func (s *state) pay(st *Settlement) {
	payouts, err := st.payouts()
	if err != nil { // unreachable: every input was checked when it was recorded
		s.fill(st.Task, st.Pot)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(payouts)) {
		p := payouts[name]
		a := s.account(name)
		a.Balance += p.Operator + p.Evaluator + p.Peer
		a.Escrow -= p.Debit
		a.Owed += min(p.Owed, ^uint64(0)-a.Owed) // it may be more than there are credits
		kept := min(a.Owed, p.Provider)
		a.Owed -= kept
		a.lock(p.Provider-kept, s.now+st.Money.Vesting)
		s.fill(Digest{}, kept)
		s.keep(name, a)
		s.put(key(keyPayout, st.Epoch, st.Task, name), &p)
	}
	s.fill(st.Task, st.Paid.Carried)
}

// payouts is what everybody gets of the pot, by name, and fills in Paid: the sum is
// the pot with what is debited, less what is carried.
func (st *Settlement) payouts() (map[string]Payout, error) {
	st.Paid = Pools{}
	out := map[string]Payout{}
	add := func(name string, change func(*Payout)) {
		p := out[name]
		change(&p)
		out[name] = p
	}
	part := func(millionths uint32) incentive.Fixed { return incentive.Ratio(uint64(millionths), Million) }
	rates := incentive.Rates{Cut: part(st.Money.Cut), Xi: part(st.Money.Evaluate), Lambda: part(st.Money.Provide)}
	pools, err := rates.Pools(st.Pot)
	if err != nil {
		return nil, err
	}
	data, err := incentive.SettleModels(pools.Providers, st.bonds())
	if err != nil {
		return nil, err
	}
	left := st.Pot
	for i, n := range incentive.Split(pools.Cut, equal(st.Operators)) {
		add(st.Operators[i], func(p *Payout) { p.Operator += n })
		st.Paid.Operators, left = st.Paid.Operators+n, left-n
	}
	for i, n := range incentive.Split(pools.Evaluators, st.dividends()) {
		add(st.Companies[i].Name, func(p *Payout) { p.Evaluator += n })
		st.Paid.Evaluators, left = st.Paid.Evaluators+n, left-n
	}
	for i, n := range incentive.Split(pools.Peers, st.incentives()) {
		add(st.Models[i].Peer, func(p *Payout) { p.Peer += n })
		st.Paid.Peers, left = st.Paid.Peers+n, left-n
	}
	for _, x := range data.Credits {
		add(x.ID, func(p *Payout) { p.Provider += x.Units })
		st.Paid.Providers, left = st.Paid.Providers+x.Units, left-x.Units
	}
	for _, x := range data.Debits {
		add(x.ID, func(p *Payout) { p.Debit += x.Units })
		st.Paid.Debited, left = st.Paid.Debited+x.Units, left+x.Units
	}
	for _, x := range data.Owed {
		add(x.ID, func(p *Payout) { p.Owed += x.Units })
	}
	st.Paid.Carried = left
	return out, nil
}

// Recompute is the settlement with everything that follows from its inputs
// computed again, and what everybody gets, by name. It takes no ledger: who has
// a settlement checks it alone.
func (st *Settlement) Recompute() (*Settlement, map[string]Payout, error) {
	var again Settlement
	if err := parseCoded(appendCoded(nil, st), &again); err != nil { // a copy of all of it
		return nil, nil, err
	}
	if err := again.check(); err != nil {
		return nil, nil, err
	}
	if _, err := again.rank(); err != nil {
		return nil, nil, err
	}
	payouts, err := again.payouts()
	return &again, payouts, err
}

// check refuses what no ledger records: lists that do not belong together.
func (st *Settlement) check() error {
	n := len(st.Roster)
	if len(st.Owners) != n || len(st.Order) != n || len(st.Escrows) != n {
		return fmt.Errorf("a settlement of %d companies with %d owners, %d contributions and %d escrows", n, len(st.Owners), len(st.Order), len(st.Escrows))
	}
	for _, e := range st.Evaluators {
		if !slices.Contains(st.Roster, e) {
			return fmt.Errorf("a settlement with %s's values, which has no rows in it", e)
		}
	}
	for _, m := range st.Models {
		if found := len(m.Found); found != 0 && found != n && found != n*len(st.Evaluators) {
			return fmt.Errorf("a settlement of %d companies with %d values by %d evaluators", n, found, len(st.Evaluators))
		}
	}
	return nil
}

// Append adds the one encoding of st to dst.
func (st *Settlement) Append(dst []byte) []byte { return appendCoded(dst, st) }

// ParseSettlement decodes exactly one settlement. That it follows from its inputs is
// for [Settlement.Recompute].
func ParseSettlement(b []byte) (Settlement, error) {
	var st Settlement
	if err := parseCoded(b, &st); err != nil {
		return Settlement{}, fmt.Errorf("settlement: %w", err)
	}
	return st, nil
}

// bonds are the companies' data bonds on the models their rows trained. Companies
// with near-copies of one another's rows count once, as the one that contributed
// first.
func (st *Settlement) bonds() (out []incentive.Model) {
	for _, r := range st.Models {
		m := incentive.Model{ID: string(r.Model[:]), Incentive: incentive.Fixed(r.Incentive)}
		copied := Copied(r.Copies, st.Order)
		for k, v := range r.Values {
			if !copied[k] || v < 0 { // harm is nobody else's
				m.Values = append(m.Values, incentive.Value{ID: st.Roster[k], Phi: big.NewInt(v), Escrow: st.Escrows[k]})
			}
		}
		out = append(out, m)
	}
	return out
}

func equal(names []string) (out []incentive.Share) {
	for _, n := range names {
		out = append(out, incentive.Share{ID: n, Weight: 1})
	}
	return out
}

func (st *Settlement) dividends() (out []incentive.Share) {
	for _, c := range st.Companies {
		out = append(out, incentive.Share{ID: c.Name, Weight: uint64(c.Dividend)})
	}
	return out
}

func (st *Settlement) incentives() (out []incentive.Share) {
	for _, m := range st.Models {
		out = append(out, incentive.Share{ID: string(m.Model[:]), Weight: uint64(m.Incentive)})
	}
	return out
}

// blend is what answers for the task from now on: the models that earn most,
// in proportion. Models of key epochs before, or not served yet, are left out.
func (s *state) blend(st *Settlement) {
	var best []Ranked
	for _, r := range st.Models {
		if m, ok := ModelOf(s, r.Model); ok && m.Served() && r.Incentive > 0 {
			best = append(best, r)
		}
	}
	slices.SortStableFunc(best, func(a, b Ranked) int { return cmp.Compare(b.Incentive, a.Incentive) })
	best = best[:min(len(best), MaxBlend)]
	slices.SortFunc(best, func(a, b Ranked) int { return slices.Compare(a.Model[:], b.Model[:]) })
	var shares []incentive.Share
	for _, r := range best {
		shares = append(shares, incentive.Share{ID: string(r.Model[:]), Weight: uint64(r.Incentive)})
	}
	b := &Blend{Task: st.Task, Epoch: st.Epoch}
	for i, part := range incentive.Split(BlendParts, shares) {
		if part > 0 {
			b.Parts = append(b.Parts, Weight{best[i].Model, uint16(part)})
		}
	}
	if len(b.Parts) > 0 {
		s.put(key(keyBlend, st.Task), b)
		s.put(key(keyBlended, b.Digest()), b)
	}
}

// bondsOf are the bonds after a settlement.
func bondsOf(out incentive.Outcome) *bonds {
	b := &bonds{}
	for _, x := range out.Bonds {
		b.List = append(b.List, Bond{Company: x.Evaluator.ID, Model: Digest([]byte(x.Peer.ID)), Value: int64(x.Value)})
	}
	return b
}
