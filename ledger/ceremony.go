package ledger

import "slices"

// A CeremonyState says how far a ceremony is.
type CeremonyState uint8

const (
	Committing    CeremonyState = 1 // commitments of the stage are awaited
	Revealing     CeremonyState = 2 // all are in: reveals are awaited
	Acknowledging CeremonyState = 3 // all stages are over
	Active        CeremonyState = 4
	Failed        CeremonyState = 5
)

// A Ceremony makes keys by commit and reveal, stage by stage (ROUNDS (a), law
// L5). Of the base ceremony of a key epoch Task is zero, of a key set it is the
// task the Galois keys are for.
type Ceremony struct {
	ID        Digest
	Epoch     uint32
	Attempt   uint32
	Task      Digest
	Parties   []string // sorted
	Rotations []int32
	Stages    []uint16 // parts of each stage
	State     CeremonyState
	Stage     uint8
	Waiting   []string // who has not committed, revealed or acknowledged yet
	Deadline  int64    // of what is waited for
	Keys      Digest   // what the first to acknowledge has
	Culprits  []string // of a ceremony that failed
	Cause     string
}

func (y *Ceremony) code(c *coder) {
	c.digest(&y.ID)
	c.u32(&y.Epoch)
	c.u32(&y.Attempt)
	c.digest(&y.Task)
	c.names(&y.Parties, MaxParties)
	list(c, &y.Rotations, MaxParts, c.i32)
	list(c, &y.Stages, MaxStages, c.u16)
	c.u8((*uint8)(&y.State))
	c.u8(&y.Stage)
	c.names(&y.Waiting, MaxParties)
	c.i64(&y.Deadline)
	c.digest(&y.Keys)
	c.names(&y.Culprits, MaxParties)
	c.text(&y.Cause, 1024)
}

// Over says that nothing more happens.
func (y *Ceremony) Over() bool { return y.State == Active || y.State == Failed }

// begin opens a ceremony's first stage.
func (s *state) begin(y *Ceremony) Result {
	if len(y.Stages) == 0 || slices.ContainsFunc(y.Stages, func(n uint16) bool { return n == 0 || n > MaxParts }) {
		return refuse(Malformed, "a ceremony has stages, of 1 to %d parts each", MaxParts)
	}
	s.await(y, Committing)
	return Result{}
}

// await moves a ceremony on: all of its parties are waited for anew.
func (s *state) await(y *Ceremony, what CeremonyState) {
	y.State, y.Waiting, y.Deadline = what, slices.Clone(y.Parties), s.now+s.genesis.Patience
	if y.Over() {
		y.Waiting, y.Deadline = nil, 0
	}
	s.put(key(keyCeremony, y.ID), y)
}

// awaited finds a ceremony that waits for the sender's message.
func (s *state) awaited(id Digest, from sender, what CeremonyState, stage uint8) (*Ceremony, Result) {
	y, ok := CeremonyOf(s, id)
	switch {
	case !ok:
		return nil, refuse(Unknown, "no ceremony %x", id[:6])
	case !slices.Contains(y.Parties, from.name):
		return nil, refuse(Forbidden, "%s is no party of ceremony %x", from.name, id[:6])
	case y.State == Failed:
		return nil, refuse(WrongState, "ceremony %x failed: %.80q; start the next attempt", id[:6], y.Cause)
	case y.State != what || y.Stage != stage:
		return nil, refuse(WrongState, "ceremony %x is at stage %d, state %d", id[:6], y.Stage, y.State)
	case s.now > y.Deadline:
		return nil, refuse(Late, "stage %d of ceremony %x ended at %d; start the next attempt", stage, id[:6], y.Deadline)
	}
	return y, Result{}
}

// arrived notes that a party's message is in, and says whether all are.
func (y *Ceremony) arrived(name string) bool {
	y.Waiting = slices.DeleteFunc(y.Waiting, func(n string) bool { return n == name })
	return len(y.Waiting) == 0
}

// Commit is a party's commitment of a stage: what it has seen, and a digest of
// each part it is going to reveal.
type Commit struct {
	Ceremony Digest
	Stage    uint8
	Promise  []byte
}

func (*Commit) kind() kind { return 7 }
func (m *Commit) code(c *coder) {
	c.digest(&m.Ceremony)
	c.u8(&m.Stage)
	c.bytes(&m.Promise, MaxPromise)
}

func (m *Commit) apply(s *state, from sender) Result {
	at := key(keyCommit, m.Ceremony, m.Stage, from.name)
	if r := s.once(at, m); r.Code != OK {
		return r
	}
	y, r := s.awaited(m.Ceremony, from, Committing, m.Stage)
	if r.Code != OK {
		return r
	}
	s.put(at, m)
	if y.arrived(from.name) {
		s.await(y, Revealing)
	} else {
		s.put(key(keyCeremony, y.ID), y)
	}
	return Result{}
}

// once refuses what is recorded already: the same again, or something else in
// its place, which is equivocation.
func (s *state) once(at []byte, v coded) Result {
	b := s.Get(at)
	switch {
	case b == nil:
		return Result{}
	case string(b) == string(appendCoded(nil, v)):
		return refuse(Replayed, "recorded already")
	}
	return refuse(Conflict, "something else is recorded in its place; the first counts for ever")
}

// A Held is a node's word that it keeps a blob.
type Held struct {
	Node      string
	Signature Signature
}

func (h *Held) code(c *coder) {
	c.name(&h.Node)
	c.signature(&h.Signature)
}

