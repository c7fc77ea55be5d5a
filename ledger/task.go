package ledger

import "slices"

// A TaskState says what a task waits for.
type TaskState uint8

const (
	TaskProposed  TaskState = 1 // consents of the roster
	TaskConsented TaskState = 2 // its key set
	TaskReady     TaskState = 3 // contributions and jobs
)

// A Task is one prediction problem of a key epoch.
type Task struct {
	ID       Digest
	Name     string
	Epoch    uint32
	Schema   []byte // the canonical schema: columns, ranges, label
	Columns  uint16 // the constant included
	Nodes    []string
	Quorum   uint8
	State    TaskState
	Consents []Consented // in roster order, once consented
	KeySet   Digest      // the ceremony that made its keys
	Packing  Packing
	Attempt  uint32 // of its key set
}

// A Consented is one party's side of a task.
type Consented struct {
	Company    string
	Local      bool // rows stay at home, gradients are sent
	Rows       uint32
	Validation uint32
}

// A Packing is how rows lie in ciphertexts, as he.Packing has it.
type Packing struct {
	Width, Baby, Stack uint16
	Back               bool
}

func (t *Task) code(c *coder) {
	c.digest(&t.ID)
	c.name(&t.Name)
	c.u32(&t.Epoch)
	c.bytes(&t.Schema, MaxSchema)
	c.u16(&t.Columns)
	c.names(&t.Nodes, MaxNodes)
	c.u8(&t.Quorum)
	c.u8((*uint8)(&t.State))
	list(c, &t.Consents, MaxParties, func(x *Consented) { x.code(c) })
	c.digest(&t.KeySet)
	t.Packing.code(c)
	c.u32(&t.Attempt)
}

func (x *Consented) code(c *coder) {
	c.name(&x.Company)
	c.flag(&x.Local)
	c.u32(&x.Rows)
	c.u32(&x.Validation)
}

func (p *Packing) code(c *coder) {
	c.u16(&p.Width)
	c.u16(&p.Baby)
	c.u16(&p.Stack)
	c.flag(&p.Back)
}

// ConsentOf is a company's side of the task.
func (t *Task) ConsentOf(company string) (Consented, bool) {
	for _, x := range t.Consents {
		if x.Company == company {
			return x, true
		}
	}
	return Consented{}, false
}

// Rows are the training and validation rows of all companies.
func (t *Task) Rows() (training, validation uint64) {
	for _, x := range t.Consents {
		training, validation = training+uint64(x.Rows), validation+uint64(x.Validation)
	}
	return training, validation
}

// OpenTask proposes a task under the current key epoch.
type OpenTask struct {
	Name    string
	Epoch   uint32
	Schema  []byte
	Columns uint16
	Nodes   []string // sorted; their owners are Quorum at least
	Quorum  uint8
}

func (*OpenTask) kind() kind { return 11 }
func (o *OpenTask) code(c *coder) {
	c.name(&o.Name)
	c.u32(&o.Epoch)
	c.bytes(&o.Schema, MaxSchema)
	c.u16(&o.Columns)
	c.names(&o.Nodes, MaxNodes)
	c.u8(&o.Quorum)
}

// TaskID is the id of the task of a name.
func TaskID(chain, name string) Digest { return Hash("task", []byte(chain), []byte(name)) }

func (o *OpenTask) apply(s *state, from sender) Result {
	e, ok := CurrentEpoch(s)
	id := TaskID(s.genesis.Chain, o.Name)
	switch {
	case from.member == nil || !from.member.Roles.Has(Company) && !from.member.Roles.Has(ModelPeer):
		return refuse(Forbidden, "%s may not open tasks; companies and model peers may", from.name)
	case !ok || o.Epoch != e.Number:
		return refuse(WrongState, "key epoch %d is not in force; make keys first", o.Epoch)
	case o.Columns < 2 || o.Columns > MaxColumns || len(o.Schema) == 0:
		return refuse(OverLimit, "%d columns; a task has a schema of 2 to %d, the constant included", o.Columns, MaxColumns)
	case s.has(key(keyTask, id)):
		return refuse(Conflict, "task %s exists; choose another name", o.Name)
	}
	if r := s.checkNodes(o.Nodes, o.Quorum); r.Code != OK {
		return r
	}
	t := &Task{ID: id, Name: o.Name, Epoch: o.Epoch, Schema: o.Schema, Columns: o.Columns, Nodes: o.Nodes, Quorum: o.Quorum, State: TaskProposed}
	s.put(key(keyTask, id), t)
	return Result{}
}

// inForce says whether a key epoch is the current one. What was begun under one
// before it is finished and served; nothing else is begun.
func (s *state) inForce(epoch uint32) bool {
	e, ok := CurrentEpoch(s)
	return ok && e.Number == epoch || !s.on(currentKeys)
}

