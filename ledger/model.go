package ledger

// A ModelRecord is what one node says of the end of a job: the model, and the
// sum of the companies' encrypted values that is to be opened.
type ModelRecord struct {
	Job       Digest
	Previous  Digest
	Shares    []Digest // of the last step, in roster order
	State     Digest   // of the weights that the last map left
	Remainder Digest   // blob of the public remainder of the shared model
	Values    Digest   // of the ciphertext to open; zero: none
	C1        Digest   // of it
	Ops       []Digest // that led to it
	Copies    []Pair   // companies that are near-copies of one another, as the last round opened them
}

func (*ModelRecord) kind() kind { return 17 }
func (r *ModelRecord) code(c *coder) {
	c.digest(&r.Job)
	c.digest(&r.Previous)
	c.digests(&r.Shares, MaxParties)
	c.digest(&r.State)
	c.digest(&r.Remainder)
	c.digest(&r.Values)
	c.digest(&r.C1)
	c.digests(&r.Ops, MaxInputs)
	codePairs(c, &r.Copies)
}

// Digest is what records of a quorum have in common.
func (r *ModelRecord) Digest() Digest { return Hash("model-record", appendCoded(nil, r)) }

// Model is the id of the model.
func (r *ModelRecord) Model() Digest { return Hash("model", r.Job[:], r.State[:], r.Remainder[:]) }

func (r *ModelRecord) apply(s *state, from sender) Result {
	j, res := s.recorder(r.Job, from)
	if res.Code != OK {
		return res
	}
	at := key(keyModelVote, j.ID, from.name)
	if res := s.once(at, r); res.Code != OK {
		return res
	}
	t, _ := TaskOf(s, j.Task)
	e, _ := EpochOf(s, t.Epoch)
	switch {
	case !j.State.Works() || j.Step != j.End()+1:
		return refuse(WrongState, "job %x is in state %d at step %d of %d", j.ID[:6], j.State, j.Step, j.End())
	case r.Previous != j.Last:
		return refuse(Conflict, "the record before is %x, not %x; replay from the last record", j.Last[:6], r.Previous[:6])
	case len(r.Shares) != len(e.Parties):
		return refuse(Malformed, "%d shares of the last step; there are %d", len(r.Shares), len(e.Parties))
	case j.Rounds == 0 && len(r.Copies) > 0 || !paired(r.Copies, len(e.Parties)):
		return refuse(Malformed, "%d pairs of copies: of companies that were compared, the first before the second, in order", len(r.Copies))
	case (r.Values == Digest{}) != (r.C1 == Digest{}):
		return refuse(Malformed, "values without their c1, or a c1 of none")
	case r.Values != Digest{} && len(j.Valued) == 0:
		return refuse(Malformed, "values of job %x, which values nothing", j.ID[:6])
	case r.Values != Digest{} && e.Releases >= s.genesis.Releases:
		return refuse(OverLimit, "%d releases were opened in key epoch %d, all that its flooding is made for; make new keys", e.Releases, e.Number)
	}
	if r.Values != (Digest{}) {
		if res := s.unticketed([]Digest{r.C1}); res.Code != OK {
			return res
		}
	}
	s.put(at, r)
	return s.conclude(j, t, e)
}

// conclude records the model when enough owners have recorded the same.
func (s *state) conclude(j *Job, t *Task, e *KeyEpoch) Result {
	first, voices := (*ModelRecord)(nil), map[string]bool{}
	for _, n := range j.Nodes {
		r, ok := ModelRecordOf(s, j.ID, n)
		if !ok || !s.voice(voices, n) {
			continue
		}
		if first == nil {
			first = r
		}
		if r.Digest() != first.Digest() {
			return s.move(j, Disputed)
		}
	}
	if len(voices) < int(j.Quorum) {
		return Result{}
	}
	if first.Values != (Digest{}) {
		if res := s.openTicket(&Ticket{Job: j.ID, Step: j.Step, Record: first.Digest(), C1s: []Digest{first.C1}}); res.Code != OK {
			return res
		}
		e.Releases++
		s.put(key(keyEpoch, e.Number), e)
	}
	m := &Model{ID: first.Model(), Job: j.ID, Task: t.ID, Epoch: e.Number, State: first.State, Remainder: first.Remainder,
		Values: first.Values, Copies: first.Copies, Waiting: e.Parties}
	s.put(key(keyModel, m.ID), m)
	j.Model, j.Last = m.ID, first.Digest()
	return s.move(j, Concluded)
}

