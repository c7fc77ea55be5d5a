package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/commonseal/commonseal/clients"
	"github.com/commonseal/commonseal/cmd/commonseal/internal/home"
	"github.com/commonseal/commonseal/ledger"
)

// newTrain opens a job and follows it.
func newTrain() *cobra.Command {
	var dir, task string
	var want spec
	var asJSON bool
	c := &cobra.Command{
		Use:   "train --home DIR --task NAME",
		Short: "Train a model on a task, and follow it to its end",
		Long: `Opens a training job on everything that was contributed to a task, once all
companies have, and follows it: approvals, steps, the model, and what each
company's rows were worth to it. The job goes on if this command is interrupted.

What the flags say is a spec: anybody admitted as a company or a peer may submit
as many as they like, and each becomes a job and a model. Columns are those of the
task, derived ones by their expressions. Companies answer for what their policies
allow.

With --merge companies are compared first, under encryption and in some 20 blocks
more: one bit a pair is opened, and whoever's rows are a near-copy of an earlier
company's counts with it.`,
		Example: `  commonseal train --home peer --task churn --steps 10
  commonseal train --home peer --task churn --steps 10 --json | jq -r .model
  commonseal train --home peer --task churn --steps 20 --columns 'age,visits,age*visits' --decay 0.01`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := required(c, "home", "task"); err != nil {
				return err
			}
			if err := want.check(); err != nil {
				return err
			}
			return asMember(c.Context(), dir, func(ctx context.Context, h *home.Home, client *clients.Client) error {
				out, err := train(ctx, c.ErrOrStderr(), h, client, task, want)
				if err != nil {
					return err
				}
				if asJSON {
					return json.NewEncoder(c.OutOrStdout()).Encode(out)
				}
				return out.write(c.OutOrStdout())
			})
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&dir, "home", "", "home of a model peer or a company")
	f.StringVar(&task, "task", "", "name of the task")
	f.IntVar(&want.steps, "steps", 10, "training steps, 1 to 1000")
	f.Float64Var(&want.rate, "lr", 0, "learning rate (default by rule)")
	f.Float64Var(&want.decay, "decay", 0, "strength of L2 regularisation: a step takes this times the learning rate off every weight but the constant's")
	f.StringSliceVar(&want.columns, "columns", nil, "columns that train, derived ones among them (default all)")
	f.BoolVar(&want.values, "values", true, "open what each company's rows were worth; a consortium may allow that so many times a reward epoch")
	f.BoolVar(&want.merge, "merge", false, "look for companies whose rows are a near-copy of another's, and value them once")
	f.IntVar(&want.noise, "noise", 18, "privacy noise on values: each company's deviation is 2^-noise of the unit they are opened in; 0 for none")
	f.BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

// A trained is what became of a job.
type trained struct {
	Job    string        `json:"job"`
	Model  string        `json:"model"`
	Steps  []trainedStep `json:"steps"`
	Values []companyGain `json:"values"`
}

// A trainedStep is one step: when its ticket opened, in block time, and how many
// transactions it took.
type trainedStep struct {
	Step    int   `json:"step"`
	BlockMS int64 `json:"block_ms"`
	Records int   `json:"records"`
}

// A companyGain is what a company's rows were worth to the model.
type companyGain struct {
	Company string  `json:"company"`
	Rows    uint32  `json:"rows"`
	Local   bool    `json:"local"`
	Value   float64 `json:"value"`
	Valued  bool    `json:"valued"`            // whether values were opened
	CopyOf  string  `json:"copy_of,omitempty"` // an earlier company it counts with
}

func train(ctx context.Context, progress io.Writer, h *home.Home, client *clients.Client, name string, want spec) (*trained, error) {
	t, err := client.Task(name)
	if err != nil {
		return nil, err
	}
	if _, err := want.open(t, 0); err != nil { // rather now than when all rows are there
		return nil, err
	}
	fmt.Fprintf(progress, "waiting for all companies' rows\n")
	if err := client.Until(ctx, func(v ledger.View) bool { return contributed(v, t) }); err != nil {
		return nil, err
	}
	open, err := want.open(t, uint64(client.Now()))
	if err != nil {
		return nil, err
	}
	if _, err := client.Record(ctx, open); err != nil {
		return nil, err
	}
	id := ledger.JobID(h.Member.Name, open)
	fmt.Fprintf(progress, "job %x: waiting for approvals\n", id[:6])
	out := &trained{Job: fmt.Sprintf("%x", id)}
	if err := follow(ctx, progress, client, id, out); err != nil {
		return nil, err
	}
	v := client.View()
	j, _ := ledger.JobOf(v, id)
	m, _ := ledger.ModelOf(v, j.Model)
	t, _ = ledger.TaskOf(v, j.Task)
	out.Model = fmt.Sprintf("%x", m.ID)
	var companies []string
	for _, x := range t.Consents {
		companies = append(companies, x.Company)
	}
	copied, values := ledger.Copied(m.Copies, ledger.Order(v, t.ID, companies)), ledger.Agreed(v, t, m)
	for i, x := range t.Consents {
		gain := companyGain{Company: x.Company, Rows: x.Rows, Local: x.Local}
		if i < len(values) {
			gain.Value, gain.Valued = math.Ldexp(float64(values[i]), -ledger.LogUnit), true
		}
		for _, p := range m.Copies {
			a, b := int(p.First), int(p.Second)
			if (a == i || b == i) && copied[i] && !copied[a+b-i] {
				gain.CopyOf = t.Consents[a+b-i].Company
			}
		}
		out.Values = append(out.Values, gain)
	}
	return out, nil
}

// contributed says whether all of a task's companies have brought their rows.
func contributed(v ledger.View, task *ledger.Task) bool {
	t, ok := ledger.TaskOf(v, task.ID)
	if !ok || t.State != ledger.TaskReady {
		return false
	}
	for _, x := range t.Consents {
		if _, ok := clients.Contribution(v, t.ID, x.Company); !ok {
			return false
		}
	}
	return true
}

// follow tells of a job's steps until its model is served and its values are
// open.
func follow(ctx context.Context, progress io.Writer, client *clients.Client, id ledger.Digest, out *trained) error {
	told, state := 0, ledger.JobOpen
	var stopped error
	err := client.Until(ctx, func(v ledger.View) bool {
		j, _ := ledger.JobOf(v, id)
		if j.State != state {
			state = j.State
			fmt.Fprintf(progress, "job %x: %v\n", id[:6], state)
		}
		for ; told < int(j.Step); told++ {
			ticket, ok := ledger.TicketOf(v, id, uint16(told))
			if !ok {
				break
			}
			out.Steps = append(out.Steps, trainedStep{Step: told, BlockMS: ticket.Opened, Records: len(ledger.Steps(v, id, uint16(told)))})
			if told > 0 {
				fmt.Fprintf(progress, "step %d of %d\n", told, j.End())
			}
		}
		switch j.State {
		case ledger.JobAborted:
			stopped = errors.New("the job was aborted by a key holder")
			return true
		case ledger.JobDisputed:
			stopped = errors.New("the job's nodes recorded different results: no share left a company; replace the node that erred")
			return true
		}
		m, ok := ledger.ModelOf(v, j.Model)
		return ok && m.Served() && (m.Values == ledger.Digest{} || len(m.Opened) > 0)
	})
	return errors.Join(err, stopped)
}

// write is the result for people.
func (t *trained) write(w io.Writer) error {
	fmt.Fprintf(w, "job     %s\nmodel   %s\n", t.Job, t.Model)
	if n := len(t.Steps); n > 1 {
		fmt.Fprintf(w, "a step  %.2f s of block time, %d steps\n", float64(t.Steps[n-1].BlockMS-t.Steps[0].BlockMS)/1000/float64(n-1), n-1)
	}
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprint(table, "company\trows\twhere\tvalue of its rows\t\n")
	for _, v := range t.Values {
		where := "encrypted"
		if v.Local {
			where = "at home"
		}
		worth := "not valued"
		if v.Valued {
			worth = fmt.Sprintf("%.5f", v.Value)
		}
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\t\n", v.Company, v.Rows, where, worth)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, v := range t.Values {
		if v.CopyOf != "" {
			fmt.Fprintf(w, "The rows of %s are a near-copy of those of %s: they count once, for %s.\n", v.Company, v.CopyOf, v.CopyOf)
		}
	}
	return nil
}