// checkNodes holds nodes to the quorum: two nodes of one owner are one voice.
func (s *state) checkNodes(nodes []string, quorum uint8) Result {
	owners := map[string]bool{}
	for _, n := range nodes {
		m, ok := MemberOf(s, n)
		if !ok || m.Revoked || !m.Roles.Has(Aggregator) {
			return refuse(Forbidden, "%s is no aggregator, or was revoked", n)
		}
		owners[m.Owner] = true
	}
	switch {
	case quorum < s.genesis.Quorum:
		return refuse(OverLimit, "a quorum of %d; the consortium was founded on %d", quorum, s.genesis.Quorum)
	case len(owners) < int(quorum):
		return refuse(OverLimit, "nodes of %d different owners; a quorum of %d takes as many", len(owners), quorum)
	case !slices.IsSorted(nodes) || len(slices.Compact(slices.Clone(nodes))) != len(nodes):
		return refuse(Malformed, "nodes are sorted and named once")
	}
	return Result{}
}

// Consent takes part in a task: with how many rows, and how.
type Consent struct {
	Task       Digest
	Local      bool
	Rows       uint32 // training rows
	Validation uint32 // rows set aside to value contributions; they never train
}

func (*Consent) kind() kind { return 12 }
func (x *Consent) code(c *coder) {
	c.digest(&x.Task)
	c.flag(&x.Local)
	c.u32(&x.Rows)
	c.u32(&x.Validation)
}

func (x *Consent) apply(s *state, from sender) Result {
	t, ok := TaskOf(s, x.Task)
	if !ok {
		return refuse(Unknown, "no task %x", x.Task[:6])
	}
	e, _ := EpochOf(s, t.Epoch)
	mine := Consented{Company: from.name, Local: x.Local, Rows: x.Rows, Validation: x.Validation}
	had, has := t.ConsentOf(from.name)
	switch {
	case !slices.Contains(e.Parties, from.name):
		return refuse(Forbidden, "%s holds no key of epoch %d", from.name, t.Epoch)
	case has && had == mine:
		return refuse(Replayed, "consented already")
	case has:
		return refuse(Conflict, "%s has consented to other numbers of rows", from.name)
	case x.Rows < 1 || x.Rows > MaxRows || x.Validation > MaxRows:
		return refuse(OverLimit, "%d and %d rows; there are 1 to %d", x.Rows, x.Validation, MaxRows)
	}
	t.Consents = append(t.Consents, mine)
	if len(t.Consents) == len(e.Parties) {
		slices.SortFunc(t.Consents, func(a, b Consented) int {
			return slices.Index(e.Parties, a.Company) - slices.Index(e.Parties, b.Company)
		})
		t.State = TaskConsented
	}
	s.put(key(keyTask, t.ID), t)
	return Result{}
}

// OpenKeySet begins the ceremony of a task's Galois keys. Every party holds the
// packing and rotations to its own plan before it takes part.
type OpenKeySet struct {
	Task      Digest
	Packing   Packing
	Rotations []int32
	Stages    []uint16
}

func (*OpenKeySet) kind() kind { return 6 }
func (o *OpenKeySet) code(c *coder) {
	c.digest(&o.Task)
	o.Packing.code(c)
	list(c, &o.Rotations, MaxParts, c.i32)
	list(c, &o.Stages, MaxStages, c.u16)
}

func (o *OpenKeySet) apply(s *state, from sender) Result {
	t, ok := TaskOf(s, o.Task)
	if !ok {
		return refuse(Unknown, "no task %x", o.Task[:6])
	}
	e, _ := EpochOf(s, t.Epoch)
	switch {
	case !slices.Contains(e.Parties, from.name):
		return refuse(Forbidden, "%s holds no key of epoch %d", from.name, t.Epoch)
	case !s.inForce(t.Epoch):
		return refuse(WrongState, "key epoch %d of task %s was replaced; open the task anew", t.Epoch, t.Name)
	case t.State == TaskProposed:
		return refuse(WrongState, "task %s waits for consents: %d of %d", t.Name, len(t.Consents), len(e.Parties))
	case t.State == TaskReady:
		return refuse(Replayed, "task %s has its keys", t.Name)
	}
	if y, ok := CeremonyOf(s, KeySetCeremony(t.ID, t.Attempt)); ok && !y.Over() {
		return refuse(Replayed, "the key set of task %s is under way", t.Name)
	}
	t.Attempt++
	t.Packing = o.Packing
	s.put(key(keyTask, t.ID), t)
	return s.begin(&Ceremony{ID: KeySetCeremony(t.ID, t.Attempt), Epoch: t.Epoch, Attempt: t.Attempt, Task: t.ID,
		Parties: e.Parties, Rotations: o.Rotations, Stages: o.Stages})
}

// KeySetCeremony is the id of an attempt of a task's key set.
func KeySetCeremony(task Digest, attempt uint32) Digest {
	return Hash("keyset", task[:], key("", attempt))
}

// TaskOf is the task of an id.
func TaskOf(v View, id Digest) (*Task, bool) { return load[Task](v, key(keyTask, id)) }

// Tasks are all tasks.
func Tasks(v View) (out []Task) {
	each(v, []byte(keyTask), func(_ []byte, t *Task) bool {
		out = append(out, *t)
		return true
	})
	return out
}
