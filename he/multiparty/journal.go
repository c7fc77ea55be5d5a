package multiparty

import (
	"fmt"

	"github.com/commonseal/commonseal/he"
)

// A Purpose is what a share is for. The numbers are durable: never reuse or
// renumber one.
type Purpose uint8

const (
	Refresh Purpose = 1 // a map
	Opening Purpose = 2 // a release
)

// Budget is how many requests of the purpose a party answers in a key epoch:
// what masks and flooding are made for (laws L7 and L12).
func (p Purpose) Budget() int {
	switch p {
	case Refresh:
		return 1 << he.LogRefreshes
	case Opening:
		return 1 << LogReleases
	}
	return 0
}

// String names the purpose for people.
func (p Purpose) String() string {
	switch p {
	case Refresh:
		return "maps"
	case Opening:
		return "releases"
	}
	return fmt.Sprintf("requests of unknown purpose %d", uint8(p))
}

// A Journal remembers every c1 this party answered for in a key epoch, and with
// what (law L3), and how often.
//
// Claim binds all of c1s to the request on its first call, for ever, or none of
// them if it refuses. The same request again is harmless and free: the share it
// leads to has the same bytes. A c1 that is bound to any other request is a
// [*UsedError]; a new request beyond the purpose's budget is a [*SpentError].
// Claim returns after what it bound is durable.
type Journal interface {
	Claim(purpose Purpose, c1s []he.Digest, request he.Digest) error
}

// A UsedError refuses a second share for one c1. It is final.
type UsedError struct {
	C1, Bound, Request he.Digest
}

// Error names the ciphertext and both requests.
func (e *UsedError) Error() string {
	return fmt.Sprintf("c1 %x was answered for request %x and never again for another (%x); refresh under a new round", e.C1[:6], e.Bound[:6], e.Request[:6])
}

// A SpentError refuses a request beyond the epoch's budget. It is final.
type SpentError struct {
	Purpose Purpose
	Budget  int
}

// Error says what is spent and what comes next.
func (e *SpentError) Error() string {
	return fmt.Sprintf("%d %v were answered in this key epoch, all that its masks are made for; make new keys", e.Budget, e.Purpose)
}

// A UsedSet is a journal in memory, empty to begin with. It is one party's,
// used by one goroutine.
type UsedSet struct {
	bound map[he.Digest]he.Digest // request by c1
	spent map[Purpose]int
	limit func(Purpose) int // nil: Purpose.Budget
}

// Claim implements [Journal].
func (u *UsedSet) Claim(purpose Purpose, c1s []he.Digest, request he.Digest) error {
	limit, repeat := Purpose.Budget, true
	if u.limit != nil {
		limit = u.limit
	}
	for _, c1 := range c1s {
		bound, ok := u.bound[c1]
		if ok && bound != request {
			return &UsedError{C1: c1, Bound: bound, Request: request}
		}
		repeat = repeat && ok
	}
	switch {
	case repeat:
		return nil
	case u.spent[purpose] >= limit(purpose):
		return &SpentError{Purpose: purpose, Budget: limit(purpose)}
	case u.bound == nil:
		u.bound, u.spent = map[he.Digest]he.Digest{}, map[Purpose]int{}
	}
	u.spent[purpose]++
	for _, c1 := range c1s {
		u.bound[c1] = request
	}
	return nil
}
