package table

import (
	"encoding/hex"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func valid() Schema {
	return Schema{Label: "y", Negative: 0, Positive: 1, Columns: []Column{{"a", 0, 10}, {"b", -1, 1}}}
}

// A golden digest: it is part of what companies sign, and must not drift.
func TestSchemaDigest(t *testing.T) {
	const want = "8fb517b7a672293da5a4a095b8d0e49ebf2c45fe63c5e68982ec124278f0c6d4"
	digest := valid().Digest()
	if got := hex.EncodeToString(digest[:]); got != want {
		t.Errorf("digest %s, want %s", got, want)
	}
	zero := valid()
	zero.Negative, zero.Columns[0].Min = math.Copysign(0, -1), math.Copysign(0, -1)
	if zero.Digest() != digest {
		t.Error("-0 and 0 give different digests")
	}
}

// Whatever part of a schema changes, the digest changes.
func TestSchemaDigestCoversEverything(t *testing.T) {
	for name, change := range map[string]func(*Schema){
		"label":           func(s *Schema) { s.Label = "z" },
		"negative":        func(s *Schema) { s.Negative = -1 },
		"positive":        func(s *Schema) { s.Positive = 2 },
		"name":            func(s *Schema) { s.Columns[0].Name = "A" },
		"min":             func(s *Schema) { s.Columns[1].Min = -2 },
		"max":             func(s *Schema) { s.Columns[1].Max = 2 },
		"order":           func(s *Schema) { s.Columns[0], s.Columns[1] = s.Columns[1], s.Columns[0] },
		"fewer":           func(s *Schema) { s.Columns = s.Columns[:1] },
		"names run over":  func(s *Schema) { s.Label, s.Columns[0].Name = "ya", "" },
		"another as well": func(s *Schema) { s.Columns = append(s.Columns, Column{"c", 0, 0}) },
	} {
		s := valid()
		change(&s)
		if s.Digest() == valid().Digest() {
			t.Errorf("%s: the digest stays", name)
		}
	}
}

func TestSchemaCheck(t *testing.T) {
	if err := valid().Check(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Schema){
		"equal label values": func(s *Schema) { s.Positive = 0 },
		"label values":       func(s *Schema) { s.Negative = 2 },
		"NaN label":          func(s *Schema) { s.Positive = math.NaN() },
		"infinite label":     func(s *Schema) { s.Negative = math.Inf(-1) },
		"no columns":         func(s *Schema) { s.Columns = nil },
		"too many columns":   func(s *Schema) { s.Columns = make([]Column, MaxColumns+1) },
		"same name":          func(s *Schema) { s.Columns[1].Name = "a" },
		"label's name":       func(s *Schema) { s.Columns[1].Name = "y" },
		"range reversed":     func(s *Schema) { s.Columns[0].Min = 11 },
		"NaN range":          func(s *Schema) { s.Columns[0].Max = math.NaN() },
		"huge range":         func(s *Schema) { s.Columns[0].Max = 1e16 },
		"no label":           func(s *Schema) { s.Label = "" },
		"no name":            func(s *Schema) { s.Columns[0].Name = "" },
		"long name":          func(s *Schema) { s.Columns[0].Name = strings.Repeat("a", maxName+1) },
	} {
		s := valid()
		change(&s)
		if err := s.Check(); err == nil || !strings.HasPrefix(err.Error(), "schema: ") || !strings.Contains(err.Error(), "; ") {
			t.Errorf("%s: Check: %v", name, err)
		}
	}
}

func TestScaleStaysInside(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.Float64Range(-MaxAbs, MaxAbs).Draw(t, "a")
		b := rapid.Float64Range(-MaxAbs, MaxAbs).Draw(t, "b")
		c := Column{Min: min(a, b), Max: max(a, b)}
		x := rapid.Float64Range(c.Min, c.Max).Draw(t, "x")
		if v := c.Scale(x); !(v >= -1 && v <= 1) {
			t.Fatalf("%+v scales %v to %v", c, x, v)
		}
	})
}
