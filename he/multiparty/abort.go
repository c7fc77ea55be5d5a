package multiparty

import (
	"errors"
	"fmt"
	"strings"
)

// ErrEarly says that a step is not due yet: other parties' messages come
// first. Nothing changed; keep the message and give it again.
var ErrEarly = errors.New("not due yet; give it again after the messages before it")

// A Cause is why a ceremony failed. The numbers are part of the wire protocol:
// never reuse or renumber one.
type Cause uint8

const (
	Mismatched  Cause = 1 // what was revealed is not what was committed
	Equivocated Cause = 2 // two different messages for one step
	Absent      Cause = 3 // nothing came before the deadline
	Malformed   Cause = 4 // not a message, or committed bytes that are not a share
	Disagreed   Cause = 5 // another plan, reference string or digest of the keys
	WrongKey    Cause = 6 // the end test did not open to what was encrypted
)

// String names the cause for people.
func (c Cause) String() string {
	if name, ok := map[Cause]string{
		Mismatched: "a message that is not what was committed", Equivocated: "two different messages for one step",
		Absent: "no message before the deadline", Malformed: "a message that does not decode", Disagreed: "parties that do not agree",
		WrongKey: "a wrong key",
	}[c]; ok {
		return name
	}
	return fmt.Sprintf("cause %d", uint8(c))
}

// An Abort ends a ceremony for good (law L5): the next one has new nonces, a
// new common reference string and new secrets. No key of an aborted ceremony
// is ever used.
type Abort struct {
	Culprits []string // parties, sorted; empty if it cannot be told who
	Cause    Cause
	Detail   string // for people; never parsed
}

// Error names the culprits, the cause and the next step.
func (a *Abort) Error() string {
	who := "nobody can be named"
	if len(a.Culprits) > 0 {
		who = strings.Join(a.Culprits, ", ")
	}
	return fmt.Sprintf("ceremony aborted: %s (%s): %s; start the next attempt", a.Cause, who, a.Detail)
}
