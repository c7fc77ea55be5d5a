package ledger

import "slices"

// A Querier may ask the models of one task, so many rows in all.
type Querier struct {
	Name      string
	Signing   Key
	TLS       Key
	Task      Digest
	PublicKey Digest // blob of its own public key, whose uniform half everybody derives
	Quota     uint64 // answers
	Sponsor   string // the company that admitted it
	Used      uint64 // answers that nodes recorded
	Prepaid   uint64 // credits of its sponsor for answers of its quota
}

func (q *Querier) code(c *coder) {
	c.name(&q.Name)
	c.digest(&q.Signing)
	c.digest(&q.TLS)
	c.digest(&q.Task)
	c.digest(&q.PublicKey)
	c.u64(&q.Quota)
	c.name(&q.Sponsor)
	c.u64(&q.Used)
	c.u64(&q.Prepaid)
}

// AdmitQuerier admits a querier to a task, by a company that consented to it.
type AdmitQuerier struct {
	Name      string
	Signing   Key
	TLS       Key
	Task      Digest
	PublicKey Digest
	Quota     uint64
}

func (*AdmitQuerier) kind() kind { return 23 }
func (a *AdmitQuerier) code(c *coder) {
	c.name(&a.Name)
	c.digest(&a.Signing)
	c.digest(&a.TLS)
	c.digest(&a.Task)
	c.digest(&a.PublicKey)
	c.u64(&a.Quota)
}

func (a *AdmitQuerier) apply(s *state, from sender) Result {
	t, ok := TaskOf(s, a.Task)
	if !ok {
		return refuse(Unknown, "no task %x", a.Task[:6])
	}
	if _, ok := t.ConsentOf(from.name); !ok {
		return refuse(Forbidden, "%s has not consented to task %s; a company that has admits queriers", from.name, t.Name)
	}
	q := &Querier{Name: a.Name, Signing: a.Signing, TLS: a.TLS, Task: a.Task, PublicKey: a.PublicKey, Quota: a.Quota, Sponsor: from.name}
	if had, ok := QuerierOf(s, a.Name); ok && had.Signing == q.Signing && had.TLS == q.TLS && had.Task == q.Task && had.PublicKey == q.PublicKey && had.Quota == q.Quota {
		return refuse(Replayed, "%s is admitted", a.Name)
	}
	switch {
	case a.Quota == 0 || a.Quota > MaxQuota:
		return refuse(OverLimit, "a quota of %d answers; it is 1 to %d", a.Quota, uint64(MaxQuota))
	case a.Signing == Key{} || a.TLS == Key{} || a.Signing == a.TLS || a.PublicKey == Digest{}:
		return refuse(Malformed, "a querier needs a key to sign, one for TLS, and its own public key")
	}
	if s.taken(a.Name, a.Signing, a.TLS) {
		return refuse(Conflict, "querier %s: its name or one of its keys is taken", a.Name)
	}
	if r := s.prepay(q); r.Code != OK {
		return r
	}
	s.put(key(keyQuerier, a.Name), q)
	s.putRaw(key(keySigning, a.Signing), []byte(a.Name))
	s.putRaw(key(keyTLS, a.TLS), []byte(a.Name))
	return Result{}
}

// Usage is one node's count of the answers it passed on since its last record.
type Usage struct {
	Batch   uint64 // 1, 2, … of the node
	Entries []Used
}

// Used is one querier's part of a usage record. A row that a blend answered is one
// answer, as of a model.
type Used struct {
	Querier string
	Model   Digest // or blend
	Answers uint64
	Queries Digest // hash chain of the queries' digests
}

func (*Usage) kind() kind { return 24 }
func (u *Usage) code(c *coder) {
	c.u64(&u.Batch)
	list(c, &u.Entries, MaxEntries, func(x *Used) { x.code(c) })
}

func (x *Used) code(c *coder) {
	c.name(&x.Querier)
	c.digest(&x.Model)
	c.u64(&x.Answers)
	c.digest(&x.Queries)
}

