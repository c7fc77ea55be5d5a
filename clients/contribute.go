package clients

import (
	"context"
	"fmt"
	"os"

	"github.com/commonseal/commonseal/federation/table"
	"github.com/commonseal/commonseal/ledger"
)

// Contribute brings a company's rows to the task of a name and returns what is
// recorded of those for training, once all are on the ledger.
//
// The rows, a CSV file, are held to the task's columns and ranges before anything
// leaves. Then handOver gives them to the company's own agent, for the command
// line by way of its policy: whoever holds a share of the key consents, encrypts,
// uploads and signs, and goes on where it was if it is interrupted, and so may this
// call be made again. The error of a cell is a [*table.CellError].
func (c *Client) Contribute(ctx context.Context, company, task, data, label string, handOver func(rows table.Table) error) (*ledger.Contribution, error) {
	t, err := c.Task(task)
	if err != nil {
		return nil, err
	}
	schema, err := table.ParseSchema(t.Schema)
	if err != nil {
		return nil, err
	}
	rows, err := ReadRows(schema, data, label)
	if err != nil {
		return nil, err
	}
	if err := handOver(rows); err != nil {
		return nil, err
	}
	var recorded *ledger.Contribution
	err = c.Until(ctx, func(v ledger.View) (ok bool) {
		recorded, ok = Contribution(v, t.ID, company)
		return ok
	})
	return recorded, err
}

// Task is the task of a name, as the ledger has it now.
func (c *Client) Task(name string) (*ledger.Task, error) {
	t, ok := ledger.TaskOf(c.View(), ledger.TaskID(c.config.Genesis.Chain, name))
	if !ok {
		return nil, fmt.Errorf("there is no task %s; open it with commonseal task", name)
	}
	return t, nil
}

// ReadRows reads a company's file under a task's schema.
func ReadRows(schema table.Schema, data, label string) (table.Table, error) {
	if label != schema.Label {
		return table.Table{}, fmt.Errorf("the task's label is %q, not %q", schema.Label, label)
	}
	f, err := os.Open(data)
	if err != nil {
		return table.Table{}, err
	}
	defer f.Close() // read only: nothing to lose
	return schema.Read(f, data)
}

// Contribution is what a company contributed to a task to train on, once all of
// its rows are on the ledger.
func Contribution(v ledger.View, task ledger.Digest, company string) (*ledger.Contribution, bool) {
	rows, ok := ledger.ContributionOf(v, task, ledger.Training, company)
	t, is := ledger.TaskOf(v, task)
	if !ok || !is {
		return nil, false
	}
	if x, _ := t.ConsentOf(company); x.Validation > 0 {
		_, ok = ledger.ContributionOf(v, task, ledger.Validation, company)
	}
	return rows, ok
}
