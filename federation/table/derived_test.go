package table

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// derivedSchema has one derived column of each operation.
func derivedSchema() Schema {
	return Schema{Label: "y", Negative: 0, Positive: 1, Columns: []Column{{"age", 0, 100}, {"debt", -5, 5}},
		Derived: []Derived{{Operation: Product, Of: 0, By: 1}, {Operation: Square, Of: 1}, {Operation: Log1p, Of: 0}, {Operation: Above, Of: 0, Threshold: 64.5}}}
}

// A golden digest, as that of a plain schema.
func TestDerivedSchemaDigest(t *testing.T) {
	const want = "537e15ba8964e5679ec449cbca3e8fa4269763c22b00e65d5b357a26d4670bf5"
	digest := derivedSchema().Digest()
	if got := hex.EncodeToString(digest[:]); got != want {
		t.Errorf("digest %s, want %s", got, want)
	}
	for name, change := range map[string]func(*Schema){
		"operation": func(s *Schema) { s.Derived[1].Operation = Log1p },
		"operand":   func(s *Schema) { s.Derived[2].Of = 1 },
		"second":    func(s *Schema) { s.Derived[0].By = 0 },
		"threshold": func(s *Schema) { s.Derived[3].Threshold = 65 },
		"order":     func(s *Schema) { s.Derived[0], s.Derived[1] = s.Derived[1], s.Derived[0] },
		"fewer":     func(s *Schema) { s.Derived = s.Derived[:3] },
		"none":      func(s *Schema) { s.Derived = nil },
	} {
		s := derivedSchema()
		change(&s)
		if s.Digest() == digest {
			t.Errorf("%s: the digest stays", name)
		}
	}
}

func TestDerivedColumns(t *testing.T) {
	s := derivedSchema()
	want := []Column{{"age", 0, 100}, {"debt", -5, 5}, {"age*debt", -500, 500}, {"debt^2", 0, 25}, {"log1p(age)", 0, math.Log1p(100)}, {"age>64.5", 0, 1}}
	if got := s.Features(); !slices.Equal(got, want) {
		t.Errorf("features %v, want %v", got, want)
	}
	if back, err := ParseSchema(s.Append(nil)); err != nil || !bytes.Equal(back.Append(nil), s.Append(nil)) || !slices.Equal(back.Derived, s.Derived) {
		t.Errorf("%+v comes back as %+v (%v)", s, back, err)
	}
	table, err := s.Read(strings.NewReader("debt,y,age\n-5,0,100\n2,1,64.5\n5,1,65\n"), "f.csv")
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]float64{
		{1, -1, -1, 1, 1, 1},
		{0.29, 0.4, 0.258, -0.68, 2*math.Log1p(64.5)/math.Log1p(100) - 1, -1},
		{0.3, 1, 0.65, 1, 2 * (0.5) * (2*math.Log1p(65)/math.Log1p(100) - 1), 1},
	} {
		for j, x := range table.Row(i) {
			if math.Abs(x-want[j]) > 1e-15 {
				t.Errorf("row %d, %s: %v, want %v", i, s.Features()[j].Name, x, want[j])
			}
		}
	}
	if table.Columns() != 6 || len(table.AppendRow(nil, 0)) != 7 {
		t.Errorf("%d columns, rows of %d", table.Columns(), len(table.AppendRow(nil, 0)))
	}
}

