package table

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
)

// Append adds the canonical bytes of s to dst, those that [Schema.Digest] is
// of: what a task has as its schema.
func (s Schema) Append(dst []byte) []byte {
	dst = append(dst, schemaVersion...)
	dst = appendString(dst, s.Label)
	dst = appendFloat(appendFloat(dst, s.Negative), s.Positive)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(s.Columns)))
	for _, c := range s.Columns {
		dst = appendString(dst, c.Name)
		dst = appendFloat(appendFloat(dst, c.Min), c.Max)
	}
	return dst
}

var errSchema = errors.New("schema: not in its canonical bytes; compare the versions of the programs")

// ParseSchema decodes exactly one schema that passes [Schema.Check].
func ParseSchema(b []byte) (Schema, error) {
	rest, ok := bytes.CutPrefix(b, []byte(schemaVersion))
	if !ok {
		return Schema{}, errSchema
	}
	in := schemaReader{rest: rest}
	s := Schema{Label: in.text(), Negative: in.number(), Positive: in.number()}
	n := in.length()
	if n > MaxColumns {
		return Schema{}, errSchema
	}
	for range n {
		s.Columns = append(s.Columns, Column{Name: in.text(), Min: in.number(), Max: in.number()})
	}
	if in.short || !bytes.Equal(s.Append(nil), b) { // -0, and bytes too many
		return Schema{}, errSchema
	}
	return s, s.Check()
}

// A schemaReader takes fields off canonical bytes.
type schemaReader struct {
	rest  []byte
	short bool
}

func (r *schemaReader) take(n int) []byte {
	if r.short || n > len(r.rest) {
		r.short = true
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *schemaReader) length() int {
	if b := r.take(4); b != nil {
		return int(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (r *schemaReader) text() string {
	n := r.length()
	if n > maxName {
		r.short = true
	}
	return string(r.take(n))
}

func (r *schemaReader) number() float64 {
	if b := r.take(8); b != nil {
		return math.Float64frombits(binary.BigEndian.Uint64(b))
	}
	return 0
}
