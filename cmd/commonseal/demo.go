package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/commonseal/commonseal/cmd/commonseal/internal/demo"
)

// newDemo shows a federation of processes on this machine.
func newDemo() *cobra.Command {
	var o demo.Options
	var asJSON bool
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run a whole federation as separate processes, on this machine",
		Long: `Founds a consortium in a temporary folder and runs it as separate processes: four
validators of a ledger, two aggregators of different owners, the agents of the
companies, a model peer and a querier. They make a common key, bring rows, train,
serve and answer, by the same commands that a user would type. The report says what
the model is worth, what each role could see, and what it cost.

Nothing listens but on loopback, and nothing is left when it ends. With --keep it
goes on, and says what to try. With --rewards the consortium has credits as well:
the companies' agents rank the model on rows of their own, and are paid.`,
		Example: `  commonseal demo
  commonseal demo --companies 4 --local 2 --steps 5
  commonseal demo --data rows.csv --label churned --json | jq .answers.auc
  commonseal demo --rewards
  commonseal demo --keep`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if err := checkDemo(o); err != nil {
				return err
			}
			if o.Program, err = os.Executable(); err != nil {
				return err
			}
			progress := newProgress(c.ErrOrStderr(), asJSON)
			err = demo.Run(c.Context(), o, progress.stage, func(r *demo.Report) error {
				progress.close()
				if asJSON {
					return json.NewEncoder(c.OutOrStdout()).Encode(r)
				}
				err := r.Write(c.OutOrStdout())
				if err == nil && o.Keep {
					err = r.Try(c.OutOrStdout(), o.Program)
				}
				return err
			})
			progress.close()
			var dead *demo.DeadError
			if errors.As(err, &dead) {
				for _, line := range dead.Log {
					fmt.Fprintf(c.ErrOrStderr(), "%s: %s\n", dead.Name, line)
				}
			}
			return err
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&o.Data, "data", "", "table, numeric CSV with a header (default one that is built in)")
	f.StringVar(&o.Label, "label", "", "column to predict, with two distinct values")
	f.IntVar(&o.Companies, "companies", 3, "companies that hold the key, 2 to 32")
	f.IntVar(&o.Local, "local", 1, "how many of them keep their rows at home and send encrypted gradients")
	f.IntVar(&o.Steps, "steps", 10, "training steps, 1 to 1000")
	f.BoolVar(&o.Rewards, "rewards", false, "found credits too: agents rank the model, and a pot is paid in epochs of 5 s")
	f.BoolVar(&o.Keep, "keep", false, "go on until Ctrl-C and leave the folder; say what to try")
	f.BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

// checkDemo refuses what no demonstration can follow.
func checkDemo(o demo.Options) error {
	for _, flag := range []struct {
		wrong bool
		says  string
	}{
		{o.Data != "" && o.Label == "", "--label is missing; name the column to predict as --label COLUMN"},
		{o.Data == "" && o.Label != "", "--label goes with --data; give both, or neither for the table that is built in"},
		{o.Companies < minCompanies || o.Companies > maxCompanies, fmt.Sprintf("--companies is %d; give %d to %d", o.Companies, minCompanies, maxCompanies)},
		{o.Local < 0 || o.Local > o.Companies, fmt.Sprintf("--local is %d; give 0 to %d, the number of companies", o.Local, o.Companies)},
		{o.Steps < 1 || o.Steps > maxSteps, fmt.Sprintf("--steps is %d; give 1 to %d", o.Steps, maxSteps)},
	} {
		if flag.wrong {
			return &usageError{flag.says}
		}
	}
	return nil
}
