package circuit

import (
	"fmt"

	"github.com/commonseal/commonseal/he"
)

// A Plan is how rows of a width are packed and rotated: what the planner picks
// and every party agrees on before keys are made.
type Plan struct {
	Profile *he.Profile
	Packing he.Packing
	// Step is the largest baby rotation plus one: rotations by 1..Step-1 and by
	// multiples of Step up to the width have keys, and compose to all others.
	Step int
	// Rotations are the Galois keys the plan needs, in slots to the left.
	Rotations []int
}

// NewPlan picks the form for rows of columns values, the constant included.
//
// Every Galois key costs each party 9.4 MB of upload, so keys are few: up to
// 16 columns the plain diagonals with composed rotations (6 keys at 16), above
// that baby and giant steps, whose products with giant-rotated errors also need
// the giants' inverses.
func NewPlan(p *he.Profile, columns int) (Plan, error) {
	if columns < 1 || columns > he.MaxWidth {
		return Plan{}, fmt.Errorf("%d columns; a row has 1 to %d values, the constant included", columns, he.MaxWidth)
	}
	width := he.WidthFor(columns)
	plan := Plan{Profile: p, Packing: he.Packing{Width: width, Baby: width}, Step: width}
	switch {
	case width > 128:
		plan.Step = 32
	case width > 32:
		plan.Step = 16
	case width > 16:
		plan.Step = 8
	case width > 4:
		plan.Step = 4
	case width > 2:
		plan.Step = 2
	}
	if width > 16 {
		plan.Packing.Baby = plan.Step
	}
	for k := 1; k < plan.Step; k++ {
		plan.Rotations = append(plan.Rotations, k)
	}
	for k := plan.Step; k < width; k += plan.Step {
		plan.Rotations = append(plan.Rotations, k)
	}
	for g := 1; g < plan.giants(); g++ {
		plan.Rotations = append(plan.Rotations, -g*plan.Packing.Baby)
	}
	return plan, nil
}

// giants is G: how many giant steps the stored vectors fall into.
func (p Plan) giants() int { return p.Packing.Width / p.Packing.Baby }

// KeyBytes is what one party uploads for the plan's Galois keys.
func (p Plan) KeyBytes() int {
	share := &he.Object{Kind: he.KindGaloisShare, Profile: p.Profile, Level: p.Profile.MaxLevel(), Element: 1}
	return len(p.Rotations) * share.Size()
}

// KeySwitches counts the key switches of one step over b blocks: what a step
// costs, in the unit that dominates it.
func (p Plan) KeySwitches(blocks int) int {
	giants, baby := p.giants(), p.Packing.Baby
	rotations := baby - 1
	perBlock := giants + (giants - 1) + 2 + (giants - 1) // inner products, polynomial, rotated errors
	fold := baby + baby - baby/p.Step + p.Packing.Width/p.Step - 1
	return rotations + blocks*perBlock + fold
}

// String is the plan for people.
func (p Plan) String() string {
	form := "diagonals"
	if p.giants() > 1 {
		form = fmt.Sprintf("baby and giant steps %d × %d", p.Packing.Baby, p.giants())
	}
	return fmt.Sprintf("%d columns packed to %d: %s, %d Galois keys, %d key switches a step and %d more a block",
		p.Packing.Width, p.Packing.Width, form, len(p.Rotations), p.KeySwitches(0), p.KeySwitches(1)-p.KeySwitches(0))
}
