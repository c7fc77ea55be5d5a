package table

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Open reads the file at path as [Read] does.
func Open(path, label string, derived ...string) (Table, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Table{}, &CellError{File: path, Cause: "no such file", Fix: "check the path"}
	}
	if err != nil {
		return Table{}, unreadable(path, 0, err)
	}
	defer f.Close() // read only: nothing to lose
	return Read(f, path, label, derived...)
}

// Read reads CSV from r; name stands for the file in errors. The column named
// label has exactly two distinct values, the larger the positive class; every
// other column is a feature, in file order, scaled from its own least and
// greatest value. Columns derived of them, as [Schema.Derivation] reads them, come
// after.
//
// It keeps 8 bytes a value. Every refusal of what the file holds is a
// [*CellError].
func Read(r io.Reader, name, label string, derived ...string) (Table, error) {
	in := newReader(r, name, Schema{Label: label})
	in.expressions = derived
	return in.all()
}

// Read reads CSV from r under a declared schema. The file has the schema's
// columns in any order and no others; a value outside its declared range is
// refused. Rows come out in the schema's order of columns.
func (s Schema) Read(r io.Reader, name string) (Table, error) {
	if err := s.Check(); err != nil {
		return Table{}, err
	}
	return newReader(r, name, s).all()
}

// ReadQuestions reads rows that are asked about, as [Schema.Read] does but for their
// labels: what the file has in a column of the label's name, if it has one, is not
// looked at, and every row is of the negative class.
func (s Schema) ReadQuestions(r io.Reader, name string) (Table, error) {
	if err := s.Check(); err != nil {
		return Table{}, err
	}
	in := newReader(r, name, s)
	in.unlabelled = true
	return in.all()
}

// A reader is one pass over a file. A schema without columns is computed.
type reader struct {
	file       string
	csv        *csv.Reader
	declared   bool
	unlabelled bool // labels are not looked at
	schema     Schema

	expressions []string // of derived columns, unless they are declared
	names       []string // of the header
	place       []int    // column of the schema of each field; -1 for the label

	line   int // of the last record
	row    []float64
	values []float64
	class  []int8    // index into seen, by row
	seen   []float64 // distinct label values, in order of appearance
}

func newReader(r io.Reader, name string, s Schema) *reader {
	buffered := bufio.NewReaderSize(r, 1<<16)
	if bom, _ := buffered.Peek(3); string(bom) == "\uFEFF" {
		_, _ = buffered.Discard(3) // just peeked
	}
	c := csv.NewReader(buffered)
	c.ReuseRecord, c.FieldsPerRecord, c.TrimLeadingSpace = true, -1, true
	in := &reader{file: name, csv: c, declared: len(s.Columns) > 0, schema: s}
	if in.declared {
		in.schema.Columns = slices.Clone(s.Columns)
		in.seen = []float64{s.Negative, s.Positive}
	}
	return in
}

// all is the table of all records.
func (in *reader) all() (Table, error) {
	if err := in.header(); err != nil {
		return Table{}, err
	}
	for {
		record, err := in.next()
		if errors.Is(err, io.EOF) {
			return in.finish()
		}
		if err == nil {
			err = in.add(record)
		}
		if err != nil {
			return Table{}, err
		}
	}
}

// next is the next record that is not a blank line.
func (in *reader) next() ([]string, error) {
	for {
		record, err := in.csv.Read()
		if errors.Is(err, io.EOF) {
			return nil, io.EOF
		}
		if err != nil {
			return nil, in.malformed(err)
		}
		in.line, _ = in.csv.FieldPos(0)
		if len(record) > 1 || strings.TrimSpace(record[0]) != "" {
			return record, nil
		}
	}
}

func (in *reader) malformed(err error) error {
	var parse *csv.ParseError
	if !errors.As(err, &parse) {
		return unreadable(in.file, in.line, err)
	}
	return &CellError{File: in.file, Row: parse.Line, Cause: `a quote (") out of place`,
		Fix: `quote the whole cell and double the quotes inside it, or remove them`}
}

func unreadable(file string, line int, err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err // the line begins with the file's name already
	}
	return &CellError{File: file, Row: line, Cause: "cannot be read (" + err.Error() + ")", Fix: "check the file and its permissions"}
}

// add parses a record into values and class.
func (in *reader) add(record []string) error {
	if len(record) != len(in.names) {
		return &CellError{File: in.file, Row: in.line,
			Cause: fmt.Sprintf("%d cells, but the header has %d", len(record), len(in.names)),
			Fix:   "give every column one cell, with a point and not a comma in decimals"}
	}
	for i, cell := range record {
		if in.unlabelled && in.place[i] < 0 {
			continue
		}
		x, cause, fix := parseCell(cell)
		if cause == "" {
			cause, fix = in.accept(in.place[i], x)
		}
		if cause != "" {
			line, _ := in.csv.FieldPos(i)
			return &CellError{File: in.file, Row: line, Column: in.names[i], Cause: cause, Fix: fix}
		}
	}
	if in.unlabelled {
		in.class = append(in.class, 0) // of seen: the negative class
	}
	if err := in.deriveRow(); err != nil {
		return err
	}
	in.values = append(in.values, in.row...)
	return nil
}

