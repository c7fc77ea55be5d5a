package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/commonseal/commonseal/clients"
	"github.com/commonseal/commonseal/cmd/commonseal/internal/home"
	"github.com/commonseal/commonseal/ledger"
)

// newUpgrade votes for the height of an upgrade.
func newUpgrade() *cobra.Command {
	var dir, release string
	var height int64
	var version uint64
	c := &cobra.Command{
		Use:   "upgrade --home DIR --version N --height H --release NAME",
		Short: "Vote for the block from which new rules hold",
		Long: `Votes that from a block on the ledger is of the next version: more than half of the
companies' owners set it, and may move it until it comes. A program that does not
know that version stops before that block and says which release to install; the
ledger goes on when more than two thirds of the validators run it. Install it
before, it knows both versions.`,
		Example: `  commonseal upgrade --home ann --version 2 --height 120000 --release v2.0.0`,
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := required(c, "home", "version", "height", "release"); err != nil {
				return err
			}
			return asMember(c.Context(), dir, func(ctx context.Context, _ *home.Home, client *clients.Client) error {
				if _, err := client.Record(ctx, &ledger.Upgrade{Version: version, Height: height, Release: release}); err != nil {
					return err
				}
				state := "not set yet; more than half of the companies' owners set it"
				if next, ok := ledger.NextUpgrade(client.View(), client.Height()); ok && next.Version == version && next.Height == height {
					state = "set"
				}
				_, err := fmt.Fprintf(c.OutOrStdout(), "upgrade      version %d at block %d with %s: %s\nnow          block %d, version %d\n",
					version, height, release, state, client.Height(), ledger.UpgradeAt(client.View(), client.Height()).Version)
				return err
			})
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&dir, "home", "", "home of a company")
	f.Uint64Var(&version, "version", 0, "of the rules: the next after the one in force")
	f.Int64Var(&height, "height", 0, "the first block by the new rules")
	f.StringVar(&release, "release", "", "of the program to install")
	return c
}
