package he_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/hetest"
)

// headers are the headers that a kind may have in a profile: every level, and
// the edges of every field it sets.
func headers(k he.Kind, p *he.Profile) []he.Object {
	scale, width, element, seeded, top, _ := k.Fields()
	scales, widths, elements, seed, levels := []int{0}, []int{0}, []uint64{0}, [32]byte{}, []int{}
	if scale {
		scales = []int{0, 40, 100, he.MaxLogScale}
	}
	if width {
		widths = []int{1, 2, he.MaxWidth}
	}
	if element {
		elements = []uint64{p.Rotation(1), p.Rotation(-3)}
	}
	if seeded {
		seed = [32]byte{0: 1, 31: 255}
	}
	for l := range p.MaxLevel() + 1 {
		if !top || l == p.MaxLevel() {
			levels = append(levels, l)
		}
	}
	var out []he.Object
	for _, l := range levels {
		for _, s := range scales {
			for _, w := range widths {
				for _, e := range elements {
					o := he.Object{Kind: k, Profile: p, Level: l, LogScale: s, Width: w, Element: e, Seed: seed}
					if o.Check() == nil {
						out = append(out, o)
					}
				}
			}
		}
	}
	return out
}

// filled is an object of uniform residues, the largest ones at the ends of
// every row.
func filled(head he.Object, s *he.Stream) *he.Object {
	o := he.NewObject(head)
	moduli := o.Moduli()
	for i, row := range o.Rows {
		for j := range row {
			row[j] = s.Below(moduli[i])
		}
		row[0], row[len(row)-1] = moduli[i]-1, moduli[i]-1
	}
	return o
}

func everyProfile(tb testing.TB) []*he.Profile {
	ps := hetest.Profiles(tb)
	return []*he.Profile{ps.Train, ps.Release, ps.Serve}
}

func TestEveryObjectRoundTrips(t *testing.T) {
	s := seed(t).Stream("objects")
	for _, p := range everyProfile(t) {
		for _, k := range he.Kinds() {
			for _, head := range headers(k, p) {
				o := filled(head, s)
				b := o.Append(nil)
				name := fmt.Sprintf("%s %s at level %d, scale 2^%d, width %d, element %d", p.Name(), k, o.Level, o.LogScale, o.Width, o.Element)
				if len(b) != o.Size() {
					t.Errorf("%s: %d bytes, Size says %d", name, len(b), o.Size())
				}
				if o.Digest() != sha256.Sum256(b) {
					t.Errorf("%s: Digest is not SHA-256 of the encoding", name)
				}
				got, err := he.ParseObject(b, k, p)
				if err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				if !reflect.DeepEqual(got, o) {
					t.Errorf("%s: Parse(Append) is another object", name)
				}
				if !bytes.Equal(got.Append([]byte("before")), append([]byte("before"), b...)) {
					t.Errorf("%s: Append(Parse) is not what was parsed, after what was there", name)
				}
			}
		}
	}
}

// Every kind is exercised above in at least one profile.
func TestEveryKindHasAHeader(t *testing.T) {
	for _, k := range he.Kinds() {
		n := 0
		for _, p := range everyProfile(t) {
			n += len(headers(k, p))
		}
		if n == 0 {
			t.Errorf("%s: no profile allows it", k)
		}
		if strings.HasPrefix(k.String(), "kind ") {
			t.Errorf("kind %d has no name", k)
		}
	}
	if got := he.Kind(200).String(); got != "kind 200" {
		t.Errorf("the name of an unknown kind is %q", got)
	}
}

// A damage makes an encoding wrong; says is what the error has to mention.
type damage struct {
	name string
	to   func(b []byte) []byte
	says string
}

func set(at int, vs ...byte) func([]byte) []byte {
	return func(b []byte) []byte { copy(b[at:], vs); return b }
}

func cut(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:n] } }

// Offsets of the header's fields.
const (
	atLevel, atScale, atWidth, atElement, atProfile, atSeed = 2, 3, 5, 9, 17, 49
)

// headerDamages are the wrong headers of an object.
func headerDamages(o *he.Object, other he.Digest) []damage {
	scale, width, element, seeded, _, short := o.Kind.Fields()
	ones := bytes.Repeat([]byte{255}, 8)
	out := []damage{
		{"version 0", set(0, 0), "version 0"}, {"version 2", set(0, 2), "version 2"}, {"version 255", set(0, 255), "version 255"},
		{"kind 0", set(1, 0), "kind 0"}, {"kind 255", set(1, 255), "kind 255"},
		{"another kind", set(1, byte(o.Kind%16+1)), "it is a " + (o.Kind%16 + 1).String()},
		{"level above the top", set(atLevel, byte(o.Profile.MaxLevel()+1)), "level"}, {"level 255", set(atLevel, 255), "level 255"},
		{"another level", set(atLevel, byte(o.Level-1)), ""},
		{"scale 2^65535", set(atScale, 255, 255), "scale 2^65535"}, {"scale 2^1025", set(atScale, 1, 4), "scale 2^1025"},
		{"width 2^32-1", set(atWidth, ones[:4]...), "width 4294967295"}, {"width 512", set(atWidth, 0, 2), "width 512"},
		{"width 3", set(atWidth, 3, 0), "width 3"}, {"element 2^64-1", set(atElement, ones...), "Galois element"},
		{"element 2", set(atElement, 2, 0, 0), "Galois element"}, {"element 3, another's name", set(atElement, 3, 0, 0), "Galois element"},
		{"another profile", set(atProfile, other[:]...), fmt.Sprintf("profile digest %x; this federation's %s profile is %x", other, o.Profile.Name(), o.Profile.Digest())},
		{"first bit of the digest", func(b []byte) []byte { b[atProfile] ^= 1; return b }, "profile digest"},
		{"last bit of the digest", func(b []byte) []byte { b[atSeed-1] ^= 128; return b }, "profile digest"},
	}
	if !scale {
		out = append(out, damage{"a scale", set(atScale, 40), "scale 2^40"})
	}
	if width {
		out = append(out, damage{"no width", set(atWidth, 0, 0), "width 0"})
	} else {
		out = append(out, damage{"a width", set(atWidth, 2), "width 2"})
	}
	if short {
		out = append(out, damage{"another width", set(atWidth, 2, 0), "its header says"})
	}
	if element {
		out = append(out, damage{"no element", set(atElement, make([]byte, 8)...), "Galois element 0"})
	} else {
		out = append(out, damage{"an element", set(atElement, 5), "Galois element"})
	}
	if !seeded {
		out = append(out, damage{"first bit of a seed", set(atSeed, 1), "seed"}, damage{"last bit of a seed", set(atSeed+31, 128), "seed"})
	}
	return out
}

