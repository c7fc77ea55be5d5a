package circuit

import (
	"fmt"
	"slices"

	"github.com/commonseal/commonseal/he"
)

// A Plan is how rows of a width are packed and rotated: what the planner picks
// and every party agrees on before keys are made.
type Plan struct {
	Profile *he.Profile
	Packing he.Packing
	// Step is the largest baby rotation plus one: rotations by 1..Step-1 and by
	// multiples of Step have keys, and compose to all others that are needed.
	Step int
	// Wrapped errors are rotated left by Width−g·Baby instead of right by g·Baby,
	// and meet vectors packed Back: a company's own, which it may encode twice.
	Wrapped bool
	// Rotations are the Galois keys the plan needs, in slots to the left.
	Rotations []int
}

// keyWeight is what a Galois key costs in number theoretic transforms of every
// step: 9.4 MB of each party's upload and its share of the ceremony, over the
// few dozen steps of a run. At 150 the plain form of 16 columns takes 6 keys.
const keyWeight = 150

// vectorWeight is what a vector of a block costs likewise: 2 MB to encrypt, to
// upload and to keep. Many companies with few rows are stacked for it.
const vectorWeight = 16

// NewPlan picks the form for rows of columns values, the constant included, of
// companies with so many rows each.
//
// Few rows are stacked if everybody's fit one block; many are packed as plain
// diagonals, or with baby and giant steps where blocks are few and wide. Of all
// forms it takes the one with the least [Plan.Transforms], Galois keys and vectors
// counted as [keyWeight] and [vectorWeight] of them.
func NewPlan(p *he.Profile, columns int, rows []int) (Plan, error) {
	if columns < 1 || columns > he.MaxWidth {
		return Plan{}, fmt.Errorf("%d columns; a row has 1 to %d values, the constant included", columns, he.MaxWidth)
	}
	width, most := he.WidthFor(columns), slices.Max(append(rows, 1))
	var best Plan
	least := -1
	for stack := 1; stack <= width; stack *= 2 {
		for baby := width / stack; baby >= 1; baby /= 2 {
			packing := he.Packing{Width: width, Baby: baby, Stack: stack}
			if stack > 1 && (baby*stack != width || packing.Capacity(p.Slots()) < most) {
				break
			}
			for step := 1; step <= max(baby, 2) && step <= width; step *= 2 {
				plan := newPlan(p, packing, step)
				blocks := plan.Blocks(rows)
				cost := plan.Transforms(blocks) + keyWeight*len(plan.Rotations) + vectorWeight*blocks*packing.Vectors()
				if least < 0 || cost < least {
					best, least = plan, cost
				}
			}
		}
	}
	if blocks := best.Blocks(rows); blocks*width*MaxError > 1<<he.LogGradientValue {
		return Plan{}, fmt.Errorf("%d blocks of %d columns: a gradient's bound of 2^%d covers %d; take fewer rows or columns", blocks, width, he.LogGradientValue, (1<<he.LogGradientValue)/width/MaxError)
	}
	return best, nil
}

// Own is the plan for so many blocks of a company's own rows, encoded and not
// encrypted, under the keys of p: diagonals need no relinearisation then, and
// for a few blocks baby and giant steps are cheaper, whose giants' keys there
// are.
func (p Plan) Own(blocks int) Plan {
	if p.giants() > 1 || p.Packing.Stacked() || p.Step >= p.Packing.Width {
		return p
	}
	own := p
	own.Packing.Baby, own.Wrapped = p.Step, true
	if own.plainTransforms(blocks) < p.plainTransforms(blocks) {
		return own
	}
	return p
}

