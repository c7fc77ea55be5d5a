package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/commonseal/commonseal/clients"
	"github.com/commonseal/commonseal/cmd/commonseal/internal/home"
	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/audit"
)

// A growthAudit is what audit growth was asked: to write a file, or to verify one.
type growthAudit struct {
	chainAudit
	earlier, later, out string
	trusted             []string
}

func newAuditGrowth() *cobra.Command {
	var a growthAudit
	c := &cobra.Command{
		Use:   "growth (FILE | --from ARCHIVE --earlier CHECKPOINT --out FILE)",
		Short: "Prove that the log under one header begins with all of an earlier one's",
		Long: `Writes a file that shows that nothing was taken out of the log of transactions
between two blocks, changed or put in between; or verifies such a file, without a
network and without the ledger. Whoever verifies it trusts both headers:

  --trust    HEIGHT:HASH of both, twice, from somebody you trust
  --genesis  the founding file, if its validators signed both

Blocks to write it from are re-executed as audit chain does.`,
		Example: `  commonseal audit growth --from ledger.archive --earlier may.checkpoint --out may.growth
  commonseal audit growth may.growth --trust 120:41f0… --trust 9120:07ab…`,
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case len(args) > 1, len(args) == 1 && (a.from != "" || a.home != "" || a.earlier != "" || a.later != "" || a.out != ""):
				return &usageError{fmt.Sprintf("give a file to verify, or what to write it from; run %s --help", c.CommandPath())}
			case len(args) == 1:
				return a.verify(c, args[0])
			}
			if err := required(c, "earlier", "out"); err != nil {
				return err
			}
			if (a.from == "") == (a.home == "") {
				return &usageError{fmt.Sprintf("give either --from or --home; run %s --help", c.CommandPath())}
			}
			return a.write(c)
		},
	}
	c.Flags().SortFlags = false
	c.Flags().StringVar(&a.from, "from", "", "archive to read the blocks from")
	c.Flags().StringVar(&a.home, "home", "", "folder of a member, to fetch the blocks from its validators")
	c.Flags().StringVar(&a.earlier, "earlier", "", "file of audit checkpoint")
	c.Flags().StringVar(&a.later, "later", "", "another; the last block if not given")
	c.Flags().StringVar(&a.out, "out", "", "file to write")
	c.Flags().StringVar(&a.genesis, "genesis", "", "what the consortium was founded on, to verify")
	c.Flags().StringSliceVar(&a.trusted, "trust", nil, "HEIGHT:HASH of a block, from somebody you trust, to verify")
	return c
}

// write re-executes the ledger and keeps what shows how its log grew.
func (a *growthAudit) write(c *cobra.Command) error {
	earlier, err := readPoint(a.earlier)
	if err != nil {
		return err
	}
	var later audit.Point
	if a.later != "" {
		if later, err = readPoint(a.later); err != nil {
			return err
		}
	}
	find := a.read
	if a.home != "" {
		find = func(begin beginReplay) (*audit.Replay, ledger.Genesis, error) { return a.fetch(c.Context(), begin) }
	}
	r, _, err := find(func(g ledger.Genesis) (*audit.Replay, error) {
		r, err := audit.NewReplay(g)
		if err == nil {
			r.Grow(earlier, later)
		}
		return r, err
	})
	if err != nil {
		return err
	}
	receipt, err := r.Growth()
	if err != nil {
		return fmt.Errorf("from block %v: %w", earlier, err)
	}
	if later == (audit.Point{}) {
		later = r.Summary().Point
	}
	shown, err := audit.VerifyGrowthReceipt(receipt, audit.Points{earlier, later})
	if err != nil {
		return err
	}
	if err := os.WriteFile(a.out, receipt, 0o644); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(c.OutOrStdout(), "receipt      %s\n", a.out); err != nil {
		return err
	}
	return tellGrowth(c, shown)
}

// verify needs the file, and to be told whom to believe.
func (a *growthAudit) verify(c *cobra.Command, name string) error {
	var by audit.Trust
	said := ""
	switch {
	case (a.genesis == "") == (len(a.trusted) == 0):
		return &usageError{"give either --trust, of both headers, or --genesis"}
	case a.genesis != "":
		g, err := home.ReadGenesis(a.genesis)
		if err != nil {
			return err
		}
		if by, err = clients.Founders(g.Genesis); err != nil {
			return err
		}
		said = fmt.Sprintf("fingerprint  sha256:%x of %s\n", g.Fingerprint(), a.genesis)
	default:
		var points audit.Points
		for _, s := range a.trusted {
			p, err := audit.ParsePoint(s)
			if err != nil {
				return &usageError{"--trust: " + err.Error()}
			}
			points = append(points, p)
		}
		by = points
	}
	b, err := home.ReadSmall(name)
	if err != nil {
		return err
	}
	shown, err := audit.VerifyGrowthReceipt(b, by)
	if err != nil {
		return fmt.Errorf("%s does not verify: %w", name, err)
	}
	if err := tellGrowth(c, shown); err != nil {
		return err
	}
	_, err = fmt.Fprint(c.OutOrStdout(), said)
	return err
}

func tellGrowth(c *cobra.Command, g audit.Grown) error {
	_, err := fmt.Fprintf(c.OutOrStdout(), "verified     the log of chain %s has %d transactions before the later block, and begins with all %d before the earlier\nearlier      %v\nlater        %v\n",
		g.Chain, g.To, g.From, g.Earlier, g.Later)
	return err
}

// readPoint is the point of a checkpoint file.
func readPoint(name string) (audit.Point, error) {
	b, err := home.ReadSmall(name)
	if err != nil {
		return audit.Point{}, err
	}
	p, err := audit.PointOf(b)
	if err != nil {
		return p, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}
