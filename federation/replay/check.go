package replay

import (
	"errors"
	"fmt"
	"math/big"

	"github.com/commonseal/commonseal/federation"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/multiparty"
	"github.com/commonseal/commonseal/ledger"
)

// Sources are where a check reads from: the ledger's state, and blobs.
type Sources struct {
	View     ledger.View
	Profiles he.Profiles
	Blob     Blobs
	// Lists, if not nil, are what keys are recalled from; else the ceremonies are
	// observed, from all that was said.
	Lists *Lists
}

// A Checker evaluates recorded steps of one job again, and then the model's record
// and the opened values: an auditor's, and that of who decides a challenge. It keeps
// the task's keys and contributions and is used by one goroutine.
type Checker struct {
	Sources
	job    *ledger.Job
	task   *ledger.Task
	step   *Job                             // nil until the roster is known
	public *Keys                            // roster and public key
	ev     *Evaluator                       // nil until a gradient is evaluated
	rows   map[ledger.ContributionKind]bool // that ev has
	set    bool                             // the list of the key set was read
}

// A WrongError says that a step was not computed as it was recorded.
type WrongError struct {
	Job    ledger.Digest
	Step   uint16
	Detail string // what differs, for people
}

// Error is the detail.
func (e *WrongError) Error() string {
	return fmt.Sprintf("step %d of job %x is wrong: %s", e.Step, e.Job[:6], e.Detail)
}

// An EarlierError says that a step cannot be checked for what was recorded of one
// before it, which is to be checked first. It shows neither wrong.
type EarlierError struct {
	Step   uint16 // the one before it
	Detail string
}

// Error is the detail.
func (e *EarlierError) Error() string {
	return fmt.Sprintf("step %d is to be checked first: %s", e.Step, e.Detail)
}

// NewChecker checks steps of a job.
func NewChecker(id ledger.Digest, from Sources) (*Checker, error) {
	j, ok := ledger.JobOf(from.View, id)
	if !ok {
		return nil, fmt.Errorf("no job %x", id[:6])
	}
	t, ok := ledger.TaskOf(from.View, j.Task)
	if !ok {
		return nil, fmt.Errorf("no task %x", j.Task[:6])
	}
	return &Checker{Sources: from, job: j, task: t}, nil
}

// Check evaluates a step that has a ticket again, and compares every digest of
// its record; [ledger.Job.ModelStep] is the model's record of a job that is done, and
// [ledger.Job.ValuesStep] what was opened of its values. It returns a [*WrongError]
// if one differs. Any other error says that the step cannot be checked, which proves
// nothing: a blob is at no node, or, an [*EarlierError], a step before is not what
// its own record says.
//
// It reads what it needs and no more, cheapest first: two checks of one step that
// find the same read the same.
func (c *Checker) Check(step uint16) error {
	switch step {
	case c.job.ModelStep():
		return c.model()
	case c.job.ValuesStep():
		return c.opened()
	}
	_, record, err := Ticketed(c.View, c.job.ID, step)
	if err != nil {
		return err
	}
	if err := c.begin(); err != nil {
		return err
	}
	if step == 0 {
		return c.compare(record, Step{Inputs: []*he.Ciphertext{c.step.Start(c.public.Public)}})
	}
	evaluate, err := c.evaluation(record)
	if err != nil {
		return err
	}
	again, err := evaluate()
	if err != nil {
		return err
	}
	return c.compare(record, again)
}

// wrongOf makes errors of what is wrong with a step.
type wrongOf = func(format string, args ...any) error

// Evaluation is the evaluation of a step after the start and nothing else, of what
// is read before it: what a check costs is to be compared with.
func (c *Checker) Evaluation(step uint16) (func() error, error) {
	_, record, err := Ticketed(c.View, c.job.ID, step)
	if err != nil {
		return nil, err
	}
	if err := c.begin(); err != nil {
		return nil, err
	}
	evaluate, err := c.evaluation(record)
	return func() error {
		_, err := evaluate()
		return err
	}, err
}

// evaluation reads what a step is evaluated on. A round of comparing, which needs no
// more than what steps before left, reads while it evaluates.
func (c *Checker) evaluation(record *ledger.StepRecord) (func() (Step, error), error) {
	if record.Step > c.job.Steps {
		return func() (Step, error) { return c.round(record) }, nil
	}
	left, err := c.carried(record)
	if err != nil {
		return nil, err
	}
	updates, err := c.updates(record, left[0])
	if err != nil {
		return nil, err
	}
	if err := c.prepare(record.Step); err != nil {
		return nil, err
	}
	return func() (Step, error) { return c.ev.Step(record.Step, left[0], left[1], updates) }, nil
}

// begin derives the job.
func (c *Checker) begin() (err error) {
	if c.step != nil {
		return nil
	}
	if c.Lists != nil {
		c.public, err = RecallRoster(c.View, c.task, c.Profiles, *c.Lists, c.Blob)
	} else {
		c.public, err = TaskKeys(c.View, c.task, c.Profiles, c.Blob)
	}
	if err == nil {
		c.step, err = NewJob(c.View, c.job, c.Profiles, c.public.Roster)
	}
	return err
}