// newPlan is the plan of a form.
func newPlan(p *he.Profile, packing he.Packing, step int) Plan {
	plan := Plan{Profile: p, Packing: packing, Step: step}
	for k := 1; k < step; k++ {
		plan.Rotations = append(plan.Rotations, k)
	}
	for k := step; k < packing.Width; k += step {
		// Forward up to Baby, and back by Width less what is below Baby.
		if k < packing.Baby || k+step > packing.Width-packing.Baby+1 {
			plan.Rotations = append(plan.Rotations, k)
		}
	}
	for g := 1; g < plan.giants(); g++ {
		if k := g * packing.Baby; !slices.Contains(plan.Rotations, k) {
			plan.Rotations = append(plan.Rotations, k)
		}
		plan.Rotations = append(plan.Rotations, -g*packing.Baby)
	}
	for _, k := range plan.spreads() {
		if !slices.Contains(plan.Rotations, k) {
			plan.Rotations = append(plan.Rotations, k)
		}
	}
	return plan
}

// giants is G: how many giant steps the stored vectors fall into.
func (p Plan) giants() int { return p.Packing.Vectors() / p.Packing.Baby }

// spreads are the rotations that add segments up, in order.
func (p Plan) spreads() []int {
	if !p.Packing.Stacked() {
		return nil
	}
	var out []int
	stride := p.Packing.Stride(p.Profile.Slots())
	for j := 1; j < p.Packing.Stack; j *= 2 {
		out = append(out, j*stride)
	}
	return append(out, -p.Packing.Stack*stride)
}

// Blocks is how many blocks companies of so many rows fill: none shares one.
func (p Plan) Blocks(rows []int) (n int) {
	capacity := p.Packing.Capacity(p.Profile.Slots())
	for _, r := range rows {
		n += (r + capacity - 1) / capacity
	}
	return n
}

// Transforms counts the number theoretic transforms, each of one row of one
// polynomial, of one step over b blocks: what a step's time is spent in.
func (p Plan) Transforms(blocks int) int {
	level := p.Profile.MaxLevel()
	giants, baby := p.giants(), p.Packing.Baby
	digits := func(l int) int { return (l + 1) * (l + 2) } // decompose at level l
	divide := func(l int) int { return l + 2 }             // lower at l, or settle to l

	forward := (baby+p.Step-1)/p.Step*digits(level) + (baby-1)*2*divide(level)
	inner := giants*(level+1+digits(level-1)) + 2*divide(level-1)             // rescale, relinearise, settle
	inner += (giants - 1) * (level + 1 + divide(level-1) + digits(level-1))   // rotate by giants
	inner += len(p.spreads()) * (digits(level-1) + 2*divide(level-1))         // segments
	product := func(l int) int { return l + 1 + digits(l-1) + 2*divide(l-1) } // rescale, relinearise, settle
	poly := product(level-1) + 2*product(level-2) + product(level-3)
	floor := p.Profile.Floor()
	errors := min(giants-1, 1)*digits(floor+1) + (giants-1)*2*divide(floor+1)
	fold := baby*(2*(floor+2)+2*digits(floor)+divide(floor)) + (baby+p.Step-1)/p.Step*(digits(floor)+2*divide(floor))
	return forward + blocks*(inner+poly+errors) + fold
}

// plainTransforms is Transforms over blocks that are not encrypted: no product
// is relinearised but the polynomial's.
func (p Plan) plainTransforms(blocks int) int {
	level, floor := p.Profile.MaxLevel(), p.Profile.Floor()
	rotate := func(l int) int { return l + 1 + (l+1)*(l+2) } // rescale and decompose
	giants, baby := p.giants(), p.Packing.Baby
	forward := (baby+p.Step-1)/p.Step*(level+1)*(level+2) + (baby-1)*2*(level+2)
	inner := (giants - 1) * (rotate(level-1) + 2*(floor+3))
	return forward + blocks*inner + baby*rotate(floor)
}

// String is the plan for people.
func (p Plan) String() string {
	form := "diagonals"
	switch {
	case p.Packing.Stacked():
		form = fmt.Sprintf("%d segments stacked in %d vectors", p.Packing.Stack, p.Packing.Baby)
	case p.giants() > 1:
		form = fmt.Sprintf("baby and giant steps %d × %d", p.Packing.Baby, p.giants())
	}
	return fmt.Sprintf("%d columns: %s, %d rows a block, %d Galois keys", p.Packing.Width, form, p.Packing.Capacity(p.Profile.Slots()), len(p.Rotations))
}
