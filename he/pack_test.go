package he_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/hetest"
)

// randomRows are n rows of d values in [-1, 1], the edges among them.
func randomRows(s *he.Stream, n, d int) he.Rows {
	rng := rand.New(rand.NewPCG(s.Uint64(), s.Uint64()))
	x := he.Rows{Columns: d, Values: make([]float64, n*d)}
	for i := range x.Values {
		x.Values[i] = 2*rng.Float64() - 1
	}
	copy(x.Values, []float64{1, -1, 0})
	return x
}

// packings are all packings up to a width.
func packings(width int) (out []he.Packing) {
	for w := 1; w <= width; w *= 2 {
		for b := 1; b <= w; b *= 2 {
			out = append(out, he.Packing{Width: w, Baby: b})
		}
	}
	return out
}

// Vector against its definition (PROTOCOL §3): Z_r[i] = z[i][(i+r) mod D],
// rotated right by r rounded down to a multiple of Baby.
func TestVectorIsItsDefinition(t *testing.T) {
	s := seed(t).Stream("rows")
	for _, k := range packings(16) {
		for _, slots := range []int{k.Width, 2 * k.Width, 64} {
			for _, n := range []int{0, 1, slots - 1, slots} {
				for _, d := range []int{1, (k.Width + 1) / 2, k.Width} {
					x := randomRows(s, n, d)
					got := make([]float64, slots)
					for r := range k.Width {
						k.Vector(r, x, got)
						giant := r - r%k.Baby
						for i := range slots {
							want := 0.0
							if col := (i + r) % k.Width; i < n && col < d {
								want = x.Row(i)[col]
							}
							if v := got[(i+giant)%slots]; v != want {
								t.Fatalf("%+v, %d slots, %d×%d rows, vector %d, slot %d: %v, want %v", k, slots, n, d, r, i, v, want)
							}
						}
					}
				}
			}
		}
	}
}

// A stacked vector holds segment g of its rows at slot g·Stride, in step with
// weights of period Width; strides leave half the slots empty.
func TestStackedVectorIsItsDefinition(t *testing.T) {
	const slots = 1 << 10
	s := seed(t).Stream("rows")
	for width := 2; width <= 64; width *= 2 {
		for stack := 2; stack <= width; stack *= 2 {
			k := he.Packing{Width: width, Baby: width / stack, Stack: stack}
			stride := k.Stride(slots)
			if stride%width != k.Baby%width || 2*stack*stride > slots || k.Capacity(slots) != stride || k.Vectors() != k.Baby {
				t.Fatalf("%+v: stride %d, capacity %d, %d vectors", k, stride, k.Capacity(slots), k.Vectors())
			}
			for _, n := range []int{0, 1, stride} {
				x, got := randomRows(s, n, (width+1)/2), make([]float64, slots)
				for b := range k.Vectors() {
					k.Vector(b, x, got)
					for at, v := range got {
						want, g, i := 0.0, at/stride, at%stride
						if col := (at + b) % width; g < stack && i < n && col < x.Columns {
							want = x.Row(i)[col]
						}
						if v != want {
							t.Fatalf("%+v, %d rows, vector %d, slot %d: %v, want %v", k, n, b, at, v, want)
						}
					}
				}
			}
		}
	}
	if tiny := (he.Packing{Width: 64, Baby: 32, Stack: 2}); tiny.Capacity(64) != 0 {
		t.Errorf("%d rows in 64 slots, where not even one fits", tiny.Capacity(64))
	}
}

// For the way back a vector is rotated left by Width−g·Baby.
func TestBackVectorIsItsDefinition(t *testing.T) {
	const slots = 64
	s := seed(t).Stream("rows")
	for _, k := range packings(16) {
		forward, back := k, k
		back.Back = true
		x := randomRows(s, slots-3, k.Width)
		a, b := make([]float64, slots), make([]float64, slots)
		for r := range k.Width {
			forward.Vector(r, x, a)
			back.Vector(r, x, b)
			shift := 0 // the one is the other, rotated by the width
			if r >= k.Baby {
				shift = k.Width
			}
			for i := range slots {
				if b[i] != a[(i+shift)%slots] {
					t.Fatalf("%+v, vector %d, slot %d: %v, want %v", k, r, i, b[i], a[(i+shift)%slots])
				}
			}
		}
	}
}

