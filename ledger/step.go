package ledger

import (
	"bytes"
	"slices"
)

// A StepRecord is what one node says of one step of a job. Equal records of a
// quorum of owners are the ticket: key holders answer for the map whose inputs
// it lists (PROTOCOL §6). Step 0 maps an encryption of zero that everybody
// makes; step t maps the gradient at the point that step t-1 left.
type StepRecord struct {
	Job      Digest
	Step     uint16
	Previous Digest   // of the record of the step before; zero at step 0
	Shares   []Digest // blobs of the shares of the step before, in roster order
	Updates  [][]byte // signed posts of local companies' gradients
	Ops      []Digest // of the recorded operations that led to Inputs
	Inputs   []Digest // of the map, in order
	C1s      []Digest // of Inputs
	Level    uint8    // of the gradients
	LogScale uint16   // likewise
}

func (*StepRecord) kind() kind { return 16 }
func (r *StepRecord) code(c *coder) {
	c.digest(&r.Job)
	c.u16(&r.Step)
	c.digest(&r.Previous)
	c.digests(&r.Shares, MaxParties)
	list(c, &r.Updates, 2*MaxParties, func(b *[]byte) { c.bytes(b, MaxPost) })
	c.digests(&r.Ops, MaxInputs)
	c.digests(&r.Inputs, MaxInputs)
	c.digests(&r.C1s, MaxInputs)
	c.u8(&r.Level)
	c.u16(&r.LogScale)
}

// Digest is what records of a quorum have in common. Signatures of updates are not
// in it: a company can sign the same words twice, and nodes that were told either
// have recorded the same.
func (r *StepRecord) Digest() Digest {
	words := *r
	words.Updates = make([][]byte, len(r.Updates))
	for i, b := range r.Updates {
		words.Updates[i] = b[:max(0, len(b)-len(Signature{}))]
	}
	return Hash("step", appendCoded(nil, &words))
}

// A Ticket is the ledger's permission for one collective operation of a job.
type Ticket struct {
	Job    Digest
	Step   uint16
	Record Digest
	C1s    []Digest
	Opened int64 // block time
}

func (t *Ticket) code(c *coder) {
	c.digest(&t.Job)
	c.u16(&t.Step)
	c.digest(&t.Record)
	c.digests(&t.C1s, MaxInputs)
	c.i64(&t.Opened)
}

// Round is the id of the collective operation that the ticket is for.
func (t *Ticket) Round() Digest { return Hash("round", t.Job[:], key("", t.Step), t.Record[:]) }

func (r *StepRecord) apply(s *state, from sender) Result {
	j, res := s.recorder(r.Job, from)
	if res.Code != OK {
		return res
	}
	at := key(keyStep, j.ID, r.Step, from.name)
	if res := s.once(at, r); res.Code != OK {
		return res
	}
	t, _ := TaskOf(s, j.Task)
	e, _ := EpochOf(s, t.Epoch)
	shares := len(e.Parties)
	if r.Step == 0 {
		shares = 0
	}
	switch {
	case !j.State.Works():
		return refuse(WrongState, "job %x is in state %d", j.ID[:6], j.State)
	case r.Step != j.Step || r.Step > j.End():
		return refuse(WrongState, "step %d of job %x; its next is %d of %d", r.Step, j.ID[:6], j.Step, j.End())
	case j.opens(r.Step) && e.Releases >= s.genesis.Releases:
		return refuse(OverLimit, "%d releases were opened in key epoch %d, all that its flooding is made for; make new keys", e.Releases, e.Number)
	case r.Previous != j.Last:
		return refuse(Conflict, "the record before is %x, not %x; replay from the last record", j.Last[:6], r.Previous[:6])
	case len(r.Shares) != shares:
		return refuse(Malformed, "%d shares of the step before; there are %d", len(r.Shares), shares)
	case len(r.Inputs) == 0 || len(r.C1s) != len(r.Inputs):
		return refuse(Malformed, "%d inputs with %d c1; each has one", len(r.Inputs), len(r.C1s))
	}
	if res := s.checkUpdates(t, j, r); res.Code != OK {
		return res
	}
	if res := s.unticketed(r.C1s); res.Code != OK {
		return res
	}
	s.put(at, r)
	return s.settle(j)
}

// opens says whether the ticket of a step is for a release: the last round's, which
// opens a bit for each pair of companies.
func (j *Job) opens(step uint16) bool { return j.Rounds > 0 && step == j.End() }

// recorder finds a job that the sender is a node of.
func (s *state) recorder(id Digest, from sender) (*Job, Result) {
	j, ok := JobOf(s, id)
	switch {
	case !ok:
		return nil, refuse(Unknown, "no job %x", id[:6])
	case !slices.Contains(j.Nodes, from.name):
		return nil, refuse(Forbidden, "%s is no node of job %x", from.name, id[:6])
	}
	return j, Result{}
}