// bodyDamages are wrong lengths, and residues at the ends of every row that
// are not below its prime.
func bodyDamages(o *he.Object) []damage {
	size := o.Size()
	out := []damage{
		{"a trailing byte", func(b []byte) []byte { return append(b, 0) }, "its header says"},
		{"a second copy", func(b []byte) []byte { return append(b, b...) }, "its header says"},
	}
	for _, n := range []int{0, 1, 7, 8, 9, he.HeaderBytes - 1} {
		out = append(out, damage{fmt.Sprintf("cut at %d", n), cut(n), "fewer than the header's"})
	}
	for _, n := range []int{he.HeaderBytes, size - 8, size - 1} {
		out = append(out, damage{fmt.Sprintf("cut at %d", n), cut(n), "its header says"})
	}
	for n := 1024; n < size; n += 1024 {
		out = append(out, damage{fmt.Sprintf("cut at %d", n), cut(n), "its header says"})
	}
	length := len(o.Rows[0])
	for i, q := range o.Moduli() {
		for _, at := range []int{0, length - 1} {
			for _, v := range []uint64{q, q + 1, 1 << 63, ^uint64(0)} {
				out = append(out, damage{fmt.Sprintf("residue %d of row %d = %#x", at, i, v), func(b []byte) []byte {
					for j := range 8 {
						b[he.HeaderBytes+8*(i*length+at)+j] = byte(v >> (8 * j))
					}
					return b
				}, fmt.Sprintf("residue %d of row %d is not below its prime %d", at, i, q)})
			}
		}
	}
	return out
}

func TestParseIsStrict(t *testing.T) {
	s := seed(t).Stream("strict")
	ps := hetest.Profiles(t)
	for _, k := range he.Kinds() {
		p := ps.Release // the smallest with special primes
		o := filled(headers(k, p)[len(headers(k, p))-1], s)
		good := o.Append(nil)
		buf := make([]byte, 0, 2*len(good))
		for _, d := range append(headerDamages(o, ps.Train.Digest()), bodyDamages(o)...) {
			bad := d.to(append(buf, good...))
			got, err := he.ParseObject(bad, k, p)
			var decode *he.DecodeError
			switch {
			case err == nil && bytes.Equal(bad, good):
				t.Errorf("%s, %s: nothing is damaged", k, d.name)
			case err == nil:
				t.Errorf("%s, %s: accepted", k, d.name)
			case got != nil || !errors.As(err, &decode) || decode.Want != k || !strings.Contains(err.Error(), d.says):
				t.Errorf("%s, %s: %v, %v; want a DecodeError that says %q", k, d.name, got != nil, err, d.says)
			}
		}
	}
}

// Evaluation keys do not exist without special primes.
func TestProfileWithoutSpecialPrimesHasNoKeys(t *testing.T) {
	p := hetest.Profiles(t).Serve
	b := make([]byte, he.HeaderBytes)
	d := p.Digest()
	copy(b[copy(b, []byte{he.Version, byte(he.KindRelinKey), byte(p.MaxLevel())}):], make([]byte, 14))
	copy(b[atProfile:], d[:])
	if _, err := he.ParseObject(b, he.KindRelinKey, p); err == nil || !strings.Contains(err.Error(), "no evaluation keys") {
		t.Errorf("a relinearisation key of a profile without special primes: %v", err)
	}
	if p.Digits() != 0 {
		t.Errorf("%d gadget digits without special primes", p.Digits())
	}
}

// A header may claim 37 MB; refusing it costs what the error message costs.
func TestRefusalAllocatesNothing(t *testing.T) {
	p := he.Standard().Train
	for _, k := range he.Kinds() {
		hs := headers(k, p)
		head := hs[len(hs)-1]
		claim := (&he.Object{Kind: k, Profile: p, Level: head.Level, LogScale: head.LogScale, Width: head.Width, Element: head.Element, Seed: head.Seed}).Append(nil)
		claim = claim[:he.HeaderBytes]
		const runs = 100
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range runs {
			if _, err := he.ParseObject(claim, k, p); err == nil {
				t.Fatalf("%s: a header alone was accepted", k)
			}
		}
		runtime.ReadMemStats(&after)
		if got := (after.TotalAlloc - before.TotalAlloc) / runs; got > 1024 {
			t.Errorf("%s: refusing a header that claims %d bytes allocates %d", k, head.Size(), got)
		}
	}
}

// Our own wrong header is a bug and stops the process.
func TestNewObjectPanicsOnAWrongHeader(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a ciphertext with a width was made")
		}
	}()
	he.NewObject(he.Object{Kind: he.KindCiphertext, Profile: hetest.Profiles(t).Train, Width: 2})
}