func TestDerivedCheck(t *testing.T) {
	for name, d := range map[string]Derived{
		"no operation":               {},
		"operation of a later one":   {Operation: Above + 1},
		"operand that is not there":  {Operation: Square, Of: 2},
		"negative operand":           {Operation: Square, Of: -1},
		"second that is not there":   {Operation: Product, Of: 0, By: 2},
		"product out of order":       {Operation: Product, Of: 1, By: 0},
		"product with itself":        {Operation: Product, Of: 1, By: 1},
		"square of two":              {Operation: Square, Of: 0, By: 1},
		"square above something":     {Operation: Square, Of: 0, Threshold: 1},
		"NaN beside a square":        {Operation: Square, Of: 0, Threshold: math.NaN()},
		"logarithm of a debt":        {Operation: Log1p, Of: 1},
		"threshold below the range":  {Operation: Above, Of: 0, Threshold: -1},
		"threshold at the top":       {Operation: Above, Of: 0, Threshold: 100},
		"no threshold":               {Operation: Above, Of: 0, Threshold: math.NaN()},
		"the same again":             {Operation: Square, Of: 1},
		"square beyond what is kept": {Operation: Square, Of: 2},
	} {
		s := derivedSchema()
		if strings.Contains(name, "beyond") {
			s.Columns = append(s.Columns, Column{"far", 0, 1e8})
		}
		s.Derived = append(s.Derived, d)
		if err := s.Check(); err == nil || !strings.HasPrefix(err.Error(), "schema: ") || !strings.Contains(err.Error(), "; ") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := ParseSchema(s.Append(nil)); err == nil {
			t.Errorf("%s: is parsed", name)
		}
	}
	s := derivedSchema()
	s.Columns = append(s.Columns, Column{"debt^2", 0, 1})
	if err := s.Check(); err == nil {
		t.Error("a column with the name of a derived one is accepted")
	}
	s = derivedSchema()
	s.Columns = s.Columns[:1]
	if err := s.Check(); err == nil {
		t.Error("a product without its second column is accepted")
	}
}

func TestDerivation(t *testing.T) {
	s := Schema{Columns: []Column{{Name: "age"}, {Name: "mean > 3"}, {Name: "a*b"}, {Name: "c"}, {Name: "a"}, {Name: "b*c"}}}
	for expression, want := range map[string]Derived{
		"age*c":         {Operation: Product, Of: 0, By: 3},
		"c*age":         {Operation: Product, Of: 0, By: 3},
		" age * c ":     {Operation: Product, Of: 0, By: 3},
		"age*a*b":       {Operation: Product, Of: 0, By: 2},
		"a*b^2":         {Operation: Square, Of: 2},
		"age^2":         {Operation: Square},
		"log1p(age)":    {Operation: Log1p},
		"age>65":        {Operation: Above, Threshold: 65},
		"age > -1e3":    {Operation: Above, Threshold: -1000},
		"mean > 3 > 2":  {Operation: Above, Of: 1, Threshold: 2},
		"age>-0":        {Operation: Above},
		"mean > 3*age":  {Operation: Product, Of: 0, By: 1},
		"log1p(a*b)":    {Operation: Log1p, Of: 2},
		"log1p( b*c )":  {Operation: Log1p, Of: 5},
		"mean > 3*a*b ": {Operation: Product, Of: 1, By: 2},
	} {
		if got, err := s.Derivation(expression); err != nil || got != want {
			t.Errorf("%q is %+v (%v), want %+v", expression, got, err, want)
		}
	}
	for expression, want := range map[string]string{
		"a*b*c":       "can be read in 2 ways",
		"age*age":     `write "age^2"`,
		"agee^2":      `no column "agee"; did you mean "age"?`,
		"log1p(agee)": `no column "agee"; did you mean "age"?`,
		"age*agf":     `no column "agf"`,
		"age":         "is no derived column",
		"":            "is no derived column",
		"age>x":       "is no derived column",
		"age>NaN":     "is no derived column",
		"sqrt(age)":   "is no derived column",
	} {
		if d, err := s.Derivation(expression); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is %+v (%v), want %s", expression, d, err, want)
		}
	}
}