// checkUpdates holds the updates of a step to their signatures: those that each
// local company owes, in roster order, of training rows before validation rows.
func (s *state) checkUpdates(t *Task, j *Job, r *StepRecord) Result {
	rest := r.Updates
	for _, x := range t.Consents {
		if !x.Local || r.Step == 0 || r.Step > j.Steps {
			continue
		}
		owed := uint16(1)
		if x.Validation > 0 && j.IsValued(r.Step) {
			owed = 2
		}
		for index := range owed {
			if len(rest) == 0 {
				return refuse(Malformed, "update %d of %s is missing; the updates of a step come in roster order", index, x.Company)
			}
			if res := s.checkUpdate(rest[0], t, r, x.Company, index); res.Code != OK {
				return res
			}
			rest = rest[1:]
		}
	}
	if len(rest) > 0 && s.on(wholeUpdates) {
		return refuse(Malformed, "%d updates that step %d does not take", len(rest), r.Step)
	}
	return Result{}
}

// checkUpdate holds one of them to what it says.
func (s *state) checkUpdate(b []byte, t *Task, r *StepRecord, company string, index uint16) Result {
	p, err := ParsePost(b)
	if err != nil {
		return refuse(Malformed, "update: %v", err)
	}
	name, _ := Signer(s, p.Sender)
	switch {
	case name != company || p.Index != index:
		return refuse(Malformed, "update %d of %q where that %d of %s belongs, or it was revoked", p.Index, name, index, company)
	case p.Chain != s.genesis.Chain || p.Epoch != t.Epoch || p.Profile != s.genesis.Train || p.Kind != PostUpdate || p.Scope != r.Job || p.Step != r.Step:
		return refuse(BadSignature, "a post of %s is no update for step %d of job %x", name, r.Step, r.Job[:6])
	}
	return Result{}
}

// unticketed refuses a c1 that has a ticket, or stands twice: one ticket for a
// c1, for ever (law L3).
func (s *state) unticketed(c1s []Digest) Result {
	seen := map[Digest]bool{}
	for _, d := range c1s {
		if (seen[d] || s.has(key(keyC1, d))) && s.on(onceAC1) {
			return refuse(Ticketed, "c1 %x has a ticket, now and for ever; a new round has a new c1", d[:6])
		}
		seen[d] = true
	}
	return Result{}
}

// settle opens the ticket of a job's step when enough owners have recorded the
// same, and disputes the job when any two have not.
func (s *state) settle(j *Job) Result {
	first, voices := (*StepRecord)(nil), map[string]bool{}
	for _, n := range j.Nodes {
		r, ok := StepOf(s, j.ID, j.Step, n)
		if !ok || !s.voice(voices, n) {
			continue
		}
		if first == nil {
			first = r
		}
		if r.Digest() != first.Digest() || !s.on(headersAlone) && !slices.EqualFunc(r.Updates, first.Updates, bytes.Equal) {
			return s.move(j, Disputed)
		}
	}
	if len(voices) < int(j.Quorum) {
		return Result{}
	}
	digest := first.Digest()
	if res := s.openTicket(&Ticket{Job: j.ID, Step: j.Step, Record: digest, C1s: first.C1s}); res.Code != OK {
		return res
	}
	if j.opens(j.Step) {
		t, _ := TaskOf(s, j.Task)
		e, _ := EpochOf(s, t.Epoch)
		e.Releases++
		s.put(key(keyEpoch, e.Number), e)
	}
	j.Last = digest
	j.Step++
	return s.move(j, Recorded)
}

// voice counts a node's owner among those that say the same, unless the node was
// revoked.
func (s *state) voice(voices map[string]bool, node string) bool {
	m, ok := MemberOf(s, node)
	if !ok || m.Revoked && s.on(livingNodes) {
		return false
	}
	if s.on(ownersCount) {
		voices[m.Owner] = true
	} else {
		voices[m.Name] = true
	}
	return true
}

// openTicket is the one place where a c1 gets its ticket.
func (s *state) openTicket(t *Ticket) Result {
	if res := s.unticketed(t.C1s); res.Code != OK {
		return res
	}
	t.Opened = s.now
	s.put(key(keyTicket, t.Job, t.Step), t)
	for _, d := range t.C1s {
		s.putRaw(key(keyC1, d), key("", t.Job, t.Step))
	}
	return Result{}
}

// StepOf is what a node recorded of a step.
func StepOf(v View, job Digest, step uint16, node string) (*StepRecord, bool) {
	return load[StepRecord](v, key(keyStep, job, step, node))
}

// Steps are all nodes' records of a step, those of nodes replaced since included.
func Steps(v View, job Digest, step uint16) (out []StepRecord) {
	each(v, key(keyStep, job, step), func(_ []byte, r *StepRecord) bool {
		out = append(out, *r)
		return true
	})
	return out
}

// TicketOf is the ticket of a step of a job, if it is open.
func TicketOf(v View, job Digest, step uint16) (*Ticket, bool) {
	return load[Ticket](v, key(keyTicket, job, step))
}
