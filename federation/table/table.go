package table

// A Table is rows of a file, or a part of them. Parts share the file's values:
// a Table is small and is passed by value, and its rows must not be changed.
// It is safe for concurrent use. Only [Read], [Open] and [Schema.Read] make
// one; the zero Table has no rows and no columns.
type Table struct {
	source *source
	rows   []int // into the source, ascending
}

// A source is a file after scaling.
type source struct {
	file     string
	lastLine int // where errors about the whole file point
	schema   Schema
	values   []float64 // row by row, Table.Columns to a row
	labels   []int8    // -1 or +1
}

// Len is the number of rows.
func (t Table) Len() int { return len(t.rows) }

// Columns is the number of features, derived ones among them, without the constant
// and the label.
func (t Table) Columns() int { return len(t.Schema().Columns) + len(t.Schema().Derived) }

// Schema is the schema the rows were read under; its columns are shared.
func (t Table) Schema() Schema {
	if t.source == nil {
		return Schema{}
	}
	return t.source.schema
}

// Row is row i, Columns values in [-1, 1], shared.
func (t Table) Row(i int) []float64 {
	d := t.Columns()
	at := t.rows[i] * d
	return t.source.values[at : at+d : at+d]
}

// Place is which record of the file row i was, from 0, the header not counted.
func (t Table) Place(i int) int { return t.rows[i] }

// Label is -1 or +1.
func (t Table) Label(i int) float64 { return float64(t.source.labels[t.rows[i]]) }

// Labels are the labels of all rows, in order.
func (t Table) Labels() []float64 {
	out := make([]float64, t.Len())
	for i := range out {
		out[i] = t.Label(i)
	}
	return out
}

// AppendRow appends row i as a query has it: (1, x), Columns+1 values.
func (t Table) AppendRow(dst []float64, i int) []float64 {
	return append(append(dst, 1), t.Row(i)...)
}

// AppendSigned appends row i as training has it: y·(1, x) for label y.
func (t Table) AppendSigned(dst []float64, i int) []float64 {
	y := t.Label(i)
	dst = append(dst, y)
	for _, x := range t.Row(i) {
		dst = append(dst, y*x)
	}
	return dst
}

// Classes counts the rows of each label.
func (t Table) Classes() (negative, positive int) {
	byClass := t.byClass()
	return len(byClass[0]), len(byClass[1])
}

// byClass are the rows of the negative and of the positive class, ascending.
func (t Table) byClass() [2][]int {
	var out [2][]int
	for _, row := range t.rows {
		class := 0
		if t.source.labels[row] > 0 {
			class = 1
		}
		out[class] = append(out[class], row)
	}
	return out
}

// classValue is what the file calls a class.
func (s Schema) classValue(class int) float64 {
	if class == 0 {
		return s.Negative
	}
	return s.Positive
}
