package reward

import (
	"math/big"
	"slices"

	"github.com/commonseal/commonseal/ledger"
)

// otherwise is what the member would have got had one thing been different and
// everybody else done what they did.
func (s *Story) otherwise() error {
	i := slices.Index(s.st.Roster, s.name)
	c := slices.IndexFunc(s.st.Companies, func(c ledger.Evaluator) bool { return c.Name == s.name })
	for _, x := range []struct {
		when    string
		applies bool
		change  func(st *ledger.Settlement)
	}{
		{"had it ranked as the consensus did", c >= 0, func(st *ledger.Settlement) { st.Companies[c].Weights = consensus(st) }},
		{"had it staked a tenth more", c >= 0, func(st *ledger.Settlement) { st.Companies[c].Stake += st.Companies[c].Stake / 10 }},
		{"had it ranked nothing", c >= 0, func(st *ledger.Settlement) { st.Companies = slices.Delete(st.Companies, c, c+1) }},
		{"had its rows done a tenth more for each model", i >= 0, func(st *ledger.Settlement) { scale(st, i, 11, 10) }},
		{"had its rows done nothing", i >= 0, func(st *ledger.Settlement) { scale(st, i, 0, 1) }},
	} {
		if !x.applies {
			continue
		}
		st, _, err := s.st.Recompute() // a copy
		if err != nil {
			return err
		}
		x.change(st)
		_, payouts, err := st.Recompute()
		if err != nil {
			return err
		}
		s.say("  otherwise    %+d %s", net(payouts[s.name])-net(s.payout), x.when)
	}
	return nil
}

// net is what a payout adds to what a member has.
func net(p ledger.Payout) int64 {
	return int64(p.Operator+p.Evaluator+p.Peer+p.Provider) - int64(p.Debit)
}

// consensus is the ranking that no clipping takes from.
func consensus(st *ledger.Settlement) (out []ledger.Weight) {
	var most int64
	for _, m := range st.Models {
		most = max(most, m.Consensus)
	}
	for _, m := range st.Models {
		if most == 0 {
			break
		}
		if part := m.Consensus * 0xffff / most; part > 0 {
			out = append(out, ledger.Weight{Model: m.Model, Part: uint16(part)})
		}
	}
	return out
}

// scale makes a company's values over/under times as large.
func scale(st *ledger.Settlement, company int, over, under int64) {
	for k := range st.Models {
		found := st.Models[k].Found
		for i := company; i < len(found); i += len(st.Roster) { // each evaluator's
			x := new(big.Int).Mul(big.NewInt(found[i]), big.NewInt(over))
			if x.Quo(x, big.NewInt(under)); x.IsInt64() {
				found[i] = x.Int64()
			}
		}
	}
}
