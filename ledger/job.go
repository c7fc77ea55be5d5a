package ledger

import "slices"

// A JobState says how far a job is. The numbers are part of the record.
type JobState uint8

const (
	JobOpen     JobState = 1 // approvals of key holders are awaited
	JobApproved JobState = 2 // all in; no step is recorded yet
	JobRunning  JobState = 3
	JobPaused   JobState = 4 // a deadline passed without a record
	JobDisputed JobState = 5 // nodes recorded different results
	JobAborted  JobState = 6
	JobDone     JobState = 7
)

// A JobEvent is what moves a job.
type JobEvent uint8

const (
	Approved  JobEvent = 1 // by the last key holder
	Recorded  JobEvent = 2 // equal step records of a quorum
	Concluded JobEvent = 3 // equal model records of a quorum
	Disputed  JobEvent = 4 // a record unlike another
	TimedOut  JobEvent = 5 // by anybody, a deadline past
	Replaced  JobEvent = 6 // a node, by all key holders
	Cancelled JobEvent = 7 // by a key holder or the opener
	Refuted   JobEvent = 8 // a recorded step, by the validators
)

// next is the transition table: what is not in it cannot happen.
var next = map[JobState]map[JobEvent]JobState{
	JobOpen:     {Approved: JobApproved, Cancelled: JobAborted},
	JobApproved: {Recorded: JobRunning, Disputed: JobDisputed, TimedOut: JobPaused, Cancelled: JobAborted},
	JobRunning:  {Recorded: JobRunning, Concluded: JobDone, Disputed: JobDisputed, TimedOut: JobPaused, Cancelled: JobAborted, Refuted: JobAborted},
	JobPaused:   {Recorded: JobRunning, Concluded: JobDone, Disputed: JobDisputed, Replaced: JobPaused, Cancelled: JobAborted, Refuted: JobAborted},
	JobDisputed: {Replaced: JobPaused, Cancelled: JobAborted, Refuted: JobAborted},
	JobDone:     {Replaced: JobDone}, // values are still to be opened
}

// Moves says where an event takes a job, and whether it may happen at all.
func (j JobState) Moves(e JobEvent) (JobState, bool) {
	to, ok := next[j][e]
	return to, ok
}

// Works says whether nodes and holders work on a job in this state.
func (j JobState) Works() bool { return j == JobApproved || j == JobRunning || j == JobPaused }

// A Job is one training run.
type Job struct {
	ID           Digest
	Opener       string
	Task         Digest
	Algorithm    Algorithm
	Columns      []uint16 // that train, beside the constant; none: all
	Steps        uint16
	LearningRate uint64 // in units of 2^-32
	Decay        uint64 // likewise
	Valued       []uint16
	Rounds       uint8  // steps after the last gradient's, in which contributions are compared
	Noise        uint8  // of every company on values: deviation 2^-Noise of the unit they are opened in; 0: none
	Valuation    uint64 // the reward epoch whose budget of [Valuations] it uses
	Nodes        []string
	Quorum       uint8
	Approvals    []string // sorted
	State        JobState
	Step         uint16 // the next one to record: 0 is the start, End()+1 the model
	Last         Digest // of the record before
	Deadline     int64  // of the next record
	Model        Digest // of a job that is done
}

func (j *Job) code(c *coder) {
	c.digest(&j.ID)
	c.name(&j.Opener)
	c.digest(&j.Task)
	c.u8((*uint8)(&j.Algorithm))
	list(c, &j.Columns, MaxColumns, c.u16)
	c.u16(&j.Steps)
	c.u64(&j.LearningRate)
	c.u64(&j.Decay)
	list(c, &j.Valued, MaxValued, c.u16)
	c.u8(&j.Rounds)
	c.u8(&j.Noise)
	c.u64(&j.Valuation)
	c.names(&j.Nodes, MaxNodes)
	c.u8(&j.Quorum)
	c.names(&j.Approvals, MaxParties)
	c.u8((*uint8)(&j.State))
	c.u16(&j.Step)
	c.digest(&j.Last)
	c.i64(&j.Deadline)
	c.digest(&j.Model)
}

// End is the last step with a map of its own: that of the last gradient, or of the
// last round of comparing contributions, which is a release.
func (j *Job) End() uint16 { return j.Steps + uint16(j.Rounds) }