// Values are the companies' contribution values as one node opened them, in
// roster order and units of 2^-32, [Coarse]: found by the validation rows of each of
// [Task.Evaluators], one after the other, or by all validation rows together where
// those are fewer than four or the ring has no room for all. The ledger knows no
// ring and takes either: which it is follows from the job (docs/adr/0021).
type Values struct {
	Job    Digest
	Shares [][]byte // signed posts of the companies' shares of the release, in roster order
	Values []int64
}

// Digest is what nodes that opened the same have in common: all but signatures, of
// which a company could give each node another.
func (x *Values) Digest() Digest {
	said := Values{Job: x.Job, Values: x.Values}
	for _, b := range x.Shares {
		said.Shares = append(said.Shares, b[:max(0, len(b)-len(Signature{}))])
	}
	return Hash("values", appendCoded(nil, &said))
}

// check holds values to what they may be. The shares are in the companies' own
// names, so that whoever adds them up again finds the same: nodes that name
// others open nothing.
func (x *Values) check(s *state, t *Task, ticket *Ticket, parties []string, copies []Pair) Result {
	n := len(parties)
	switch {
	case len(x.Shares) != n:
		return refuse(Malformed, "%d shares of %d companies", len(x.Shares), n)
	case len(x.Values) != n && len(x.Values) != n*len(t.Evaluators()):
		return refuse(Malformed, "%d values of %d companies, by %d evaluators", len(x.Values), n, len(t.Evaluators()))
	case s.on(coarseValues) && !coarse(x.Values, n):
		return refuse(Malformed, "values are finer than 2^-%d of their sum; round them", LogGrain)
	}
	place := Post{Chain: s.genesis.Chain, Epoch: t.Epoch, Profile: s.genesis.Release, Scope: x.Job, Kind: PostOpening, Step: ticket.Step, Previous: ticket.Record}
	for i, b := range x.Shares {
		p, err := ParsePost(b)
		if err != nil {
			return refuse(Malformed, "share %d: %v", i, err)
		}
		place.Sender, place.Blob, place.Size, place.signature = p.Sender, p.Blob, p.Size, p.signature
		if name, _ := s.name(key(keySigning, p.Sender)); s.on(signedOpenings) && (name != parties[i] || p != place) {
			return refuse(BadSignature, "share %d is not %s's of the release of job %x", i, parties[i], x.Job[:6])
		}
	}
	copied := Copied(copies, Order(s, t.ID, parties))
	for i, v := range x.Values {
		if copied[i%n] && v != 0 {
			return refuse(Malformed, "a value of company %d, which counts with an earlier one", i%n)
		}
	}
	return Result{}
}

func (*Values) kind() kind { return 18 }
func (x *Values) code(c *coder) {
	c.digest(&x.Job)
	list(c, &x.Shares, MaxParties, func(b *[]byte) { c.bytes(b, MaxPost) })
	list(c, &x.Values, MaxParties*MaxParties, c.i64)
}

func (x *Values) apply(s *state, from sender) Result {
	j, res := s.recorder(x.Job, from)
	if res.Code != OK {
		return res
	}
	at := key(keyValueVote, j.ID, from.name)
	if res := s.once(at, x); res.Code != OK {
		return res
	}
	m, ok := ModelOf(s, j.Model)
	if j.State != JobDone || !ok || m.Values == (Digest{}) {
		return refuse(WrongState, "job %x has no values to open", j.ID[:6])
	}
	e, _ := EpochOf(s, m.Epoch)
	t, _ := TaskOf(s, j.Task)
	ticket, _ := TicketOf(s, j.ID, j.Step)
	if r := x.check(s, t, ticket, e.Parties, m.Copies); r.Code != OK {
		return r
	}
	s.put(at, x)
	if len(m.Opened) > 0 {
		return Result{}
	}
	voices := map[string]bool{}
	for _, n := range j.Nodes {
		if v, ok := ValuesOf(s, j.ID, n); ok && v.Digest() == x.Digest() {
			s.voice(voices, n)
		}
	}
	if len(voices) >= int(j.Quorum) {
		m.Opened, m.Record, m.Since = x.Values, x.Digest(), s.now
		s.put(key(keyModel, m.ID), m)
	}
	return Result{}
}

// ModelRecordOf is what a node recorded of a job's end.
func ModelRecordOf(v View, job Digest, node string) (*ModelRecord, bool) {
	return load[ModelRecord](v, key(keyModelVote, job, node))
}

// ValuesOf is what values a node opened.
func ValuesOf(v View, job Digest, node string) (*Values, bool) {
	return load[Values](v, key(keyValueVote, job, node))
}
