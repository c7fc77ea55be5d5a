package ledger

import (
	"encoding/binary"
	"slices"
)

// A Challenge says that a recorded step was not computed as claimed. Validators
// evaluate that step again, outside consensus, and vote. The model's record is
// challenged as the step after the last ([Job.ModelStep]).
type Challenge struct {
	Job     Digest
	Step    uint16
	Record  Digest // that has the ticket
	Fraud   Digest // of the fraud proof that auditors check offline; zero: none
	By      string
	Bond    uint64   // what is at stake for who challenges; 0 once decided
	Opened  int64    // block time
	Wrong   []string // validators that found the step wrong
	Right   []string // and those that found it right
	Decided Decision
}

// A Decision is the outcome of a challenge.
type Decision uint8

const (
	Undecided Decision = 0
	Upheld    Decision = 1 // the step is wrong: who recorded it is slashed
	Rejected  Decision = 2 // the step is right: who challenged it loses its bond
	Lapsed    Decision = 3 // nobody knows: there was no majority in time
)

func (x *Challenge) code(c *coder) {
	c.digest(&x.Job)
	c.u16(&x.Step)
	c.digest(&x.Record)
	c.digest(&x.Fraud)
	c.name(&x.By)
	c.u64(&x.Bond)
	c.i64(&x.Opened)
	c.names(&x.Wrong, MaxMembers)
	c.names(&x.Right, MaxMembers)
	c.u8((*uint8)(&x.Decided))
}

// OpenChallenge challenges a step within its window, with a bond.
type OpenChallenge struct {
	Job   Digest
	Step  uint16
	Fraud Digest // of a fraud proof; zero: none yet
}

func (*OpenChallenge) kind() kind { return 45 }
func (x *OpenChallenge) code(c *coder) {
	c.digest(&x.Job)
	c.u16(&x.Step)
	c.digest(&x.Fraud)
}

func (x *OpenChallenge) apply(s *state, from sender) Result {
	j, ok := JobOf(s, x.Job)
	if !ok {
		return refuse(Unknown, "no job %x", x.Job[:6])
	}
	t, ok := challengeable(s, j, x.Step)
	m, at := s.money(), key(keyChallenge, x.Job, x.Step)
	until := int64(0)
	if ok {
		until = challengeFrom(j, t, s.genesis.Patience) + m.Window
	}
	had, has := load[Challenge](s, at)
	again := has && had.Decided == Lapsed
	switch {
	case from.member == nil:
		return refuse(Forbidden, "%s is no member; members challenge", from.name)
	case !ok:
		return refuse(WrongState, "step %d of job %x has no ticket; the model's record is step %d, of a job that is done, and its opened values are step %d", x.Step, x.Job[:6], j.ModelStep(), j.ValuesStep())
	case has && !again && had.By == from.name:
		return refuse(Replayed, "challenged already")
	case has && !again:
		return refuse(Conflict, "%s has challenged step %d of job %x", had.By, x.Step, x.Job[:6])
	case s.now > until:
		return refuse(Late, "step %d of job %x could be challenged until %d", x.Step, x.Job[:6], until)
	}
	if m.Challenge > 0 {
		if r := s.spend(from.name, m.Challenge); r.Code != OK {
			return r
		}
	}
	ch := &Challenge{Job: x.Job, Step: x.Step, Record: t.Record, Fraud: x.Fraud, By: from.name, Bond: m.Challenge, Opened: s.now}
	if again { // what a validator found of the step, it found
		ch.Wrong, ch.Right = had.Wrong, had.Right
	}
	s.put(at, ch)
	return Result{}
}

// ModelStep is what the model's record is named by where steps are: the step after
// the last.
func (j *Job) ModelStep() uint16 { return j.End() + 1 }

// ValuesStep is what the opened values are named by where steps are: the one after
// the model's record.
func (j *Job) ValuesStep() uint16 { return j.ModelStep() + 1 }

// challengeable is the ticket of what a quorum recorded under a step's number. A
// model's record has none of its own unless it has values to open, and opened
// values have none: theirs stand in.
func challengeable(v View, j *Job, step uint16) (*Ticket, bool) {
	switch step {
	case j.ModelStep():
		return &Ticket{Job: j.ID, Step: step, Record: j.Last}, j.State == JobDone
	case j.ValuesStep():
		m, ok := ModelOf(v, j.Model)
		if !ok || len(m.Opened) == 0 {
			return nil, false
		}
		return &Ticket{Job: j.ID, Step: step, Record: m.Record, Opened: m.Since}, true
	}
	return TicketOf(v, j.ID, step)
}

// challengeFrom is when the window of a step begins: with its ticket, and again
// with the job's end, since what is sampled is known only then.
func challengeFrom(j *Job, t *Ticket, patience int64) int64 {
	if j.State == JobDone {
		return max(t.Opened, j.Deadline-patience)
	}
	return t.Opened
}

// ChallengeableUntil is the block time until which a step of a job, the model's
// record or what was opened can be challenged, if it is there.
func ChallengeableUntil(v View, j *Job, step uint16) (until int64, ok bool) {
	t, ok := challengeable(v, j, step)
	if !ok {
		return 0, false
	}
	return challengeFrom(j, t, GenesisOf(v).Patience) + MoneyOf(v).Window, true
}

// Verdict is a validator's vote on a challenge, after it evaluated the step.
type Verdict struct {
	Job   Digest
	Step  uint16
	Wrong bool
}

