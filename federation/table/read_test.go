package table

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// mustRead reads text with label y.
func mustRead(tb testing.TB, text string) Table {
	tb.Helper()
	t, err := Read(strings.NewReader(text), "f.csv", "y")
	if err != nil {
		tb.Fatalf("Read: %v", err)
	}
	return t
}

func TestRead(t *testing.T) {
	const plain = "a,y,b\n1,0,5\n2,1,5\n4,0,5\n"
	for _, test := range []struct{ name, text string }{
		{"plain", plain},
		{"byte order mark", "\uFEFF" + plain},
		{"CRLF", strings.ReplaceAll(plain, "\n", "\r\n")},
		{"no newline at the end", strings.TrimSuffix(plain, "\n")},
		{"blank lines", "\n" + plain + "\n  \n\n"},
		{"spaces", strings.ReplaceAll(plain, ",", " , ")},
		{"quoted", "\"a\",\"y\",b\n\"1\",0,5\n2, \"1\",5\n4,0,5\n"},
		{"exponents", "a,y,b\n1e0,-0,5\n2,1.0,5\n0.4e1,0,5\n"},
	} {
		got := mustRead(t, test.text)
		if got.Len() != 3 || got.Columns() != 2 {
			t.Fatalf("%s: %d rows of %d columns, want 3 of 2", test.name, got.Len(), got.Columns())
		}
		want := Schema{Label: "y", Negative: 0, Positive: 1, Columns: []Column{{"a", 1, 4}, {"b", 5, 5}}}
		if fmt.Sprint(got.Schema()) != fmt.Sprint(want) {
			t.Errorf("%s: schema %v, want %v", test.name, got.Schema(), want)
		}
		rows := fmt.Sprint(got.AppendRow(nil, 0), got.AppendRow(nil, 2), got.AppendSigned(nil, 0), got.AppendSigned(nil, 1), got.Labels())
		if want := "[1 -1 0] [1 1 0] [-1 1 -0] [1 -0.33333333333333337 0] [-1 1 -1]"; rows != want {
			t.Errorf("%s: rows %s, want %s", test.name, rows, want)
		}
	}
}

func TestReadLabels(t *testing.T) {
	for _, test := range []struct {
		a, b               string
		negative, positive float64
	}{
		{"0", "1", 0, 1}, {"1", "0", 0, 1}, {"-1", "1", -1, 1}, {"1", "2", 1, 2}, {"7.5", "-3", -3, 7.5},
	} {
		got := mustRead(t, "x,y\n1,"+test.a+"\n2,"+test.b+"\n")
		if s := got.Schema(); s.Negative != test.negative || s.Positive != test.positive {
			t.Errorf("labels %s and %s: %v and %v, want %v and %v", test.a, test.b, s.Negative, s.Positive, test.negative, test.positive)
		}
		if got.Label(0)+got.Label(1) != 0 {
			t.Errorf("labels %s and %s: %v", test.a, test.b, got.Labels())
		}
	}
}

