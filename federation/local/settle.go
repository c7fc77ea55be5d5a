package local

import (
	"math"
	"math/big"
	"slices"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/ledger"
	"gonum.org/v1/gonum/floats"
)

// Shares are values in units of 1/128 of their absolute sum: a pot is paid out
// in these, a negative one is a debit. Halves round away from zero, in integers,
// so that everybody who has the values has the same shares. The absolute sum,
// and not the sum: it is no smaller than any value, so that no debit can make
// a small sum and by it large shares.
func Shares(values []int64) []int64 {
	const unit = 128
	sum, v := new(big.Int), new(big.Int)
	for _, x := range values {
		sum.Add(sum, v.Abs(v.SetInt64(x)))
	}
	out := make([]int64, len(values))
	for i, x := range values {
		if x == 0 {
			continue // and so is the sum, perhaps
		}
		v.Abs(v.SetInt64(x))
		v.Mul(v, big.NewInt(2*unit)).Add(v, sum)
		out[i] = v.Quo(v, new(big.Int).Lsh(sum, 1)).Int64() // (2·128·|x| + sum)/(2·sum): nearest
		if x < 0 {
			out[i] = -out[i]
		}
	}
	return out
}

// settle derives what follows from the values: shares of a pot, and what noise
// hides.
func (f *federation) settle() {
	r, j := f.report, f.job
	r.Shares = Shares(units(r.Values))
	if j.logNoise == 0 {
		return
	}
	sigma := math.Ldexp(f.unit(), -j.logNoise)
	p := j.twin.Privacy(j.rows, j.panel.Rows, len(j.valued), sigma)
	r.Noise = &Noise{
		LogNoise: j.logNoise, Deviation: sigma * math.Sqrt(float64(j.companies)),
		Sensitivity: max(p.Training, p.Validation), Epsilon: p.Epsilon(noiseDelta), Delta: noiseDelta, DeviationForOne: p.DeviationFor(1, noiseDelta),
	}
}

// unit is what an opened coefficient of 1 is worth: an inner product over Width,
// in units of η.
func (f *federation) unit() float64 {
	return f.job.twin.LearningRate * float64(f.job.plan.Packing.Width)
}

const noiseDelta = 1e-6

// valuesTwin is what each evaluator finds in the clear over all valued steps, copies
// left out.
func (f *federation) valuesTwin(training, checking []he.Rows) []float64 {
	out := make([]float64, len(f.job.panel.Evaluators)*len(f.companies))
	for t, w := range f.trained.Points {
		if f.job.valued[t] {
			floats.Add(out, f.job.twin.MergedValues(w, f.job.twin.Interval(t), f.job.panel, training, checking, f.copies))
		}
	}
	return out
}

// apart is what each evaluator finds of each company.
func (f *federation) apart(values []float64) [][]float64 {
	return slices.Collect(slices.Chunk(values, len(f.companies)))
}

// join is the value of each company on which evaluators agree, each counting
// alike and none of them of its own rows, as the ledger joins them: in whole units.
func (f *federation) join(values []float64) []float64 {
	owners, stakes := make([]string, len(f.companies)), []uint64(nil)
	for i, c := range f.companies {
		owners[i] = c.name
	}
	var evaluators []int
	for _, members := range f.job.panel.Evaluators {
		evaluators, stakes = append(evaluators, members[0]), append(stakes, 1)
	}
	out := make([]float64, len(f.companies))
	agreed, err := ledger.Agree(units(values), owners, evaluators, stakes)
	for i := range out {
		if err != nil { // unreachable: the lists are of one length
			out[i] = math.NaN()
			continue
		}
		out[i] = math.Ldexp(float64(agreed[i]), -ledger.LogUnit)
	}
	return out
}

// units are values in units of 2^-[ledger.LogUnit].
func units(values []float64) []int64 {
	out := make([]int64, len(values))
	for i, v := range values {
		out[i] = int64(math.Round(math.Ldexp(v, ledger.LogUnit)))
	}
	return out
}
