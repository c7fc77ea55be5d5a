package audit

import (
	"errors"
	"fmt"
)

// Why something was not believed.
var (
	// ErrTooLarge says that something is larger than any validator makes it.
	ErrTooLarge = errors.New("audit: too large")
	// ErrMalformed says that bytes are not what they are said to be, in its one
	// encoding.
	ErrMalformed = errors.New("audit: malformed")
	// ErrUnsigned says that no more than two thirds of the validators signed it, or
	// a signature is wrong.
	ErrUnsigned = errors.New("audit: not signed by more than two thirds of the validators")
	// ErrMismatch says that something else was signed.
	ErrMismatch = errors.New("audit: not what was signed")
	// ErrOtherChain says that a block is of another chain, or of other validators.
	ErrOtherChain = errors.New("audit: of another chain")
	// ErrAhead says that a block is so far ahead of the state that is known here
	// that nobody can say who signs it.
	ErrAhead = errors.New("audit: ahead of the state that is known here; wait for the blocks before it")
	// ErrUntrusted says that a header is too far from the one that is trusted, or
	// that one too old; trust a later one.
	ErrUntrusted = errors.New("audit: does not follow from what is trusted")
)

// A DifferenceError says that blocks lead to something else than what the
// validators signed: one who re-executes them comes to Ours.
type DifferenceError struct {
	Height       int64  // of the block that leads to it; the next one has what was signed
	What         string // "root" or "results"
	Ours, Signed []byte
	Detail       string // what the block did, for people
}

// Error names the height and both values.
func (e *DifferenceError) Error() string {
	return fmt.Sprintf("audit: the %s after block %d is %x by re-execution and %x in what was signed; %s", e.What, e.Height, e.Ours, e.Signed, e.Detail)
}

// A DivergenceError says that two validators show different headers of one
// height. Both are kept: who signed both can be convicted by them.
type DivergenceError struct {
	Height           int64
	Primary, Witness string // who showed them
	First, Second    []byte // what they showed, each a [ledger.Checkpoint]
	Why              string // whether the witness's follows from what is trusted
}

// Error names both validators.
func (e *DivergenceError) Error() string {
	return fmt.Sprintf("audit: %s and %s show different headers of block %d; %s", e.Primary, e.Witness, e.Height, e.Why)
}
