package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/commonseal/commonseal/clients"
	"github.com/commonseal/commonseal/cmd/commonseal/internal/home"
	"github.com/commonseal/commonseal/federation/table"
	"github.com/commonseal/commonseal/ledger"
)

// newTask opens a task.
func newTask() *cobra.Command {
	var dir, name, data, label string
	var nodes, derived []string
	var quorum uint8
	c := &cobra.Command{
		Use:   "task --home DIR --name NAME --data FILE.csv --label COLUMN --nodes NODE,NODE",
		Short: "Open a task: a prediction problem that companies bring rows to",
		Long: `Opens a task with the columns, ranges and label values of a file. They go to the
ledger for everybody to see, so give a file that is public or made up: a header,
and rows that have each column's lowest and highest value. Every company's rows
must lie within. Columns that --derive adds every company computes of its own, and
whoever asks does: they are in no file. Companies whose policy names the task consent by themselves.`,
		Example: `  commonseal task --home peer --name churn --data schema.csv --label churned --nodes north,south --quorum 2
  commonseal task --home peer --name churn --data schema.csv --label churned --nodes north,south --derive 'age*visits' --derive 'log1p(spent)'`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := required(c, "home", "name", "data", "label", "nodes"); err != nil {
				return err
			}
			t, err := table.Open(data, label, derived...)
			if err != nil {
				return err
			}
			return asMember(c.Context(), dir, func(ctx context.Context, h *home.Home, client *clients.Client) error {
				var epoch *ledger.KeyEpoch
				if err := client.Until(ctx, func(v ledger.View) (ok bool) {
					epoch, ok = ledger.CurrentEpoch(v)
					return ok
				}); err != nil {
					return fmt.Errorf("the companies have no common key yet: %w", err)
				}
				slices.Sort(nodes)
				body := &ledger.OpenTask{Name: name, Epoch: epoch.Number, Schema: t.Schema().Append(nil), Columns: uint16(t.Columns() + 1),
					Nodes: nodes, Quorum: max(quorum, h.Genesis.Quorum)}
				if _, err := client.Record(ctx, body); err != nil {
					return err
				}
				_, err := fmt.Fprintf(c.OutOrStdout(), "task    %s  %x\ncolumns %d\nnext    each company: commonseal contribute --task %s --data rows.csv --label %s\n",
					name, ledger.TaskID(h.Genesis.Chain, name), t.Columns(), name, label)
				return err
			})
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&dir, "home", "", "home of a model peer or a company")
	f.StringVar(&name, "name", "", "of the task: a-z, 0-9 and inner hyphens")
	f.StringVar(&data, "data", "", "CSV whose columns, ranges and label values the task has")
	f.StringVar(&label, "label", "", "column to predict")
	f.StringArrayVar(&derived, "derive", nil, derivedHelp)
	f.StringSliceVar(&nodes, "nodes", nil, "aggregators that store and compute, of as many owners as the quorum")
	f.Uint8Var(&quorum, "quorum", 0, "equal records of different owners that open a ticket (default the consortium's)")
	return c
}

// newContribute brings a company's rows to a task.
func newContribute() *cobra.Command {
	var dir, task, receipt string
	p := home.TaskPolicy{}
	c := &cobra.Command{
		Use:   "contribute --home DIR --task NAME --data FILE.csv --label COLUMN",
		Short: "Bring this company's rows to a task",
		Long: `Checks the rows against the task's columns and ranges, adds the task to the
policy of this company's agent, and waits until the rows are on the ledger. The
agent, which must run, does the rest: it consents, makes the task's keys with the
others, encrypts, uploads, and goes on where it was if it is interrupted.

With --local the rows stay here, and encrypted gradients leave instead.`,
		Example: `  commonseal contribute --home ann --task churn --data rows.csv --label churned
  commonseal contribute --home ann --task churn --data rows.csv --label churned --local --receipt churn.receipt`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := required(c, "home", "task", "data", "label"); err != nil {
				return err
			}
			p.Name = task
			return asMember(c.Context(), dir, func(ctx context.Context, h *home.Home, client *clients.Client) error {
				return contribute(ctx, c, h, client, p, receipt)
			})
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&dir, "home", "", "home of the company")
	f.StringVar(&task, "task", "", "name of the task")
	f.StringVar(&p.Data, "data", "", "this company's rows: numeric CSV with a header")
	f.StringVar(&p.Label, "label", "", "column to predict")
	f.BoolVar(&p.Local, "local", false, "keep the rows here and send encrypted gradients")
	f.Float64Var(&p.Validation, "validation", 0.1, "fraction of the rows that never train, and value what others bring")
	f.IntVar(&p.MaxSteps, "max-steps", 0, "most steps of a job that the agent answers for (default any)")
	f.Float64Var(&p.MaxRate, "max-rate", 0, "highest learning rate of a job that the agent answers for (default any)")
	f.Float64Var(&p.MaxDecay, "max-decay", 0, "strongest regularisation of a job that the agent answers for (default any)")
	f.StringSliceVar(&p.Columns, "columns", nil, "columns that a job may train for the agent to answer for it (default any)")
	f.IntVar(&p.MinColumns, "min-columns", 0, "fewest columns of a job that the agent answers for: values show more along few (default one)")
	f.IntVar(&p.MaxJobs, "max-jobs", 0, "jobs of the task that the agent ever answers for (default any number)")
	f.StringVar(&receipt, "receipt", "", "file for the proof that the ledger has the contribution")
	return c
}

func contribute(ctx context.Context, c *cobra.Command, h *home.Home, client *clients.Client, p home.TaskPolicy, receipt string) error {
	mine, err := client.Contribute(ctx, h.Member.Name, p.Name, p.Data, p.Label, func(rows table.Table) error {
		if _, err := rows.Schema().Pick(p.Columns); err != nil {
			return fmt.Errorf("--columns: %w", err)
		}
		fmt.Fprintf(c.ErrOrStderr(), "%d rows; waiting for the agent and the other companies\n", rows.Len())
		return h.AddTask(p)
	})
	if err != nil {
		return err
	}
	where := fmt.Sprintf("encrypted, in %d blocks, %d MB", mine.Blocks, mine.Bytes>>20)
	if mine.Manifest == (ledger.Digest{}) {
		where = "at home; encrypted gradients leave"
	}
	fmt.Fprintf(c.OutOrStdout(), "rows        %d to train\nstored      %s\ncommitment  %x\n", mine.Rows, where, mine.Commitment)
	if receipt == "" {
		return nil
	}
	return writeReceipt(ctx, c, client, mine, receipt)
}
