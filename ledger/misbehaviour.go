package ledger

// A Misbehaviour is a validator that signed two things where one is right, as
// consensus proved it: the block has the evidence. An equivocator never signs
// blocks again, under that key or name.
type Misbehaviour struct {
	Vote   Key   // of the validator
	Height int64 // at which it did
	Time   int64 // block time then, Unix milliseconds
	Kind   Fault
}

// A Fault is how a validator misbehaved.
type Fault uint8

const (
	DoubleVote  Fault = 1 // two votes in one round of one height
	LightAttack Fault = 2 // a signature under a block that is not the chain's, shown to who only reads headers
)

func (m *Misbehaviour) code(c *coder) {
	c.digest(&m.Vote)
	c.i64(&m.Height)
	c.i64(&m.Time)
	c.u8((*uint8)(&m.Kind))
}

// misbehaved records what consensus proved of validators, the first time of each,
// and punishes their owners. A validator that is the last one goes on signing:
// without it there would be no chain.
func (s *state) misbehaved(all []Misbehaviour) {
	for i := range all {
		m := &all[i]
		at := key(keyMisbehaved, m.Vote)
		name, owner, ok := s.voter(m.Vote)
		if !ok || s.has(at) || s.lastValidator(name) {
			continue
		}
		s.put(at, m)
		s.punish(owner, m)
	}
}

// voter is the member whose consensus key this is.
func (s *state) voter(vote Key) (name, owner string, ok bool) {
	for _, m := range Members(s) {
		if m.Roles.Has(Validator) && m.Vote == vote {
			return m.Name, m.Owner, true
		}
	}
	return "", "", false
}

// MisbehaviourOf is what a validator was removed for.
func MisbehaviourOf(v View, vote Key) (*Misbehaviour, bool) {
	return load[Misbehaviour](v, key(keyMisbehaved, vote))
}
