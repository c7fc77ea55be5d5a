package he_test

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/hetest"
)

// The production profiles derive, hold 128 bits, and have what PROTOCOL §2
// says.
func TestStandard(t *testing.T) {
	ps := he.Standard()
	for _, tc := range []struct {
		p                              *he.Profile
		logN, slots, limit, top, floor int
		logScale, digits, special      int
	}{
		{ps.Train, 14, 1 << 14, 430, 7, 2, 40, 8, 1},
		{ps.Release, 14, 1 << 14, 430, 3, 3, 98, 2, 2},
		{ps.Serve, 12, 1 << 11, 106, 1, 1, 30, 0, 0},
	} {
		p := tc.p
		got := []int{p.N(), p.Slots(), p.MaxLevel(), p.Floor(), p.LogScale(), p.Digits(), p.Special()}
		if want := []int{1 << tc.logN, tc.slots, tc.top, tc.floor, tc.logScale, tc.digits, tc.special}; !slices.Equal(got, want) {
			t.Errorf("%s: N, slots, top level, floor, scale, digits, special primes %v, want %v", p.Name(), got, want)
		}
		// log2(QP) from the primes themselves.
		product := big.NewInt(1)
		params := p.Params()
		for _, q := range append(append([]uint64(nil), params.Q()...), params.P()...) {
			product.Mul(product, new(big.Int).SetUint64(q))
			if !new(big.Int).SetUint64(q).ProbablyPrime(20) || (q-1)%p.RingQ(0).NthRoot() != 0 {
				t.Errorf("%s: %d is not a prime with a root of order %d", p.Name(), q, p.RingQ(0).NthRoot())
			}
		}
		mantissa := new(big.Float)
		exponent := new(big.Float).SetInt(product).MantExp(mantissa)
		m, _ := mantissa.Float64()
		logQP := float64(exponent) + math.Log2(m)
		if logQP > float64(tc.limit) || math.Abs(logQP-p.LogQP()) > 1e-6 {
			t.Errorf("%s: log2(QP) = %.3f, LogQP says %.3f, at most %d", p.Name(), logQP, p.LogQP(), tc.limit)
		}
		if want := fmt.Sprintf("log2(QP) = %.1f of at most %d at 128 bits", logQP, tc.limit); !strings.Contains(p.Derivation(), want) {
			t.Errorf("%s: its derivation does not say %q:\n%s", p.Name(), want, p.Derivation())
		}
		if got := p.LogQ(0); got != p.Modulus(0).BitLen()-1 {
			t.Errorf("%s: LogQ(0) = %d", p.Name(), got)
		}
		p.Modulus(0).SetInt64(0) // a copy
		if p.Modulus(0).Sign() == 0 {
			t.Errorf("%s: Modulus gives its own integer away", p.Name())
		}
	}
}

// The mask rule holds for the largest roster at the floor of train, and one
// level below it would not.
func TestTrainFloorIsTheLowestThatMasks(t *testing.T) {
	p := he.Standard().Train
	mask := func(level int) int { return p.LogQ(level) - 6 } // log2(Q) - log2(32) - 1
	if need := he.MaskFloor(14); mask(p.Floor()) < need || mask(p.Floor()-1) >= need {
		t.Errorf("masks of 2^%d at the floor and 2^%d below it; 2^%d is needed", mask(p.Floor()), mask(p.Floor()-1), need)
	}
}

