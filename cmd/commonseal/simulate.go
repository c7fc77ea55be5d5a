package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/commonseal/commonseal/federation/local"
	"github.com/commonseal/commonseal/federation/table"
)

// A simulation is what the flags of simulate ask for, checked.
type simulation struct {
	data, label  string
	companies    int
	local        int // of companies
	steps        int
	learningRate float64 // 0: by rule
	decay        float64
	columns      []string // that train; none: all
	derived      []string // columns, by their expressions
	test         float64
	seed         uint64
	json         bool

	audit      bool
	noise      int // deviation of each company's, 2^-noise; 0: none
	keepCopies bool
	shuffle    []int    // companies whose labels are shuffled
	copy       []string // "FROM:TO" as given
	copies     []local.CopyRows
}

// derivedHelp is what --derive means, wherever it is.
const derivedHelp = "a column computed of others: a*b, a^2, log1p(a) or a>c for columns a and b; may be given again"

// Bounds of the flags.
const (
	minCompanies, maxCompanies = 2, 32
	maxSteps                   = 1000
	maxTest                    = 0.5
	minNoise, maxNoise         = 6, 64
	maxAudited                 = 10
)

// A simulateFunc runs a federation on a table that has been read, tells how far
// it is, and returns what it measured.
type simulateFunc func(ctx context.Context, data *table.Table, s simulation, p *progress) (report, error)

// A report writes what was measured, for people or as one JSON object.
type report func(w io.Writer, json bool) error

// newSimulate reads and checks everything that can be wrong with the command
// line and the file before run does any work.
func newSimulate(run simulateFunc) *cobra.Command {
	var s simulation
	c := &cobra.Command{
		Use:   "simulate --data FILE.csv --label COLUMN",
		Short: "Run a whole federation on a table, in this process",
		Long: `Runs a whole federation on a table, in this process: the rows are dealt out to
companies that differ, keys are made by a ceremony, rows and gradients are
encrypted, a model is trained, valued and shared, and every test row is asked
under the querier's own key. The report says how far encrypted figures are
from the cleartext twin's. To compare them this process holds every key, which no deployment may.

Companies whose rows are a near-copy of an earlier company's are found under
encryption, one opened bit a pair, and earn nothing. With --audit every coalition
of up to 10 companies is trained in the clear, and values are ranked against the
exact Shapley values of training. --shuffle-labels and --copy are experiments: they
spoil companies' rows so that the report shows what such rows are worth.

The table is numeric CSV with a header and a label column of two values.`,
		Example: `  commonseal simulate --data rows.csv --label churned --companies 3 --local 1 --steps 10
  commonseal simulate --data rows.csv --label churned --lr 0.5 --seed 7
  commonseal simulate --data rows.csv --label churned --derive 'age*visits' --columns 'age,visits,age*visits' --decay 0.01
  commonseal simulate --data rows.csv --label churned --companies 5 --audit --shuffle-labels 4 --copy 2:5
  commonseal simulate --data rows.csv --label churned --json | jq .auc_encrypted`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return &usageError{fmt.Sprintf("unexpected argument %q; give the table as --data FILE.csv", args[0])}
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error {
			if err := s.check(c.Flags().Changed("lr")); err != nil {
				return err
			}
			data, err := table.Open(s.data, s.label, s.derived...)
			if err != nil {
				return err
			}
			progress := newProgress(c.ErrOrStderr(), s.json)
			progress.note("one process plays every role and holds every key, which no deployment may")
			write, err := run(c.Context(), &data, s, progress)
			progress.close()
			if err != nil {
				return err
			}
			return write(c.OutOrStdout(), s.json)
		},
	}
	s.flags(c)
	return c
}

