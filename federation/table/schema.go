package table

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Limits of a table.
const (
	// MaxColumns is the largest number of feature columns: a packed row has the
	// constant 1 before them and at most 256 values.
	MaxColumns = 255
	// MaxAbs bounds |x| of a cell and of a declared range. Beyond it neighbouring
	// numbers are more than 0.1 apart, which no measured quantity intends.
	MaxAbs = 1e15
	// maxName is the longest column name, in bytes.
	maxName = 1 << 10
)

// A Column is a feature and the range its values are scaled from.
type Column struct {
	Name     string
	Min, Max float64
}

// Scale maps x in [Min, Max] to [-1, 1]: 2(x−Min)/(Max−Min) − 1. A constant
// column maps to 0.
func (c Column) Scale(x float64) float64 {
	if c.Min == c.Max {
		return 0
	}
	// Rounding alone can leave the interval; the result is clamped for that.
	return min(1, max(-1, 2*(x-c.Min)/(c.Max-c.Min)-1))
}

// Unscale is the inverse of [Column.Scale], to rounding.
func (c Column) Unscale(v float64) float64 {
	return c.Min + (v+1)/2*(c.Max-c.Min)
}

// A Schema is what rows mean: the columns in order, those derived of them, and the
// label's two values, of which the larger is the positive class.
type Schema struct {
	Label              string
	Negative, Positive float64
	Columns            []Column
	Derived            []Derived
}

// Check refuses a schema that no table can follow.
func (s Schema) Check() error {
	if !(s.Negative < s.Positive) || !bounded(s.Negative) || !bounded(s.Positive) {
		return fmt.Errorf("schema: label values %v and %v; give two numbers up to %g, the smaller first", s.Negative, s.Positive, MaxAbs)
	}
	if n := len(s.Columns) + len(s.Derived); len(s.Columns) == 0 || n > MaxColumns {
		return fmt.Errorf("schema: %d columns; give 1 to %d, derived ones among them", n, MaxColumns)
	}
	seen := map[string]bool{s.Label: true}
	for _, c := range s.Columns {
		switch {
		case seen[c.Name]:
			return fmt.Errorf("schema: column %s occurs twice; rename one", quote(c.Name))
		case !(c.Min <= c.Max) || !bounded(c.Min) || !bounded(c.Max):
			return fmt.Errorf("schema: column %s: range %v to %v; give two numbers up to %g, the smaller first", quote(c.Name), c.Min, c.Max, MaxAbs)
		}
		seen[c.Name] = true
	}
	for name := range seen {
		if name == "" || len(name) > maxName {
			return errors.New("schema: a column has no name, or one of more than 1024 bytes; name it")
		}
	}
	for _, d := range s.Derived {
		if err := d.check(s); err != nil {
			return err
		}
		c := s.derived(d)
		if seen[c.Name] {
			return fmt.Errorf("schema: column %s occurs twice; leave one out", quote(c.Name))
		}
		seen[c.Name] = true
	}
	return nil
}

// bounded is false for NaN.
func bounded(x float64) bool { return math.Abs(x) <= MaxAbs }

// What opens the canonical bytes, of a schema without derived columns and of one
// with some.
const (
	schemaPlain   = "commonseal/table/schema/1"
	schemaDerived = "commonseal/table/schema/2"
)

// Digest names the schema: SHA-256 of its canonical bytes. Two companies with
// equal digests scale and order their columns alike.
//
// Canonical bytes, integers big-endian: the version string; label; its two
// values; the number of columns; then each column's name, Min, Max; and if any are
// derived their number, and the operation, Of, By and Threshold of each. Strings
// follow their length in 4 bytes, numbers are IEEE 754 bits with -0 as 0, an
// operation is a byte and places have 4.
func (s Schema) Digest() [sha256.Size]byte {
	return sha256.Sum256(s.Append(nil))
}

func appendString(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}

func appendFloat(b []byte, x float64) []byte {
	if x == 0 {
		x = 0 // -0 is the same number
	}
	return binary.BigEndian.AppendUint64(b, math.Float64bits(x))
}

// Append adds the canonical bytes to dst: what [Schema.Digest] is the digest of.
func (s Schema) Append(dst []byte) []byte {
	version := schemaPlain
	if len(s.Derived) > 0 {
		version = schemaDerived
	}
	b := append(dst, version...)
	b = appendString(b, s.Label)
	b = appendFloat(appendFloat(b, s.Negative), s.Positive)
	b = binary.BigEndian.AppendUint32(b, uint32(len(s.Columns)))
	for _, c := range s.Columns {
		b = appendString(b, c.Name)
		b = appendFloat(appendFloat(b, c.Min), c.Max)
	}
	if len(s.Derived) == 0 {
		return b
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(s.Derived)))
	for _, d := range s.Derived {
		b = append(b, byte(d.Operation))
		b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, uint32(d.Of)), uint32(d.By))
		b = appendFloat(b, d.Threshold)
	}
	return b
}

// ParseSchema decodes exactly one schema that a table can follow.
func ParseSchema(b []byte) (Schema, error) {
	rest, plain := bytes.CutPrefix(b, []byte(schemaPlain))
	derived := false
	if !plain {
		rest, derived = bytes.CutPrefix(b, []byte(schemaDerived))
	}
	in := decoder{rest: rest, ok: plain || derived}
	s := Schema{Label: in.text(), Negative: in.number(), Positive: in.number()}
	for n, i := in.count(), 0; i < n && in.ok; i++ {
		s.Columns = append(s.Columns, Column{Name: in.text(), Min: in.number(), Max: in.number()})
	}
	if derived {
		for n, i := in.count(), 0; i < n && in.ok; i++ {
			s.Derived = append(s.Derived, Derived{Operation: Operation(in.byte()), Of: in.count(), By: in.count(), Threshold: in.number()})
		}
	}
	if !in.ok || len(in.rest) > 0 {
		return Schema{}, errors.New("schema: these bytes are not one, or of another version")
	}
	if err := s.Check(); err != nil {
		return Schema{}, err
	}
	if !bytes.Equal(s.Append(nil), b) {
		return Schema{}, errors.New("schema: not in its canonical encoding")
	}
	return s, nil
}

// A decoder reads canonical bytes. It reads zeros once they are not as they should
// be.
type decoder struct {
	rest []byte
	ok   bool
}

// take is the next n bytes, nil if they are not there.
func (in *decoder) take(n int) []byte {
	if in.ok = in.ok && n <= len(in.rest); !in.ok {
		return nil
	}
	b := in.rest[:n]
	in.rest = in.rest[n:]
	return b
}

func (in *decoder) byte() byte {
	if b := in.take(1); b != nil {
		return b[0]
	}
	return 0
}

// count is a number of columns, or the place of one.
func (in *decoder) count() int {
	b := in.take(4)
	if b == nil {
		return 0
	}
	n := binary.BigEndian.Uint32(b)
	in.ok = n <= MaxColumns
	return int(min(n, MaxColumns))
}

func (in *decoder) text() string {
	b := in.take(4)
	if b == nil {
		return ""
	}
	n := binary.BigEndian.Uint32(b)
	in.ok = n <= maxName
	return string(in.take(int(min(n, maxName))))
}

func (in *decoder) number() float64 {
	b := in.take(8)
	if b == nil {
		return 0
	}
	return math.Float64frombits(binary.BigEndian.Uint64(b))
}
