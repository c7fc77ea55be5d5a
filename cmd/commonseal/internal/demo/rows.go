package demo

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/commonseal/commonseal/docs/data"
	"github.com/commonseal/commonseal/federation/table"
)

const (
	seed         = 1 // of the split and the shards: those of simulate
	testFraction = 0.2
	// validation is the fraction of a company's rows that its agent sets aside.
	validation = 0.1
)

// A deal is a table dealt out to companies and a querier, in files.
type deal struct {
	name, label string
	rows        int
	table       table.Table
	columns     string   // file with the columns and their ranges, and no row of anybody
	companies   []string // files
	test        string   // file
	testRows    int
}

// dealOut reads a table, or the embedded one if file is "", and writes everybody's
// rows into a folder.
func dealOut(dir, file, label string, companies int) (*deal, error) {
	b, name := data.InfantMortality2014, data.Name
	if file != "" {
		var err error
		if b, err = os.ReadFile(file); err != nil {
			return nil, err
		}
		name = filepath.Base(file)
	} else if label == "" {
		label = data.Label
	}
	t, err := table.Read(bytes.NewReader(b), name, label)
	if err != nil {
		return nil, err
	}
	train, _, test, err := t.Split(testFraction, 0, seed)
	if err != nil {
		return nil, err
	}
	shards, err := train.Shard(companies, seed)
	if err != nil {
		return nil, err
	}
	records, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(records) != t.Len()+1 {
		return nil, fmt.Errorf("%s: %d records and %d rows", name, len(records)-1, t.Len()) // unreachable: both read the same
	}
	d := &deal{name: name, label: label, rows: t.Len(), table: t,
		columns: filepath.Join(dir, "columns.csv"), test: filepath.Join(dir, "test.csv"), testRows: test.Len()}
	errs := []error{writeColumns(d.columns, t.Schema()), writeRows(d.test, records, test)}
	for i, s := range shards {
		name := filepath.Join(dir, fmt.Sprintf("rows-%d.csv", i+1))
		d.companies = append(d.companies, name)
		errs = append(errs, writeRows(name, records, s))
	}
	return d, errors.Join(errs...)
}

// writeRows writes the records of a file that a table has, as they are there.
func writeRows(name string, records [][]string, t table.Table) error {
	out := [][]string{records[0]}
	for i := range t.Len() {
		out = append(out, records[1+t.Place(i)])
	}
	return writeCSV(name, out)
}

// writeColumns writes a file with a schema's columns that has nothing of a row:
// one record of least values and one of greatest.
func writeColumns(name string, s table.Schema) error {
	out := make([][]string, 3)
	add := func(name string, low, high float64) {
		for i, cell := range []string{name, strconv.FormatFloat(low, 'g', -1, 64), strconv.FormatFloat(high, 'g', -1, 64)} {
			out[i] = append(out[i], cell)
		}
	}
	for _, c := range s.Columns {
		add(c.Name, c.Min, c.Max)
	}
	add(s.Label, s.Negative, s.Positive)
	return writeCSV(name, out)
}

func writeCSV(name string, records [][]string) error {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	if err := w.WriteAll(records); err != nil {
		return err
	}
	return os.WriteFile(name, b.Bytes(), 0o600)
}
