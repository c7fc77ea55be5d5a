package he_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"math/bits"
	"strings"
	"testing"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/hetest"
)

// first is the first n words of a stream.
func first(s *he.Stream, n int) []uint64 {
	out := make([]uint64, n)
	for i := range out {
		out[i] = s.Uint64()
	}
	return out
}

// Law L3: the same seed, label and parts give the same bytes, and any
// difference gives others, the border between two parts included.
func TestStreamsDiffer(t *testing.T) {
	part := func(ss ...string) (out [][]byte) {
		for _, s := range ss {
			out = append(out, []byte(s))
		}
		return out
	}
	purposes := []struct {
		label string
		parts [][]byte
	}{
		{"", nil}, {"a", nil}, {"b", nil}, {"a", part("")}, {"a", part("", "")}, {"", part("a")},
		{"a", part("ab", "c")}, {"a", part("a", "bc")}, {"a", part("abc")}, {"a", part("abc", "")}, {"a", part("", "abc")}, {"aabc", nil},
		{"a", part("\x00")}, {"a", part("\x00\x00\x00\x00\x00\x00\x00\x00")}, {"a", part("c", "ab")},
	}
	kinds := map[string]func(label string, parts ...[]byte) string{
		"Stream": func(l string, p ...[]byte) string { return fmt.Sprint(first(he.Seed{1}.Stream(l, p...), 4)) },
		"Stream of another seed": func(l string, p ...[]byte) string {
			return fmt.Sprint(first(he.Seed{31: 1}.Stream(l, p...), 4))
		},
		"PublicStream": func(l string, p ...[]byte) string { return fmt.Sprint(first(he.PublicStream(l, p...), 4)) },
		"Derive": func(l string, p ...[]byte) string {
			d := he.Seed{1}.Derive(l, p...)
			return fmt.Sprintf("%x", d[:])
		},
		"HashParts": func(l string, p ...[]byte) string { return fmt.Sprintf("%x", he.HashParts(l, p...)) },
	}
	seen := map[string]string{}
	for name, of := range kinds {
		for _, p := range purposes {
			what := fmt.Sprintf("%s(%q, %q)", name, p.label, p.parts)
			got := of(p.label, p.parts...)
			if again := of(p.label, p.parts...); again != got {
				t.Errorf("%s is %s and then %s", what, got, again)
			}
			if other, ok := seen[got]; ok {
				t.Errorf("%s and %s are the same", what, other)
			}
			seen[got] = what
		}
	}
}

// A stream is its bytes in order, over the border of its buffer.
func TestStreamIsOneSequence(t *testing.T) {
	long := first(he.Seed{1}.Stream("x"), 3*4096/8)
	seen := map[uint64]bool{}
	for i, v := range long {
		if seen[v] {
			t.Fatalf("word %d repeats", i)
		}
		seen[v] = true
	}
}

// Secrets print as [secret], whatever the verb and wherever they are a field.
func TestSecretsNeverPrint(t *testing.T) {
	marker := he.Seed(bytes.Repeat([]byte{0xd7}, 32))
	sk := he.NewSecretKey(hetest.Profiles(t).Serve, marker.Stream("sk"))
	stream := marker.Stream("x")
	var marks []string
	for _, v := range []uint64{0xd7, sk.Value.Q.Coeffs[0][0]} {
		marks = append(marks, fmt.Sprint(v), fmt.Sprintf("%x", v), fmt.Sprintf("%X", v))
	}
	holder := struct {
		Seed *he.Seed
		Copy he.Seed
		Key  *he.SecretKey
		Flat he.SecretKey
	}{&marker, marker, sk, *sk}
	hold := func(how, got string) {
		t.Helper()
		if !strings.Contains(got, "[secret]") {
			t.Errorf("%s: %.80q does not say [secret]", how, got)
		}
		for _, m := range marks {
			if strings.Contains(got, m) {
				t.Errorf("%s shows %q", how, m)
			}
		}
	}
	for name, v := range map[string]any{"seed": marker, "*seed": &marker, "key": *sk, "*key": sk, "stream": stream} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X", "%b", "%o", "%c", "%U", "%e", "%t", "%08d"} {
			if got := fmt.Sprintf(verb, v); got != "[secret]" {
				t.Errorf("%s with %s prints %.80q", name, verb, got)
			}
		}
		hold(name+" in an error", fmt.Errorf("wrong: %v", v).Error())
	}
	hold("fields", fmt.Sprintf("%v %+v", holder, []he.Seed{marker}))
	object := he.NewObject(he.Object{Kind: he.KindModelShare, Profile: sk.Profile, Level: 1, Width: 2})
	object.Rows[0][0] = 0xd7
	for _, got := range []string{fmt.Sprintf("%v", object), fmt.Sprintf("%#v", *object), fmt.Sprintf("%d", object)} {
		if got != "model share at level 1 of profile serve" {
			t.Errorf("an object prints as %.80q", got)
		}
	}
	if b, err := json.Marshal(object); err != nil || string(b) != `"model share at level 1 of profile serve"` {
		t.Errorf("an object in JSON: %.80q, %v", b, err)
	}
	hold("a map", fmt.Sprint(map[string]he.Seed{"κ": marker}))
	encoded, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	hold("JSON", string(encoded))
	var text, lines bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&text, nil), slog.NewJSONHandler(&lines, nil)} {
		slog.New(h).Info("x", "seed", marker, "key", sk, "flat", *sk, "holder", holder)
	}
	hold("slog as text", text.String()[strings.Index(text.String(), "seed="):])
	hold("slog as JSON", lines.String()[strings.Index(lines.String(), `"seed"`):])
}

