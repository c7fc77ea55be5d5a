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
	// LearningRate, Decay, Steps and Columns, those that train and the constant, are
	// those of the run.
	LearningRate, Decay float64
	Steps, Columns      int
	// Trains says of every column whether it trains; nil: all do.
	Trains []bool
}

// Interval is R at step t.
func (tw Twin) Interval(t int) int { return Interval(t, tw.Columns, tw.LearningRate) }

// Error is p(m/R) for an interval R, or σ(−m).
func (tw Twin) Error(m float64, interval int) float64 {
	if tw.Exact {
		return 1 / (1 + math.Exp(m))
	}
	c, u := coefficients(interval), m/float64(interval)
	v := float64(u * u)
	return 0.5 + u*(c[0]+v*(c[1]+v*(c[2]+float64(v*c[3]))))
}

// Gradient is weight times the sum of p(m/R)·z over the rows, at weights w, zero
// in columns that do not train, and the largest |m|.
func (tw Twin) Gradient(w []float64, interval int, z he.Rows, weight float64) (g []float64, marginMax float64) {
	g = make([]float64, z.Columns)
	for i := range z.Len() {
		m := floats.Dot(z.Row(i), w)
		marginMax = max(marginMax, math.Abs(m))
		floats.AddScaled(g, tw.Error(m, interval), z.Row(i))
	}
	floats.Scale(weight, g)
	for j := range g {
		if tw.Trains != nil && !tw.Trains[j] {
			g[j] = 0
		}
	}
	return g, marginMax
}

// A Trained is what training leaves.
type Trained struct {
	Weights   []float64
	Points    [][]float64 // where each step took its gradient
	MarginMax float64     // the largest |margin|
	Beyond    float64     // the largest ratio of a margin to its step's interval
}

// Train runs all steps from zero over the companies' rows.
func (tw Twin) Train(companies []he.Rows) Trained {
	return tw.TrainAmong(companies, rowCount(companies))
}

// TrainAmong is Train with gradients over n rows, of which companies that are left
// out hold some: the same steps without their gradients.
func (tw Twin) TrainAmong(companies []he.Rows, n int) (out Trained) {
	d := tw.Columns // companies may be none
	if tw.Trains != nil {
		d = len(tw.Trains)
	}
	v, w := make([]float64, d), make([]float64, d)
	for t := range tw.Steps {
		out.Points = append(out.Points, append([]float64(nil), v...))
		next := append([]float64(nil), v...)
		floats.Scale(1-tw.LearningRate*tw.Decay, next[1:]) // the constant does not decay
		for _, z := range companies {
			g, m := tw.Gradient(v, tw.Interval(t), z, tw.LearningRate/float64(n))
			out.MarginMax = max(out.MarginMax, m)
			out.Beyond = max(out.Beyond, m/float64(tw.Interval(t)))
			floats.Add(next, g)
		}
		for j := range v {
			v[j] = next[j] + Momentum(t)*(next[j]-w[j])
		}
		w = next
	}
	out.Weights = w
	return out
}

// Loss is the mean logistic loss ln(1 + exp(−m)) over rows at weights w.
func (tw Twin) Loss(w []float64, rows []he.Rows) (sum float64) {
	for _, z := range rows {
		for i := range z.Len() {
			sum += math.Log1p(math.Exp(-floats.Dot(z.Row(i), w)))
		}
	}
	return sum / float64(rowCount(rows))
}

// Scores are the inner products of rows with the weights.
func Scores(w []float64, x he.Rows) []float64 {
	out := make([]float64, x.Len())
	for i := range out {
		out[i] = floats.Dot(x.Row(i), w)
	}
	return out
}
