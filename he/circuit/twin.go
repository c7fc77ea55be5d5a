package circuit

import (
	"math"

	"github.com/commonseal/commonseal/he"
	"gonum.org/v1/gonum/floats"
)

// A Twin is the cleartext twin of training: the same steps in float64.
type Twin struct {
	// Exact takes σ(−m) itself instead of the polynomial.
	Exact bool
	// LearningRate and Steps are those of the run.
	LearningRate float64
	Steps        int
}

// Momentum is Nesterov's coefficient of step t: t/(t+3).
func Momentum(t int) float64 { return float64(t) / float64(t+3) }

// LearningRate is the rate used when none is given: 8/d for d columns, the
// constant included. Rows lie in [−1, 1]^d, so the polynomial's curvature at
// zero is at most 0.15·d, and Nesterov's steps are stable below 4/3 of its
// inverse whatever the data.
func LearningRate(columns int) float64 { return 8 / float64(columns) }

// Error is p(m), or σ(−m).
func (tw Twin) Error(m float64) float64 {
	if tw.Exact {
		return 1 / (1 + math.Exp(m))
	}
	return m*(Cubic*float64(m*m)+Slope) + 0.5
}

// Gradient is the mean over rows of p(m)·z for weights w, times weight, and
// the largest |m|.
func (tw Twin) Gradient(w []float64, z he.Rows, weight float64) (g []float64, marginMax float64) {
	g = make([]float64, z.Columns)
	for i := range z.Len() {
		m := floats.Dot(z.Row(i), w)
		marginMax = max(marginMax, math.Abs(m))
		floats.AddScaled(g, tw.Error(m), z.Row(i))
	}
	floats.Scale(weight, g)
	return g, marginMax
}

// Train runs all steps from zero over the companies' rows and returns the
// weights, the start of every step and the largest |margin|.
func (tw Twin) Train(companies []he.Rows) (weights []float64, starts [][]float64, marginMax float64) {
	d, n := companies[0].Columns, 0
	for _, z := range companies {
		n += z.Len()
	}
	v, beta := make([]float64, d), make([]float64, d)
	for t := range tw.Steps {
		starts = append(starts, append([]float64(nil), v...))
		next := append([]float64(nil), v...)
		for _, z := range companies {
			g, m := tw.Gradient(v, z, tw.LearningRate/float64(n))
			marginMax = max(marginMax, m)
			floats.Add(next, g)
		}
		for j := range v {
			v[j] = next[j] + Momentum(t)*(next[j]-beta[j])
		}
		beta = next
	}
	return beta, starts, marginMax
}

// Scores are the inner products of rows with the weights.
func Scores(w []float64, x he.Rows) []float64 {
	out := make([]float64, x.Len())
	for i := range out {
		out[i] = floats.Dot(x.Row(i), w)
	}
	return out
}

// Sigmoid is the probability of the positive class for a score.
func Sigmoid(score float64) float64 { return 1 / (1 + math.Exp(-score)) }