// What a file derives without a schema it derives with the one it leads to; and what
// it cannot derive it says where.
func TestReadDerives(t *testing.T) {
	const text = "a,b,y\n1,4,0\n3,-2,1\n2,0.5,1\n"
	derived := []string{"b*a", "b^2", "log1p(a)", "b>0"}
	first, err := Read(strings.NewReader(text), "f.csv", "y", derived...)
	if err != nil {
		t.Fatal(err)
	}
	again, err := first.Schema().Read(strings.NewReader(text), "f.csv")
	if err != nil {
		t.Fatal(err)
	}
	for i := range first.Len() {
		if !slices.Equal(first.Row(i), again.Row(i)) {
			t.Errorf("row %d: %v, and declared %v", i, first.Row(i), again.Row(i))
		}
	}
	if got := fmt.Sprint(first.Schema().Features()); got != "[{a 1 3} {b -2 4} {a*b -6 12} {b^2 0 16} {log1p(a) 0.6931471805599453 1.3862943611198906} {b>0 0 1}]" {
		t.Errorf("features %s", got)
	}
	for _, tc := range []struct{ text, derived, want string }{
		{"a,y\n1,0\n-2,1\n", "log1p(a)", `f.csv:3: column "a": -2 is negative, but derived column "log1p(a)" takes its logarithm; `},
		{"a,b,y\n1e8,1e8,0\n2,1,1\n", "a*b", `f.csv:2: column "a*b": the derived value 1e+16 is beyond ±1e+15; `},
		{"a,b,y\n1e8,1,0\n2,1e8,1\n", "a*b", `f.csv:3: column "a*b": range 2 to 1e+16, beyond ±1e+15; `},
		{"a,y\n1,0\n2,1\n", "a>2", `f.csv:3: column "a>2": "a" goes from 1 to 2, always on one side; `},
		{"age,y\n1,0\n2,1\n", "agee^2", `f.csv:1: derived column "agee^2": no column "agee"; did you mean "age"?`},
	} {
		_, err := Read(strings.NewReader(tc.text), "f.csv", "y", tc.derived)
		var cell *CellError
		if !errors.As(err, &cell) || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %s…", tc.derived, err, tc.want)
		}
	}
}

func TestPick(t *testing.T) {
	s := derivedSchema()
	for names, want := range map[string][]int{
		"":                                    nil,
		"debt":                                {2},
		"age>64.5 age":                        {1, 6},
		"debt*age":                            {3},
		"age>6.45e1 log1p(age)":               {5, 6},
		"age debt age*debt debt^2":            {1, 2, 3, 4},
		"age debt age*debt debt^2 log1p(age)": {1, 2, 3, 4, 5},
		"age debt age*debt debt^2 log1p(age) age>64.5": nil,
	} {
		if got, err := s.Pick(strings.Fields(names)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v (%v), want %v", names, got, err, want)
		}
	}
	for names, want := range map[string]string{
		"dept":              `no column "dept"; did you mean "debt"? choose one of "age", "debt", "age*debt"`,
		"y":                 `no column "y"; choose one of`,
		"age^2":             `column "age^2" is not among the task's derived columns`,
		"age debt age":      `column "age" is named twice`,
		"debt*age age*debt": `named twice`,
	} {
		if got, err := s.Pick(strings.Fields(names)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v (%v), want %s", names, got, err, want)
		}
	}
}

// A row inside its ranges has derived columns inside theirs.
func TestDerivedStaysInside(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		column := func(name string, low float64) Column {
			a, b := rapid.Float64Range(low, 3e7).Draw(t, "a"), rapid.Float64Range(low, 3e7).Draw(t, "b")
			return Column{name, min(a, b), max(a, b)}
		}
		s := Schema{Label: "y", Positive: 1, Columns: []Column{column("a", -3e7), column("b", -3e7), column("c", 0)}}
		s.Derived = []Derived{{Operation: Product, Of: 0, By: 1}, {Operation: Product, Of: 1, By: 2}, {Operation: Square, Of: 0}, {Operation: Log1p, Of: 2}, {Operation: Above, Of: 1, Threshold: s.Columns[1].Min}}
		if s.Columns[1].Min == s.Columns[1].Max {
			s.Derived = s.Derived[:4]
		}
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
		var row []float64
		for _, c := range s.Columns {
			row = append(row, rapid.Float64Range(c.Min, c.Max).Draw(t, "x"))
		}
		features := s.Features()
		for i, d := range s.Derived {
			x, c := d.value(row), features[len(s.Columns)+i]
			if d.Operation != Log1p && !(c.Min <= x && x <= c.Max) {
				t.Fatalf("%+v is %v of %v", c, x, row)
			}
			if v := c.Scale(x); !(-1 <= v && v <= 1) {
				t.Fatalf("%+v scales %v to %v", c, x, v)
			}
		}
	})
}
