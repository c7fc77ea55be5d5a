package replay

import (
	"fmt"
	"slices"

	"github.com/commonseal/commonseal/ledger"
)

// opened opens a job's values again, from the companies' shares that were recorded
// with them, and compares the integers. That the ciphertext is what steps left is
// for the model's record.
func (c *Checker) opened() error {
	record, err := Concluded(c.View, c.job.ID)
	if err != nil {
		return err
	}
	ticket, ok := ledger.TicketOf(c.View, c.job.ID, c.job.ModelStep())
	said, err := Opened(c.View, c.job.ID)
	if !ok || err != nil {
		return fmt.Errorf("no values of job %x are opened", c.job.ID[:6])
	}
	if err := c.begin(); err != nil {
		return err
	}
	wrong := func(format string, args ...any) error {
		return &WrongError{Job: c.job.ID, Step: c.job.ValuesStep(), Detail: fmt.Sprintf(format, args...)}
	}
	sum, err := c.Blob(record.Values)
	if err != nil {
		return err
	}
	shares := make([][]byte, len(said.Shares))
	for i, b := range said.Shares {
		p, err := ledger.ParsePost(b)
		if err != nil {
			return err // unreachable: the ledger has verified it
		}
		if shares[i], err = c.Blob(p.Blob); err != nil {
			return fmt.Errorf("share %d of the release: %w", i, err)
		}
	}
	again, err := c.step.Open(ticket, sum, record.Copies, shares)
	switch {
	case err != nil:
		return wrong("the shares it names open nothing: %v", err)
	case !slices.Equal(again, said.Values):
		return wrong("values are recorded as %v, and open to %v", said.Values, again)
	}
	return nil
}

// Opened is what a quorum recorded of a job's values. An error says that none are
// opened, or that none of the nodes of job and task is left that recorded them.
func Opened(v ledger.View, id ledger.Digest) (*ledger.Values, error) {
	j, ok := ledger.JobOf(v, id)
	if !ok {
		return nil, fmt.Errorf("no job %x", id[:6])
	}
	m, ok := ledger.ModelOf(v, j.Model)
	t, known := ledger.TaskOf(v, j.Task)
	if !ok || !known || len(m.Opened) == 0 {
		return nil, fmt.Errorf("no values of job %x are opened", id[:6])
	}
	for _, n := range append(slices.Clone(t.Nodes), j.Nodes...) {
		if x, ok := ledger.ValuesOf(v, id, n); ok && x.Digest() == m.Record {
			return x, nil
		}
	}
	return nil, fmt.Errorf("the values of job %x were recorded by nodes that were replaced", id[:6])
}