// Every refusal is one line; this table is the list of them.
func TestReadRefuses(t *testing.T) {
	wide := strings.TrimSuffix(strings.Repeat("c%d,", 256), ",")
	names := make([]any, 256)
	for i := range names {
		names[i] = i
	}
	wide = fmt.Sprintf(wide, names...) + ",y\n"
	for _, test := range []struct{ name, text, want string }{
		{"NaN", "x,y\n1,0\nNaN,1\n", `f.csv:3: column "x": "NaN" is not a finite number; replace it or remove the row`},
		{"infinite", "x,y\n1,0\n2,1\n-Inf,1\n", `f.csv:4: column "x": "-Inf" is not a finite number; replace it or remove the row`},
		{"infinite label", "x,y\n1,inf\n", `f.csv:2: column "y": "inf" is not a finite number; replace it or remove the row`},
		{"empty cell", "x,y\n,0\n", `f.csv:2: column "x": the cell is empty; fill it in or remove the row`},
		{"missing label", "x,y\n1,0\n2, \n", `f.csv:3: column "y": the cell is empty; fill it in or remove the row`},
		{"text", "x,y\nn/a,0\n", `f.csv:2: column "x": "n/a" is not a number; replace it by a number or remove the row`},
		{"text on one line", "x,y\n\"a\nb\",0\n", `f.csv:2: column "x": "a\nb" is not a number; replace it by a number or remove the row`},
		{"long text", "x,y\n" + strings.Repeat("é", 99) + ",0\n", `f.csv:2: column "x": "` + strings.Repeat("é", 40) + `…" is not a number; replace it by a number or remove the row`},
		{"huge", "x,y\n1e16,0\n", `f.csv:2: column "x": "1e16" is beyond ±1e+15; correct it, or give the column in a larger unit`},
		{"beyond float64", "x,y\n-1e999,0\n", `f.csv:2: column "x": "-1e999" is beyond ±1e+15; correct it, or give the column in a larger unit`},
		{"too few cells", "a,x,y\n1,2,0\n1,0\n", `f.csv:3: 2 cells, but the header has 3; give every column one cell, with a point and not a comma in decimals`},
		{"too many cells", "x,y\n1,5,0\n", `f.csv:2: 3 cells, but the header has 2; give every column one cell, with a point and not a comma in decimals`},
		{"lines inside quotes count", "x,y\n\"\n\n1\",0\nbad,1\n", `f.csv:5: column "x": "bad" is not a number; replace it by a number or remove the row`},
		{"skipped blank lines count", "x,y\n\n1,0\n\nbad,1\n", `f.csv:5: column "x": "bad" is not a number; replace it by a number or remove the row`},
		{"one class", "x,y\n1,1\n2,1\n", `f.csv:3: column "y": every row has the same label 1; add rows of the other class`},
		{"three classes", "x,y\n1,0\n2,1\n3,2\n", `f.csv:4: column "y": a third label value 2 after 0 and 1; this version trains binary classification: keep two values`},
		{"empty file", "", `f.csv:1: the file is empty; begin with a line of column names, then one row a line`},
		{"only blank lines", "\n\n", `f.csv:1: the file is empty; begin with a line of column names, then one row a line`},
		{"header only", "x,y\n\n", `f.csv:1: no rows after the header; add rows of both classes`},
		{"no label column", "x,Y2\n1,0\n", `f.csv:1: no label column "y"; choose one of "x", "Y2"`},
		{"semicolons", "x;y\n1;0\n", `f.csv:1: no label column "y"; there is one column "x;y": separate columns by commas`},
		{"duplicate column", "x,y,x\n1,0,1\n", `f.csv:1: column "x": columns 1 and 3 have the same name; rename or remove one`},
		{"nameless column", "x,,y\n1,0,1\n", `f.csv:1: column 2 has no name; name it or remove it`},
		{"long name", strings.Repeat("x", 2000) + ",y\n1,0\n", `f.csv:1: column "` + strings.Repeat("x", 40) + `…": a name of 2000 bytes; shorten it to 1024`},
		{"no features", "y\n1\n", `f.csv:1: there is no column beside the label; add at least one feature column`},
		{"too wide", wide, `f.csv:1: 256 feature columns; keep at most 255`},
		{"UTF-16", "\xff\xfex\x00,\x00y\x00\n", `f.csv:1: the header is not UTF-8 text; export the table as CSV in UTF-8`},
		{"bare quote", "x,y\n1,0\n2\",1\n", `f.csv:3: a quote (") out of place; quote the whole cell and double the quotes inside it, or remove them`},
		{"open quote", "x,y\n\"1,0\n2,1\n", `f.csv:3: a quote (") out of place; quote the whole cell and double the quotes inside it, or remove them`},
		{"bare quote in the header", "x\",y\n1,0\n", `f.csv:1: a quote (") out of place; quote the whole cell and double the quotes inside it, or remove them`},
	} {
		_, err := Read(strings.NewReader(test.text), "f.csv", "y")
		var cell *CellError
		if !errors.As(err, &cell) || err.Error() != test.want {
			t.Errorf("%s:\n got %v\nwant %s", test.name, err, test.want)
		}
	}
}

