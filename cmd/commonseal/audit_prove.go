package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/spf13/cobra"

	"github.com/commonseal/commonseal/clients"
	"github.com/commonseal/commonseal/cmd/commonseal/internal/home"
	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/audit"
)

func newAuditProve() *cobra.Command {
	var dir, out string
	c := &cobra.Command{
		Use:   "prove KIND PART... --home DIR --out FILE",
		Short: "Write the proof that a record is on the ledger, or that it is not",
		Long: `Asks the validators for a record of the state and its proof, verifies both, and
writes a receipt that audit receipt verifies ever after. That there is no such
record is proved just as well. Kinds of records and what they take:

  ` + strings.Join(ledger.RecordKinds(), "\n  "),
		Example: `  commonseal audit prove member carol --home ann --out carol.receipt
  commonseal audit prove contribution churn training bob --home ann --out bob.receipt`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return &usageError{fmt.Sprintf("give a kind of record; run %s --help", c.CommandPath())}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if err := required(c, "home", "out"); err != nil {
				return err
			}
			return asMember(c.Context(), dir, func(ctx context.Context, h *home.Home, client *clients.Client) error {
				key, err := ledger.RecordKey(h.Genesis.Chain, args[0], args[1:]...)
				if err != nil {
					return &usageError{err.Error()}
				}
				receipt, err := client.Prove(ctx, key)
				if err != nil {
					return err
				}
				r, err := ledger.ParseRecordReceipt(receipt)
				if err != nil {
					return err
				}
				if err := os.WriteFile(out, receipt, 0o644); err != nil {
					return err
				}
				what := "is"
				if r.Value == nil {
					what = "is not"
				}
				_, err = fmt.Fprintf(c.OutOrStdout(), "receipt      %s: %s %s on the ledger\n", out, strings.Join(args, " "), what)
				return err
			})
		},
	}
	c.Flags().SortFlags = false
	c.Flags().StringVar(&dir, "home", "", "folder of a member")
	c.Flags().StringVar(&out, "out", "", "file to write")
	return c
}

func newAuditCheckpoint() *cobra.Command {
	var light lightFlags
	var out string
	var height int64
	c := &cobra.Command{
		Use:   "checkpoint --home DIR --trust HEIGHT:HASH --out FILE",
		Short: "Write a later header that follows from one you trust",
		Long: `Follows headers from a trusted one, past changes of the validators, compares with
witnesses, and writes what audit receipt needs to verify receipts without a network.`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if err := required(c, "home", "trust", "out"); err != nil {
				return err
			}
			l, closeAll, err := light.open(c.Context())
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, closeAll()) }()
			find := l.Latest
			if height > 0 {
				find = func(ctx context.Context) (*audit.Trusted, error) { return l.At(ctx, height) }
			}
			t, err := find(c.Context())
			if err != nil {
				var d *audit.DivergenceError
				if errors.As(err, &d) {
					err = errors.Join(err, saveDivergence(d))
				}
				return err
			}
			b, err := t.Checkpoint()
			if err != nil {
				return err
			}
			if err := os.WriteFile(out, b, 0o644); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "checkpoint   %s: %v\n", out, t.Point())
			return err
		},
	}
	c.Flags().SortFlags = false
	light.add(c)
	c.Flags().Int64Var(&height, "height", 0, "of the header; the last if not given")
	c.Flags().StringVar(&out, "out", "", "file to write")
	return c
}

// fields prints a record, a field a line.
func fields(record any) string {
	v := reflect.Indirect(reflect.ValueOf(record))
	if v.Kind() != reflect.Struct {
		return fmt.Sprintf("value        %x\n", record)
	}
	var b strings.Builder
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.IsExported() {
			fmt.Fprintf(&b, "%-12s %s\n", strings.ToLower(f.Name), plainValue(v.Field(i)))
		}
	}
	return b.String()
}

// plainValue is a value for people: digests and bytes in hexadecimal.
func plainValue(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Array, reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return fmt.Sprintf("%x", v.Interface())
		}
		var parts []string
		for i := range v.Len() {
			parts = append(parts, plainValue(v.Index(i)))
		}
		return strings.Join(parts, " ")
	case reflect.Struct:
		var parts []string
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				parts = append(parts, plainValue(v.Field(i)))
			}
		}
		return "(" + strings.Join(parts, " ") + ")"
	case reflect.Pointer:
		if v.IsNil() {
			return "none"
		}
		return plainValue(v.Elem())
	}
	return fmt.Sprint(v.Interface())
}
