package demo

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/commonseal/commonseal/cmd/commonseal/internal/home"
	"github.com/commonseal/commonseal/federation/table"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/circuit"
	"github.com/commonseal/commonseal/ledger"
	"gonum.org/v1/gonum/floats"
)

// follow begins to follow the ledger until ctx ends.
func (r *run) follow(ctx context.Context, parts *sync.WaitGroup, fail context.CancelCauseFunc) {
	if err := r.openLedger(); err != nil {
		fail(err)
		return
	}
	parts.Go(func() {
		if err := r.ledger.Run(ctx); err != nil && ctx.Err() == nil {
			fail(err)
		}
		if err := r.ledger.Close(); err != nil {
			fail(err)
		}
	})
}

// compare computes in the clear what was computed under encryption, from the
// files that were dealt out.
func (r *run) compare() error {
	training, checking, err := r.split()
	if err != nil {
		return err
	}
	test, err := r.rows.read(r.rows.test)
	if err != nil {
		return err
	}
	columns := r.rows.table.Columns() + 1
	twin := circuit.Twin{LearningRate: circuit.LearningRate(columns, r.Steps), Steps: r.Steps, Columns: columns}
	trained := twin.Train(training)
	questions := rowsOf(test, table.Table.AppendRow)
	scores := circuit.Scores(trained.Weights, questions)
	exact := twin
	exact.Exact = true
	auc := func(w []float64) float64 { return table.AUC(circuit.Scores(w, questions), test.Labels()) }

	out := r.report
	out.File, out.Label, out.Rows, out.Columns, out.TestRows = r.rows.name, r.rows.label, r.rows.rows, columns-1, r.rows.testRows
	out.LearningRate = twin.LearningRate
	out.AUCTwin, out.AUCPlaintext = auc(trained.Weights), auc(exact.Train(training).Weights)
	out.AnswerError = floats.Distance(out.Answers.Margins, scores, math.Inf(1))
	values, err := r.values(twin, trained, training, checking)
	if err != nil {
		return err
	}
	for i := range r.Companies {
		alone := exact.Train(training[i : i+1])
		out.SoloAUC = append(out.SoloAUC, auc(alone.Weights))
		if i < len(out.Trained.Values) {
			out.ValueError = max(out.ValueError, math.Abs(out.Trained.Values[i].Value-values[i]))
		}
	}
	return nil
}

// values are what evaluators agree on in the clear, before anything is rounded for
// the ledger.
func (r *run) values(twin circuit.Twin, trained circuit.Trained, training, checking []he.Rows) ([]float64, error) {
	var owners []string
	var rows, evaluators []int
	for i, z := range checking {
		owners, rows = append(owners, company(i, r.Companies)), append(rows, z.Len())
		if z.Len() > 0 {
			evaluators = append(evaluators, i)
		}
	}
	panel := he.NewPanel(he.Standard().Release, he.WidthFor(twin.Columns), rows)
	apart := make([]float64, len(panel.Evaluators)*len(owners))
	for t := range r.Steps {
		if circuit.ValuedSteps(r.Steps)[t] {
			floats.Add(apart, twin.Values(trained.Points[t], twin.Interval(t), panel, training, checking))
		}
	}
	found := make([]int64, len(apart))
	for k, v := range apart {
		found[k] = int64(math.Round(math.Ldexp(v, ledger.LogUnit)))
	}
	agreed, err := ledger.Agree(found, owners, evaluators, slices.Repeat([]uint64{1}, len(evaluators)))
	out := make([]float64, len(agreed))
	for i, v := range agreed {
		out[i] = math.Ldexp(float64(v), -ledger.LogUnit)
	}
	return out, err
}

// split sets the rows aside that each agent does: by its home's secret, which
// nobody else has outside of a demonstration.
func (r *run) split() (training, checking []he.Rows, err error) {
	id := ledger.TaskID(task, task)
	for i, file := range r.rows.companies {
		rows, err := r.rows.read(file)
		if err != nil {
			return nil, nil, err
		}
		root, err := home.Seed(r.path(company(i, r.Companies)))
		if err != nil {
			return nil, nil, err
		}
		own := he.Seed(root).Derive("agent/split", id[:])
		train, check, _, err := rows.Split(0, validation, binary.BigEndian.Uint64(own[:]))
		if err != nil {
			return nil, nil, err
		}
		training = append(training, rowsOf(train, table.Table.AppendSigned))
		checking = append(checking, rowsOf(check, table.Table.AppendSigned))
	}
	return training, checking, nil
}

// read reads one of the files under the schema of all.
func (d *deal) read(name string) (table.Table, error) {
	f, err := os.Open(name)
	if err != nil {
		return table.Table{}, err
	}
	defer f.Close() // read only: nothing to lose
	return d.table.Schema().Read(f, name)
}

func rowsOf(t table.Table, add func(t table.Table, dst []float64, i int) []float64) he.Rows {
	out := he.Rows{Columns: t.Columns() + 1}
	for i := range t.Len() {
		out.Values = add(t, out.Values, i)
	}
	return out
}

// takeStock measures what everybody has by now.
func (r *run) takeStock() error {
	var err error
	if r.report.Transactions, r.report.LedgerBytes, err = r.ledger.Recorded(); err != nil {
		return err
	}
	r.report.Blocks = r.ledger.Height()
	for _, p := range append(r.cast, part{name: querier, role: "querier"}) {
		s := Stock{Name: p.name, Role: p.role}
		if s.Records, err = folderSize(filepath.Join(r.path(p.name), "ledger"), filepath.Join(r.path(p.name), "chain")); err != nil {
			return err
		}
		if s.Store, err = folderSize(filepath.Join(r.path(p.name), "store")); err != nil {
			return err
		}
		r.report.Stocks = append(r.report.Stocks, s)
	}
	return nil
}

// folderSize is what folders take on the disk; those that are not there nothing.
func folderSize(dirs ...string) (sum int64, err error) {
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			info, err := entry.Info()
			if err == nil {
				sum += stored(info)
			}
			return err
		})
		// Processes run, and files come and go.
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, fmt.Errorf("take stock: %w", err)
		}
	}
	return sum, nil
}
