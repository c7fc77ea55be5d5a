package replay

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/multiparty"
	"github.com/commonseal/commonseal/ledger"
)

// CheckModel holds the record that a job ended with to what its last map left: the
// weights a model is named after, its public remainder, and the values to open.
// Errors are as those of Check, with the step after the last. It needs the keys of
// the release profile, and so no Lists. It returns the record.
func (c *Checker) CheckModel() (*ledger.ModelRecord, error) {
	record := c.concluded()
	if record == nil {
		return nil, fmt.Errorf("job %x has not ended", c.job.ID[:6])
	}
	if err := c.begin(); err != nil {
		return nil, err
	}
	return record, c.checkModel(record)
}

func (c *Checker) checkModel(record *ledger.ModelRecord) error {
	wrong := func(format string, args ...any) error {
		return &WrongError{Job: c.job.ID, Step: c.job.Steps + 1, Detail: fmt.Sprintf(format, args...)}
	}
	left, rest, err := c.added(c.job.Steps, record.Shares, wrong)
	if err != nil {
		return err
	}
	remainder, err := multiparty.NewModelShare(c.Profiles.Serve, rest)
	if err != nil {
		return err
	}
	switch {
	case left[1].Digest() != record.State:
		return wrong("the model is recorded as %x and the last map left %x", record.State[:6], left[1].Digest())
	case sha256.Sum256(remainder.Append(nil)) != record.Remainder:
		return wrong("its public remainder is not %x", record.Remainder[:6])
	case record.Values == ledger.Digest{}:
		return nil
	}
	return c.checkValues(record, wrong)
}

// concluded is the record that the job ended with, nil if it has not.
func (c *Checker) concluded() *ledger.ModelRecord {
	j, ok := ledger.JobOf(c.View, c.job.ID) // it may have ended since
	if !ok {
		return nil
	}
	for _, n := range append(append([]string(nil), c.task.Nodes...), j.Nodes...) {
		if r, ok := ledger.ModelRecordOf(c.View, c.job.ID, n); ok && r.Digest() == j.Last {
			return r
		}
	}
	return nil
}

// checkValues evaluates the companies' values again, from what the maps of all
// valued steps left.
func (c *Checker) checkValues(record *ledger.ModelRecord, wrong func(string, ...any) error) error {
	if c.public.Release == nil {
		return errors.New("values are checked with keys of the release profile, which are not recalled")
	}
	left := func(step uint16) ([]*he.Ciphertext, error) {
		shares := record.Shares
		if step < c.job.End() {
			_, next, err := Ticketed(c.View, c.job.ID, step+1)
			if err != nil {
				return nil, err
			}
			shares = next.Shares
		}
		out, _, err := c.added(step, shares, wrong)
		return out, err
	}
	ev, err := NewEvaluator(c.step, c.public.Public, c.public.Train, c.public.Release)
	if err != nil {
		return err
	}
	sum, ops, err := ev.Values(left, record.Copies)
	switch {
	case err != nil:
		return err
	case sum == nil || sum.Digest() != record.Values || sum.C1Digest() != record.C1 || len(ops) != len(record.Ops):
		return wrong("the values to open are not %x", record.Values[:6])
	}
	for i, op := range ops {
		if op.Digest() != record.Ops[i] {
			return wrong("operation %d is another", i)
		}
	}
	return nil
}
