package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/commonseal/commonseal/federation/store"
	"github.com/commonseal/commonseal/ledger"
)

func newAuditBlobs() *cobra.Command {
	return &cobra.Command{
		Use:   "blobs DIR",
		Short: "Hash every blob that a node stores again",
		Long: `Reads the blobs in a folder, such as store/blobs of an aggregator's home, and
compares each with the digest that names it. Nothing is written, and the node may
run meanwhile.`,
		Example: `  commonseal audit blobs north/store/blobs`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return &usageError{fmt.Sprintf("give one folder; run %s --help", c.CommandPath())}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			var blobs, bytes int64
			var bad []error
			err := store.Verify(args[0], func(_ ledger.Digest, size int64, err error) {
				blobs, bytes = blobs+1, bytes+size
				if err != nil {
					bad = append(bad, err)
				}
			})
			if err != nil {
				return err
			}
			if len(bad) > 0 {
				return fmt.Errorf("%d of %d blobs are not what their digests say: %w", len(bad), blobs, errors.Join(bad...))
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "blobs        %d of %d bytes, each as its digest says\n", blobs, bytes)
			return err
		},
	}
}
