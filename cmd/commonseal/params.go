package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/commonseal/commonseal/he"
)

// newParams prints the production profiles and how they were derived.
func newParams() *cobra.Command {
	return &cobra.Command{
		Use:     "params",
		Short:   "Print the encryption parameters and their derivation",
		Example: "  commonseal params",
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			p := he.Standard()
			_, err := fmt.Fprint(c.OutOrStdout(), p.Train.Derivation(), "\n", p.Release.Derivation(), "\n", p.Serve.Derivation())
			return err
		},
	}
}
