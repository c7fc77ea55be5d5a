package incentive

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func anyFixed() *rapid.Generator[Fixed] {
	return rapid.OneOf(
		rapid.Map(rapid.Int64(), func(x int64) Fixed { return Fixed(x) }),
		rapid.Map(rapid.Int64Range(-int64(One), int64(One)), func(x int64) Fixed { return Fixed(x) }),
		rapid.SampledFrom([]Fixed{MinFixed, MinFixed + 1, -One, -1, 0, 1, One, MaxFixed - 1, MaxFixed}),
	)
}

func clampFixed(x *big.Int) Fixed {
	switch {
	case x.IsInt64():
		return Fixed(x.Int64())
	case x.Sign() < 0:
		return MinFixed
	}
	return MaxFixed
}

// Every operation is the exact one, rounded as declared and held in range.
func TestFixedIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyFixed().Draw(t, "a"), anyFixed().Draw(t, "b")
		x, y := big.NewInt(int64(a)), big.NewInt(int64(b))
		want := map[string]*big.Int{
			"add": new(big.Int).Add(x, y),
			"sub": new(big.Int).Sub(x, y),
			"mul": new(big.Int).Rsh(new(big.Int).Mul(x, y), 32), // down
			"div": new(big.Int),
		}
		if b != 0 {
			want["div"].Quo(new(big.Int).Lsh(x, 32), y) // toward zero
		}
		for name, got := range map[string]Fixed{"add": a.Add(b), "sub": a.Sub(b), "mul": a.Mul(b), "div": a.Div(b)} {
			if got != clampFixed(want[name]) {
				t.Errorf("%d %s %d is %d, want %v", a, name, b, got, want[name])
			}
		}
	})
}

func TestRatioAndOf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Uint64().Draw(t, "a"), rapid.Uint64().Draw(t, "b")
		want := new(big.Int)
		if b != 0 {
			want.Quo(new(big.Int).Lsh(new(big.Int).SetUint64(a), 32), new(big.Int).SetUint64(b))
		}
		if got := Ratio(a, b); got != clampFixed(want) {
			t.Errorf("Ratio(%d, %d) is %d, want %v", a, b, got, want)
		}
		share := Fixed(rapid.Int64Range(0, int64(One)).Draw(t, "share"))
		part := new(big.Int).Mul(big.NewInt(int64(share)), new(big.Int).SetUint64(a))
		if got := share.Of(a); got != part.Rsh(part, 32).Uint64() {
			t.Errorf("%v of %d is %d, want %v", share, a, got, part)
		}
	})
}

// What String says is nearer to the number than to any other.
func TestFixedString(t *testing.T) {
	for x, want := range map[Fixed]string{0: "0.0", One: "1.0", -One / 2: "-0.5", 1: "0.0000000002", -1: "-0.0000000002", One - 1: "0.9999999998", MinFixed: "-2147483648.0", MaxFixed: "2147483647.9999999998"} {
		if got := x.String(); got != want {
			t.Errorf("%d prints as %s, want %s", int64(x), got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		x := anyFixed().Draw(t, "x")
		back, ok := new(big.Rat).SetString(x.String())
		if !ok || nearest(back) != x {
			t.Errorf("%d prints as %s", int64(x), x)
		}
	})
}

// The series is as near to e^x as its 32 places let it be, over the range that
// a sigmoid uses; beyond it, nothing panics.
func TestExp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := anyFixed().Draw(t, "x")
		got, ok := exp(x)
		if !ok && got != 0 {
			t.Errorf("exp(%v) is out of range and %v", x, got)
		}
		if x < -4*One || x > 4*One || x == One { // e itself has 23 places
			return
		}
		s := logistic(float(x.rat()))
		want := nearest(new(big.Rat).Quo(ratOf(s), new(big.Rat).Sub(big.NewRat(1, 1), ratOf(s)))) // s/(1−s)
		if diff := got.Sub(want); !ok || diff > 4096 || diff < -4096 {
			t.Errorf("exp(%v) is %v, want %v within 2^-20", x, got, want)
		}
	})
}

func ratOf(f *big.Float) *big.Rat {
	r, _ := f.Rat(nil)
	return r
}

func TestSigmoidIsMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, y := anyFixed().Draw(t, "x"), anyFixed().Draw(t, "y")
		rho, kappa := Fixed(rapid.Int64Range(0, 40*int64(One)).Draw(t, "rho")), One/2
		low, high := sigmoid(min(x, y), rho, kappa), sigmoid(max(x, y), rho, kappa)
		if low > high+64 || low < 0 || high > One { // 64: of the quirk at e^1
			t.Errorf("sigmoid falls from %v to %v between %v and %v", low, high, min(x, y), max(x, y))
		}
	})
}

func TestNearest(t *testing.T) {
	for text, want := range map[string]Fixed{"0.5": One / 2, "1.9e-09": 8, "1e30": MaxFixed, "-1e30": MinFixed, "-0.5": -One / 2} {
		x, err := parseNumber(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := nearest(x); got != want {
			t.Errorf("nearest(%s) is %d, want %d", text, got, want)
		}
	}
	for half, want := range map[int64]Fixed{1: 0, 3: 2, 5: 2, -1: 0, -3: -2, -5: -2} { // ties to even
		if got := nearest(new(big.Rat).SetFrac(big.NewInt(half), big.NewInt(2*int64(One)))); got != want {
			t.Errorf("nearest of %d halves is %d, want %d", half, got, want)
		}
	}
}
