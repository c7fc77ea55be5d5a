package circuit

import "math"

// What encryption adds to a run, beside what the polynomial does. The bounds
// hold while margins stay inside their step's [Interval], and the partial sums
// of a stacked packing's segments inside twice that: those stand in slots that
// no row meets, where the polynomial's value multiplies noise alone. Tests hold
// the circuits to them on the insecure and the production ring.

// A Load is what a bound depends on beside the plan.
type Load struct {
	Rows, Validation int // rows that train, and the fewest that an evaluator values by
	Blocks           int // of all of them
	Parties          int // of the key
}

// GradientError bounds the error of one coordinate of a gradient, the mean over
// so many rows. Three things add up:
//
//   - the noise of fresh ciphertexts under a key of so many parties, 2^-22·√parties
//     a slot, in squares over the slots and the vectors of all blocks;
//   - in squares with it, the error of each row's polynomial: what rescaling
//     rounds of a product's third part meets the square of the secret, so it grows
//     with the parties themselves, 2^-15·parties·√Stack a row, segments adding up;
//   - 2^-23 for the polynomial's constants, which are rounded alike for every row.
func (p Plan) GradientError(rows int, l Load) float64 {
	fresh := math.Exp2(-22) * math.Sqrt(float64(p.Profile.Slots()*l.Blocks*l.Parties*p.Packing.Width))
	row := math.Exp2(-15) * float64(l.Parties) * math.Sqrt(float64(max(1, p.Packing.Stack)*rows))
	return math.Hypot(fresh, row)/float64(rows) + math.Exp2(-23)
}

// WeightError bounds |encrypted − twin| of a weight after t steps: errors of
// different steps are independent, and momentum, below one, carries each on
// through the steps that are left.
func (p Plan) WeightError(tw Twin, t int, l Load) float64 {
	squares := float64(t*(t+1)*(2*t+1)) / 6
	return tw.LearningRate * p.GradientError(l.Rows, l) * math.Sqrt(squares)
}

// ValueError bounds |encrypted − twin| of a company's value by any evaluator over
// valued steps, and so of a median of them, opening aside. Updates, in units of η,
// have norm up to √d and directions up to 1.5·√d. Errors of the coordinates of the
// other factor are independent but for the weights': those reach a gradient through
// the loss's curvature, at most d/4.
func (p Plan) ValueError(tw Twin, valued map[int]bool, l Load) (bound float64) {
	d, own := float64(tw.Columns), p.GradientError(min(l.Rows, l.Validation), l)
	for t := range valued {
		bound += tw.LearningRate * math.Sqrt(d) * (1.5 + 1.5 + 1) * (own + d/4*p.WeightError(tw, t, l))
	}
	return bound
}