// OpenJob asks for a training run on all contributions of a task: a model peer's
// or a company's spec, which becomes a job and a model.
//
// A step is w ← w − η·λ·w + η·g for the learning rate η, the decay λ and the mean
// gradient g of the columns that train. The constant does not decay, and the weights
// of columns that do not train are zero.
type OpenJob struct {
	Task         Digest
	Algorithm    Algorithm
	Columns      []uint16 // that train, rising, by their places in a row: the constant, which always trains, is 0; none: all
	Steps        uint16
	LearningRate uint64   // η in units of 2^-32
	Decay        uint64   // λ in units of 2^-32: the strength of L2 regularisation; η·λ is 1 at most
	Valued       []uint16 // steps at which contributions are valued, rising, of 1 to Steps
	Rounds       uint8    // of comparing contributions before they are valued; 0: they are not compared
	Noise        uint8    // of every company on values: deviation 2^-Noise of the unit they are opened in; 0: none
	Nodes        []string // sorted, of the task's
	Quorum       uint8    // the task's at least
	Salt         uint64   // tells runs of the same spec apart
}

func (*OpenJob) kind() kind { return 14 }
func (o *OpenJob) code(c *coder) {
	c.digest(&o.Task)
	c.u8((*uint8)(&o.Algorithm))
	list(c, &o.Columns, MaxColumns, c.u16)
	c.u16(&o.Steps)
	c.u64(&o.LearningRate)
	c.u64(&o.Decay)
	list(c, &o.Valued, MaxValued, c.u16)
	c.u8(&o.Rounds)
	c.u8(&o.Noise)
	c.names(&o.Nodes, MaxNodes)
	c.u8(&o.Quorum)
	c.u64(&o.Salt)
}

// JobID is the id of the job that opener opens.
func JobID(opener string, o *OpenJob) Digest {
	return Hash("job", []byte(opener), appendCoded(nil, o))
}

func (o *OpenJob) apply(s *state, from sender) Result {
	t, ok := TaskOf(s, o.Task)
	switch {
	case from.member == nil || !from.member.Roles.Has(Company) && !from.member.Roles.Has(ModelPeer):
		return refuse(Forbidden, "%s may not open jobs; companies and model peers may", from.name)
	case !ok:
		return refuse(Unknown, "no task %x", o.Task[:6])
	case t.State != TaskReady:
		return refuse(WrongState, "task %s has no keys yet", t.Name)
	case !s.inForce(t.Epoch):
		return refuse(WrongState, "key epoch %d of task %s was replaced; open the task anew", t.Epoch, t.Name)
	case o.Rounds > MaxRounds || o.Rounds > 0 && len(o.Valued) == 0:
		return refuse(Malformed, "%d rounds of comparing what is valued at %d steps; there are up to %d, and none without a valued step", o.Rounds, len(o.Valued), MaxRounds)
	case o.Noise > 0 && (o.Noise < MinNoise || o.Noise > MaxNoise || len(o.Valued) == 0):
		return refuse(Malformed, "noise of deviation 2^-%d on values of %d steps; it is 2^-%d to 2^-%d, on values", o.Noise, len(o.Valued), MaxNoise, MinNoise)
	case o.Quorum < t.Quorum || slices.ContainsFunc(o.Nodes, func(n string) bool { return !slices.Contains(t.Nodes, n) }):
		return refuse(Forbidden, "nodes must be of task %s's, with a quorum of %d at least", t.Name, t.Quorum)
	}
	if r := o.checkSpec(t); r.Code != OK {
		return r
	}
	if r := s.checkNodes(o.Nodes, o.Quorum); r.Code != OK {
		return r
	}
	for _, x := range t.Consents {
		if _, ok := ContributionOf(s, t.ID, Training, x.Company); !ok {
			return refuse(WrongState, "%s has not contributed its rows to task %s yet", x.Company, t.Name)
		}
		if _, ok := ContributionOf(s, t.ID, Validation, x.Company); !ok && x.Validation > 0 {
			return refuse(WrongState, "%s has not contributed its validation rows to task %s yet", x.Company, t.Name)
		}
	}
	id := JobID(from.name, o)
	if s.has(key(keyJob, id)) {
		return refuse(Replayed, "job %x is open already", id[:6])
	}
	if len(o.Valued) > 0 {
		if r := s.value(t); r.Code != OK {
			return r
		}
	}
	s.put(key(keyJob, id), &Job{ID: id, Opener: from.name, Task: t.ID, Algorithm: o.Algorithm, Columns: o.Columns,
		Steps: o.Steps, LearningRate: o.LearningRate, Decay: o.Decay, Valued: o.Valued, Rounds: o.Rounds, Noise: o.Noise, Valuation: ValuationsOf(s, t.ID).Epoch,
		Nodes: o.Nodes, Quorum: o.Quorum, State: JobOpen})
	return Result{}
}