// prepare reads what gradients of a step are evaluated with and on, once.
func (c *Checker) prepare(step uint16) (err error) {
	if c.ev == nil {
		keys := c.public
		if c.Lists != nil {
			c.set = true
			if keys, err = RecallKeys(c.View, c.task, c.Profiles, *c.Lists, c.Blob); err != nil {
				return err
			}
		}
		if c.ev, err = NewEvaluator(c.step, keys.Public, keys.Train, nil); err != nil {
			return err
		}
		c.rows = map[ledger.ContributionKind]bool{}
	}
	for _, use := range []ledger.ContributionKind{ledger.Training, ledger.Validation} {
		if c.rows[use] || use == ledger.Validation && !c.step.IsValued(step) {
			continue
		}
		if err := contributionsOf(c.View, c.step, c.ev, use, c.Blob); err != nil {
			c.ev = nil // it has some of them
			return err
		}
		c.rows[use] = true
	}
	return nil
}

// Recalled are those of the lists of keys that checks so far have read: the key
// set's, which names rotations, only if a gradient was evaluated.
func (c *Checker) Recalled() Lists {
	switch {
	case c.Lists == nil:
		return Lists{}
	case !c.set:
		return Lists{Base: c.Lists.Base}
	}
	return *c.Lists
}

// carried is what the step before left: what its ticketed inputs and the shares
// that this record names come to, which is what the record goes on from.
func (c *Checker) carried(record *ledger.StepRecord) ([]*he.Ciphertext, error) {
	before := record.Step - 1
	wrong := func(format string, args ...any) error { return c.wrong(record, format, args...) }
	left, _, err := c.added(before, record.Shares, wrong)
	if err != nil {
		return nil, err
	}
	floor := c.Profiles.Train.Floor()
	for i, c0 := range []*he.Ciphertext{left[0].At(floor), left[1].At(floor)} {
		if len(record.Inputs) < 2 || c0.Digest() != record.Inputs[i] {
			return nil, c.wrong(record, "input %d is not what the shares of step %d, which it names, left", i, before)
		}
	}
	return left, nil
}

// added is what shares of a step's map come to, on its ticketed inputs.
func (c *Checker) added(step uint16, named []ledger.Digest, wrong wrongOf) ([]*he.Ciphertext, []*big.Int, error) {
	ticket, said, err := Ticketed(c.View, c.job.ID, step)
	if err != nil {
		return nil, nil, err
	}
	round, err := c.step.Round(ticket, said, c.Blob)
	if err != nil {
		return nil, nil, fmt.Errorf("step %d, which is to be checked first: %w", step, err)
	}
	m := c.step.Map(step)
	shares := make([]*multiparty.MapShare, len(named))
	for i, d := range named {
		b, err := c.Blob(d)
		if err != nil {
			return nil, nil, fmt.Errorf("share %d: %w", i, err)
		}
		if shares[i], err = m.ParseShare(b); err != nil {
			return nil, nil, wrong("share %d is none of step %d: %v", i, step, err)
		}
	}
	left, rest, err := round.Finish(shares)
	if err != nil {
		return nil, nil, wrong("the shares it names come to nothing: %v", err)
	}
	return left, rest, nil
}

// updates are the local companies' gradients that a record names, at the point it
// goes on from.
func (c *Checker) updates(record *ledger.StepRecord, point *he.Ciphertext) (map[federation.Owed]*he.Ciphertext, error) {
	owed := federation.Updates(c.View, c.job, record.Step)
	if len(owed) != len(record.Updates) {
		return nil, fmt.Errorf("%d updates of %d", len(record.Updates), len(owed)) // unreachable: the ledger counts them
	}
	out, at := map[federation.Owed]*he.Ciphertext{}, point.Digest()
	for i, u := range owed { // in the order that the ledger takes them
		p, err := ledger.ParsePost(record.Updates[i])
		if err != nil {
			return nil, err
		}
		if p.Previous != at {
			return nil, c.wrong(record, "the update of %s is of another point", u.Company)
		}
		b, err := c.Blob(p.Blob)
		if err != nil {
			return nil, fmt.Errorf("the update of %s: %w", u.Company, err)
		}
		if out[u], err = c.step.ParseUpdate(b); err != nil {
			return nil, c.wrong(record, "the update of %s is none: %v", u.Company, err)
		}
	}
	return out, nil
}

// compare holds a record to what was evaluated.
func (c *Checker) compare(record *ledger.StepRecord, again Step) error {
	var mine ledger.StepRecord
	again.Record(&mine)
	for _, list := range []struct {
		what          string
		recorded, got []ledger.Digest
	}{{"input", record.Inputs, mine.Inputs}, {"c1", record.C1s, mine.C1s}, {"operation", record.Ops, mine.Ops}} {
		if len(list.recorded) != len(list.got) {
			return c.wrong(record, "%d digests of an %s are recorded, and it has %d", len(list.recorded), list.what, len(list.got))
		}
		for i, d := range list.recorded {
			if d != list.got[i] {
				return c.wrong(record, "%s %d is recorded as %x and evaluated as %x", list.what, i, d[:6], list.got[i][:6])
			}
		}
	}
	if record.Level != mine.Level || record.LogScale != mine.LogScale {
		return c.wrong(record, "gradients at level %d, scale 2^%d are recorded; they are at level %d, scale 2^%d", record.Level, record.LogScale, mine.Level, mine.LogScale)
	}
	return nil
}

func (c *Checker) wrong(record *ledger.StepRecord, format string, args ...any) error {
	return &WrongError{Job: record.Job, Step: record.Step, Detail: fmt.Sprintf(format, args...)}
}

// IsWrong says whether an error of Check shows a wrong step.
func IsWrong(err error) bool {
	var w *WrongError
	return errors.As(err, &w)
}
