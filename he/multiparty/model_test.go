package multiparty

import (
	"bytes"
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/hetest"
)

// slots are the first len(kept) slots of the vector with these kept
// coefficients at scale 2^40, by the encoder.
func slots(t *testing.T, p *he.Profile, kept []int64) []float64 {
	t.Helper()
	r := p.RingQ(p.MaxLevel())
	m := r.NewPoly()
	for k, x := range kept {
		for i, sub := range r.SubRings[:r.Level()+1] {
			m.Coeffs[i][k*p.TraceStride(len(kept))] = residue(big.NewInt(x), sub.Modulus)
		}
	}
	r.NTT(m, m)
	all, err := he.NewEncoder(p).Decode(m, 40)
	if err != nil {
		t.Fatal(err)
	}
	return all[:len(kept)]
}

// Weights are what the encoder finds in the slots, for every width.
func TestWeightsAreSlots(t *testing.T) {
	p := hetest.Profiles(t).Train
	rng := rand.New(rand.NewPCG(3, 4))
	for width := 1; width <= he.MaxWidth; width *= 2 {
		kept, integers := make([]int64, width), make([]*big.Int, width)
		for k := range kept {
			kept[k] = int64(rng.NormFloat64() * (1 << 40))
			integers[k] = big.NewInt(kept[k])
		}
		m := &Map{Width: width, Inputs: []Input{{Profile: p, LogScale: 40}},
			Model: &Model{LogScale: 40, Terms: []Term{{Factor: 1, Stride: 1}}}}
		want := slots(t, p, kept)
		for j, w := range m.weights([][]*big.Int{integers}) {
			if got := scaled(w, 40); math.Abs(got-want[j]) > 1e-10 {
				t.Fatalf("width %d: weight %d is %g, slot %d is %g", width, j, got, j, want[j])
			}
		}
	}
}

// Cosines are the nearest multiples of 2^-96: those that are known in closed
// form, and the identity cos² + sin² = 1 to the last bit but one.
func TestCosines(t *testing.T) {
	for width := 1; width <= he.MaxWidth; width *= 2 {
		c := twiceCosines(width)
		one := new(big.Int).Lsh(big.NewInt(1), cosineBits)
		for at, want := range map[int]int64{0: 2, width: 0, 2 * width: -2, 3 * width: 0} {
			if exact := new(big.Int).Mul(one, big.NewInt(want)); c[at].Cmp(exact) != 0 {
				t.Errorf("width %d: 2cos of %d quarter turns is %v/2^%d", width, at/width, c[at], cosineBits)
			}
		}
		four := new(big.Int).Lsh(big.NewInt(4), 2*cosineBits)
		for m := range c {
			sin := c[(m+3*width)%len(c)]
			sum := new(big.Int).Mul(c[m], c[m])
			sum.Add(sum, new(big.Int).Mul(sin, sin))
			if off := sum.Sub(sum, four).BitLen(); off > cosineBits+2 {
				t.Fatalf("width %d: cos² + sin² at %d of %d is off by 2^%d/2^%d", width, m, len(c), off, 2*cosineBits)
			}
		}
	}
}

// A share may be narrower than the vectors lattigo adds by: the race detector's
// pointer checks see what is read or written beyond it.
func TestNarrowShares(t *testing.T) {
	p := hetest.Profiles(t).Serve
	for width := 1; width <= 8; width *= 2 {
		var a, b, want []*big.Int
		for j := range width {
			a, b, want = append(a, big.NewInt(int64(j))), append(b, big.NewInt(int64(-2*j-1))), append(want, big.NewInt(int64(-j-1)))
		}
		x, errA := NewModelShare(p, a)
		y, errB := NewModelShare(p, b)
		z, errC := NewModelShare(p, want)
		if err := errors.Join(errA, errB, errC); err != nil {
			t.Fatal(err)
		}
		sum, err := x.Plus(y)
		if err != nil || !bytes.Equal(sum.Append(nil), z.Append(nil)) {
			t.Errorf("width %d: not the sum (%v)", width, err)
		}
	}
}
