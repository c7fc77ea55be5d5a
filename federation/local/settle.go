package local

import (
	"math"
	"math/big"

	"github.com/commonseal/commonseal/he"
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

// logValueUnit is the unit of recorded values: 2^-32.
const logValueUnit = 32

// settle derives what follows from the values: shares of a pot, and what noise
// hides.
func (f *federation) settle() {
	r, j := f.report, f.job
	integers := make([]int64, len(r.Values))
	for i, v := range r.Values {
		integers[i] = int64(math.Round(math.Ldexp(v, logValueUnit)))
	}
	r.Shares = Shares(integers)
	if j.logNoise == 0 {
		return
	}
	sigma := math.Ldexp(f.unit(), -j.logNoise)
	p := j.twin.Privacy(j.rows, j.validationRows, len(j.valued), sigma)
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

// valuesTwin is the twin's values of all valued steps, copies left out.
func (f *federation) valuesTwin(training, checking []he.Rows) []float64 {
	out := make([]float64, len(f.companies))
	for t, w := range f.trained.Points {
		if f.job.valued[t] {
			floats.Add(out, f.job.twin.MergedValues(w, f.job.twin.Interval(t), training, checking, f.copies))
		}
	}
	return out
}