func (u *Usage) apply(s *state, from sender) Result {
	if from.member == nil || !from.member.Roles.Has(Aggregator) {
		return refuse(Forbidden, "%s is no aggregator; nodes record usage", from.name)
	}
	at := key(keyUsage, from.name, u.Batch)
	if r := s.once(at, u); r.Code != OK {
		return r
	}
	if u.Batch == 0 || u.Batch > 1 && !s.has(key(keyUsage, from.name, u.Batch-1)) {
		return refuse(WrongState, "batch %d of %s comes after batch %d", u.Batch, from.name, u.Batch-1)
	}
	if len(u.Entries) == 0 {
		return refuse(Malformed, "a usage record of nothing")
	}
	for _, x := range u.Entries {
		q, ok := QuerierOf(s, x.Querier)
		switch {
		case !ok:
			return refuse(Unknown, "no querier %s", x.Querier)
		case x.Answers == 0 || x.Answers > MaxQuota:
			return refuse(OverLimit, "%d answers in one entry; there are 1 to %d", x.Answers, uint64(MaxQuota))
		}
		if r := s.answers(from.name, q, x.Model); r.Code != OK {
			return r
		}
		// Beyond the quota is recorded too: it happened. No sum overflows: 2^32
		// entries of MaxQuota answers are more than a chain holds.
		q.Used += x.Answers
		s.consume(q, x.Answers)
		s.put(key(keyQuerier, q.Name), q)
		used, ok := UsedOf(s, x.Querier, x.Model)
		if !ok {
			used = &Used{Querier: x.Querier, Model: x.Model}
		}
		used.Answers += x.Answers
		used.Queries = Hash("used", used.Queries[:], x.Queries[:])
		s.put(key(keyUsed, x.Querier, x.Model), used)
	}
	s.put(at, u)
	return Result{}
}

// answers says whether a node passes on answers of a model, or of a blend that is
// or was in force, to a querier at all.
func (s *state) answers(node string, q *Querier, model Digest) Result {
	if b, ok := BlendNamed(s, model); ok {
		t, _ := TaskOf(s, b.Task)
		switch {
		case q.Task != b.Task:
			return refuse(Forbidden, "%s was admitted to another task than blend %x is of", q.Name, model[:6])
		case !slices.Contains(t.Nodes, node) && s.on(ownTaskUsage):
			return refuse(Forbidden, "%s is no node of blend %x's task", node, model[:6])
		}
		return Result{}
	}
	m, ok := ModelOf(s, model)
	if !ok {
		return refuse(Unknown, "no model %x", model[:6])
	}
	t, _ := TaskOf(s, m.Task)
	j, _ := JobOf(s, m.Job)
	switch {
	case q.Task != m.Task:
		return refuse(Forbidden, "%s was admitted to another task than model %x is of", q.Name, model[:6])
	case len(m.Waiting) > 0: // one that was refuted since has answered all the same
		return refuse(WrongState, "model %x is not served yet", model[:6])
	case !slices.Contains(t.Nodes, node) && !slices.Contains(j.Nodes, node) && s.on(ownTaskUsage):
		return refuse(Forbidden, "%s is no node of model %x's task", node, model[:6])
	}
	return Result{}
}

// QuerierOf is the querier of a name.
func QuerierOf(v View, name string) (*Querier, bool) { return load[Querier](v, key(keyQuerier, name)) }

// Queriers are all queriers.
func Queriers(v View) (out []Querier) {
	each(v, []byte(keyQuerier), func(_ []byte, q *Querier) bool {
		out = append(out, *q)
		return true
	})
	return out
}

// UsedOf is what a querier used of a model, as nodes recorded it.
func UsedOf(v View, querier string, model Digest) (*Used, bool) {
	return load[Used](v, key(keyUsed, querier, model))
}

// UsageOf is a node's usage record of a batch.
func UsageOf(v View, node string, batch uint64) (*Usage, bool) {
	return load[Usage](v, key(keyUsage, node, batch))
}