func (*Verdict) kind() kind { return 46 }
func (x *Verdict) code(c *coder) {
	c.digest(&x.Job)
	c.u16(&x.Step)
	c.flag(&x.Wrong)
}

func (x *Verdict) apply(s *state, from sender) Result {
	at := key(keyChallenge, x.Job, x.Step)
	ch, ok := load[Challenge](s, at)
	switch {
	case !ok:
		return refuse(Unknown, "nobody has challenged step %d of job %x", x.Step, x.Job[:6])
	case from.member == nil || !from.member.Roles.Has(Validator):
		return refuse(Forbidden, "%s is no validator; validators decide challenges", from.name)
	case slices.Contains(ch.Wrong, from.name) || slices.Contains(ch.Right, from.name):
		return refuse(Replayed, "%s has voted", from.name)
	case ch.Decided != Undecided:
		return refuse(WrongState, "the challenge is decided")
	}
	votes := &ch.Right
	if x.Wrong {
		votes = &ch.Wrong
	}
	*votes = append(*votes, from.name)
	switch {
	case s.majority(ch.Wrong):
		s.uphold(ch)
	case s.majority(ch.Right):
		s.reject(ch)
	}
	s.put(at, ch)
	return Result{}
}

// majority says whether more than half of the validators' owners are among
// members.
func (s *state) majority(members []string) bool {
	voices := map[string]bool{}
	for _, n := range members {
		if m, ok := MemberOf(s, n); ok && m.Roles.Has(Validator) {
			s.voice(voices, n)
		}
	}
	return 2*len(voices) > len(s.owners(Validator))
}

// accused are the nodes that recorded what a challenge is about.
func (s *state) accused(ch *Challenge) (out []string) {
	prefix := key(keyStep, ch.Job, ch.Step)
	note := func(k []byte, record Digest) bool {
		if record == ch.Record {
			name := k[len(prefix):]
			out = append(out, string(name[:len(name)-1]))
		}
		return true
	}
	switch j, _ := JobOf(s, ch.Job); ch.Step {
	case j.ModelStep():
		prefix = key(keyModelVote, ch.Job)
		each(s, prefix, func(k []byte, r *ModelRecord) bool { return note(k, r.Digest()) })
	case j.ValuesStep():
		prefix = key(keyValueVote, ch.Job)
		each(s, prefix, func(k []byte, x *Values) bool { return note(k, x.Digest()) })
	default:
		each(s, prefix, func(k []byte, r *StepRecord) bool { return note(k, r.Digest()) })
	}
	return out
}

// uphold slashes the nodes that recorded a wrong step: half of what they lose
// goes to who challenged, so that the accused gain nothing by challenging
// themselves, and half to everybody. Nothing of the job is paid or served on.
func (s *state) uphold(ch *Challenge) {
	ch.Decided = Upheld
	var lost uint64
	for _, n := range s.accused(ch) {
		lost += s.slash(n)
	}
	s.earn(ch.By, ch.Bond+lost/2)
	s.fill(Digest{}, lost-lost/2)
	ch.Bond = 0
	j, _ := JobOf(s, ch.Job)
	if m, ok := ModelOf(s, j.Model); ok {
		m.Refuted = true
		s.put(key(keyModel, m.ID), m)
	} else if j.State.Works() || j.State == JobDisputed {
		s.move(j, Refuted)
		s.unvalue(j)
	}
}

// reject gives the challenger's bond to those it accused, for their trouble.
func (s *state) reject(ch *Challenge) {
	ch.Decided = Rejected
	accused := s.accused(ch)
	for i, n := range accused {
		part := ch.Bond / uint64(len(accused)-i)
		s.earn(n, part)
		ch.Bond -= part
	}
	s.fill(Digest{}, ch.Bond)
	ch.Bond = 0
}

// ChallengeOf is the challenge of a step.
func ChallengeOf(v View, job Digest, step uint16) (*Challenge, bool) {
	return load[Challenge](v, key(keyChallenge, job, step))
}

// Challenges are all challenges.
func Challenges(v View) (out []Challenge) {
	each(v, []byte(keyChallenge), func(_ []byte, x *Challenge) bool {
		out = append(out, *x)
		return true
	})
	return out
}

// Sampled are the steps of a concluded job that everybody who checks evaluates
// again, so many millionths of those from 1 to [Job.End], rounded up: gradients and
// rounds of comparing alike. They follow from the digest of the job's last record,
// which nobody knows while a step is computed: the shares of all companies have gone
// into it since.
func (j *Job) Sampled(millionths uint32) []uint16 {
	if j.State != JobDone || millionths == 0 {
		return nil
	}
	steps := make([]uint16, j.End())
	for i := range steps {
		steps[i] = uint16(i + 1)
	}
	n := (len(steps)*int(millionths) + Million - 1) / Million
	for i := range n { // a shuffle, as far as it is needed
		h := Hash("sample", j.Last[:], key("", uint16(i)))
		k := i + int(binary.BigEndian.Uint64(h[:])%uint64(len(steps)-i))
		steps[i], steps[k] = steps[k], steps[i]
	}
	slices.Sort(steps[:n])
	return steps[:n]
}

// Checked are the sampled steps, the model's record and the opened values, which are
// left to no chance: one record a job decides what is opened and whose copies earn
// nothing, and one what everybody's rows are worth.
func (j *Job) Checked(millionths uint32) []uint16 {
	if sampled := j.Sampled(millionths); sampled != nil {
		return append(sampled, j.ModelStep(), j.ValuesStep())
	}
	return nil
}