// What the packing is for: Σ_g rot_{gB}(Σ_b Z_{gB+b}·rot_b(w)) is every row's
// inner product with periodic weights.
func TestPackingGivesInnerProducts(t *testing.T) {
	const slots = 64
	s := seed(t).Stream("rows")
	rotate := func(v []float64, by int) []float64 { // to the left
		return append(append([]float64(nil), v[by%slots:]...), v[:by%slots]...)
	}
	for _, k := range packings(32) {
		x, w := randomRows(s, slots-3, k.Width), randomRows(s, 1, k.Width).Values
		periodic := make([]float64, slots)
		for i := range periodic {
			periodic[i] = w[i%k.Width]
		}
		sum, z := make([]float64, slots), make([]float64, slots)
		for g := 0; g < k.Width; g += k.Baby {
			inner := make([]float64, slots)
			for b := range k.Baby {
				k.Vector(g+b, x, z)
				for i, v := range rotate(periodic, b) {
					inner[i] += z[i] * v
				}
			}
			for i, v := range rotate(inner, g) {
				sum[i] += v
			}
		}
		for i := range slots {
			want := 0.0
			if i < x.Len() {
				for c, v := range x.Row(i) {
					want += v * w[c]
				}
			}
			if math.Abs(sum[i]-want) > 1e-12 {
				t.Fatalf("%+v: the inner product of row %d is %v, want %v", k, i, sum[i], want)
			}
		}
	}
}

func TestRows(t *testing.T) {
	x := randomRows(seed(t).Stream("rows"), 7, 3)
	if got := x.Slice(2, 5); got.Len() != 3 || &got.Row(0)[0] != &x.Row(2)[0] {
		t.Errorf("Slice(2, 5) has %d rows or is a copy", got.Len())
	}
	for d, want := range map[int]int{1: 1, 2: 2, 3: 4, 31: 32, 32: 32, 33: 64, 196: 256, 256: 256} {
		if got := he.WidthFor(d); got != want {
			t.Errorf("WidthFor(%d) = %d, want %d", d, got, want)
		}
	}
}

// Law L12: nothing that is not finite and in range is encrypted, and the error
// names the cell.
func TestBlocksAreFiniteAndInRange(t *testing.T) {
	p := hetest.Profiles(t).Train
	enc, pk := he.NewEncoder(p), key(t, p).pk
	k, s := he.Packing{Width: 4, Baby: 2}, seed(t).Stream("rows")
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.Nextafter(1, 2), math.Nextafter(-1, -2), 1e300, -2} {
		for _, at := range []int{0, 5, 3*p.Slots() - 1} {
			x := randomRows(s, p.Slots(), 3)
			x.Values[at] = v
			_, plain := he.EncodeBlock(enc, k, x)
			_, encrypted := he.EncryptBlock(enc, pk, k, x, he.Seed{1})
			for _, err := range []error{plain, encrypted} {
				var out *he.RangeError
				if !errors.As(err, &out) || out.Row != at/3 || out.Column != at%3 || math.Float64bits(out.Value) != math.Float64bits(v) {
					t.Fatalf("%v at row %d, column %d: %v", v, at/3, at%3, err)
				}
				if want := fmt.Sprintf("row %d, column %d: %v", at/3, at%3, v); !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		}
	}
	if _, err := enc.Encode([]float64{0, math.NaN()}, 1, 40); err == nil {
		t.Error("a NaN was encoded")
	}
	if _, err := enc.Encode(make([]float64, p.Slots()+1), 1, 40); err == nil {
		t.Error("more values than slots were encoded")
	}
}

