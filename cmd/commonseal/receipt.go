package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/commonseal/commonseal/clients"
	"github.com/commonseal/commonseal/cmd/commonseal/internal/home"
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

// newAudit verifies without anybody's permission.
func newAudit() *cobra.Command {
	c := &cobra.Command{
		Use:   "audit",
		Short: "Verify what the ledger says",
		Args:  noArguments,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newAuditReceipt(), newAuditStep(), newAuditFraud())
	return c
}

func newAuditReceipt() *cobra.Command {
	var genesis string
	c := &cobra.Command{
		Use:   "receipt FILE --genesis genesis.json",
		Short: "Verify offline that a transaction is on the ledger",
		Long: `Verifies a receipt without a network and without a key: more than two thirds of
the validators that genesis.json names signed a state that contains the
transaction. Compare the fingerprint of genesis.json with somebody you trust.`,
		Example: `  commonseal audit receipt churn.receipt --genesis genesis.json`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return &usageError{fmt.Sprintf("give one receipt; run %s --help", c.CommandPath())}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if err := required(c, "genesis"); err != nil {
				return err
			}
			g, err := home.ReadGenesis(genesis)
			if err != nil {
				return err
			}
			b, err := home.ReadSmall(args[0])
			if err != nil {
				return err
			}
			entry, err := clients.VerifyReceipt(b, g.Genesis)
			if err != nil {
				return fmt.Errorf("%s does not verify: %w", args[0], err)
			}
			t, err := ledger.ParseTx(entry.Tx)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "verified     transaction %d of chain %s, signed for by more than 2/3 of %d validators\nrecorded     %s\nby           %s\nfingerprint  sha256:%x of %s\n",
				entry.Index, g.Chain, len(g.Validators()), describeBody(t.Body), signerOf(g.Genesis, t.Sender), g.Fingerprint(), genesis)
			return err
		},
	}
	c.Flags().StringVar(&genesis, "genesis", "", "what the consortium was founded on")
	return c
}

// describeBody says what a transaction records, for people.
func describeBody(b ledger.Body) string {
	switch b := b.(type) {
	case *ledger.Contribute:
		return fmt.Sprintf("a contribution of %d rows to task %x, manifest %x, commitment %x", b.Rows, b.Task[:6], b.Manifest[:6], b.Commitment[:6])
	case *ledger.StepRecord:
		return fmt.Sprintf("step %d of job %x, record %x", b.Step, b.Job[:6], b.Digest())
	case *ledger.ModelRecord:
		return fmt.Sprintf("model %x of job %x", b.Model(), b.Job[:6])
	default:
		return fmt.Sprintf("%T", b)
	}
}

// signerOf is the founding member that signs with a key.
func signerOf(g ledger.Genesis, key ledger.Key) string {
	for _, m := range g.Members {
		if m.Signing == key {
			return m.Name + " (" + m.Owner + ")"
		}
	}
	return fmt.Sprintf("%x", key[:6])
}