func TestMissingColumnSuggestsTheNearest(t *testing.T) {
	long := strings.Join(strings.Split("abcdefghijklmnopqrstuvwxyz0123456789", ""), ",")
	for _, test := range []struct{ header, label, want string }{
		{"age,IMORT", "IMROT", `did you mean "IMORT"? choose one of "age", "IMORT"`},
		{"age,imort", "IMORT", `did you mean "imort"? choose one of "age", "imort"`},
		{"age,outcome", "IMORT", `choose one of "age", "outcome"`},
		{long, "label", `"1", "2", "3", and 6 more`},
	} {
		_, err := Read(strings.NewReader(test.header+"\n"), "f.csv", test.label)
		if err == nil || !strings.HasSuffix(err.Error(), test.want) {
			t.Errorf("label %s of %s: %v, want …%s", test.label, test.header, err, test.want)
		}
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "rows.csv")
	if err := os.WriteFile(path, []byte("x,y\n1,0\n2,1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := Open(path, "y"); err != nil || got.Len() != 2 {
		t.Errorf("Open: %d rows, %v", got.Len(), err)
	}
	if _, err := Open(path+"x", "y"); err == nil || err.Error() != path+"x: no such file; check the path" {
		t.Errorf("Open of a missing file: %v", err)
	}
	if _, err := Open(dir, "y"); err == nil || !strings.HasPrefix(err.Error(), dir+":1: cannot be read (") {
		t.Errorf("Open of a folder: %v", err)
	}
	if _, err := Open("a\x00b", "y"); err == nil || !strings.HasPrefix(err.Error(), `"a\x00b": cannot be read (`) {
		t.Errorf("Open of an impossible name: %v", err)
	}
	broken := io.MultiReader(strings.NewReader("x,y\n1,0\n"), iotest.ErrReader(iotest.ErrTimeout))
	if _, err := Read(broken, "f.csv", "y"); err == nil || !strings.Contains(err.Error(), "cannot be read (timeout)") {
		t.Errorf("Read of a broken reader: %v", err)
	}
	if _, err := Read(iotest.ErrReader(&fs.PathError{Op: "read", Path: "f.csv", Err: fs.ErrPermission}), "f.csv", "y"); err == nil || err.Error() != "f.csv:1: cannot be read (permission denied); check the file and its permissions" {
		t.Errorf("Read without permission: %v", err)
	}
}

func TestSchemaRead(t *testing.T) {
	schema := Schema{Label: "y", Negative: 1, Positive: 2, Columns: []Column{{"a", 0, 10}, {"b", -1, 1}}}
	got, err := schema.Read(strings.NewReader("b,y,a\n0.5,1,0\n-1,2,10\n"), "f.csv")
	if err != nil {
		t.Fatal(err)
	}
	if rows := fmt.Sprint(got.Row(0), got.Row(1), got.Labels()); rows != "[-1 0.5] [1 -1] [-1 1]" {
		t.Errorf("rows %s: not in the schema's order", rows)
	}
	if got.Schema().Digest() != schema.Digest() {
		t.Error("reading changed the declared schema")
	}
	for _, test := range []struct{ name, text, want string }{
		{"above", "a,b,y\n1,0,1\n11,0,2\n", `f.csv:3: column "a": 11 is outside the declared range 0 to 10; correct it, remove the row, or agree on a wider range`},
		{"below", "a,b,y\n1,-1.5,1\n", `f.csv:2: column "b": -1.5 is outside the declared range -1 to 1; correct it, remove the row, or agree on a wider range`},
		{"label", "a,b,y\n1,0,0\n", `f.csv:2: column "y": label 0 is neither 1 nor 2; use the schema's two values`},
		{"one class", "a,b,y\n1,0,2\n", `f.csv:2: column "y": every row has the same label 2; add rows of the other class`},
		{"missing column", "a,B,y\n", `f.csv:1: no column "b"; did you mean "B"? choose one of "a", "B", "y"`},
		{"extra column", "a,b,c,y\n", `f.csv:1: column "c": not in the agreed schema; remove the column or agree on a schema that has it`},
	} {
		if _, err := schema.Read(strings.NewReader(test.text), "f.csv"); err == nil || err.Error() != test.want {
			t.Errorf("%s:\n got %v\nwant %s", test.name, err, test.want)
		}
	}
	if _, err := (Schema{}).Read(strings.NewReader("a,y\n"), "f.csv"); err == nil {
		t.Error("the empty schema was accepted")
	}
}

// Whatever finite values a file holds, they come out in [-1, 1] and Unscale
// gives them back; the least is -1 and the greatest 1.
func TestScaleAndBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		xs := rapid.SliceOfN(rapid.Float64Range(-MaxAbs, MaxAbs), 2, 30).Draw(t, "values")
		var text strings.Builder
		text.WriteString("x,y\n")
		for i, x := range xs {
			fmt.Fprintf(&text, "%v,%d\n", x, i%2)
		}
		got, err := Read(strings.NewReader(text.String()), "f.csv", "y")
		if err != nil {
			t.Fatalf("Read: %v", err)
		}
		c := got.Schema().Columns[0]
		for i, x := range xs {
			v := got.Row(i)[0]
			if !(v >= -1 && v <= 1) || x == c.Min && c.Min < c.Max && v != -1 || x == c.Max && c.Min < c.Max && v != 1 {
				t.Fatalf("%v in %v to %v scales to %v", x, c.Min, c.Max, v)
			}
			if back := c.Unscale(v); math.Abs(back-x) > 4e-16*(math.Abs(c.Min)+math.Abs(c.Max)) {
				t.Fatalf("%v scales to %v and back to %v", x, v, back)
			}
		}
	})
}

