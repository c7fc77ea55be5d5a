package multiparty

import (
	"encoding/binary"
	"slices"

	"github.com/commonseal/commonseal/he"
)

// An exchange is the commit-and-reveal of one stage, as one party sees it.
type exchange struct {
	stage    stage
	parts    []part
	context  he.Digest    // what all parties must have seen before it
	promises [][]byte     // by party: its commitment, nil until it is in
	opened   [][]bool     // by party and part: its share is revealed and added
	sums     []*he.Object // by part: this party's share, and all others' on top
}

func newExchange(s stage, parts []part, n int) exchange {
	x := exchange{stage: s, parts: parts, promises: make([][]byte, n), opened: make([][]bool, n)}
	for i := range x.opened {
		x.opened[i] = make([]bool, len(parts))
	}
	return x
}

// digest commits a party to the bytes of a part, in this exchange only.
func (x *exchange) digest(party, part int, b []byte) he.Digest {
	where := binary.BigEndian.AppendUint32([]byte{byte(x.stage)}, uint32(party))
	return he.HashParts("ceremony/commitment", x.context[:], binary.BigEndian.AppendUint32(where, uint32(part)), b)
}

// promised is what a party committed to for a part.
func (x *exchange) promised(party, part int) he.Digest {
	const size = len(he.Digest{})
	return he.Digest(x.promises[party][size*(1+part):])
}

// committed says that all parties' commitments are in.
func (x *exchange) committed() bool {
	return !slices.ContainsFunc(x.promises, func(p []byte) bool { return p == nil })
}

// has says that nothing is awaited of the party now.
func (x *exchange) has(party int) bool {
	if !x.committed() {
		return x.promises[party] != nil
	}
	return !slices.Contains(x.opened[party], false)
}

// finished says that every party has revealed every part.
func (x *exchange) finished() bool {
	return !slices.ContainsFunc(x.opened, func(parts []bool) bool { return slices.Contains(parts, false) })
}
