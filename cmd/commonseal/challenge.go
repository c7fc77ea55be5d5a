package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/spf13/cobra"

	"github.com/commonseal/commonseal/clients"
	"github.com/commonseal/commonseal/cmd/commonseal/internal/home"
	"github.com/commonseal/commonseal/ledger"
)

// newChallenge is the challenge game.
func newChallenge() *cobra.Command {
	c := &cobra.Command{
		Use:   "challenge",
		Short: "Challenge a recorded training step, and follow challenges",
		Args:  noArguments,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newChallengeOpen(), newChallengeList())
	return c
}

func newChallengeOpen() *cobra.Command {
	var dir, job, fraud string
	step := -1
	c := &cobra.Command{
		Use:   "open --home DIR --job ID --step N [--fraud FILE]",
		Short: "Challenge a recorded training step, with a bond",
		Long: `Challenges a step while its window is open. The validators evaluate it again and
vote. If it is wrong, who recorded it is slashed, half of which is the
challenger's; if it is right, the bond is lost to those who were accused.
commonseal audit step finds out first.`,
		Example: `  commonseal audit step --home ann --job 5e041982ad5b --step 7
  commonseal challenge open --home ann --job 5e041982ad5b --step 7 --fraud 5e041982ad5b-7.fraud`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := required(c, "home", "job", "step"); err != nil {
				return err
			}
			if step < 0 || step > math.MaxUint16 {
				return &usageError{fmt.Sprintf("--step is %d; give 0 or more", step)}
			}
			open := &ledger.OpenChallenge{Step: uint16(step)}
			if fraud != "" {
				var err error
				if open.Fraud, err = digestOfFile(fraud); err != nil {
					return err
				}
			}
			return asMember(c.Context(), dir, func(ctx context.Context, _ *home.Home, client *clients.Client) error {
				j, err := jobNamed(client.View(), job)
				if err != nil {
					return err
				}
				open.Job = j.ID
				if _, err := client.Record(ctx, open); err != nil {
					return err
				}
				return listChallenges(c.OutOrStdout(), client.View(), j.ID)
			})
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&dir, "home", "", "home of the member that challenges")
	f.StringVar(&job, "job", "", "of which step; the first digits of its name do")
	f.IntVar(&step, "step", -1, "that is wrong; 0 is the start, the one after the last the model's record, then the opened values")
	f.StringVar(&fraud, "fraud", "", "fraud proof, whose digest is recorded")
	return c
}

func newChallengeList() *cobra.Command {
	var dir, job string
	c := &cobra.Command{
		Use:     "list --home DIR [--job ID]",
		Short:   "Print challenges and what became of them",
		Example: `  commonseal challenge list --home ann`,
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := required(c, "home"); err != nil {
				return err
			}
			return asMember(c.Context(), dir, func(_ context.Context, _ *home.Home, client *clients.Client) error {
				if job == "" {
					return listChallenges(c.OutOrStdout(), client.View(), ledger.Digest{})
				}
				j, err := jobNamed(client.View(), job)
				if err != nil {
					return err
				}
				return listChallenges(c.OutOrStdout(), client.View(), j.ID)
			})
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&dir, "home", "", "home of any member")
	f.StringVar(&job, "job", "", "of which steps; default all")
	return c
}

// listChallenges prints the challenges of a job, or of all.
func listChallenges(w io.Writer, v ledger.View, job ledger.Digest) error {
	for _, x := range ledger.Challenges(v) {
		if job != (ledger.Digest{}) && x.Job != job {
			continue
		}
		decided := map[ledger.Decision]string{ledger.Undecided: "undecided", ledger.Upheld: "upheld: the step is wrong", ledger.Rejected: "rejected: the step is right", ledger.Lapsed: "lapsed: no majority in time"}[x.Decided]
		if _, err := fmt.Fprintf(w, "%x step %d, by %s: %s; wrong say [%s], right say [%s]\n", x.Job[:6], x.Step, x.By, decided, strings.Join(x.Wrong, " "), strings.Join(x.Right, " ")); err != nil {
			return err
		}
	}
	return nil
}
