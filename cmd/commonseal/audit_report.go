package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/commonseal/commonseal/cmd/commonseal/internal/home"
	auditpage "github.com/commonseal/commonseal/cmd/commonseal/internal/report"
)

// newAuditReport writes one page about the ledger.
func newAuditReport() *cobra.Command {
	var from stateFlags
	var out string
	c := &cobra.Command{
		Use:   "report (--home DIR | --from FILE) [--out DIR]",
		Short: "Write one page about contributions, payouts, training and the release budget",
		Long: `Re-executes the ledger and writes report.html, which loads nothing from anywhere,
and report.json with the same figures. For each job it says which steps those who
check evaluate again, and how likely a cheat in some of its steps is in none of
them.`,
		Example: `  commonseal audit report --from ledger.archive --out report`,
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if !from.one() {
				return &usageError{fmt.Sprintf("give either --home or --from; run %s --help", c.CommandPath())}
			}
			return from.read(c.Context(), func(s *state) error {
				r := auditpage.Of(s, home.RoleNames)
				r.Fingerprint, r.Height, r.Root, r.Transactions = fmt.Sprintf("%x", s.genesis.Fingerprint()), s.height, fmt.Sprintf("%x", s.root), s.transactions
				if err := writeReport(out, &r); err != nil {
					return err
				}
				_, err := fmt.Fprintf(c.OutOrStdout(), "wrote        %s and %s: height %d, root %s\n", filepath.Join(out, "report.html"), filepath.Join(out, "report.json"), r.Height, r.Root)
				return err
			})
		},
	}
	c.Flags().SortFlags = false
	from.add(c)
	c.Flags().StringVar(&out, "out", ".", "folder for report.html and report.json")
	return c
}

func writeReport(dir string, r *auditpage.Report) error {
	var page bytes.Buffer
	if err := r.WriteHTML(&page); err != nil {
		return err
	}
	figures, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return errors.Join(os.WriteFile(filepath.Join(dir, "report.html"), page.Bytes(), 0o644),
		os.WriteFile(filepath.Join(dir, "report.json"), append(figures, '\n'), 0o644))
}
