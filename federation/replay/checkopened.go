package replay

import (
	"fmt"
	"slices"

	"github.com/commonseal/commonseal/ledger"
)

// CheckOpened opens a job's values again, from the companies' shares that were
// recorded with them, and compares the integers. Errors are as those of Check.
// That the ciphertext is what steps left is for CheckModel.
func (c *Checker) CheckOpened() error {
	record := c.concluded()
	if record == nil {
		return fmt.Errorf("job %x has not ended", c.job.ID[:6])
	}
	step := c.job.End() + 1
	ticket, ok := ledger.TicketOf(c.View, c.job.ID, step)
	opened := c.opened()
	if !ok || opened == nil {
		return fmt.Errorf("no values of job %x are opened", c.job.ID[:6])
	}
	if err := c.begin(); err != nil {
		return err
	}
	wrong := func(format string, args ...any) error {
		return &WrongError{Job: c.job.ID, Step: step + 1, Detail: fmt.Sprintf(format, args...)}
	}
	sum, err := c.Blob(record.Values)
	if err != nil {
		return err
	}
	shares := make([][]byte, len(opened.Shares))
	for i, b := range opened.Shares {
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
	case !slices.Equal(again, opened.Values):
		return wrong("values are recorded as %v and open to %v", opened.Values, again)
	}
	return nil
}

// opened is what a node recorded of the values that the ledger took, nil if none
// are opened yet.
func (c *Checker) opened() *ledger.Values {
	j, _ := ledger.JobOf(c.View, c.job.ID)
	m, ok := ledger.ModelOf(c.View, j.Model)
	if !ok || len(m.Opened) == 0 {
		return nil
	}
	for _, n := range append(append([]string(nil), c.task.Nodes...), j.Nodes...) {
		if x, ok := ledger.ValuesOf(c.View, j.ID, n); ok && slices.Equal(x.Values, m.Opened) {
			return x
		}
	}
	return nil
}