func TestBlocksOfTheWrongShape(t *testing.T) {
	p := hetest.Profiles(t).Train
	enc, pk := he.NewEncoder(p), key(t, p).pk
	for name, tc := range map[string]struct {
		k    he.Packing
		x    he.Rows
		says string
	}{
		"width 0":              {he.Packing{}, he.Rows{Columns: 1}, "width 0"},
		"width 3":              {he.Packing{Width: 3, Baby: 1}, he.Rows{Columns: 1}, "width 3"},
		"width 512":            {he.Packing{Width: 512, Baby: 1}, he.Rows{Columns: 1}, "width 512"},
		"no baby steps":        {he.Packing{Width: 4}, he.Rows{Columns: 1}, "steps of 0"},
		"baby steps of 3":      {he.Packing{Width: 4, Baby: 3}, he.Rows{Columns: 1}, "steps of 3"},
		"baby steps above":     {he.Packing{Width: 4, Baby: 8}, he.Rows{Columns: 1}, "steps of 8"},
		"negative baby steps":  {he.Packing{Width: 4, Baby: -2}, he.Rows{Columns: 1}, "steps of -2"},
		"no columns":           {he.Packing{Width: 4, Baby: 4}, he.Rows{}, "0 columns"},
		"columns above width":  {he.Packing{Width: 4, Baby: 4}, he.Rows{Columns: 5}, "5 columns"},
		"rows above slots":     {he.Packing{Width: 4, Baby: 4}, he.Rows{Columns: 1, Values: make([]float64, p.Slots()+1)}, "rows of 1 columns"},
		"a part of a row":      {he.Packing{Width: 4, Baby: 4}, he.Rows{Columns: 2, Values: make([]float64, 3)}, "3 values"},
		"a part of a long row": {he.Packing{Width: 4, Baby: 4}, he.Rows{Columns: 4, Values: make([]float64, 1)}, "1 values"},
	} {
		_, plain := he.EncodeBlock(enc, tc.k, tc.x)
		_, encrypted := he.EncryptBlock(enc, pk, tc.k, tc.x, he.Seed{1})
		for _, err := range []error{plain, encrypted} {
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%s: %v, want it to say %q", name, err, tc.says)
			}
		}
	}
}

// holdBlock decrypts a block and holds every slot to its declared error.
func holdBlock(t *testing.T, p *he.Profile, parties int, k he.Packing, x he.Rows) {
	t.Helper()
	keys, enc := jointKey(t, p, parties), he.NewEncoder(p)
	cs, err := he.EncryptBlock(enc, keys.pk, k, x, he.Seed{2})
	if err != nil {
		t.Fatal(err)
	}
	worst, square := 0.0, 0.0
	want := make([]float64, p.Slots())
	for r, c := range cs {
		if c.Level() != p.MaxLevel() || c.LogScale != p.LogScale() {
			t.Fatalf("vector %d at level %d and scale 2^%d", r, c.Level(), c.LogScale)
		}
		k.Vector(r, x, want)
		for i, got := range keys.decrypt(t, c) {
			worst = max(worst, math.Abs(got-want[i]))
			square += (got - want[i]) * (got - want[i])
		}
	}
	bound := he.EncryptError(p, parties)
	t.Logf("%s, N = %d, %d parties: worst slot error 2^%.1f, rms 2^%.1f, declared 2^%.1f", p.Name(), p.N(), parties,
		math.Log2(worst), math.Log2(square/float64(len(cs)*p.Slots()))/2, math.Log2(bound))
	if worst > bound {
		t.Errorf("a slot is %g off, more than the declared %g", worst, bound)
	}
}

