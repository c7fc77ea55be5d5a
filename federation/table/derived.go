package table

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// An Operation makes a column of others. The numbers are part of a schema's
// canonical bytes.
type Operation uint8

const (
	Product Operation = 1 // a·b of two columns, "a*b"
	Square  Operation = 2 // a², "a^2"
	Log1p   Operation = 3 // ln(1+a) of a column that is nowhere negative, "log1p(a)"
	Above   Operation = 4 // 1 where a > c and 0 elsewhere, "a>c"
)

// A Derived is a column that everybody computes of others, before scaling: it is
// declared and never in a file.
type Derived struct {
	Operation Operation
	Of        int     // place of a in the schema's columns
	By        int     // place of b, after a's, in a product; else 0
	Threshold float64 // c of Above; else 0
}

// value is the column in a row of the schema's columns, unscaled.
func (d Derived) value(row []float64) float64 {
	x := row[d.Of]
	switch d.Operation {
	case Product:
		return x * row[d.By]
	case Square:
		return x * x
	case Log1p:
		return math.Log1p(x)
	}
	if x > d.Threshold {
		return 1
	}
	return 0
}

// derived is a derived column by name and range. The range is exactly that of the
// operation over the ranges of its operands: at their ends, and at 0 for a square.
func (s Schema) derived(d Derived) Column {
	a := s.Columns[d.Of]
	switch d.Operation {
	case Product:
		b := s.Columns[d.By]
		ends := []float64{a.Min * b.Min, a.Min * b.Max, a.Max * b.Min, a.Max * b.Max}
		return Column{a.Name + "*" + b.Name, slices.Min(ends), slices.Max(ends)}
	case Square:
		low, high := a.Min*a.Min, a.Max*a.Max
		if a.Min <= 0 && a.Max >= 0 {
			return Column{a.Name + "^2", 0, max(low, high)}
		}
		return Column{a.Name + "^2", min(low, high), max(low, high)}
	case Log1p:
		return Column{"log1p(" + a.Name + ")", math.Log1p(a.Min), math.Log1p(a.Max)}
	}
	return Column{a.Name + ">" + strconv.FormatFloat(d.Threshold, 'g', -1, 64), 0, 1}
}

// Features are the columns of a row in order: the schema's, then derived ones with
// their names and ranges.
func (s Schema) Features() []Column {
	out := slices.Clone(s.Columns)
	for _, d := range s.Derived {
		out = append(out, s.derived(d))
	}
	return out
}

// check refuses a derived column that some row within the ranges does not have,
// and one that is the same in all.
func (d Derived) check(s Schema) error {
	if d.Operation < Product || d.Operation > Above {
		return fmt.Errorf("schema: a derived column of operation %d; this version has %d to %d", d.Operation, Product, Above)
	}
	if d.Of < 0 || d.Of >= len(s.Columns) || d.By < 0 || d.By >= len(s.Columns) ||
		d.Operation == Product && d.By <= d.Of || d.Operation != Product && d.By != 0 || d.Operation != Above && d.Threshold != 0 {
		return errors.New("schema: a derived column of columns that are not there, or not in order; name columns of the schema, the earlier first")
	}
	a, c := s.Columns[d.Of], s.derived(d)
	switch {
	case d.Operation == Log1p && a.Min < 0:
		return fmt.Errorf("schema: column %s: %s goes down to %v, and negative values have no logarithm; agree on a range from 0", quote(c.Name), quote(a.Name), a.Min)
	case d.Operation == Above && !(a.Min <= d.Threshold && d.Threshold < a.Max):
		return fmt.Errorf("schema: column %s: %s goes from %v to %v, always on one side; choose a threshold inside", quote(c.Name), quote(a.Name), a.Min, a.Max)
	case !bounded(c.Min) || !bounded(c.Max):
		return fmt.Errorf("schema: column %s: range %v to %v, beyond ±%g; give a column in a larger unit", quote(c.Name), c.Min, c.Max, MaxAbs)
	}
	return nil
}

// A reading is what an expression may mean.
type reading struct {
	operation Operation
	of, by    string
	threshold float64
}

// readings are all of an expression: names of columns may have signs in them.
func readings(expression string) (out []reading) {
	for i, r := range expression {
		if r == '*' {
			out = append(out, reading{operation: Product, of: expression[:i], by: expression[i+1:]})
		}
	}
	if a, ok := strings.CutSuffix(expression, "^2"); ok {
		out = append(out, reading{operation: Square, of: a})
	}
	if a, ok := strings.CutPrefix(expression, "log1p("); ok && strings.HasSuffix(a, ")") {
		out = append(out, reading{operation: Log1p, of: a[:len(a)-1]})
	}
	if i := strings.LastIndex(expression, ">"); i >= 0 {
		if c, cause, _ := parseCell(expression[i+1:]); cause == "" {
			out = append(out, reading{operation: Above, of: expression[:i], threshold: c})
		}
	}
	return out
}

// Derivation is the derived column that an expression stands for: a*b, a^2,
// log1p(a) or a>c for columns a and b of the schema and a number c.
func (s Schema) Derivation(expression string) (Derived, error) {
	var found []Derived
	place := func(name string) int {
		return slices.IndexFunc(s.Columns, func(c Column) bool { return c.Name == strings.TrimSpace(name) })
	}
	unknown := ""
	for _, r := range readings(expression) {
		d := Derived{Operation: r.operation, Of: place(r.of), Threshold: r.threshold}
		if d.Of < 0 {
			unknown = r.of
			continue
		}
		if r.operation == Product {
			if d.By = place(r.by); d.By < 0 {
				unknown = r.by
				continue
			}
			d.Of, d.By = min(d.Of, d.By), max(d.Of, d.By)
		}
		found = append(found, d)
	}
	switch {
	case len(found) == 1 && found[0].Operation == Product && found[0].Of == found[0].By:
		return Derived{}, fmt.Errorf("%s is a column by itself; write %s", quote(expression), quote(s.Columns[found[0].Of].Name+"^2"))
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return Derived{}, fmt.Errorf("%s can be read in %d ways; rename a column", quote(expression), len(found))
	case unknown != "":
		return Derived{}, fmt.Errorf("%s: no column %s; %s", quote(expression), quote(strings.TrimSpace(unknown)), choose(unknown, s.Columns))
	}
	return Derived{}, fmt.Errorf("%s is no derived column; write a*b, a^2, log1p(a) or a>c with columns of the table", quote(expression))
}

// Pick finds features by name: their places in a row (1, x), rising; nil for all.
// A derived column goes by its expression, and has to be declared.
func (s Schema) Pick(names []string) ([]int, error) {
	features := s.Features()
	var out []int
	for _, name := range names {
		at := slices.IndexFunc(features, func(c Column) bool { return c.Name == strings.TrimSpace(name) })
		if d, err := s.Derivation(name); at < 0 && err == nil {
			if at = slices.Index(s.Derived, d); at < 0 {
				return nil, fmt.Errorf("column %s is not among the task's derived columns; %s", quote(name), choose(name, features))
			}
			at += len(s.Columns)
		}
		switch {
		case at < 0:
			return nil, fmt.Errorf("no column %s; %s", quote(name), choose(name, features))
		case slices.Contains(out, at+1):
			return nil, fmt.Errorf("column %s is named twice; name it once", quote(name))
		}
		out = append(out, at+1)
	}
	slices.Sort(out)
	if len(out) == len(features) {
		return nil, nil
	}
	return out, nil
}
