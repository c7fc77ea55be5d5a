package circuit

import (
	"fmt"
	"math"
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
