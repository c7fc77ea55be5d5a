package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/commonseal/commonseal/clients"
	"github.com/commonseal/commonseal/cmd/commonseal/internal/home"
	"github.com/commonseal/commonseal/federation/checker"
	"github.com/commonseal/commonseal/federation/replay"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/ledger"
)

// Which steps an audit evaluates.
type stepChoice struct {
	step        int // -1: not one
	sample, all bool
}

// newAuditStep evaluates recorded steps again.
func newAuditStep() *cobra.Command {
	var dir, job, out string
	choice := stepChoice{step: -1}
	c := &cobra.Command{
		Use:   "step --home DIR --job ID [--step N | --sample | --all]",
		Short: "Evaluate recorded training steps again, and hold the model's record to them",
		Long: `Fetches by digest what recorded steps of a job were computed from, evaluates
their circuits again and compares every digest. The rounds that compare companies
are steps after the last gradient's. The model's record, the step after the last of
all, is held to what the steps left: the weights, the copies that the bits open, and
the values to open. The values themselves, one step more, are opened again from the
companies' signed shares. What differs is saved as a fraud proof: one file that
commonseal audit fraud verifies offline. Without --step or --all the steps are those
that the ledger sampled, by what nobody knew while they were computed, the model's
record and the opened values.`,
		Example: `  commonseal audit step --home ann --job 5e041982ad5b
  commonseal audit step --home ann --job 5e041982ad5b --all`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := required(c, "home", "job"); err != nil {
				return err
			}
			if choice.sample && choice.all || choice.step >= 0 && (choice.sample || choice.all) || choice.step < -1 {
				return &usageError{fmt.Sprintf("give --step N of 0 or more, --sample or --all, one of them; run %s --help", c.CommandPath())}
			}
			return asMember(c.Context(), dir, func(ctx context.Context, _ *home.Home, client *clients.Client) error {
				return auditSteps(ctx, c.OutOrStdout(), client, job, choice, out)
			})
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&dir, "home", "", "home of any member")
	f.StringVar(&job, "job", "", "of which steps; the first digits of its name do")
	f.IntVar(&choice.step, "step", -1, "this step alone; 0 is the start, the one after the last the model's record, then the opened values")
	f.BoolVar(&choice.sample, "sample", false, "the steps that the ledger sampled, the model's record and the opened values (default)")
	f.BoolVar(&choice.all, "all", false, "every step with a ticket, the model's record and the opened values")
	f.StringVar(&out, "out", ".", "folder for fraud proofs")
	return c
}

// auditSteps checks the chosen steps of a job and says what it found. The error
// says that not all of them are right.
func auditSteps(ctx context.Context, w io.Writer, client *clients.Client, name string, choice stepChoice, out string) error {
	v := client.View()
	j, err := jobNamed(v, name)
	if err != nil {
		return err
	}
	steps, err := choice.of(v, j)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%-9s %x, %s, step %d of %d\n", "job", j.ID[:6], j.State, min(j.Step, j.End()), j.End())
	audit := checker.NewAudit(j.ID, he.Standard(), dialling(client))
	bad := 0
	for _, s := range steps {
		err := audit.Step(ctx, v, s)
		name := fmt.Sprintf("step %d", s)
		switch s {
		case j.ModelStep():
			name = "model"
		case j.ValuesStep():
			name = "values"
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			fmt.Fprintf(w, "%-9s ok\n", name)
		case !replay.IsWrong(err):
			bad++
			fmt.Fprintf(w, "%-9s not checked: %v\n", name, err)
		default:
			bad++
			fmt.Fprintf(w, "%-9s WRONG: %v\n", name, err)
			saved, err := saveFraud(ctx, client, j.ID, s, out)
			if err != nil {
				return fmt.Errorf("the fraud proof of %s: %w", name, err)
			}
			fmt.Fprintf(w, "%-9s %s, %d bytes: commonseal audit fraud %s --genesis genesis.json\n", "fraud", saved.path, saved.bytes, saved.path)
		}
	}
	if choice.step < 0 && !choice.all { // of all none survives, nor does a model's record or opened values
		survival(w, int64(j.End()), int64(len(j.Sampled(ledger.MoneyOf(v).Sample))))
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d records are not as they should be, or cannot be checked", bad, len(steps))
	}
	return nil
}

// of are the steps chosen.
func (c stepChoice) of(v ledger.View, j *ledger.Job) ([]uint16, error) {
	var recorded []uint16
	for s := range j.ValuesStep() + 1 {
		if _, ok := ledger.ChallengeableUntil(v, j, s); ok {
			recorded = append(recorded, s)
		}
	}
	switch {
	case c.all:
		return recorded, nil
	case c.step >= 0:
		if c.step >= len(recorded) {
			return nil, fmt.Errorf("step %d has no ticket; %d have, the model's record counted", c.step, len(recorded))
		}
		return recorded[c.step : c.step+1], nil
	case ledger.MoneyOf(v).Sample == 0:
		return nil, errors.New("this consortium samples no steps; give --all, or --step N")
	case j.State != ledger.JobDone:
		return nil, fmt.Errorf("job %x is %s; steps are sampled when it is done: give --all, or --step N", j.ID[:6], j.State)
	}
	return slices.DeleteFunc(j.Checked(ledger.MoneyOf(v).Sample), func(s uint16) bool { return !slices.Contains(recorded, s) }), nil
}

// survival says how likely it is that a cheat is missed by k of n steps, drawn by
// what nobody could foresee.
func survival(w io.Writer, n, k int64) {
	for _, c := range slices.Compact([]int64{1, (n + 9) / 10, (n + 1) / 2}) {
		p := checker.Survives(n, c, k)
		percent, _ := p.Float64()
		fmt.Fprintf(w, "%-9s a cheat in %d of %d steps survives %d that are sampled with %s, %.3g %%\n", "chance", c, n, k, p.RatString(), 100*percent)
	}
}

// jobNamed is the one job whose name begins so.
func jobNamed(v ledger.View, name string) (*ledger.Job, error) {
	var found []ledger.Job
	for _, j := range ledger.Jobs(v) {
		if strings.HasPrefix(fmt.Sprintf("%x", j.ID), strings.ToLower(name)) {
			found = append(found, j)
		}
	}
	switch len(found) {
	case 1:
		return &found[0], nil
	case 0:
		return nil, fmt.Errorf("there is no job %.64s; train prints its name", name)
	}
	return nil, fmt.Errorf("%d jobs begin with %.64s; give more of its name", len(found), name)
}

// dialling dials aggregators for a checker.
func dialling(client *clients.Client) func(string) (checker.Node, error) {
	return func(name string) (checker.Node, error) { return client.Node(name) }
}