// Reveal says that a party has revealed all parts of a stage: in the
// transaction itself if it is one small part, else by the blobs' digests.
type Reveal struct {
	Ceremony Digest
	Stage    uint8
	Inline   []byte
	Blobs    []Digest
}

func (*Reveal) kind() kind { return 8 }
func (m *Reveal) code(c *coder) {
	c.digest(&m.Ceremony)
	c.u8(&m.Stage)
	c.bytes(&m.Inline, MaxInline)
	c.digests(&m.Blobs, MaxParts)
}

func (m *Reveal) apply(s *state, from sender) Result {
	at := key(keyReveal, m.Ceremony, m.Stage, from.name)
	if r := s.once(at, m); r.Code != OK {
		return r
	}
	y, r := s.awaited(m.Ceremony, from, Revealing, m.Stage)
	if r.Code != OK {
		return r
	}
	parts := int(y.Stages[y.Stage])
	if inline := parts == 1 && len(m.Inline) > 0 && len(m.Blobs) == 0; !inline && (len(m.Inline) > 0 || len(m.Blobs) != parts) {
		return refuse(Malformed, "stage %d has %d parts; reveal each once", m.Stage, parts)
	}
	s.put(at, m)
	switch {
	case !y.arrived(from.name):
		s.put(key(keyCeremony, y.ID), y)
	case int(y.Stage)+1 < len(y.Stages):
		y.Stage++
		s.await(y, Committing)
	default:
		s.await(y, Acknowledging)
	}
	return Result{}
}

// KeyAck says that a party ended the ceremony with keys of this digest.
type KeyAck struct {
	Ceremony Digest
	Keys     Digest
}

func (*KeyAck) kind() kind { return 9 }
func (m *KeyAck) code(c *coder) {
	c.digest(&m.Ceremony)
	c.digest(&m.Keys)
}

func (m *KeyAck) apply(s *state, from sender) Result {
	at := key(keyAck, m.Ceremony, from.name)
	if r := s.once(at, m); r.Code != OK {
		return r
	}
	last := uint8(0)
	if y, ok := CeremonyOf(s, m.Ceremony); ok {
		last = y.Stage
	}
	y, r := s.awaited(m.Ceremony, from, Acknowledging, last)
	if r.Code != OK {
		return r
	}
	if m.Keys == (Digest{}) && s.on(equalAcks) {
		return refuse(Malformed, "keys without a digest")
	}
	s.put(at, m)
	if y.Keys == (Digest{}) {
		y.Keys = m.Keys
	}
	if y.Keys != m.Keys {
		y.Cause = "parties ended with different keys"
		s.await(y, Failed)
		return Result{}
	}
	if !y.arrived(from.name) {
		s.put(key(keyCeremony, y.ID), y)
		return Result{}
	}
	s.await(y, Active)
	if y.Task == (Digest{}) {
		e := &KeyEpoch{Number: y.Epoch, Ceremony: y.ID, Parties: y.Parties, Keys: y.Keys}
		s.put(key(keyEpoch, e.Number), e)
		s.putRaw([]byte(keyCurrent), key("", e.Number))
		return Result{}
	}
	t, _ := TaskOf(s, y.Task)
	t.KeySet, t.State = y.ID, TaskReady
	s.put(key(keyTask, t.ID), t)
	return Result{}
}

// AbortCeremony ends a ceremony for good: a party found something wrong, or
// anybody a deadline past. Whoever is named by a party is named by it alone.
type AbortCeremony struct {
	Ceremony Digest
	Culprits []string
	Cause    string
}

func (*AbortCeremony) kind() kind { return 10 }
func (m *AbortCeremony) code(c *coder) {
	c.digest(&m.Ceremony)
	c.names(&m.Culprits, MaxParties)
	c.text(&m.Cause, 512)
}

func (m *AbortCeremony) apply(s *state, from sender) Result {
	y, ok := CeremonyOf(s, m.Ceremony)
	switch {
	case !ok:
		return refuse(Unknown, "no ceremony %x", m.Ceremony[:6])
	case y.Over():
		return refuse(Replayed, "ceremony %x is over", m.Ceremony[:6])
	case s.now > y.Deadline:
		y.Culprits, y.Cause = y.Waiting, "no message before the deadline"
	case !slices.Contains(y.Parties, from.name):
		return refuse(Forbidden, "%s is no party; others may abort after %d", from.name, y.Deadline)
	case slices.ContainsFunc(m.Culprits, func(n string) bool { return !slices.Contains(y.Parties, n) }):
		return refuse(Malformed, "a culprit that is no party of ceremony %x", m.Ceremony[:6])
	default:
		y.Culprits, y.Cause = m.Culprits, from.name+" reports: "+m.Cause
	}
	s.await(y, Failed)
	return Result{}
}

// CeremonyOf is the ceremony of an id.
func CeremonyOf(v View, id Digest) (*Ceremony, bool) { return load[Ceremony](v, key(keyCeremony, id)) }

// Ceremonies are all ceremonies that are not over.
func Ceremonies(v View) (out []Ceremony) {
	each(v, []byte(keyCeremony), func(_ []byte, y *Ceremony) bool {
		if !y.Over() {
			out = append(out, *y)
		}
		return true
	})
	return out
}

// CommitOf is what a party committed to in a stage.
func CommitOf(v View, ceremony Digest, stage uint8, party string) (*Commit, bool) {
	return load[Commit](v, key(keyCommit, ceremony, stage, party))
}

// RevealOf is what a party revealed in a stage.
func RevealOf(v View, ceremony Digest, stage uint8, party string) (*Reveal, bool) {
	return load[Reveal](v, key(keyReveal, ceremony, stage, party))
}
