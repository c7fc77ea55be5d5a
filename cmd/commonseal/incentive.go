package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/commonseal/commonseal/incentive"
)

// newIncentive is about the rules of rankings and payment, without a ledger.
func newIncentive() *cobra.Command {
	c := &cobra.Command{
		Use:   "incentive",
		Short: "Check the arithmetic of rankings and payment",
		Args:  noArguments,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newIncentiveCheck())
	return c
}

func newIncentiveCheck() *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE…",
		Short: "Run files of vectors through the code that the ledger pays by",
		Long: `Runs every vector of the files: a line "ID pass" or "ID fail REASON" each, and
how many of both. A vector of a kind that is not known fails. The exit code is 0
if all passed.`,
		Example: `  commonseal incentive check yuma.json valuation.json`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return &usageError{fmt.Sprintf("give a file of vectors; run %s --help", c.CommandPath())}
			}
			return nil
		},
		RunE: checkVectors,
	}
}

// checkVectors reads all files before it says anything, so that a file that is
// none is all there is to read.
func checkVectors(c *cobra.Command, names []string) error {
	var results []incentive.Result
	for _, name := range names {
		found, err := checkFile(name)
		if err != nil {
			return err
		}
		results = append(results, found...)
	}
	failed := 0
	var out strings.Builder
	for _, r := range results {
		if r.Problem == "" {
			fmt.Fprintf(&out, "%s pass\n", r.ID)
			continue
		}
		failed++
		fmt.Fprintf(&out, "%s fail %s\n", r.ID, strings.ReplaceAll(r.Problem, "\n", "; "))
	}
	fmt.Fprintf(&out, "%d passed, %d failed\n", len(results)-failed, failed)
	if _, err := c.OutOrStdout().Write([]byte(out.String())); err != nil {
		return err
	}
	if failed > 0 {
		return errSaid
	}
	return nil
}

func checkFile(name string) ([]incentive.Result, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	results, err := incentive.CheckVectors(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return results, nil
}
