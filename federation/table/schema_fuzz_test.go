package table

import (
	"bytes"
	"testing"
)

func FuzzParseSchema(f *testing.F) {
	f.Add(Schema{Label: "y", Negative: 0, Positive: 1, Columns: []Column{{"x", -1, 1}, {"z", 0, 0}}}.Append(nil))
	f.Add(derivedSchema().Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseSchema(b)
		if err == nil && !bytes.Equal(s.Append(nil), b) {
			t.Errorf("%x comes back as %x", b, s.Append(nil))
		}
	})
}
