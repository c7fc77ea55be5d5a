package circuit

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/hetest"
	"pgregory.net/rapid"
)

// One round of sharpening is its twin's polynomial, at exactly the scale and level that
// the next map takes; a constant polynomial has one number in all slots.
func TestSharpenIsItsTwin(t *testing.T) {
	p := hetest.Profiles(t).Train
	b := newBenchOf(p, newPlan(p, he.Packing{Width: 2, Baby: 2}, 2))
	comparer := NewComparer(b.keys)
	for _, k := range []int{0, steep} {
		for _, x := range []float64{1, -1, 0.7, -0.25, 1e-3, math.Exp2(-28), 0} {
			label := []byte(fmt.Sprint(k, x))
			up := math.Ldexp(x, he.LogSign-p.LogScale())
			got, err := comparer.Sharpen(encryptCoefficients(p, b.pk, map[int]float64{0: up}, b.seed.Stream("x", label)), k)
			if err != nil {
				t.Fatal(err)
			}
			if got.Level() != p.CompareLevel() || got.LogScale != he.LogSigned {
				t.Fatalf("level %d and scale 2^%d", got.Level(), got.LogScale)
			}
			c, y := sign(k), x*x
			want := x * (c[0] + y*(c[1]+y*(c[2]+y*c[3])))
			// The constant of x⁷ has 25 bits.
			if off := math.Abs(coefficient(b.sk, got, 0) - want); !(off <= math.Exp2(-38)+math.Exp2(-24)*math.Abs(x*y*y*y)) {
				t.Errorf("round %d of %g: off by 2^%.1f", k, x, math.Log2(off))
			}
		}
	}
	if _, err := comparer.Sharpen(encryptCoefficients(p, b.pk, nil, b.seed.Stream("x")), Signs); err == nil {
		t.Error("a round too many")
	}
	if _, err := comparer.Sharpen(encryptCoefficients(p, b.pk, nil, b.seed.Stream("x")).At(2), 0); err == nil {
		t.Error("an operand below the top level")
	}
}

// What x² − y·z is, at its scale.
func TestCross(t *testing.T) {
	p := hetest.Profiles(t).Train
	b := newBenchOf(p, newPlan(p, he.Packing{Width: 2, Baby: 2}, 2))
	operand := func(x float64) *he.Ciphertext {
		return encryptCoefficients(p, b.pk, map[int]float64{0: math.Ldexp(x, he.LogCosine-p.LogScale())}, b.seed.Stream("x", []byte(fmt.Sprint(x))))
	}
	got, err := NewComparer(b.keys).Cross(operand(0.01), operand(0.02), operand(0.004))
	if err != nil {
		t.Fatal(err)
	}
	if v := coefficient(b.sk, got, 0); got.LogScale != 2*he.LogCosine || math.Abs(v-2e-5) > math.Exp2(-50) {
		t.Errorf("x² − y·z = %g at scale 2^%d, want 2e-05", v, got.LogScale)
	}
}

// From 2^-28 on a number is its sign, and it never leaves [-1, 1] on the way:
// what a map masks stays within its bound.
func TestSignsAreSigns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := math.Exp2(-rapid.Float64Range(0, 28).Draw(t, "bits"))
		if rapid.Bool().Draw(t, "negative") {
			x = -x
		}
		for k := range Signs + 1 {
			if v := Sharpened(x, k); math.Abs(v) > 1+1e-12 {
				t.Fatalf("%g is %g after %d rounds", x, v, k)
			}
		}
		if v := Sharpened(x, Signs); math.Abs(v-math.Copysign(1, x)) > math.Exp2(-40) {
			t.Errorf("%g sharpens to %g", x, v)
		}
	})
}

