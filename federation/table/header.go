package table

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// header reads the names and finds each column's place in the schema.
func (in *reader) header() error {
	in.line = 1
	record, err := in.next()
	if errors.Is(err, io.EOF) {
		return &CellError{File: in.file, Row: 1, Cause: "the file is empty", Fix: "begin with a line of column names, then one row a line"}
	}
	if err != nil {
		return err
	}
	in.names = make([]string, len(record)) // the record is reused
	for i, cell := range record {
		in.names[i] = strings.Clone(strings.TrimSpace(cell))
	}
	if err := in.checkNames(); err != nil {
		return err
	}
	if in.declared {
		err = in.placeDeclared()
	} else {
		err = in.placeComputed()
	}
	if err == nil {
		err = in.derive()
	}
	in.row = make([]float64, len(in.schema.Columns)+len(in.schema.Derived))
	return err
}

// derive adds the derived columns that were asked for.
func (in *reader) derive() error {
	for _, expression := range in.expressions {
		d, err := in.schema.Derivation(expression)
		if err != nil {
			cause, fix, _ := strings.Cut(err.Error(), "; ")
			return in.refuseHeader("", "derived column "+cause, fix)
		}
		in.schema.Derived = append(in.schema.Derived, d)
	}
	return nil
}

// refuseHeader is an error about the header.
func (in *reader) refuseHeader(column, cause, fix string) error {
	return &CellError{File: in.file, Row: in.line, Column: column, Cause: cause, Fix: fix}
}

func (in *reader) checkNames() error {
	for i, name := range in.names {
		switch {
		case !utf8.ValidString(name) || strings.ContainsRune(name, 0):
			return in.refuseHeader("", "the header is not UTF-8 text", "export the table as CSV in UTF-8")
		case name == "":
			return in.refuseHeader("", fmt.Sprintf("column %d has no name", i+1), "name it or remove it")
		case len(name) > maxName:
			return in.refuseHeader(name, fmt.Sprintf("a name of %d bytes", len(name)), fmt.Sprintf("shorten it to %d", maxName))
		}
		if first := slices.Index(in.names, name); first < i {
			return in.refuseHeader(name, fmt.Sprintf("columns %d and %d have the same name", first+1, i+1), "rename or remove one")
		}
	}
	n := len(in.names)
	if slices.Contains(in.names, in.schema.Label) {
		n--
	} else if !in.unlabelled {
		return in.missing("label column", in.schema.Label)
	}
	switch {
	case n == 0:
		return in.refuseHeader("", "there is no column beside the label", "add at least one feature column")
	case n > MaxColumns:
		return in.refuseHeader("", fmt.Sprintf("%d feature columns", n), fmt.Sprintf("keep at most %d", MaxColumns))
	}
	return nil
}

// missing names a column that is not there, those that are, and the likeliest.
func (in *reader) missing(kind, name string) error {
	columns := make([]Column, len(in.names))
	for i, n := range in.names {
		columns[i].Name = n
	}
	fix := choose(name, columns)
	if len(in.names) == 1 && strings.ContainsAny(in.names[0], ";\t|") {
		fix = "there is one column " + quote(in.names[0]) + ": separate columns by commas"
	}
	return in.refuseHeader("", "no "+kind+" "+quote(name), fix)
}

// choose says which columns there are instead, the likeliest first.
func choose(name string, columns []Column) string {
	const shown = 30
	var all, quoted []string
	for _, c := range columns {
		all = append(all, c.Name)
	}
	for _, n := range all[:min(shown, len(all))] {
		quoted = append(quoted, quote(n))
	}
	if more := len(all) - shown; more > 0 {
		quoted = append(quoted, fmt.Sprintf("and %d more", more))
	}
	fix := "choose one of " + strings.Join(quoted, ", ")
	if near := nearest(name, all); near != "" {
		fix = "did you mean " + quote(near) + "? " + fix
	}
	return fix
}

// placeComputed makes every column but the label a feature, in file order.
func (in *reader) placeComputed() error {
	for _, name := range in.names {
		if name == in.schema.Label {
			in.place = append(in.place, -1)
			continue
		}
		in.place = append(in.place, len(in.schema.Columns))
		in.schema.Columns = append(in.schema.Columns, Column{Name: name})
	}
	return nil
}

// placeDeclared finds each column of the file in the schema, and all of it.
func (in *reader) placeDeclared() error {
	place := map[string]int{in.schema.Label: -1}
	for i, c := range in.schema.Columns {
		place[c.Name] = i
		if !slices.Contains(in.names, c.Name) {
			return in.missing("column", c.Name)
		}
	}
	for _, name := range in.names {
		at, ok := place[name]
		if !ok {
			return in.refuseHeader(name, "not in the agreed schema", "remove the column or agree on a schema that has it")
		}
		in.place = append(in.place, at)
	}
	return nil
}

// nearest is the name most like want, or "" if none is near: fewest edits,
// letter case aside, and fewer than half of want's letters.
func nearest(want string, names []string) string {
	want = strings.ToLower(want)
	best, least := "", (utf8.RuneCountInString(want)+1)/2
	for _, name := range names {
		if n := edits(want, strings.ToLower(name)); n < least {
			best, least = name, n
		}
	}
	return best
}

// edits is the Levenshtein distance.
func edits(a, b string) int {
	to := []rune(b)
	row := make([]int, len(to)+1)
	for j := range row {
		row[j] = j
	}
	for _, x := range a {
		diagonal := row[0]
		row[0]++
		for j, y := range to {
			replace := diagonal
			if x != y {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(to)]
}