func TestTernaryIsUniform(t *testing.T) {
	v := make([]int64, 1_000_000)
	seed(t).Stream("ternary").Ternary(v)
	single, fives := make([]int, 3), make([]int, 243) // a byte gives five
	for i := 0; i < len(v); i += 5 {
		five := 0
		for _, x := range v[i : i+5] {
			if x < -1 || x > 1 {
				t.Fatalf("a ternary value of %d", x)
			}
			single[x+1]++
			five = 3*five + int(x+1)
		}
		fives[five]++
	}
	chiSquare(t, "ternary", single, uniform(3))
	chiSquare(t, "five of them", fives, uniform(243))
}

// Below is uniform at bounds where a remainder alone would not be: at 3·2^62
// a quarter of the values would come twice.
func TestBelowIsUniform(t *testing.T) {
	for _, q := range []uint64{1, 2, 3, 10, 243, 1<<32 + 1, 1 << 63, 3 << 62, 1<<64 - 1} {
		s := seed(t).Stream("below")
		counts := make([]int, min(q, 12))
		cells := uint64(len(counts))
		for range samples() / 4 {
			v := s.Below(q)
			if v >= q {
				t.Fatalf("%d is not below %d", v, q)
			}
			hi, lo := bits.Mul64(v, cells)
			cell, _ := bits.Div64(hi, lo, q)
			counts[cell]++
		}
		if q == 1 {
			continue // one cell
		}
		chiSquare(t, fmt.Sprintf("below %d", q), counts, func(cell int) float64 {
			from := func(c uint64) *big.Int { // the first v with floor(v·cells/q) = c
				v := new(big.Int).Mul(new(big.Int).SetUint64(c), new(big.Int).SetUint64(q))
				v.Add(v, new(big.Int).SetUint64(cells-1))
				return v.Div(v, new(big.Int).SetUint64(cells))
			}
			width := new(big.Int).Sub(from(uint64(cell)+1), from(uint64(cell)))
			return float(width, 0) / float64(q)
		})
	}
}

// Uniform is Below, prime by prime, on the same words.
func TestUniformIsBelow(t *testing.T) {
	for _, p := range everyProfile(t) {
		r := p.RingQ(p.MaxLevel())
		poly := r.NewPoly()
		seed(t).Stream("uniform").Uniform(r, poly)
		s := seed(t).Stream("uniform")
		for i, sub := range r.SubRings {
			for j, got := range poly.Coeffs[i] {
				if want := s.Below(sub.Modulus); got != want {
					t.Fatalf("%s, prime %d, coefficient %d: %d, want %d", p.Name(), i, j, got, want)
				}
			}
		}
	}
}

// A mask fills [-2^b, 2^b) to its edges: every bit of v + 2^b is fair, alone
// and with its neighbour, and at small bounds every value comes.
func TestMaskedIsUniform(t *testing.T) {
	for _, b := range []int{0, 1, 2, 62, 63, 64, 65, 126, 127, 128, 177} {
		s := seed(t).Stream("masked")
		half := new(big.Int).Lsh(big.NewInt(1), uint(b))
		n := samples() / 10
		ones, pairs := make([]int, b+1), make([]int, b+1)
		values := make([]int, 1<<min(b+1, 4))
		for range n {
			v := s.Masked(b)
			if v.Cmp(half) >= 0 || new(big.Int).Neg(v).Cmp(half) > 0 {
				t.Fatalf("%v is not in [-2^%d, 2^%d)", v, b, b)
			}
			v.Add(v, half)
			for i := range b + 1 {
				ones[i] += int(v.Bit(i))
				pairs[i] += int(v.Bit(i) ^ v.Bit((i+1)%(b+1)))
			}
			values[int(new(big.Int).Rsh(v, uint(max(0, b-3))).Int64())]++
		}
		for i := range b + 1 {
			chiSquare(t, fmt.Sprintf("bound 2^%d, bit %d", b, i), []int{ones[i], n - ones[i]}, uniform(2))
			if b > 0 {
				chiSquare(t, fmt.Sprintf("bound 2^%d, bits %d and the next", b, i), []int{pairs[i], n - pairs[i]}, uniform(2))
			}
		}
		chiSquare(t, fmt.Sprintf("bound 2^%d, top bits", b), values, uniform(len(values)))
	}
}

// SetSmall writes one integer under every prime, to the ends of its range.
func TestSetSmall(t *testing.T) {
	p := hetest.Profiles(t).Train
	r := p.RingQ(p.MaxLevel())
	edge := int64(1<<40 - 1<<20) // below the smallest prime
	v := make([]int64, p.N())
	copy(v, []int64{0, 1, -1, 19, -19, edge, -edge})
	poly, xs := r.NewPoly(), integers(p.N())
	he.SetSmall(r, v, poly)
	reduced(t, r, poly)
	r.PolyToBigintCentered(poly, 1, xs)
	for i, x := range xs {
		if x.Int64() != v[i] || !x.IsInt64() {
			t.Errorf("coefficient %d is %v, want %d", i, x, v[i])
		}
	}
}
