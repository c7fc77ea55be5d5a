package he

// The near-copy test computes with collective maps and products in turn, all in
// the train profile, and keeps more digits than training does: numbers stand
// above the profile's scale where a map writes them, and products are not
// rescaled before the next map takes them, as far as a mask lets them grow
// (docs/adr/0016). These scales, in bits, are what maps and circuits agree on.
const (
	// LogUpdate is the scale of updates whose inner products are taken.
	LogUpdate = 56
	// LogCosine is the scale of inner products, one in a slot.
	LogCosine = 60
	// LogSign is the scale of a number that a sign polynomial takes.
	LogSign = 48
	// LogSigned is the scale of what it gives.
	LogSigned = 120
)

// CompareLevel is the level at which maps of the near-copy test take their
// inputs: one above the refresh floor.
func (p *Profile) CompareLevel() int { return p.Floor() + 1 }