// The test is INCENTIVES §2's: cosines of at least θ, and no others, whatever the
// lengths of the vectors.
func TestNearIsTheCosineTest(t *testing.T) {
	const theta = 0.99
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Float64Range(0.03, 1).Draw(t, "|u|²"), rapid.Float64Range(0.03, 1).Draw(t, "|v|²")
		cosine := rapid.Float64Range(-1, 1).Draw(t, "cosine")
		if math.Abs(cosine-theta) < 1e-4 {
			return
		}
		want := 0.0
		if cosine >= theta {
			want = 1
		}
		if got := Near(cosine*math.Sqrt(a*b), theta*a, theta*b); math.Abs(got-want) > math.Exp2(-30) {
			t.Errorf("cosine %g of lengths %g and %g: %g, want %g", cosine, a, b, got, want)
		}
	})
}

// Recorded operations of the near-copy test are done again to the same digests,
// and refused with operands they do not take.
func TestReplayCompares(t *testing.T) {
	p := hetest.Profiles(t).Train
	b := newBenchOf(p, newPlan(p, he.Packing{Width: 2, Baby: 2}, 2))
	_, _, pk, valuer := release(t)
	blobs := map[he.Digest][]byte{}
	put := func(cs ...*he.Ciphertext) (out []he.Digest) {
		for _, c := range cs {
			blobs[c.Digest()] = c.Append(nil)
			out = append(out, c.Digest())
		}
		return out
	}
	x := encryptCoefficients(p, b.pk, map[int]float64{0: 1}, b.seed.Stream("x"))
	y := encryptCoefficients(p, b.pk, map[int]float64{0: 0.5}, b.seed.Stream("y"))
	h := encryptCoefficients(valuer.profile, pk, map[int]float64{0: 0.5}, he.Seed{1}.Stream("h"))
	comparer := NewComparer(b.keys)
	ops := []Op{
		{Kind: OpGram, Inputs: put(x, y)}, {Kind: OpCross, Inputs: put(x, y, y)}, {Kind: OpSharpen, Interval: steep, Inputs: put(x)},
		{Kind: OpBoth, Inputs: put(h, h)}, {Kind: OpDirect, Inputs: put(h, h, h)},
	}
	gram, err1 := comparer.Gram([]*he.Ciphertext{x}, []*he.Ciphertext{y})
	cross, err2 := comparer.Cross(x, y, y)
	sharp, err3 := comparer.Sharpen(x, steep)
	both, err4 := valuer.Both(h, h)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	for i, c := range []*he.Ciphertext{gram, cross, sharp, both, he.Add(h, h, h)} {
		ops[i].Outputs = put(c)
	}
	replayer := &Replayer{Values: valuer, Copies: comparer, Blob: func(d he.Digest) ([]byte, error) { return blobs[d], nil }}
	for _, op := range ops {
		if err := replayer.Replay(op); err != nil {
			t.Errorf("operation %d: %v", op.Kind, err)
		}
		wrong := op
		wrong.Outputs = []he.Digest{he.HashParts("other")}
		var differs *ReplayError
		if err := replayer.Replay(wrong); !errors.As(err, &differs) {
			t.Errorf("operation %d with another output: %v", op.Kind, err)
		}
		wrong = op
		if wrong.Inputs = nil; replayer.Replay(wrong) == nil {
			t.Errorf("operation %d of nothing was replayed", op.Kind)
		}
		wrong.Inputs = append(slices.Clone(op.Inputs), op.Inputs[0])
		if op.Kind != OpDirect && replayer.Replay(wrong) == nil {
			t.Errorf("operation %d with an operand too many was replayed", op.Kind)
		}
		if (&Replayer{Values: valuer, Blob: replayer.Blob}).Replay(op) == nil {
			t.Errorf("operation %d was replayed by one who has no keys for it", op.Kind)
		}
	}
	if got := coefficient(b.sk, gram, 0); math.Abs(math.Ldexp(got, 2*(he.LogUpdate-p.LogScale()))-0.5) > 1e-6 {
		t.Errorf("the product is %g at its scale", got)
	}
}
