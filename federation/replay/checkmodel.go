package replay

import (
	"crypto/sha256"
	"fmt"
	"math/big"
	"slices"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/multiparty"
	"github.com/commonseal/commonseal/ledger"
)

// Concluded is the record that a job ended with. An error says that it has not, or
// that none of the nodes of job and task is left that recorded it.
func Concluded(v ledger.View, id ledger.Digest) (*ledger.ModelRecord, error) {
	j, ok := ledger.JobOf(v, id)
	if !ok || j.State != ledger.JobDone {
		return nil, fmt.Errorf("job %x has not ended with a model", id[:6])
	}
	t, ok := ledger.TaskOf(v, j.Task)
	if !ok {
		return nil, fmt.Errorf("no task %x", j.Task[:6])
	}
	for _, n := range append(slices.Clone(t.Nodes), j.Nodes...) {
		if r, ok := ledger.ModelRecordOf(v, id, n); ok && r.Digest() == j.Last {
			return r, nil
		}
	}
	return nil, fmt.Errorf("the model's record of job %x is of nodes that were replaced", id[:6])
}

// model holds the record that a job ended with to what steps left, cheapest first:
// the weights that a model is named after and its public remainder, the companies
// that are copies, and the values to open.
func (c *Checker) model() error {
	record, err := Concluded(c.View, c.job.ID)
	if err != nil {
		return err
	}
	if err := c.begin(); err != nil {
		return err
	}
	step := c.job.ModelStep()
	wrong := func(format string, args ...any) error {
		return &WrongError{Job: c.job.ID, Step: step, Detail: fmt.Sprintf(format, args...)}
	}
	left, rest, err := c.leftBefore(c.job.Steps, step, record.Shares, wrong)
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
	}
	if c.job.Rounds > 0 {
		if err := c.copies(record, wrong); err != nil {
			return err
		}
	}
	return c.values(record, wrong)
}

// leftBefore is what the map of a step left that comes before the record of step
// next: by the shares that this record names if it is the very next, else by those
// that the step's own successor names. The companies answered for that one, so each
// found its own share in it.
func (c *Checker) leftBefore(step, next uint16, shares []ledger.Digest, wrong wrongOf) ([]*he.Ciphertext, []*big.Int, error) {
	if step+1 == next {
		return c.added(step, shares, wrong)
	}
	_, record, err := Ticketed(c.View, c.job.ID, step+1)
	if err != nil {
		return nil, nil, err
	}
	return c.added(step, record.Shares, func(format string, args ...any) error {
		return &EarlierError{Step: step + 1, Detail: fmt.Sprintf(format, args...)}
	})
}

// left is leftBefore as circuits ask for it.
func (c *Checker) left(next uint16, shares []ledger.Digest, wrong wrongOf) Left {
	return func(step uint16) ([]*he.Ciphertext, error) {
		out, _, err := c.leftBefore(step, next, shares, wrong)
		return out, err
	}
}

// round evaluates a round of comparing again.
func (c *Checker) round(record *ledger.StepRecord) (Step, error) {
	wrong := func(format string, args ...any) error { return c.wrong(record, format, args...) }
	profile := c.Profiles.Train
	if c.step.Opens(record.Step) {
		profile = c.Profiles.Release
	}
	ev, err := c.products(profile)
	if err != nil {
		return Step{}, err
	}
	return ev.Compare(record.Step, c.left(record.Step, record.Shares, wrong))
}

// products is an evaluator of products under one of the profiles, which takes no
// rotation and no row.
func (c *Checker) products(profile *he.Profile) (*Evaluator, error) {
	train, release := c.public.Train, c.public.Release
	if c.Lists != nil {
		keys, err := RecallProducts(c.View, c.task, c.Profiles, *c.Lists, c.Blob, profile)
		if err != nil {
			return nil, err
		}
		train, release = keys, keys
	}
	if profile == c.Profiles.Train {
		return newComparing(c.step, train), nil
	}
	return newValuing(c.step, release), nil
}

// copies opens the bits of the last round again, from the shares that the model's
// record names: who was recorded as a copy is one, and nobody else.
func (c *Checker) copies(record *ledger.ModelRecord, wrong wrongOf) error {
	ticket, last, err := Ticketed(c.View, c.job.ID, c.job.End())
	if err != nil {
		return err
	}
	release, err := c.step.Bits(ticket, last, c.Blob)
	if err != nil {
		return fmt.Errorf("step %d, which is to be checked first: %w", last.Step, err)
	}
	var shares [][]byte
	for i, d := range record.Shares {
		b, err := c.Blob(d)
		if err != nil {
			return fmt.Errorf("share %d of the bits: %w", i, err)
		}
		shares = append(shares, b)
	}
	copies, err := c.step.Copies(release, shares)
	switch {
	case err != nil:
		return wrong("the shares it names open no bits: %v", err)
	case !slices.Equal(copies, record.Copies):
		return wrong("companies %v are recorded as copies, and the bits open as %v", record.Copies, copies)
	}
	return nil
}

// values evaluates the companies' values again, from what the maps of all valued
// steps left. They are left out when the key epoch has no release for them; as
// releases are never given back, one that still has was no cause.
func (c *Checker) values(record *ledger.ModelRecord, wrong wrongOf) error {
	if (record.Values == ledger.Digest{}) {
		e, ok := ledger.EpochOf(c.View, c.task.Epoch)
		g := ledger.GenesisOf(c.View) // nil in a proof that leaves it out
		if ok && g != nil && e.Releases < g.Releases && slices.ContainsFunc(c.job.Valued, c.step.IsValued) {
			return wrong("no values are to be opened, of %d steps that are valued", len(c.job.Valued))
		}
		return nil
	}
	ev, err := c.products(c.Profiles.Release)
	if err != nil {
		return err
	}
	sum, ops, err := ev.Values(c.left(c.job.ModelStep(), record.Shares, wrong), record.Copies)
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
