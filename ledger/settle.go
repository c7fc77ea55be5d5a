package ledger

import (
	"errors"
	"slices"

	"github.com/commonseal/commonseal/incentive"
)

// Settle pays out a task's pot for the rankings of an epoch, when those have been
// revealed, the epoch after it has closed, those before it are settled, and none of
// the models that were ranked can be challenged any more. Anybody may. Each task has
// a transaction of its own: no block has to hold them all.
type Settle struct {
	Epoch uint64
	Task  Digest
}

func (*Settle) kind() kind { return 32 }
func (x *Settle) code(c *coder) {
	c.u64(&x.Epoch)
	c.digest(&x.Task)
}

// A Settlement is everything a task's payout of an epoch depends on, and what
// came of it: who has it computes each payment again.
type Settlement struct {
	Epoch      uint64
	Task       Digest
	Money      Money    // the rules
	Pot        uint64   // of the task
	Roster     []string // companies, in the order of models' values
	Owners     []string // of theirs
	Evaluators []string // those of them whose rows value contributions
	Order      []uint64 // in which they contributed their rows
	Escrows    []uint64 // of theirs, before
	Companies  []Evaluator
	Models     []Ranked
	Bonds      []Bond // before
	Operators  []string
	Paid       Pools
}

// Pools is where a pot went.
type Pools struct {
	Operators, Evaluators, Peers, Providers uint64
	Carried                                 uint64 // into the task's next pot, for want of anybody it is due to
	Debited                                 uint64 // from escrows, paid to providers on top
}

// An Evaluator is a company that revealed its ranking.
type Evaluator struct {
	Name     string
	Owner    string
	Stake    uint64 // the smaller of when it committed and now
	Weights  []Weight
	Counted  uint64 // of the stake, below the cap
	Trust    int64  // Q32.32, as all below
	Dividend int64
}

// A Ranked is a model that somebody gave a weight.
type Ranked struct {
	Model     Digest
	Peer      string  // who opened its job
	Owner     string  // the legal entity of that
	Found     []int64 // values as they were opened
	Values    []int64 // of companies' rows, in roster order, that evaluators agree on; units of 2^-32
	Copies    []Pair
	Consensus int64
	Incentive int64
}

// A Bond is what an evaluator holds of a model by having ranked it before.
type Bond struct {
	Company string
	Model   Digest
	Value   int64 // Q32.32
}

// A Payout is what one member got of a task's pot in an epoch.
type Payout struct {
	Operator, Evaluator, Peer, Provider uint64
	Debit                               uint64 // from its escrow, for rows that harmed
	Owed                                uint64 // what its escrow did not cover: kept from what its rows earn later
}

func (x *Settle) apply(s *state, _ sender) Result {
	at := key(keySettled, x.Epoch, x.Task)
	e, ok := RewardOf(s, x.Epoch)
	_, closed := RewardOf(s, x.Epoch+1)
	switch {
	case s.has(at):
		return refuse(Replayed, "settled already")
	case !ok || !closed:
		return refuse(WrongState, "epoch %d is settled when epoch %d has closed", x.Epoch, x.Epoch+1)
	case !slices.Contains(e.Tasks, x.Task):
		return refuse(Unknown, "nobody ranked models of task %x in epoch %d", x.Task[:6], x.Epoch)
	}
	if n, ok := s.unsettled(x.Epoch, x.Task); ok && s.on(inOrder) {
		return refuse(WrongState, "epoch %d of the task is not settled yet; it is first", n)
	}
	if r := s.contested(x.Epoch, x.Task); r.Code != OK {
		return r
	}
	t, _ := TaskOf(s, x.Task)
	st := s.gather(x.Epoch, t)
	out, err := st.rank()
	if err != nil { // unreachable: every input was checked when it was recorded
		return refuse(Malformed, "%v", err)
	}
	s.empty(x.Task)
	s.pay(st)
	s.put(at, st)
	s.put(key(keyBonds, x.Task), bondsOf(out))
	s.blend(st)
	return Result{}
}

// unsettled is the last epoch before that a task was ranked in and is not paid for,
// if there is one. A pot is the task's: who settled a later epoch first would take what
// was filled for an earlier one, which waits for a challenge. Before a settled one
// all are.
func (s *state) unsettled(epoch uint64, task Digest) (uint64, bool) {
	for n := epoch - 1; n > 0 && epoch-n <= maxUnsettled; n-- {
		if s.has(key(keySettled, n, task)) {
			return 0, false
		}
		if e, ok := RewardOf(s, n); ok && slices.Contains(e.Tasks, task) {
			return n, true
		}
	}
	return 0, false
}

// maxUnsettled bounds how far back a settlement looks for one before it.
const maxUnsettled = 4096

