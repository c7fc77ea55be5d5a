package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/commonseal/commonseal/cmd/commonseal/internal/reward"
	"github.com/commonseal/commonseal/ledger"
)

// newReward says why somebody was paid what it was.
func newReward() *cobra.Command {
	c := &cobra.Command{
		Use:   "reward",
		Short: "Say why a member was paid what it was",
		Args:  noArguments,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newRewardExplain())
	return c
}

func newRewardExplain() *cobra.Command {
	var from stateFlags
	var task string
	var epoch uint64
	c := &cobra.Command{
		Use:   "explain MEMBER --epoch E (--home DIR | --from FILE)",
		Short: "Print the formula of a payout with the numbers in it",
		Long: `Prints where a reward epoch's pot went, the formula of the member's part with the
numbers in it, and what it would have got had one thing been different. All of
it is computed again from the settlement: of the ledger as it is followed (--home),
or offline of an archive (--from).`,
		Example: `  commonseal reward explain ann --epoch 12 --home ann
  commonseal reward explain ann --epoch 12 --from ledger.archive`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return &usageError{fmt.Sprintf("give one member; run %s --help", c.CommandPath())}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if epoch == 0 || !from.one() {
				return &usageError{fmt.Sprintf("give --epoch, and either --home or --from; run %s --help", c.CommandPath())}
			}
			return from.read(c.Context(), func(s *state) error {
				return explain(c.OutOrStdout(), s, args[0], epoch, task)
			})
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.Uint64Var(&epoch, "epoch", 0, "reward epoch whose rankings were settled")
	from.add(c)
	f.StringVar(&task, "task", "", "only of this task")
	return c
}

// explain writes the story of each settlement of an epoch.
func explain(w io.Writer, s *state, member string, epoch uint64, only string) error {
	found := 0
	for _, st := range ledger.Settlements(s) {
		t, _ := ledger.TaskOf(s, st.Task)
		if st.Epoch != epoch || only != "" && t.Name != only {
			continue
		}
		found++
		story, err := reward.Explain(&st, t.Name, member)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(w, story); err != nil {
			return err
		}
	}
	if found == 0 {
		return fmt.Errorf("reward epoch %d is not settled; it is when the epoch after it has closed and somebody asked for it", epoch)
	}
	return nil
}
