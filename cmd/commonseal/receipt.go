package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/commonseal/commonseal/clients"
	"github.com/commonseal/commonseal/ledger"
)

// writeReceipt finds the transaction of a contribution in the blocks that were
// followed, and writes the proof that the ledger has it.
func writeReceipt(ctx context.Context, c *cobra.Command, client *clients.Client, mine *ledger.Contribution, name string) error {
	receipt, err := client.Receipt(ctx, func(t ledger.Tx) bool {
		body, ok := t.Body.(*ledger.Contribute)
		return ok && body.Task == mine.Task && body.Use == mine.Use && body.Commitment == mine.Commitment
	})
	if err != nil {
		return err
	}
	if err := os.WriteFile(name, receipt, 0o644); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "receipt     %s: commonseal audit receipt %s --genesis genesis.json\n", name, name)
	return err
}
