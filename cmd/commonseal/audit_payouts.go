package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/audit"
)

// readEpochs reads exported epochs, each computed again from its record.
func readEpochs(names []string) (epochs []audit.Epoch, err error) {
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		e, _, err := audit.ParseEpoch(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		epochs = append(epochs, e)
	}
	return epochs, nil
}

// newAuditPayouts computes every payment again.
func newAuditPayouts() *cobra.Command {
	var from stateFlags
	var export string
	c := &cobra.Command{
		Use:   "payouts (--home DIR | --from FILE | EPOCH...)",
		Short: "Compute every payout again from what was ranked, staked and valued",
		Long: `Computes every payment of every settled reward epoch again, from the inputs that
its settlement records, and compares it with what the ledger has; or does so
offline with exported epochs. --export writes one JSON file an epoch and task,
which docs/payouts.py computes again without any code of this program.`,
		Example: `  commonseal audit payouts --from ledger.archive --export epochs
  commonseal audit payouts epochs/*.json
  python3 docs/payouts.py epochs/*.json`,
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case len(args) > 0 && (from != stateFlags{} || export != ""), len(args) == 0 && !from.one():
				return &usageError{fmt.Sprintf("give --home, --from, or exported epochs; run %s --help", c.CommandPath())}
			case len(args) > 0:
				epochs, err := readEpochs(args)
				if err != nil {
					return err
				}
				return tellEpochs(c.OutOrStdout(), epochs)
			}
			return from.read(c.Context(), func(s *state) error {
				epochs, err := settledEpochs(s.genesis.Chain, s)
				if err == nil && export != "" {
					err = exportEpochs(export, epochs)
				}
				return errors.Join(err, tellEpochs(c.OutOrStdout(), epochs))
			})
		},
	}
	c.Flags().SortFlags = false
	from.add(c)
	c.Flags().StringVar(&export, "export", "", "folder for one file an epoch and task")
	return c
}

// settledEpochs computes every settlement again and holds the payouts that members got
// to it.
func settledEpochs(chain string, v ledger.View) (out []audit.Epoch, err error) {
	for _, st := range ledger.Settlements(v) {
		t, ok := ledger.TaskOf(v, st.Task)
		if !ok {
			return out, fmt.Errorf("epoch %d was settled for task %x, which the ledger has not", st.Epoch, st.Task[:6])
		}
		e, err := audit.NewEpoch(chain, t.Name, &st)
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
