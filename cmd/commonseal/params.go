package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/multiparty"
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
			// What four companies' values of 32 columns and three steps by each of them are released with.
			flooding := multiparty.Flooding{Terms: 3, Width: 32, LogA: 3, LogB: 3, Directions: 4}
			_, err := fmt.Fprint(c.OutOrStdout(), p.Train.Derivation(), "\n", p.Release.Derivation(), "\n", p.Serve.Derivation(), "\n", flooding.Derivation(p.Release, 4))
			return err
		},
	}
}
