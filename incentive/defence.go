package incentive

// A defence is what one attack fails at. Attack tests switch one off, and see
// that the attack works without it.
type defence uint8

const (
	diagonal      defence = iota + 1 // nobody ranks what it owns
	clipping                         // no weight counts above what a majority stands behind
	registrations                    // weights and bonds are of one registration
	ghosts                           // weights on nobody are dropped
	debits                           // negative values are debited
	defaults                         // harm that nobody answers for is not paid out as good
)

// on says whether a defence is up.
func (p Params) on(d defence) bool { return p.off != d }
