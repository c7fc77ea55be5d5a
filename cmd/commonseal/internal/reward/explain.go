// Package reward says in words and numbers why a member was paid what it was: from
// a settlement alone, which has every input of it.
package reward

import (
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/commonseal/commonseal/ledger"
)

// A Story explains one member's payout of one settlement.
type Story struct {
	st      *ledger.Settlement
	name    string
	payout  ledger.Payout
	payouts map[string]ledger.Payout
	lines   strings.Builder
}

// Explain is the formula with the numbers in it, and what would have been paid had
// the member done otherwise. The error is a settlement that does not follow from
// its inputs, or a member that it does not know.
func Explain(st *ledger.Settlement, task, name string) (string, error) {
	again, payouts, err := st.Recompute()
	if err != nil {
		return "", err
	}
	s := &Story{st: again, name: name, payout: payouts[name], payouts: payouts}
	if _, paid := payouts[name]; !paid && !s.known() {
		return "", fmt.Errorf("%s has no part in epoch %d of task %s; those who have: %s", name, st.Epoch, task, strings.Join(s.everybody(), ", "))
	}
	p := s.payout
	s.say("%s, reward epoch %d, task %s: %d credits", name, st.Epoch, task, p.Operator+p.Evaluator+p.Peer+p.Provider)
	s.pot()
	s.operator()
	s.evaluator()
	s.peer()
	s.provider()
	if err := s.otherwise(); err != nil {
		return "", err
	}
	return s.lines.String(), nil
}

func (s *Story) say(format string, args ...any) { fmt.Fprintf(&s.lines, format+"\n", args...) }

func (s *Story) known() bool { return slices.Contains(s.everybody(), s.name) }

// everybody is who takes part in the settlement.
func (s *Story) everybody() []string {
	all := append(slices.Clone(s.st.Roster), s.st.Operators...)
	for _, m := range s.st.Models {
		all = append(all, m.Peer)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// pot is where all of it went.
func (s *Story) pot() {
	m, p := s.st.Money, s.st.Paid
	s.say("  pot          %d = fees, prices and emission of the epoch", s.st.Pot)
	s.say("               %d to operators (cut %s), %d to evaluators (ξ %s of the rest), %d to models' peers", p.Operators, percent(m.Cut), p.Evaluators, percent(m.Evaluate), p.Peers)
	s.say("               %d to rows (λ %s of what models earn; %d of it debited from escrows), %d carried", p.Providers, percent(m.Provide), p.Debited, p.Carried)
}

func (s *Story) operator() {
	if n := len(s.st.Operators); slices.Contains(s.st.Operators, s.name) {
		s.say("  operator     %d = %d / %d operators of different owners", s.payout.Operator, s.st.Paid.Operators, n)
	}
}

// evaluator is the company's ranking against the consensus.
func (s *Story) evaluator() {
	i := slices.IndexFunc(s.st.Companies, func(c ledger.Evaluator) bool { return c.Name == s.name })
	if i < 0 {
		if slices.Contains(s.st.Roster, s.name) {
			s.say("  evaluator    0: no ranking of %s was revealed", s.name)
		}
		return
	}
	c := s.st.Companies[i]
	s.say("  evaluator    %d = %d × dividend %s", s.payout.Evaluator, s.st.Paid.Evaluators, fixed(c.Dividend))
	capped := ""
	if c.Counted < c.Stake {
		capped = fmt.Sprintf(", below the cap of %s for %s", percent(s.st.Money.Cap), c.Owner)
	}
	s.say("               stake %d of which %d counts%s; trust %s: how much of its weights stood in the consensus", c.Stake, c.Counted, capped, fixed(c.Trust))
	total := 0
	for _, w := range c.Weights {
		total += int(w.Part)
	}
	for _, w := range c.Weights {
		for _, m := range s.st.Models {
			if m.Model == w.Model {
				note := ""
				if m.Owner == c.Owner {
					note = "; its own entity's, so nobody's"
				}
				s.say("               model %x: weight %.4f, consensus %s, incentive %s%s", w.Model[:6], float64(w.Part)/float64(total), fixed(m.Consensus), fixed(m.Incentive), note)
			}
		}
	}
}

// peer is what the member's models earned.
func (s *Story) peer() {
	for _, m := range s.st.Models {
		if m.Peer == s.name {
			s.say("  model        %x: incentive %s of %d = Σ stake × min(weight, consensus %s), normalised", m.Model[:6], fixed(m.Incentive), s.st.Paid.Peers, fixed(m.Consensus))
		}
	}
	if s.payout.Peer > 0 {
		s.say("  peer         %d", s.payout.Peer)
	}
}

// provider is what the company's rows did for each model.
func (s *Story) provider() {
	i := slices.Index(s.st.Roster, s.name)
	if i < 0 {
		return
	}
	p := s.payout
	s.say("  rows         %d, %d debited from an escrow of %d, %d owed", p.Provider, p.Debit, s.st.Escrows[i], p.Owed)
	for _, m := range s.st.Models {
		if len(m.Values) == 0 {
			s.say("               model %x: no values were opened; its part is carried", m.Model[:6])
			continue
		}
		sum := new(big.Int)
		for _, v := range m.Values {
			sum.Add(sum, big.NewInt(v))
		}
		note := ""
		if len(m.Found) > len(m.Values) {
			note = fmt.Sprintf(", the median of what others' rows of %d companies found", len(s.st.Evaluators))
		}
		for _, c := range m.Copies {
			if a, b := int(c.First), int(c.Second); a == i || b == i {
				note += fmt.Sprintf("; near-copies of %s's rows: who contributed first counts", s.st.Roster[a+b-i])
			}
		}
		s.say("               model %x: incentive %s × φ %s of Σφ %s%s", m.Model[:6], fixed(m.Incentive), value(big.NewInt(m.Values[i])), value(sum), note)
	}
}

// percent is millionths for people.
func percent(millionths uint32) string {
	return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%.4f", float64(millionths)/10_000), "0"), ".") + " %"
}

// fixed is a Q32.32 number for people.
func fixed(x int64) string { return fmt.Sprintf("%.6f", float64(x)/(1<<32)) }

// value is a number in units of 2^-32 for people.
func value(v *big.Int) string {
	f, _ := new(big.Float).SetInt(v).Float64()
	return fmt.Sprintf("%+.3g", f/(1<<32))
}
