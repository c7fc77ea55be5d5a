package ledger

import (
	"encoding/binary"
	"slices"
)

// A KeyEpoch is one collective key: a roster that finished its base ceremony.
type KeyEpoch struct {
	Number   uint32
	Ceremony Digest
	Parties  []string // sorted
	Keys     Digest   // of the aggregated keys, as all parties acknowledged
	Releases uint32   // opened so far (law L7)
}

func (e *KeyEpoch) code(c *coder) {
	c.u32(&e.Number)
	c.digest(&e.Ceremony)
	c.names(&e.Parties, MaxParties)
	c.digest(&e.Keys)
	c.u32(&e.Releases)
}

// OpenRoster begins the base ceremony of a key epoch: the next one, or the
// current number again after an attempt that failed.
type OpenRoster struct {
	Epoch     uint32
	Parties   []string // sorted names of companies, of different owners
	Rotations []int32  // none: key sets add them
	Stages    []uint16
}

func (*OpenRoster) kind() kind { return 5 }
func (o *OpenRoster) code(c *coder) {
	c.u32(&o.Epoch)
	c.names(&o.Parties, MaxParties)
	list(c, &o.Rotations, MaxParts, c.i32)
	list(c, &o.Stages, MaxStages, c.u16)
}

func (o *OpenRoster) apply(s *state, from sender) Result {
	next := uint32(1)
	if e, ok := CurrentEpoch(s); ok {
		next = e.Number + 1
	}
	owners := map[string]bool{}
	for _, p := range o.Parties {
		if m, ok := MemberOf(s, p); !ok || m.Revoked || !m.Roles.Has(Company) || owners[m.Owner] {
			return refuse(Forbidden, "%s is no company, was revoked, or has an owner that is in the roster already", p)
		} else {
			owners[m.Owner] = true
		}
	}
	companies := s.owners(Company)
	switch {
	case o.Epoch != next:
		return refuse(WrongState, "key epoch %d; the next one is %d", o.Epoch, next)
	case len(o.Parties) < MinParties || !slices.IsSorted(o.Parties) || !slices.Contains(o.Parties, from.name):
		return refuse(Malformed, "a roster has %d sorted parties at least, and one of them opens it", MinParties)
	case 2*len(owners) <= len(companies) && len(owners) < MaxParties && s.on(majorityKeys):
		return refuse(Forbidden, "a roster of %d owners of %d; its keys are everybody's, so it takes a majority", len(owners), len(companies))
	}
	attempt := Attempts(s, o.Epoch)
	if y, ok := CeremonyOf(s, BaseCeremony(s.genesis.Chain, o.Epoch, attempt)); ok && !y.Over() {
		return refuse(Replayed, "attempt %d of key epoch %d is under way", attempt, o.Epoch)
	}
	attempt++
	s.putRaw(key(keyAttempts, o.Epoch), key("", attempt))
	return s.begin(&Ceremony{ID: BaseCeremony(s.genesis.Chain, o.Epoch, attempt), Epoch: o.Epoch, Attempt: attempt,
		Parties: o.Parties, Rotations: o.Rotations, Stages: o.Stages})
}

// BaseCeremony is the id of an attempt of a key epoch's base ceremony.
func BaseCeremony(chain string, epoch, attempt uint32) Digest {
	return Hash("ceremony", []byte(chain), key("", epoch, attempt))
}

// EpochOf is the key epoch of a number.
func EpochOf(v View, number uint32) (*KeyEpoch, bool) {
	return load[KeyEpoch](v, key(keyEpoch, number))
}

// CurrentEpoch is the key epoch in force.
func CurrentEpoch(v View) (*KeyEpoch, bool) {
	b := v.Get([]byte(keyCurrent))
	if b == nil {
		return nil, false
	}
	return load[KeyEpoch](v, append([]byte(keyEpoch), b...))
}

// Attempts is how many base ceremonies of a key epoch were begun.
func Attempts(v View, epoch uint32) uint32 {
	b := v.Get(key(keyAttempts, epoch))
	if b == nil {
		return 0
	}
	return binary.BigEndian.Uint32(b)
}
