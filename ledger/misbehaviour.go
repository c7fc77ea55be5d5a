package ledger

import "crypto/sha256"

// A Misbehaviour is a validator that signed two things where one is right, as
// consensus proved it: the block has the evidence. Who did it never signs blocks
// again, under that key or name.
type Misbehaviour struct {
	Validator Address
	Height    int64 // at which it did
	Time      int64 // block time then, Unix milliseconds
	Kind      Fault
}

// A Fault is how a validator misbehaved. The numbers are CometBFT's.
type Fault uint8

const (
	DoubleVote  Fault = 1 // two votes in one round of one height
	LightAttack Fault = 2 // a signature under a header that is not the chain's
)

// An Address is how evidence names a validator: the first bytes of the SHA-256
// of its consensus key.
type Address [20]byte

// AddressOf is the address of a consensus key.
func AddressOf(vote Key) Address {
	digest := sha256.Sum256(vote[:])
	return VoteAddress(digest[:])
}

// VoteAddress is an address of that many bytes at least; others have none.
func VoteAddress(b []byte) (a Address) {
	copy(a[:], b)
	return a
}

func (m *Misbehaviour) code(c *coder) {
	c.bytesOf(m.Validator[:])
	c.i64(&m.Height)
	c.i64(&m.Time)
	c.u8((*uint8)(&m.Kind))
}

// bytesOf codes bytes of a fixed length.
func (c *coder) bytesOf(v []byte) {
	if !c.reading {
		c.out = append(c.out, v...)
	} else if b := c.take(len(v)); b != nil {
		copy(v, b)
	}
}

// misbehaved records what a block proves, the first fault of each validator, and
// punishes it. The last validator goes on signing: without it there would
// be no chain.
func (s *state) misbehaved(proved []Misbehaviour) {
	for i := range proved {
		m := s.voter(proved[i].Validator)
		if m == nil || !s.on(equivocatorsGo) || s.has(key(keyMisbehaved, m.Vote)) || s.lastValidator(m.Name) {
			continue
		}
		s.put(key(keyMisbehaved, m.Vote), &proved[i])
		s.punish(m)
	}
}

// voter is the member with the consensus key of an address, nil if there is none.
func (s *state) voter(a Address) *Member {
	for _, m := range Members(s) {
		if m.Roles.Has(Validator) && AddressOf(m.Vote) == a {
			return &m
		}
	}
	return nil
}

// MisbehaviourOf is what the validator of a consensus key was removed for.
func MisbehaviourOf(v View, vote Key) (*Misbehaviour, bool) {
	return load[Misbehaviour](v, key(keyMisbehaved, vote))
}
