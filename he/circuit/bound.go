package circuit

import "math"

// What encryption adds to a run, beside what the polynomial does. The bounds
// hold while margins stay inside their step's [Interval], and the partial sums
// of a stacked packing's segments inside twice that: those stand in slots that
// no row meets, where the polynomial's value multiplies noise alone. Tests hold
// the circuits to them on the insecure and the production ring.

// A Load is what a bound depends on beside the plan.
type Load struct {
	Rows, Validation int // rows that train, and rows that value
	Blocks           int // of all of them
	Parties          int // of the key
}

// GradientError bounds the error of one coordinate of a gradient, the mean over
// so many rows: 2^-22·√parties a slot, for the noise of rows and weights under
// a key of so many parties and for rescaling, which add up in squares over the
// slots and the vectors of all blocks; and 2^-23 for the polynomial's constants,
// which are rounded alike for every row.
func (p Plan) GradientError(rows int, l Load) float64 {
	slots := float64(p.Profile.Slots() * l.Blocks * l.Parties)
	return math.Exp2(-22)*math.Sqrt(slots*float64(p.Packing.Width))/float64(rows) + math.Exp2(-23)
}

// WeightError bounds |encrypted − twin| of a weight after all steps: an error of
// a gradient enters at every step and momentum, below one, carries it on through
// the steps that are left.
func (p Plan) WeightError(tw Twin, l Load) float64 {
	steps := float64(tw.Steps)
	return tw.LearningRate * p.GradientError(l.Rows, l) * steps * (steps + 1) / 2
}

// ValueError bounds |encrypted − twin| of a company's value over valued steps,
// opening aside. Updates, in units of η, have norm up to √d and directions up to
// 1.5·√d. Errors of the coordinates of the other factor are independent but for
// the weights': those reach a gradient through the loss's curvature, at most d/4.
func (p Plan) ValueError(tw Twin, valued int, l Load) float64 {
	d := float64(tw.Columns)
	coordinate := p.GradientError(min(l.Rows, l.Validation), l) + d/4*p.WeightError(tw, l)
	return float64(valued) * tw.LearningRate * math.Sqrt(d) * (1.5 + 1.5 + 1) * coordinate
}