// deriveRow computes the derived columns of the row.
func (in *reader) deriveRow() error {
	for i, d := range in.schema.Derived {
		x, a := d.value(in.row), in.row[d.Of]
		switch name := in.schema.derived(d).Name; {
		case d.Operation == Log1p && a < 0:
			return &CellError{File: in.file, Row: in.line, Column: in.schema.Columns[d.Of].Name,
				Cause: fmt.Sprintf("%v is negative, but derived column %s takes its logarithm", a, quote(name)), Fix: "correct it, remove the row, or leave the derived column out"}
		case !bounded(x):
			return &CellError{File: in.file, Row: in.line, Column: name,
				Cause: fmt.Sprintf("the derived value %v is beyond ±%g", x, MaxAbs), Fix: "give a column in a larger unit, or leave the derived column out"}
		}
		in.row[len(in.schema.Columns)+i] = x
	}
	return nil
}

// parseCell is the number in a cell, or why it has none and what to do.
func parseCell(cell string) (x float64, cause, fix string) {
	cell = strings.TrimSpace(cell)
	if cell == "" {
		return 0, "the cell is empty", "fill it in or remove the row"
	}
	x, err := strconv.ParseFloat(cell, 64)
	switch {
	case err == nil && x == 0:
		return 0, "", "" // -0 is the same number
	case err == nil && bounded(x):
		return x, "", ""
	case err == nil && (x != x || !strings.ContainsAny(cell, "0123456789")):
		return 0, quote(cell) + " is not a finite number", "replace it or remove the row"
	case err == nil || errors.Is(err, strconv.ErrRange):
		return 0, fmt.Sprintf("%s is beyond ±%g", quote(cell), MaxAbs), "correct it, or give the column in a larger unit"
	default:
		return 0, quote(cell) + " is not a number", "replace it by a number or remove the row"
	}
}

// accept puts a value in its place, or says why not.
func (in *reader) accept(place int, x float64) (cause, fix string) {
	if place < 0 {
		return in.acceptLabel(x)
	}
	in.row[place] = x
	c := &in.schema.Columns[place]
	switch {
	case in.declared && (x < c.Min || x > c.Max):
		return fmt.Sprintf("%v is outside the declared range %v to %v", x, c.Min, c.Max),
			"correct it, remove the row, or agree on a wider range"
	case in.declared:
	case len(in.values) == 0: // the first row
		c.Min, c.Max = x, x
	default:
		c.Min, c.Max = min(c.Min, x), max(c.Max, x)
	}
	return "", ""
}

func (in *reader) acceptLabel(x float64) (cause, fix string) {
	at := slices.Index(in.seen, x) // both are seen from the start if declared
	if at < 0 && in.declared {
		return fmt.Sprintf("label %v is neither %v nor %v", x, in.schema.Negative, in.schema.Positive),
			"use the schema's two values"
	}
	if at < 0 && len(in.seen) == 2 {
		return fmt.Sprintf("a third label value %v after %v and %v", x, in.seen[0], in.seen[1]),
			"this version trains binary classification: keep two values"
	}
	if at < 0 {
		at, in.seen = len(in.seen), append(in.seen, x)
	}
	in.class = append(in.class, int8(at))
	return "", ""
}

// finish maps labels to ±1, scales in place and refuses a single class.
func (in *reader) finish() (Table, error) {
	if len(in.class) == 0 {
		return Table{}, &CellError{File: in.file, Row: in.line, Cause: "no rows after the header", Fix: "add rows of both classes"}
	}
	s := &in.schema
	if !in.declared {
		s.Negative, s.Positive = slices.Min(in.seen), slices.Max(in.seen)
	}
	if first := in.class[0]; !in.unlabelled && !slices.ContainsFunc(in.class, func(c int8) bool { return c != first }) {
		return Table{}, &CellError{File: in.file, Row: in.line, Column: s.Label,
			Cause: fmt.Sprintf("every row has the same label %v", in.seen[first]), Fix: "add rows of the other class"}
	}
	for i, at := range in.class {
		in.class[i] = -1
		if in.seen[at] == s.Positive {
			in.class[i] = 1
		}
	}
	if len(s.Derived) > 0 { // of which some take ranges that only all rows have
		if err := s.Check(); err != nil {
			cause, fix, _ := strings.Cut(strings.TrimPrefix(err.Error(), "schema: "), "; ")
			return Table{}, &CellError{File: in.file, Row: in.line, Cause: cause, Fix: fix}
		}
	}
	features := s.Features()
	for i, x := range in.values {
		in.values[i] = features[i%len(features)].Scale(x)
	}
	rows := make([]int, len(in.class))
	for i := range rows {
		rows[i] = i
	}
	return Table{rows: rows, source: &source{file: in.file, lastLine: in.line, schema: *s, values: in.values, labels: in.class}}, nil
}
