package local

import (
	"math"
	"math/big"
	"slices"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/incentive"
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

// valuesTwin is the twin's values of all valued steps, copies left out, joined as
// those that are opened.
func (f *federation) valuesTwin(training, checking []he.Rows) []float64 {
	out := make([]float64, len(f.job.panel.Evaluators)*len(f.companies))
	for t, w := range f.trained.Points {
		if f.job.valued[t] {
			floats.Add(out, f.job.twin.MergedValues(w, f.job.twin.Interval(t), f.job.panel, training, checking, f.copies))
		}
	}
	return f.join(out)
}

// apart is what each evaluator finds of each company.
func (f *federation) apart(values []float64) [][]float64 {
	return slices.Collect(slices.Chunk(values, len(f.companies)))
}

// join is the value of each company on which evaluators with equal stakes agree, in
// whole units as a ledger has them.
func (f *federation) join(values []float64) []float64 {
	var stakes []uint64
	var phi [][]*big.Int
	for _, of := range f.apart(values) {
		stakes, phi = append(stakes, 1), append(phi, units(of))
	}
	out := make([]float64, len(f.companies))
	joined, err := incentive.Join(stakes, phi)
	for i := range out {
		if err != nil { // unreachable: as many evaluators as stakes, each of all companies
			out[i] = math.NaN()
			continue
		}
		v, _ := new(big.Float).SetInt(joined[i]).Float64()
		out[i] = math.Ldexp(v, -logValueUnit)
	}
	return out
}

// units are values in units of 2^-logValueUnit, nil for what is no number.
func units(values []float64) []*big.Int {
	out := make([]*big.Int, len(values))
	for i, v := range values {
		if v = math.RoundToEven(math.Ldexp(v, logValueUnit)); !math.IsNaN(v) && !math.IsInf(v, 0) {
			out[i], _ = new(big.Float).SetFloat64(v).Int(nil)
		}
	}
	return out
}
