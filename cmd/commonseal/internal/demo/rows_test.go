package demo

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Every row of the file goes to one company or to the querier, as it was written,
// and the file of columns says of them what the whole table does.
func TestDealOut(t *testing.T) {
	const file = "../../../../docs/data/edinburgh_mi.csv"
	d, err := dealOut(t.TempDir(), file, "mi", 3)
	if err != nil {
		t.Fatal(err)
	}
	lines := func(name string) []string {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSpace(strings.ReplaceAll(string(b), "\r", "")), "\n")
	}
	want := lines(file)
	header := want[0]
	var got []string
	for _, name := range append(slices.Clone(d.companies), d.test) {
		l := lines(name)
		if l[0] != header {
			t.Errorf("%s: header %q", name, l[0])
		}
		if !slices.ContainsFunc(l[1:], func(row string) bool { return strings.HasSuffix(row, ",0") }) ||
			!slices.ContainsFunc(l[1:], func(row string) bool { return strings.HasSuffix(row, ",1") }) {
			t.Errorf("%s lacks a class", name)
		}
		if _, err := d.read(name); err != nil {
			t.Error(err)
		}
		got = append(got, l[1:]...)
	}
	want = slices.Sorted(slices.Values(want[1:]))
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%d rows dealt out, of %d", len(got), len(want))
	}
	columns, err := d.read(d.columns)
	if err != nil || columns.Len() != 2 || d.rows != len(want) || len(d.companies) != 3 {
		t.Errorf("%d rows, %d companies, columns of %d rows: %v", d.rows, len(d.companies), columns.Len(), err)
	}
	// The same again is the same.
	again, err := dealOut(t.TempDir(), file, "mi", 3)
	if err != nil || !slices.Equal(lines(again.test), lines(d.test)) {
		t.Errorf("dealt out again, it differs: %v", err)
	}
}

func TestDealOutRefuses(t *testing.T) {
	if _, err := dealOut(t.TempDir(), filepath.Join(t.TempDir(), "none.csv"), "y", 3); !os.IsNotExist(err) {
		t.Errorf("no file: %v", err)
	}
	if _, err := dealOut(t.TempDir(), "../../../../docs/data/edinburgh_mi.csv", "none", 3); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("no such column: %v", err)
	}
}

// Without a file there is a table.
func TestDealOutEmbedded(t *testing.T) {
	d, err := dealOut(t.TempDir(), "", "", 2)
	if err != nil || d.rows != 46582 || d.label != "IMORT" {
		t.Errorf("%+v, %v", d, err)
	}
}
