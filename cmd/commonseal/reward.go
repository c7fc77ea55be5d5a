package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/commonseal/commonseal/clients"
	"github.com/commonseal/commonseal/cmd/commonseal/internal/home"
	"github.com/commonseal/commonseal/cmd/commonseal/internal/reward"
	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/audit"
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
	var dir, task string
	var from []string
	var epoch uint64
	c := &cobra.Command{
		Use:   "explain MEMBER --epoch E (--home DIR | --from FILE...)",
		Short: "Print the formula of a payout with the numbers in it",
		Long: `Prints where a reward epoch's pot went, the formula of the member's part with the
numbers in it, and what it would have got had one thing been different. All of
it is computed again from the settlement: from the ledger (--home), or offline
from what audit payouts exported (--from).`,
		Example: `  commonseal reward explain ann --epoch 12 --home ann
  commonseal reward explain ann --epoch 12 --from epochs/12-*.json`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return &usageError{fmt.Sprintf("give one member; run %s --help", c.CommandPath())}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if epoch == 0 || (dir == "") == (len(from) == 0) {
				return &usageError{fmt.Sprintf("give --epoch, and either --home or --from; run %s --help", c.CommandPath())}
			}
			if dir == "" {
				_, settled, err := readEpochs(from)
				if err != nil {
					return err
				}
				return explain(c.OutOrStdout(), settled, func(d ledger.Digest) string { return fmt.Sprintf("%x", d[:6]) }, args[0], epoch, task)
			}
			return asMember(c.Context(), dir, func(_ context.Context, _ *home.Home, client *clients.Client) error {
				v := client.View()
				return explain(c.OutOrStdout(), ledger.Settlements(v), taskNames(v), args[0], epoch, task)
			})
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.Uint64Var(&epoch, "epoch", 0, "reward epoch whose rankings were settled")
	f.StringVar(&dir, "home", "", "home of a member")
	f.StringSliceVar(&from, "from", nil, "exported epochs, instead of a home")
	f.StringVar(&task, "task", "", "only of this task")
	return c
}

func taskNames(v ledger.View) func(ledger.Digest) string {
	return func(d ledger.Digest) string {
		t, ok := ledger.TaskOf(v, d)
		if !ok {
			return fmt.Sprintf("%x", d[:6])
		}
		return t.Name
	}
}

// explain writes the story of each settlement of an epoch.
func explain(w io.Writer, settled []ledger.Settlement, nameOf func(ledger.Digest) string, member string, epoch uint64, task string) error {
	found := 0
	for i := range settled {
		st := &settled[i]
		if st.Epoch != epoch || task != "" && nameOf(st.Task) != task {
			continue
		}
		found++
		story, err := reward.Explain(st, nameOf(st.Task), member)
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

// readEpochs reads exported epochs, each computed again from its record.
func readEpochs(names []string) (epochs []audit.Epoch, settled []ledger.Settlement, err error) {
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, nil, err
		}
		e, st, err := audit.ParseEpoch(b)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", name, err)
		}
		epochs, settled = append(epochs, e), append(settled, *st)
	}
	return epochs, settled, nil
}

// newAuditPayouts computes every payment again.
func newAuditPayouts() *cobra.Command {
	var dir, export string
	c := &cobra.Command{
		Use:   "payouts (--home DIR | FILE...)",
		Short: "Compute every payout again from what was ranked, staked and valued",
		Long: `Computes every payment of every settled reward epoch again, from the inputs that
its settlement records, and compares it with what the ledger has; or does so
offline with exported epochs. --export writes one JSON file an epoch and task,
which docs/payouts.py computes again without any code of this program.`,
		Example: `  commonseal audit payouts --home ann --export epochs
  commonseal audit payouts epochs/*.json
  python3 docs/payouts.py epochs/*.json`,
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case (dir == "") == (len(args) == 0):
				return &usageError{fmt.Sprintf("give either --home or exported files; run %s --help", c.CommandPath())}
			case dir == "":
				epochs, _, err := readEpochs(args)
				if err != nil {
					return err
				}
				return tellEpochs(c.OutOrStdout(), epochs)
			}
			return asMember(c.Context(), dir, func(_ context.Context, h *home.Home, client *clients.Client) error {
				epochs, err := settledEpochs(h.Genesis.Chain, client.View())
				if err == nil && export != "" {
					err = exportEpochs(export, epochs)
				}
				return errors.Join(err, tellEpochs(c.OutOrStdout(), epochs))
			})
		},
	}
	c.Flags().SortFlags = false
	c.Flags().StringVar(&dir, "home", "", "home of a member")
	c.Flags().StringVar(&export, "export", "", "folder for one file an epoch and task")
	return c
}

// settledEpochs computes every settlement again and holds the payouts that members got
// to it.
func settledEpochs(chain string, v ledger.View) (out []audit.Epoch, err error) {
	for _, st := range ledger.Settlements(v) {
		e, err := audit.NewEpoch(chain, &st)
		if err != nil {
			return out, err
		}
		for name, want := range e.Payouts {
			got, ok := ledger.PayoutOf(v, st.Epoch, st.Task, name)
			if !ok || audit.Payout(*got) != want {
				return out, fmt.Errorf("epoch %d: the ledger has paid %s otherwise than its settlement says", st.Epoch, name)
			}
		}
		out = append(out, e)
	}
	return out, nil
}

// exportEpochs writes one file an epoch and task.
func exportEpochs(dir string, epochs []audit.Epoch) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, e := range epochs {
		b, err := e.Append(nil)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d-%.12s.json", e.Epoch, e.Task)), b, 0o644)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func tellEpochs(w io.Writer, epochs []audit.Epoch) error {
	var members, paid int
	for _, e := range epochs {
		members += len(e.Payouts)
		paid += int(e.Pot + e.Paid.Debited - e.Paid.Carried)
		if _, err := fmt.Fprintf(w, "epoch %-6d task %.12s  pot %d  paid to %d members, %d carried: as computed again\n", e.Epoch, e.Task, e.Pot, len(e.Payouts), e.Paid.Carried); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "verified     %d settlements, %d payouts of %d credits, 0 differences\n", len(epochs), members, paid)
	return err
}
