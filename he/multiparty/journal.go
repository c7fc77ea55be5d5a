package multiparty

import (
	"fmt"

	"github.com/commonseal/commonseal/he"
)

// A Journal remembers every c1 this party answered for, and with what (law L3).
//
// Claim binds c1 to the request on its first call, for ever. The same pair
// again is harmless: the share it leads to has the same bytes. The same c1 with
// any other request is a [*UsedError]. Claim returns after the pair is durable.
type Journal interface {
	Claim(c1, request he.Digest) error
}

// A UsedError refuses a second share for one c1. It is final.
type UsedError struct {
	C1, Bound, Request he.Digest
}

// Error names the ciphertext and both requests.
func (e *UsedError) Error() string {
	return fmt.Sprintf("c1 %x was answered for request %x and never again for another (%x); refresh under a new round", e.C1[:6], e.Bound[:6], e.Request[:6])
}

// A UsedSet is a journal in memory. It is one party's, used by one goroutine.
type UsedSet map[he.Digest]he.Digest

// Claim implements [Journal].
func (u UsedSet) Claim(c1, request he.Digest) error {
	if bound, ok := u[c1]; ok && bound != request {
		return &UsedError{C1: c1, Bound: bound, Request: request}
	}
	u[c1] = request
	return nil
}
