package federation

import (
	"slices"

	"github.com/commonseal/commonseal/ledger"
)

// A checker's duties.
type (
	// Judge votes on a challenge that is not decided, after evaluating its step: a
	// validator's.
	Judge struct {
		Job  ledger.Digest
		Step uint16
	}
	// Accuse challenges a step that this checker found wrong: a sampled one, or one
	// that came to light while it checked another.
	Accuse struct {
		Job  ledger.Digest
		Step uint16
	}
	// Check evaluates a sampled step of a concluded job again, holds the model's
	// record, the step after the last, to the steps, or opens the values again, the
	// one after that.
	Check struct {
		Job  ledger.Digest
		Step uint16
	}
)

// Key implements [Duty].
func (d Judge) Key() string  { return place("judge", d.Job, d.Step) }
func (d Accuse) Key() string { return place("accuse", d.Job, d.Step) }
func (d Check) Key() string  { return place("check", d.Job, d.Step) }

// Wrong names in the journal that the step of a check was found wrong.
func (d Check) Wrong() string { return place("wrong", d.Job, d.Step) }

// CheckerDuties are what checker me owes at block time now, most urgent first:
// the votes of a validator, then challenges of what it found wrong itself, then
// the sampled steps and the models' records that can still be challenged. Anybody
// who checks may be without a vote.
func CheckerDuties(v ledger.View, me string, now int64, has Holding) []Duty {
	var judge, accuse, check []Duty
	m, ok := ledger.MemberOf(v, me)
	if !ok || m.Revoked {
		return nil
	}
	challenged := map[Check]bool{}
	for _, x := range ledger.Challenges(v) {
		challenged[Check{x.Job, x.Step}] = x.Decided != ledger.Lapsed
		if m.Roles.Has(ledger.Validator) && x.Decided == ledger.Undecided && !slices.Contains(x.Wrong, me) && !slices.Contains(x.Right, me) {
			judge = append(judge, Judge{x.Job, x.Step})
		}
	}
	sample := ledger.MoneyOf(v).Sample
	for _, j := range ledger.Jobs(v) {
		if model, ok := ledger.ModelOf(v, j.Model); !ok || model.Refuted {
			continue // nothing of it counts any more, or not yet
		}
		until, ok := ledger.ChallengeableUntil(v, &j, j.ModelStep()) // where those of its steps end
		opened, values := ledger.ChallengeableUntil(v, &j, j.ValuesStep())
		if !ok || now > max(until, opened) {
			continue
		}
		checked := j.Checked(sample)
		for s := range j.ValuesStep() + 1 {
			d := Check{j.ID, s}
			switch {
			case s == j.ValuesStep() && (!values || now > opened) || s < j.ValuesStep() && now > until:
			case challenged[d]:
			case has.Done(d.Wrong()):
				accuse = append(accuse, Accuse(d))
			case slices.Contains(checked, s):
				check = append(check, d)
			}
		}
	}
	out := append(append(judge, accuse...), check...)
	return slices.DeleteFunc(out, func(d Duty) bool { return has.Done(d.Key()) })
}
