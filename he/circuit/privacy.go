package circuit

import (
	"math"
	"slices"
)

// A Privacy says what noise on released values hides of one row, by the Gaussian
// mechanism: Bun and Steinke, "Concentrated differential privacy", TCC 2016, and
// for discrete noise Canonne, Kamath and Steinke, NeurIPS 2020.
//
// It is worst case over rows in [-1, 1] and margins within their interval, and
// at the points where gradients are taken: that those depend on the rows too,
// through the steps before, it does not count, so beyond the first step it is no
// guarantee for a whole run.
type Privacy struct {
	Training   float64 // how far one training row moves all values together, in L2
	Validation float64 // how far one validation row does
	Deviation  float64 // of one party's noise: the others know theirs
}

// maxInside bounds the polynomial within its interval.
const maxInside = 1.05

// Privacy is that of values by evaluators, one at least, with so many validation
// rows each, of valued steps, with noise of deviation sigma from each party.
//
// A row's gradient has norm up to C = maxInside·√d. Replacing a training row moves
// its company's u by δ, |δ| <= 2C/n, and with it φ_i by ⟨δ, g − U/2⟩ − ⟨u_i, δ⟩/2 −
// |δ|²/2 and every other φ_j by −⟨u_j, δ⟩/2; norms of g, U and all u together are at
// most C. It does so for each of E evaluators, √E times as far in L2. Replacing a
// validation row moves its own evaluator's g by up to 2C/m and φ_j by ⟨u_j, δ⟩, and
// no other's: it is most for the evaluator with the fewest rows. Each in units of
// η, for each of the steps.
func (tw Twin) Privacy(rows int, validation []int, valued int, sigma float64) Privacy {
	c := maxInside * math.Sqrt(float64(tw.Columns))
	delta := 2 * c / float64(rows)
	all := tw.LearningRate * float64(valued)
	return Privacy{
		Training:   all * math.Sqrt(float64(len(validation))) * delta * (1.5*c + 0.5*c + 0.5*c + delta/2),
		Validation: all * c * 2 * c / float64(slices.Min(validation)),
		Deviation:  sigma,
	}
}

// Epsilon is ε at δ of the row that values tell most of: ρ + 2·√(ρ·ln(1/δ)) for
// ρ = Δ²/2σ²; infinite without noise.
func (p Privacy) Epsilon(delta float64) float64 {
	ratio := max(p.Training, p.Validation) / p.Deviation
	rho := ratio * ratio / 2
	return rho + 2*math.Sqrt(rho*math.Log(1/delta))
}

// DeviationFor is the smallest deviation with ε at δ.
func (p Privacy) DeviationFor(epsilon, delta float64) float64 {
	l := math.Log(1 / delta)
	rho := math.Sqrt(l+epsilon) - math.Sqrt(l) // its square solves ρ + 2√(ρl) = ε
	return max(p.Training, p.Validation) / (math.Sqrt2 * rho)
}