// rising says whether steps or columns rise within 1 to last.
func rising(these []uint16, last uint16) bool {
	before := uint16(0)
	for _, t := range these {
		if t <= before || t > last {
			return false
		}
		before = t
	}
	return true
}

// IsValued says whether contributions are valued at a step.
func (j *Job) IsValued(step uint16) bool { return slices.Contains(j.Valued, step) }

// move takes a job through the table.
func (s *state) move(j *Job, e JobEvent) Result {
	to, ok := j.State.Moves(e)
	if !ok {
		return refuse(WrongState, "job %x is in state %d, which event %d does not move", j.ID[:6], j.State, e)
	}
	j.State, j.Deadline = to, s.now+s.genesis.Patience
	s.put(key(keyJob, j.ID), j)
	return Result{}
}

// ApproveJob is a key holder's consent to answer for a job.
type ApproveJob struct{ Job Digest }

func (*ApproveJob) kind() kind      { return 15 }
func (a *ApproveJob) code(c *coder) { c.digest(&a.Job) }

func (a *ApproveJob) apply(s *state, from sender) Result {
	j, e, r := s.held(a.Job, from)
	switch {
	case r.Code != OK:
		return r
	case slices.Contains(j.Approvals, from.name):
		return refuse(Replayed, "approved already")
	case j.State != JobOpen:
		return refuse(WrongState, "job %x is in state %d; nobody approves it now", j.ID[:6], j.State)
	}
	j.Approvals = append(j.Approvals, from.name)
	slices.Sort(j.Approvals)
	if len(j.Approvals) == len(e.Parties) {
		return s.move(j, Approved)
	}
	s.put(key(keyJob, j.ID), j)
	return Result{}
}

// held finds a job whose key the sender holds a share of.
func (s *state) held(id Digest, from sender) (*Job, *KeyEpoch, Result) {
	j, ok := JobOf(s, id)
	if !ok {
		return nil, nil, refuse(Unknown, "no job %x", id[:6])
	}
	t, _ := TaskOf(s, j.Task)
	e, _ := EpochOf(s, t.Epoch)
	if !slices.Contains(e.Parties, from.name) {
		return nil, nil, refuse(Forbidden, "%s holds no key of job %x", from.name, id[:6])
	}
	return j, e, Result{}
}

// PauseJob says that a job's deadline is past. Anybody may.
type PauseJob struct{ Job Digest }

func (*PauseJob) kind() kind      { return 19 }
func (p *PauseJob) code(c *coder) { c.digest(&p.Job) }

func (p *PauseJob) apply(s *state, from sender) Result {
	j, ok := JobOf(s, p.Job)
	switch {
	case !ok:
		return refuse(Unknown, "no job %x", p.Job[:6])
	case j.State == JobPaused:
		return refuse(Replayed, "job %x is paused", p.Job[:6])
	case s.now <= j.Deadline:
		return refuse(WrongState, "job %x has time until %d", p.Job[:6], j.Deadline)
	}
	return s.move(j, TimedOut)
}

// AbortJob ends a job without a model: by a key holder, or by who opened it.
type AbortJob struct{ Job Digest }

func (*AbortJob) kind() kind      { return 20 }
func (a *AbortJob) code(c *coder) { c.digest(&a.Job) }

func (a *AbortJob) apply(s *state, from sender) Result {
	j, ok := JobOf(s, a.Job)
	if !ok {
		return refuse(Unknown, "no job %x", a.Job[:6])
	}
	if from.name != j.Opener {
		if _, _, r := s.held(a.Job, from); r.Code != OK {
			return r
		}
	}
	if j.State == JobAborted {
		return refuse(Replayed, "job %x is aborted", a.Job[:6])
	}
	r := s.move(j, Cancelled)
	if r.Code == OK {
		s.unvalue(j)
	}
	return r
}

// JobOf is the job of an id.
func JobOf(v View, id Digest) (*Job, bool) { return load[Job](v, key(keyJob, id)) }

// Jobs are all jobs.
func Jobs(v View) (out []Job) {
	each(v, []byte(keyJob), func(_ []byte, j *Job) bool {
		out = append(out, *j)
		return true
	})
	return out
}
