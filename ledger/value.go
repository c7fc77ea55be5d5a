package ledger

import (
	"math/big"
	"math/bits"
	"slices"

	"github.com/commonseal/commonseal/incentive"
)

// LogUnit is the unit of recorded values: 2^-LogUnit.
const LogUnit = 32

// LogGrain is how coarse recorded values are: multiples of a power of two that is
// no more than 2^-LogGrain of the sum of their absolute values, the pot that they
// are shares of (INCENTIVES §2).
const LogGrain = 7

// Coarse rounds what each evaluator found to the grain of its own values, halves
// away from zero. Values are n an evaluator, one evaluator's after the other's,
// and round to themselves if they were rounded before.
func Coarse(values []int64, n int) []int64 {
	out := slices.Clone(values)
	for row := range slices.Chunk(out, max(1, n)) {
		grain := grainOf(row)
		for i, v := range row {
			row[i] = roundTo(v, grain)
		}
	}
	return out
}

// coarse says whether no evaluator's values are finer than rounding leaves them.
// Rounding can add up to an eighth to the sum, so what was rounded may be of half
// the grain of what it has become.
func coarse(values []int64, n int) bool {
	for row := range slices.Chunk(values, n) {
		grain := max(1, grainOf(row)/2)
		if slices.ContainsFunc(row, func(v int64) bool { return v%grain != 0 }) {
			return false
		}
	}
	return true
}

func grainOf(row []int64) int64 {
	var high, low, carry uint64
	for _, v := range row {
		low, carry = bits.Add64(low, magnitude(v), 0)
		high += carry
	}
	log := bits.Len64(low) - 1
	if high > 0 {
		log = 63 + bits.Len64(high)
	}
	return int64(1) << min(62, max(0, log-LogGrain))
}

func magnitude(v int64) uint64 {
	if v < 0 {
		return -uint64(v)
	}
	return uint64(v)
}

// roundTo gives the nearest multiple that fits.
func roundTo(v, grain int64) int64 {
	rest := v % grain
	down := v - rest
	switch {
	case 2*magnitude(rest) < uint64(grain):
		return down
	case v > 0 && down <= 1<<62:
		return down + grain
	case v < 0 && down >= -1<<62:
		return down - grain
	}
	return down
}

// Evaluators are the companies of a task that have rows of their own to value
// contributions by, in roster order.
func (t *Task) Evaluators() (out []string) {
	for _, x := range t.Consents {
		if x.Validation > 0 {
			out = append(out, x.Company)
		}
	}
	return out
}

// Agree makes one value of each company's rows of what evaluators found, n values
// an evaluator, n the companies: for each the median by stake, of those whose
// owner is another than the rows'. Nobody's rows are judged by its own. Values of
// all evaluators' rows together, n of them, are what they are.
func Agree(found []int64, owners []string, evaluators []int, stakes []uint64) ([]int64, error) {
	n := len(owners)
	if len(found) <= n {
		return slices.Clone(found), nil
	}
	phi := make([][]*big.Int, len(evaluators))
	for e, of := range evaluators {
		phi[e] = make([]*big.Int, n)
		for k, v := range found[e*n:][:n] {
			if owners[k] != owners[of] {
				phi[e][k] = big.NewInt(v)
			}
		}
	}
	joined, err := incentive.Join(stakes, phi)
	if err != nil {
		return nil, err
	}
	out := make([]int64, n)
	for k, v := range joined {
		out[k] = v.Int64() // one of those found
	}
	return out, nil
}

// Agreed is what evaluators of a task found of a model's values, each counting
// alike: one value a company, in roster order, none before they are opened. What is paid
// weighs them by stake ([Settlement]).
func Agreed(v View, t *Task, m *Model) []int64 {
	var owners []string
	var evaluators []int
	var stakes []uint64
	for i, x := range t.Consents {
		company, _ := MemberOf(v, x.Company)
		owners = append(owners, company.Owner)
		if x.Validation > 0 {
			evaluators, stakes = append(evaluators, i), append(stakes, 1)
		}
	}
	out, _ := Agree(m.Opened, owners, evaluators, stakes) // the record's lists are of one length
	return out
}

// join is what evaluators agree on of each model, by the stake that counts for the
// rankings they revealed.
func (st *Settlement) join() error {
	var evaluators []int
	var stakes []uint64
	for _, name := range st.Evaluators {
		evaluators = append(evaluators, slices.Index(st.Roster, name))
		stakes = append(stakes, st.counted(name))
	}
	for i := range st.Models {
		m := &st.Models[i]
		values, err := Agree(m.Found, st.Owners, evaluators, stakes)
		if err != nil {
			return err
		}
		m.Values = values
	}
	return nil
}

// counted is the stake of a company that revealed a ranking, as far as it counts.
func (st *Settlement) counted(name string) uint64 {
	if i := slices.IndexFunc(st.Companies, func(c Evaluator) bool { return c.Name == name }); i >= 0 {
		return st.Companies[i].Counted
	}
	return 0
}

// Valuations is in how many jobs a task's rows are valued for a reward epoch. Each
// opens values once: the budget of what is learnt of a company's rows in an epoch.
type Valuations struct {
	Epoch uint64
	Jobs  uint32
}

func (x *Valuations) code(c *coder) {
	c.u64(&x.Epoch)
	c.u32(&x.Jobs)
}

// ValuationsOf is how often a task's rows are valued in the epoch that is open.
func ValuationsOf(v View, task Digest) Valuations {
	now := uint64(0)
	if e, ok := CurrentReward(v); ok {
		now = e.Number
	}
	if had, ok := load[Valuations](v, key(keyValuations, task)); ok && had.Epoch == now {
		return *had
	}
	return Valuations{Epoch: now}
}

// value takes one of the valuations that an epoch has for a task.
func (s *state) value(t *Task) Result {
	x, most := ValuationsOf(s, t.ID), s.money().Releases
	if most > 0 && x.Jobs >= most && s.on(epochBudget) {
		return refuse(OverLimit, "rows of task %s are valued %d times in reward epoch %d, as often as an epoch allows; train without values (train --values=false), or in the next", t.Name, x.Jobs, x.Epoch)
	}
	x.Jobs++
	s.put(key(keyValuations, t.ID), &x)
	return Result{}
}

// unvalue gives back the valuation of a job that ends before values are opened,
// in the epoch it was opened in: who opens jobs to use the epoch up gains nothing
// when companies end them.
func (s *state) unvalue(j *Job) {
	x := ValuationsOf(s, j.Task)
	if len(j.Valued) > 0 && j.Valuation == x.Epoch && x.Jobs > 0 {
		x.Jobs--
		s.put(key(keyValuations, j.Task), &x)
	}
}