// flags are those of the command.
func (s *simulation) flags(c *cobra.Command) {
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&s.data, "data", "", "table, numeric CSV with a header")
	f.StringVar(&s.label, "label", "", "column to predict, with two distinct values")
	f.IntVar(&s.companies, "companies", 3, "companies that hold the key, 2 to 32")
	f.IntVar(&s.local, "local", 0, "how many of them keep their rows at home and send encrypted gradients")
	f.IntVar(&s.steps, "steps", 10, "training steps, 1 to 1000")
	f.Float64Var(&s.learningRate, "lr", 0, "learning rate (default by rule)")
	f.Float64Var(&s.decay, "decay", 0, "strength of L2 regularisation: a step takes this times the learning rate off every weight but the constant's")
	f.StringSliceVar(&s.columns, "columns", nil, "columns that train, derived ones among them (default all)")
	f.StringArrayVar(&s.derived, "derive", nil, derivedHelp)
	f.Float64Var(&s.test, "test", 0.2, "fraction of the rows set aside for testing, up to 0.5")
	f.Uint64Var(&s.seed, "seed", 1, "seed of the split, the shards and the keys")
	f.BoolVar(&s.audit, "audit", false, "hold values against exact retraining, for up to 10 companies")
	f.IntVar(&s.noise, "noise", 18, "privacy noise on values: each company's deviation is 2^-noise of the unit they are opened in; 0 for none")
	f.BoolVar(&s.keepCopies, "keep-copies", false, "do not look for copies, and value them")
	f.IntSliceVar(&s.shuffle, "shuffle-labels", nil, "experiment: shuffle the labels of these companies, counted from 1")
	f.StringSliceVar(&s.copy, "copy", nil, "experiment: FROM:TO gives company TO the rows of company FROM")
	f.BoolVar(&s.json, "json", false, "print one JSON object")
}

// check refuses what no run can follow. Everything it says is about one flag.
func (s *simulation) check(learningRateGiven bool) error {
	for _, flag := range []struct {
		wrong bool
		says  string
	}{
		{s.data == "", "--data is missing; give the table as --data FILE.csv"},
		{s.label == "", "--label is missing; name the column to predict as --label COLUMN"},
		{s.companies < minCompanies || s.companies > maxCompanies, fmt.Sprintf("--companies is %d; give %d to %d", s.companies, minCompanies, maxCompanies)},
		{s.local < 0 || s.local > s.companies, fmt.Sprintf("--local is %d; give 0 to %d, the number of companies", s.local, s.companies)},
		{s.steps < 1 || s.steps > maxSteps, fmt.Sprintf("--steps is %d; give 1 to %d", s.steps, maxSteps)},
		{learningRateGiven && !(s.learningRate > 0 && !math.IsInf(s.learningRate, 0)), fmt.Sprintf("--lr is %v; give a number above 0, or leave it out for the rule", s.learningRate)},
		{!(s.decay >= 0 && !math.IsInf(s.decay, 0)), fmt.Sprintf("--decay is %v; give 0 or a number above it", s.decay)},
		{s.audit && s.companies > maxAudited, fmt.Sprintf("--audit trains every coalition of %d companies; give --companies 2 to %d", s.companies, maxAudited)},
		{s.noise != 0 && (s.noise < minNoise || s.noise > maxNoise), fmt.Sprintf("--noise is %d; give %d to %d, or 0 for none", s.noise, minNoise, maxNoise)},
		{!(s.test > 0 && s.test <= maxTest), fmt.Sprintf("--test is %v; give a fraction above 0 and up to %v", s.test, maxTest)},
	} {
		if flag.wrong {
			return &usageError{flag.says}
		}
	}
	return s.experiment()
}

// experiment reads the flags that spoil companies' rows.
func (s *simulation) experiment() error {
	for _, i := range s.shuffle {
		if i < 1 || i > s.companies {
			return &usageError{fmt.Sprintf("--shuffle-labels names company %d; give 1 to %d", i, s.companies)}
		}
	}
	for _, text := range s.copy {
		from, to, ok := strings.Cut(text, ":")
		of, err := strconv.Atoi(from)
		by, err2 := strconv.Atoi(to)
		if !ok || err != nil || err2 != nil || of == by || min(of, by) < 1 || max(of, by) > s.companies {
			return &usageError{fmt.Sprintf("--copy is %q; give FROM:TO, two different companies of 1 to %d", text, s.companies)}
		}
		s.copies = append(s.copies, local.CopyRows{Of: of, By: by})
	}
	return nil
}
