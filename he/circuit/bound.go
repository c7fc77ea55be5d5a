package circuit

import "math"

// What encryption adds to a run, beside what the polynomial does. The bounds
// hold while margins stay inside their step's [Interval]; tests hold the circuits to them on
// the insecure and the production ring.

// GradientError bounds the error of one coordinate of a gradient, the mean over
// n rows in so many blocks: 2^-20 a slot for the noise of rows, weights and
// rescaling, which add up in squares over the slots and the vectors of all
// blocks.
func (p Plan) GradientError(n, blocks int) float64 {
	slots := float64(p.Profile.Slots() * blocks)
	return math.Exp2(-20) * math.Sqrt(slots*float64(p.Packing.Width)) / float64(n)
}

// WeightError bounds |encrypted − twin| of a weight after all steps: an error of
// a gradient enters at every step and momentum, below one, carries it on through
// the steps that are left.
func (p Plan) WeightError(tw Twin, n, blocks int) float64 {
	steps := float64(tw.Steps)
	return tw.LearningRate * p.GradientError(n, blocks) * steps * (steps + 1) / 2
}

// ValueError bounds |encrypted − twin| of a company's value over valued steps,
// opening aside. Updates, in units of η, have norm up to √d and directions up to
// 1.5·√d; a coordinate of either errs by a gradient's error, the smaller set's,
// and by what the weights' error δ does to it, Σ|p′|·|z|·|z·δ| ≤ d·δ/4.
func (p Plan) ValueError(tw Twin, valued, columns, n, validation, blocks int) float64 {
	d := float64(columns)
	coordinate := p.GradientError(min(n, validation), blocks) + d/4*p.WeightError(tw, n, blocks)
	return float64(valued) * tw.LearningRate * d * (1.5 + 1.5 + 1) * coordinate
}