// A flat slice and no strings: reading keeps little more than 8 bytes a value.
func TestReadKeepsEightBytesAValue(t *testing.T) {
	const rows, columns = 4000, 30
	line := strings.Repeat("0.123456789,", columns)
	var text strings.Builder
	for j := range columns {
		fmt.Fprintf(&text, "c%d,", j)
	}
	text.WriteString("y\n")
	for i := range rows {
		fmt.Fprintf(&text, "%s%d\n", line, i%2)
	}
	got := mustRead(t, text.String())
	if kept := cap(got.source.values); kept > rows*columns*4/3 {
		t.Errorf("room for %d values kept, for %d", kept, rows*columns)
	}
	perRow := testing.AllocsPerRun(1, func() { mustRead(t, text.String()) }) / rows
	if perRow > 2 {
		t.Errorf("%.1f allocations a row", perRow)
	}
}

func FuzzRead(f *testing.F) {
	f.Add("x,y\n1,0\n2,1\n", "y")
	f.Add("\uFEFFa,\"b\nc\",y\r\n1,2,0\r\n-1e15,4,1\r\n\r\n", "y")
	f.Add("x,y\nNaN,0\n", "y")
	f.Add("y;x\n", "y")
	f.Add("x,y\n0x1p-2,1\n1e-320,0\n-0,1\n", "y")
	f.Fuzz(func(t *testing.T, text, label string) {
		got, err := Read(strings.NewReader(text), "f.csv", label)
		if err != nil {
			var cell *CellError
			if !errors.As(err, &cell) || strings.ContainsAny(err.Error(), "\n\r") {
				t.Fatalf("%q is not one line from a cell", err)
			}
			return
		}
		negative, positive := got.Classes()
		if negative == 0 || positive == 0 || negative+positive != got.Len() {
			t.Fatalf("%d negative and %d positive of %d rows", negative, positive, got.Len())
		}
		for i := range got.Len() {
			for _, v := range got.AppendSigned(nil, i) {
				if !(math.Abs(v) <= 1) {
					t.Fatalf("row %d holds %v", i, v)
				}
			}
		}
		if err := got.Schema().Check(); err != nil {
			t.Fatalf("the computed schema is refused: %v", err)
		}
	})
}

// Rows that are asked about need no label, and may all have the same.
func TestReadQuestions(t *testing.T) {
	s := derivedSchema()
	want, err := s.Read(strings.NewReader("age,debt,y\n40,1.5,0\n60,-2.5,1\n"), "f.csv")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"age,debt\n40,1.5\n60,-2.5\n", "age,y,debt\n40,1,1.5\n60,,-2.5\n", "y,debt,age\nunknown,1.5,40\n7,-2.5,60\n"} {
		got, err := s.ReadQuestions(strings.NewReader(text), "f.csv")
		if err != nil || got.Len() != 2 || !slices.Equal(got.Row(0), want.Row(0)) || !slices.Equal(got.Row(1), want.Row(1)) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if one, err := s.ReadQuestions(strings.NewReader("age,debt\n40,1.5\n"), "f.csv"); err != nil || one.Len() != 1 {
		t.Errorf("one row: %v", err)
	}
	for text, want := range map[string]string{
		"age\n1\n":              `no column "debt"`,
		"y\n1\n":                "no column beside the label",
		"age,debt,x\n1,1,1\n":   "not in the agreed schema",
		"age,debt\n101,1\n":     "outside the declared range",
		"age,debt\n":            "no rows",
		"age,debt\n40\n":        "1 cells, but the header has 2",
		"age,debt\nforty,1.5\n": "is not a number",
	} {
		if _, err := s.ReadQuestions(strings.NewReader(text), "f.csv"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	if _, err := (Schema{Label: "y", Positive: 1}).ReadQuestions(strings.NewReader("a\n1\n"), "f.csv"); err == nil {
		t.Error("a schema without columns is read under")
	}
}
