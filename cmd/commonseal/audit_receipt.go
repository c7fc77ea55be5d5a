package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/commonseal/commonseal/clients"
	"github.com/commonseal/commonseal/cmd/commonseal/internal/home"
	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/audit"
)

// A receiptAudit is what audit receipt was asked: one of three ways to know who
// signs.
type receiptAudit struct {
	lightFlags
	genesis, checkpoint string
}

func newAuditReceipt() *cobra.Command {
	var a receiptAudit
	c := &cobra.Command{
		Use:   "receipt FILE --genesis genesis.json",
		Short: "Verify that a transaction, or a record, is on the ledger",
		Long: `Verifies a receipt: more than two thirds of the validators signed a state that
contains the transaction, or in which a record is, or is not. Who they are says

  --genesis     the founding file, if they are the same still: no network, no key
  --checkpoint  a header that you trust by its --trust HEIGHT:HASH: likewise
  --home        the validators' doors: headers are followed from --trust on, past
                changes of the validators, and compared with witnesses

Compare fingerprint or hash with somebody you trust.`,
		Example: `  commonseal audit receipt churn.receipt --genesis genesis.json
  commonseal audit receipt churn.receipt --home ann --trust 120:41f0…`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return &usageError{fmt.Sprintf("give one receipt; run %s --help", c.CommandPath())}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return a.run(c, args[0]) },
	}
	c.Flags().SortFlags = false
	c.Flags().StringVar(&a.genesis, "genesis", "", "what the consortium was founded on")
	c.Flags().StringVar(&a.checkpoint, "checkpoint", "", "file of audit checkpoint")
	a.add(c)
	return c
}

func (a *receiptAudit) run(c *cobra.Command, name string) error {
	if a.home == "" && a.checkpoint == "" {
		if err := required(c, "genesis"); err != nil {
			return err
		}
	}
	b, err := home.ReadSmall(name)
	if err != nil {
		return err
	}
	var g *home.Genesis
	if a.genesis != "" {
		read, err := home.ReadGenesis(a.genesis)
		if err != nil {
			return err
		}
		g = &read
	}
	by, said, err := a.by(c.Context(), g, b)
	if err != nil {
		var d *audit.DivergenceError
		if errors.As(err, &d) {
			return errors.Join(err, saveDivergence(d))
		}
		return fmt.Errorf("%s does not verify: %w", name, err)
	}
	tell := tellEntry
	if ledger.IsRecordReceipt(b) {
		tell = tellRecord
	}
	if err := tell(c.OutOrStdout(), b, by, g); err != nil {
		return fmt.Errorf("%s does not verify: %w", name, err)
	}
	_, err = fmt.Fprintln(c.OutOrStdout(), said)
	return err
}

// by is who decides which headers are believed, and how people check that.
func (a *receiptAudit) by(ctx context.Context, g *home.Genesis, receipt []byte) (audit.Trust, string, error) {
	switch {
	case a.checkpoint != "":
		at, err := audit.ParsePoint(a.trust)
		if err != nil {
			return nil, "", &usageError{"--trust: " + err.Error()}
		}
		b, err := home.ReadSmall(a.checkpoint)
		if err != nil {
			return nil, "", err
		}
		t, err := audit.OpenCheckpoint(b, at)
		if err != nil {
			return nil, "", err
		}
		return t, fmt.Sprintf("trusted      block %v of chain %s", at, t.Chain()), nil
	case a.home != "":
		height, err := audit.HeightOf(receipt)
		if err != nil {
			return nil, "", err
		}
		l, closeAll, err := a.open(ctx)
		if err != nil {
			return nil, "", err
		}
		t, err := l.At(ctx, height)
		if err := errors.Join(err, closeAll()); err != nil {
			return nil, "", err
		}
		return t, fmt.Sprintf("trusted      block %v of chain %s, which follows from %s", t.Point(), t.Chain(), a.trust), nil
	}
	v, err := clients.Founders(g.Genesis)
	return v, fmt.Sprintf("fingerprint  sha256:%x of %s", g.Fingerprint(), a.genesis), err
}

// saveDivergence keeps two headers of one height: who signed both can be convicted.
func saveDivergence(d *audit.DivergenceError) error {
	for _, x := range []struct {
		who    string
		header []byte
	}{{d.Primary, d.First}, {d.Witness, d.Second}} {
		name := fmt.Sprintf("divergence-%d-%s.checkpoint", d.Height, x.who)
		if err := os.WriteFile(name, x.header, 0o644); err != nil {
			return err
		}
	}
	return fmt.Errorf("both headers are kept in divergence-%d-*.checkpoint", d.Height)
}

// tellEntry prints what the receipt of a transaction shows.
func tellEntry(out io.Writer, b []byte, by audit.Trust, g *home.Genesis) error {
	entry, err := audit.VerifyReceipt(b, by)
	if err != nil {
		return err
	}
	t, err := ledger.ParseTx(entry.Tx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "verified     transaction %d of chain %s, signed for by more than 2/3 of the validators\nrecorded     %s\nby           %s\n",
		entry.Index, t.Chain, describeBody(t.Body), signerOf(g, t.Sender))
	return err
}

// tellRecord prints what the receipt of a record shows.
func tellRecord(out io.Writer, b []byte, by audit.Trust, _ *home.Genesis) error {
	r, err := audit.VerifyRecord(b, by)
	if err != nil {
		return err
	}
	if r.Value == nil {
		_, err = fmt.Fprintf(out, "verified     the ledger has no record %q before block %d, signed for by more than 2/3 of the validators\n", r.Key, r.Height)
		return err
	}
	record, err := ledger.ParseRecord(r.Key, r.Value)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "verified     record %q before block %d, signed for by more than 2/3 of the validators\n%s", r.Key, r.Height, fields(record))
	return err
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
func signerOf(g *home.Genesis, key ledger.Key) string {
	if g != nil {
		for _, m := range g.Members {
			if m.Signing == key {
				return m.Name + " (" + m.Owner + ")"
			}
		}
	}
	return fmt.Sprintf("%x", key[:6])
}