func TestEncryptError(t *testing.T) {
	p, s := hetest.Profiles(t).Train, seed(t).Stream("rows")
	for _, parties := range []int{1, 3, he.MaxParties} {
		for _, k := range []he.Packing{{Width: 1, Baby: 1}, {Width: 8, Baby: 8}, {Width: 16, Baby: 4}} {
			holdBlock(t, p, parties, k, randomRows(s, p.Slots(), k.Width))
		}
	}
	if testing.Short() {
		return
	}
	p = he.Standard().Train
	holdBlock(t, p, 3, he.Packing{Width: 8, Baby: 2}, randomRows(s, p.Slots()-5, 7))
}

// The encoder alone: at most 1/2 on a coefficient, N in a slot.
func TestDecodeIsEncode(t *testing.T) {
	p := hetest.Profiles(t).Train
	enc := he.NewEncoder(p)
	v := randomRows(seed(t).Stream("rows"), p.Slots(), 1).Values
	for _, logScale := range []int{20, 30, 40, 48} {
		m, err := enc.Encode(v, 2, logScale)
		if err != nil {
			t.Fatal(err)
		}
		got, err := enc.Decode(m, logScale)
		if err != nil {
			t.Fatal(err)
		}
		bound := float64(p.N())/math.Exp2(float64(logScale)) + 1e-13 // and the FFT in float64
		for i := range v {
			if math.Abs(got[i]-v[i]) > bound {
				t.Fatalf("scale 2^%d, slot %d: %g off, more than %g", logScale, i, got[i]-v[i], bound)
			}
		}
	}
}

// EncodeBlock is what EncryptBlock encrypts.
func TestEncodeBlock(t *testing.T) {
	p := hetest.Profiles(t).Train
	enc, k := he.NewEncoder(p), he.Packing{Width: 8, Baby: 4}
	x := randomRows(seed(t).Stream("rows"), 100, 6)
	ms, err := he.EncodeBlock(enc, k, x)
	if err != nil {
		t.Fatal(err)
	}
	want := make([]float64, p.Slots())
	for r, m := range ms {
		got, err := enc.Decode(m, p.LogScale())
		if err != nil {
			t.Fatal(err)
		}
		k.Vector(r, x, want)
		for i := range want {
			if math.Abs(got[i]-want[i]) > float64(p.N())/math.Exp2(float64(p.LogScale())) {
				t.Fatalf("vector %d, slot %d: %v, want %v", r, i, got[i], want[i])
			}
		}
	}
}

// Law L11: the same bytes on any number of cores, and with one encoder used
// for two blocks at once.
func TestEncryptBlockRepeats(t *testing.T) {
	p := hetest.Profiles(t).Train
	enc, pk := he.NewEncoder(p), key(t, p).pk
	k, x := he.Packing{Width: 16, Baby: 4}, randomRows(seed(t).Stream("rows"), p.Slots(), 13)
	encrypt := func() []byte {
		cs, err := he.EncryptBlock(enc, pk, k, x, he.Seed{3})
		if err != nil {
			t.Error(err)
		}
		var b []byte
		for _, c := range cs {
			b = c.Append(b)
		}
		return b
	}
	want := encrypt()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, cores := range []int{1, 2, 7} {
		runtime.GOMAXPROCS(cores)
		both := make(chan []byte)
		for range 2 {
			go func() { both <- encrypt() }()
		}
		for range 2 {
			if !bytes.Equal(<-both, want) {
				t.Errorf("other bytes on %d cores", cores)
			}
		}
	}
}

// Columns that are left out are zero, and the rows they are taken from stay.
func TestOnly(t *testing.T) {
	x := he.Rows{Columns: 3, Values: []float64{1, 0.5, -0.5, 1, 0.25, -0.5}}
	got, which := x.Only([]bool{true, false, true}).Distinct()
	if !slices.Equal(got.Values, []float64{1, 0, -0.5}) || !slices.Equal(which, []int{0, 0}) {
		t.Errorf("rows %v, %v", got.Values, which)
	}
	if all := x.Only(nil); !slices.Equal(all.Values, []float64{1, 0.5, -0.5, 1, 0.25, -0.5}) {
		t.Errorf("of all columns %v", all.Values)
	}
}