// gather is what a settlement depends on. Who committed to a ranking and did not
// reveal it is slashed: to see others' first and then keep silent must cost.
func (s *state) gather(epoch uint64, t *Task) *Settlement {
	st := &Settlement{Epoch: epoch, Task: t.ID, Money: *s.money(), Pot: PotOf(s, t.ID), Evaluators: t.Evaluators()}
	ranked := map[Digest]bool{}
	for _, x := range t.Consents {
		c, _ := ContributionOf(s, t.ID, Training, x.Company)
		st.Roster, st.Order = append(st.Roster, x.Company), append(st.Order, c.Order)
		st.Escrows = append(st.Escrows, s.account(x.Company).Escrow)
		r, ok := RankingOf(s, epoch, t.ID, x.Company)
		m, _ := MemberOf(s, x.Company)
		st.Owners = append(st.Owners, m.Owner)
		switch {
		case !ok || m.Revoked:
			continue
		case !r.Open:
			s.fill(Digest{}, s.slash(x.Company))
			continue
		}
		ev := Evaluator{Name: x.Company, Owner: m.Owner, Stake: s.account(x.Company).Stake, Weights: r.Weights}
		if r.Stake < ev.Stake || !s.on(livingStake) {
			ev.Stake = r.Stake
		}
		st.Companies = append(st.Companies, ev)
		for _, w := range r.Weights {
			ranked[w.Model] = true
		}
	}
	for _, m := range sortedDigests(ranked) {
		if r, ok := s.ranked(epoch, m); ok {
			st.Models = append(st.Models, r)
		}
	}
	if b, ok := load[bonds](s, key(keyBonds, t.ID)); ok {
		st.Bonds = b.List
	}
	st.Operators = s.operators()
	return st
}

// ranked is a model as the settlement of an epoch has it; one that was refuted since
// is none.
func (s *state) ranked(epoch uint64, id Digest) (Ranked, bool) {
	m, ok := ModelOf(s, id)
	if !ok || m.Refuted {
		return Ranked{}, false
	}
	j, _ := JobOf(s, m.Job)
	peer, ok := MemberOf(s, j.Opener)
	if !ok || peer.Revoked {
		return Ranked{}, false
	}
	r := Ranked{Model: id, Peer: peer.Name, Owner: peer.Owner, Copies: m.Copies}
	if inTime(s, epoch, m) || !s.on(openedInTime) {
		r.Found = m.Opened
	}
	return r, true
}

// operators are the members that run nodes and validators, one of an owner: the
// first by name.
func (s *state) operators() (out []string) {
	owners := map[string]bool{}
	for _, m := range Members(s) {
		if !m.Revoked && m.Roles&(Aggregator|Validator) != 0 && !owners[m.Owner] {
			owners[m.Owner] = true
			out = append(out, m.Name)
		}
	}
	return out
}

func sortedDigests(set map[Digest]bool) []Digest {
	var out []Digest
	for d := range set {
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b Digest) int { return slices.Compare(a[:], b[:]) })
	return out
}

// rank fills in what the rankings come to (INCENTIVES §1).
func (st *Settlement) rank() (incentive.Outcome, error) {
	var epoch incentive.Epoch
	for _, c := range st.Companies {
		e := incentive.Evaluator{Key: incentive.Key{ID: c.Name}, Entity: c.Owner, Stake: c.Stake}
		for _, w := range c.Weights {
			if !st.own(c.Owner, w.Model) {
				e.Ranking = append(e.Ranking, incentive.Weight{Peer: modelKey(w.Model), Value: uint32(w.Part)})
			}
		}
		epoch.Evaluators = append(epoch.Evaluators, e)
	}
	for _, m := range st.Models {
		epoch.Peers = append(epoch.Peers, incentive.Peer{Key: modelKey(m.Model), Owner: m.Peer})
	}
	for _, b := range st.Bonds {
		epoch.Bonds = append(epoch.Bonds, incentive.Bond{Evaluator: incentive.Key{ID: b.Company}, Peer: modelKey(b.Model), Value: incentive.Fixed(b.Value)})
	}
	out, err := incentive.Rank(st.Money.ranking(), epoch)
	if err != nil {
		return out, err
	}
	if !slices.IsSortedFunc(st.Models, func(a, b Ranked) int { return slices.Compare(a.Model[:], b.Model[:]) }) {
		return out, errors.New("the models of a settlement are not in order")
	}
	for _, e := range out.Evaluators {
		i := slices.IndexFunc(st.Companies, func(c Evaluator) bool { return c.Name == e.ID })
		c := &st.Companies[i]
		c.Counted, c.Trust, c.Dividend = e.Counted, int64(e.Trust), int64(e.Dividend)
	}
	for i, p := range out.Peers { // by key: by model, as Models are
		st.Models[i].Consensus, st.Models[i].Incentive = int64(p.Consensus), int64(p.Incentive)
	}
	return out, st.join()
}

// own says whether a model is of an entity: nobody ranks its own.
func (st *Settlement) own(owner string, model Digest) bool {
	return slices.ContainsFunc(st.Models, func(m Ranked) bool { return m.Model == model && m.Owner == owner })
}

func modelKey(model Digest) incentive.Key { return incentive.Key{ID: string(model[:])} }

// ranking are the rules of rankings.
func (m *Money) ranking() incentive.Params {
	part := func(millionths uint32) incentive.Fixed { return incentive.Ratio(uint64(millionths), Million) }
	return incentive.Params{EntityCap: part(m.Cap), Penalty: part(m.Penalty), Alpha: part(m.Smoothing)}
}