func TestDeriveRefuses(t *testing.T) {
	change := func(of he.Spec, f func(*he.Spec)) he.Spec { f(&of); return of }
	for _, tc := range []struct {
		name, says string
		spec       he.Spec
	}{
		{"serve with a third prime", "above the 128-bit cap 106", change(he.ServeSpec(), func(s *he.Spec) { s.LogQ = append(s.LogQ, 52) })},
		{"serve one bit above", "above the 128-bit cap 106", change(he.ServeSpec(), func(s *he.Spec) { s.LogQ = []int{54, 53} })},
		{"serve with a special prime", "above the 128-bit cap 106", change(he.ServeSpec(), func(s *he.Spec) { s.LogP = []int{52} })},
		{"train in half the ring", "above the 128-bit cap 214", change(he.TrainSpec(), func(s *he.Spec) { s.LogN = 13 })},
		{"a ring with no cap", "above the 128-bit cap 0", change(he.TrainSpec(), func(s *he.Spec) { s.LogN = 17 })},
		{"hetest's ring in production", "above the 128-bit cap 0", change(he.TrainSpec(), func(s *he.Spec) { s.LogN = hetest.LogN })},
		{"a cap hidden by a negative size", "-300", change(he.TrainSpec(), func(s *he.Spec) { s.LogN, s.LogQ = 13, append(s.LogQ, -300) })},
		{"a floor above the top", "do not fit 8 primes", change(he.TrainSpec(), func(s *he.Spec) { s.Floor = 4 })},
		{"a negative floor", "do not fit", change(he.TrainSpec(), func(s *he.Spec) { s.Floor = -1 })},
		{"no primes", "do not fit 0 primes", he.Spec{Name: "x", LogN: 14, LogScale: 40}},
		{"a scale no header holds", "header", change(he.TrainSpec(), func(s *he.Spec) { s.LogScale = he.MaxLogScale + 1 })},
		{"no scale", "header", change(he.TrainSpec(), func(s *he.Spec) { s.LogScale = 0 })},
		{"a ring narrower than a row", "header", change(he.TrainSpec(), func(s *he.Spec) { s.LogN, s.Insecure = 7, true })},
		{"a prime lattigo does not take", "profile train", change(he.TrainSpec(), func(s *he.Spec) { s.LogQ[0] = 70 })},
	} {
		if p, err := he.Derive(tc.spec); err == nil || p != nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, want an error that says %q", tc.name, err, tc.says)
		}
	}
}

// Whatever two machines must agree on changes the digest, and no insecure
// profile has a production one. That Derive refuses insecure specs outside
// tests is testing.Testing's word, which a test cannot see to be false.
func TestDigestsDiffer(t *testing.T) {
	base := he.Spec{Name: "x", LogN: 12, Conjugate: true, LogQ: []int{40, 30}, LogP: []int{30}, LogScale: 30, Depth: 1}
	seen := map[he.Digest]string{}
	for name, f := range map[string]func(*he.Spec){
		"base":          func(*he.Spec) {},
		"insecure":      func(s *he.Spec) { s.Insecure = true },
		"name":          func(s *he.Spec) { s.Name = "y" },
		"name of parts": func(s *he.Spec) { s.Name = `x"/12/true` },
		"ring":          func(s *he.Spec) { s.Conjugate = false },
		"degree":        func(s *he.Spec) { s.LogN = 13 },
		"primes":        func(s *he.Spec) { s.LogQ = []int{40, 31} },
		"order":         func(s *he.Spec) { s.LogQ = []int{30, 40} },
		"fewer":         func(s *he.Spec) { s.LogP = nil },
		"not special":   func(s *he.Spec) { s.LogQ, s.LogP = []int{40, 30, 30}, nil },
		"scale":         func(s *he.Spec) { s.LogScale = 31 },
		"depth":         func(s *he.Spec) { s.Depth = 0 },
		"floor":         func(s *he.Spec) { s.Depth, s.Floor = 0, 1 },
	} {
		s := base
		f(&s)
		p, err := he.Derive(s)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if other, ok := seen[p.Digest()]; ok {
			t.Errorf("%s and %s have one digest", name, other)
		}
		seen[p.Digest()] = name
	}
	production, insecure := he.Standard(), hetest.Profiles(t)
	for _, p := range []*he.Profile{production.Train, production.Release, production.Serve, insecure.Train, insecure.Release, insecure.Serve} {
		if other, ok := seen[p.Digest()]; ok {
			t.Errorf("%s and %s have one digest", p.Name(), other)
		}
		seen[p.Digest()] = p.Name()
	}
}

// The same spec gives the same profile, and a profile does not change when the
// spec it came from does.
func TestProfileIsItsOwn(t *testing.T) {
	spec := he.TrainSpec()
	one, err := he.Derive(spec)
	if err != nil {
		t.Fatal(err)
	}
	text := one.Derivation()
	spec.LogQ[0], spec.LogP[0] = 1, 1
	if one.Derivation() != text || one.Digest() != he.Standard().Train.Digest() {
		t.Error("a profile changed with the spec it was derived from")
	}
}
