package multiparty

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/hetest"
	"github.com/tuneinsight/lattigo/v5/core/rlwe"
	"github.com/tuneinsight/lattigo/v5/he/hefloat"
	"github.com/tuneinsight/lattigo/v5/ring"
)

// mapOutput encrypts a plaintext under the sum of n secrets as a map does:
// under a uniform c1, with n fresh errors, and with (n+1)/2 units of rounding on
// kept coefficients.
func mapOutput(sk *he.SecretKey, m ring.Poly, kept []int, n int, rng *rand.Rand, label string) *he.Ciphertext {
	p := sk.Profile
	r := p.RingQ(p.MaxLevel())
	s := he.Seed{55}.Stream(label)
	c := &he.Ciphertext{Profile: p, LogScale: p.LogScale(), C0: r.NewPoly(), C1: r.NewPoly()}
	s.Uniform(r, c.C1)
	v, e := make([]int64, p.N()), make([]int64, p.N())
	for range n {
		s.Fresh(e)
		for i := range v {
			v[i] += e[i]
		}
	}
	for _, at := range kept {
		v[at] += int64(rng.IntN(n+2)) - int64(n+1)/2
	}
	c.C0 = p.SmallQ(p.MaxLevel(), v)
	r.Add(c.C0, m, c.C0)
	r.MulCoeffsMontgomeryThenSub(c.C1, sk.Value.Q, c.C0)
	return c
}

// product relinearises the product of two ciphertexts, as a circuit does.
func product(t testing.TB, sk *he.SecretKey, a, b *he.Ciphertext) *he.Ciphertext {
	t.Helper()
	p := sk.Profile
	keys := rlwe.NewMemEvaluationKeySet(rlwe.NewKeyGenerator(p.RLWE()).GenRelinearizationKeyNew(&rlwe.SecretKey{Value: sk.Value}))
	ct, err := hefloat.NewEvaluator(p.Params(), keys).MulRelinNew(a.RLWE(), b.RLWE())
	if err != nil {
		t.Fatal(err)
	}
	return &he.Ciphertext{Profile: p, LogScale: a.LogScale + b.LogScale, C0: ct.Value[0], C1: ct.Value[1]}
}

// panelOf is a panel of n companies, of which the first evaluators value, each by
// itself: also where [he.NewPanel] has them value together, for being few.
func panelOf(width, n, evaluators int) he.Panel {
	p := he.Panel{Width: width, Companies: n}
	for e := range evaluators {
		p.Evaluators, p.Rows = append(p.Evaluators, []int{e}), append(p.Rows, 3+e)
	}
	return p
}

// segments are the kept coefficients of A and of B.
func segments(panel he.Panel) (a, b []int) {
	for i := range panel.Companies {
		for k := range panel.Width {
			a = append(a, panel.Update(i)+k)
		}
	}
	for e := range panel.Evaluators {
		for k := range panel.Width {
			b = append(b, panel.Direction(e)+k)
		}
	}
	return a, b
}

// The declared error holds for every coefficient of a sum of products of the
// largest values, before flooding.
func TestCiphertextErrorIsDeclared(t *testing.T) {
	profiles := []*he.Profile{hetest.Profiles(t).Release}
	if !testing.Short() {
		profiles = append(profiles, he.Standard().Release)
	}
	rng := rand.New(rand.NewPCG(11, 12))
	for _, tc := range []struct{ n, width, terms, directions int }{{2, 4, 1, 1}, {3, 32, 3, 1}, {5, 16, 2, 1}, {5, 64, 1, 1}, {3, 16, 2, 3}, {2, 64, 1, 2}} {
		for _, p := range profiles {
			_, _, sums := holders(t, he.Profiles{Train: p, Release: p}, tc.n)
			sk := sums["release"]
			r := p.RingQ(p.MaxLevel())
			f := Flooding{Terms: tc.terms, Width: tc.width, LogA: 3, LogB: 2, Directions: tc.directions}
			atA, atB := segments(panelOf(tc.width, tc.n, tc.directions))
			large := func(at []int, logValue int) ring.Poly {
				coeffs := map[int]*big.Int{}
				for _, i := range at {
					coeffs[i] = power(p.LogScale() + logValue)
					if rng.IntN(2) == 0 {
						coeffs[i].Neg(coeffs[i])
					}
				}
				return polynomial(p, coeffs)
			}
			var products []*he.Ciphertext
			exact := r.NewPoly()
			for i := range tc.terms {
				a, b := large(atA, f.LogA), large(atB, f.LogB)
				products = append(products, product(t, sk, mapOutput(sk, a, atA, tc.n, rng, fmt.Sprint("a", i)), mapOutput(sk, b, atB, tc.n, rng, fmt.Sprint("b", i))))
				r.MForm(a, a)
				r.MulCoeffsMontgomeryThenAdd(a, b, exact)
			}
			sum := he.Add(products...)
			r.Sub(sum.C0, exact, sum.C0)
			worst, declared := new(big.Int), f.Error(p, tc.n)
			for _, v := range coefficients(sk, sum) {
				if v.CmpAbs(worst) > 0 {
					worst = v
				}
			}
			t.Logf("N = 2^%d, %+v: worst of all coefficients 2^%d, declared 2^%d", p.Spec().LogN, tc, worst.BitLen(), declared.BitLen())
			if worst.CmpAbs(declared) > 0 {
				t.Errorf("%+v: error 2^%d, declared 2^%d", tc, worst.BitLen(), declared.BitLen())
			}
		}
	}
}

// opening is a release on the test profile, and everything around it.
type opening struct {
	roster   Roster
	parties  []*Secrets
	sum      *he.Ciphertext
	values   []float64 // of the answers
	answers  []int
	flooding Flooding
	sk       *he.SecretKey // the receiver's
	pk       *he.PublicKey
	key      *he.SecretKey // the sum of the parties', which nobody holds
}

// newOpening multiplies what two maps write in the layout of a panel.
func newOpening(t testing.TB, ps he.Profiles, n, width, evaluators int) opening {
	t.Helper()
	roster, parties, sums := holders(t, ps, n)
	p := ps.Release
	o := opening{roster: roster, parties: parties, flooding: Flooding{Terms: 1, Width: width, LogA: 3, LogB: 3, Directions: evaluators}, key: sums["release"]}
	rng := rand.New(rand.NewPCG(13, 14))
	panel := panelOf(width, n, evaluators)
	atA, atB := segments(panel)
	values := func(at []int) (ring.Poly, []float64) {
		coeffs, out := map[int]*big.Int{}, make([]float64, len(at))
		for k, i := range at {
			out[k] = math.Ldexp(math.Round(rng.Float64()*(1<<40)), -40)
			coeffs[i] = new(big.Int).Lsh(big.NewInt(int64(math.Ldexp(out[k], 40))), uint(p.LogScale()-40))
		}
		return polynomial(p, coeffs), out
	}
	mA, a := values(atA)
	mB, b := values(atB)
	o.sum = product(t, o.key, mapOutput(o.key, mA, atA, n, rng, "a"), mapOutput(o.key, mB, atB, n, rng, "b"))
	var all []int
	for i := range n {
		all = append(all, i)
	}
	o.answers = panel.Answers(all)
	for e := range evaluators {
		direction := b[e*width : (e+1)*width]
		for i := range n {
			segment := a[i*width : (i+1)*width]
			value := dot(segment, direction)
			if i == 0 && evaluators == 1 { // coefficient 0 stands for 1, all others for X^k + X^-k
				value = 2*value - segment[0]*direction[0]
			}
			o.values = append(o.values, value)
		}
	}
	seed := he.Seed{66}
	o.sk = he.NewSecretKey(p, seed.Stream("sk"))
	o.pk = he.GenPublicKey(o.sk, he.QuerierSeed(roster.Session, "rita", 0), seed.Stream("pk"))
	return o
}

func (o opening) release(t testing.TB, id string, answers []int, off releaseDefences) *Release {
	t.Helper()
	r, err := newRelease(o.roster, he.HashParts(id), o.sum, o.pk, answers, o.flooding, off)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// finish adds all shares, which cross the wire.
func (o opening) finish(t testing.TB, r *Release) *he.Ciphertext {
	t.Helper()
	var shares []*SwitchShare
	for _, s := range o.parties {
		share, err := r.GenShare(s, &UsedSet{})
		if err != nil {
			t.Fatal(err)
		}
		if share, err = r.ParseShare(share.Append(nil)); err != nil {
			t.Fatal(err)
		}
		shares = append(shares, share)
	}
	out, err := r.Finish(shares)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestReleaseOpensItsAnswers(t *testing.T) {
	for _, tc := range []struct{ n, width, evaluators int }{{2, 4, 1}, {3, 32, 1}, {5, 16, 1}, {2, 4, 2}, {5, 16, 3}} {
		o := newOpening(t, hetest.Profiles(t), tc.n, tc.width, tc.evaluators)
		r := o.release(t, "r", o.answers, releaseDefences{})
		declared, err := o.flooding.ValueError(o.sum.Profile, tc.n)
		if err != nil {
			t.Fatal(err)
		}
		worst := 0.0
		for i, got := range r.Open(o.sk, o.finish(t, r)) {
			worst = max(worst, math.Abs(got-o.values[i]))
		}
		t.Logf("%+v: worst 2^%.1f, declared 2^%.1f", tc, math.Log2(worst), math.Log2(declared))
		if worst > declared {
			t.Errorf("%+v: error %g, declared %g", tc, worst, declared)
		}
	}
}

func TestFlooding(t *testing.T) {
	p := he.Standard().Release
	for _, tc := range []struct {
		f        Flooding
		n        int
		logSigma int // 0: refused
	}{
		{Flooding{1, 32, 3, 3, 1}, 3, 168},
		{Flooding{1, 32, 3, 3, 1}, 20, 171},
		{Flooding{8, 256, 4, 4, 1}, 32, 176},
		{Flooding{1, 32, 20, 20, 1}, 3, 0}, // values do not fit
		{Flooding{1, 32, 64, 3, 1}, 3, 0},
		{Flooding{0, 32, 3, 3, 1}, 3, 0},
		{Flooding{1, 24, 3, 3, 1}, 3, 0},
		{Flooding{1, 512, 3, 3, 1}, 32, 0}, // segments do not fit
		{Flooding{1, 32, 3, 3, 11}, 11, 171},
		{Flooding{3, 4, 3, 3, 32}, 32, 173},
		{Flooding{1, 32, 3, 3, 12}, 11, 0}, // nor of so many directions
		{Flooding{1, 32, 3, 3, 1 << 62}, 3, 0},
		{Flooding{1, 32, 3, 3, 0}, 3, 0},
	} {
		got, err := tc.f.LogSigma(p, tc.n)
		if got != tc.logSigma || (err != nil) != (tc.logSigma == 0) {
			t.Errorf("%+v for %d parties: 2^%d, %v; want 2^%d", tc.f, tc.n, got, err, tc.logSigma)
		}
	}
	if k := LogHide(p); k != 56 {
		t.Errorf("k = %d; 40 - 1 + (20 + 14)/2 is 56", k)
	}
	if d := (Flooding{1, 32, 3, 3, 1}).Derivation(p, 3); !strings.Contains(d, "flooding 2^168") {
		t.Errorf("derivation:\n%s", d)
	}
}

func TestReleaseRefuses(t *testing.T) {
	ps := hetest.Profiles(t)
	o := newOpening(t, ps, 2, 8, 1)
	train := he.NewCiphertext(ps.Train, ps.Train.MaxLevel(), 196)
	single := he.NewCiphertext(ps.Release, ps.Release.MaxLevel(), 98)
	seed := he.Seed{66}
	other := he.GenPublicKey(he.NewSecretKey(ps.Serve, seed.Stream("sk")), [32]byte{}, seed.Stream("pk"))
	for _, tc := range []struct {
		name    string
		c       *he.Ciphertext
		pk      *he.PublicKey
		answers []int
		f       Flooding
	}{
		{"another profile", train, o.pk, o.answers, o.flooding},
		{"a receiver of another profile", o.sum, other, o.answers, o.flooding},
		{"a lower level", o.sum.At(2), o.pk, o.answers, o.flooding},
		{"no product", single, o.pk, o.answers, o.flooding},
		{"no answer", o.sum, o.pk, nil, o.flooding},
		{"a repeated answer", o.sum, o.pk, []int{16, 0, 16}, o.flooding},
		{"a negative answer", o.sum, o.pk, []int{-1}, o.flooding},
		{"an answer beyond N", o.sum, o.pk, []int{ps.Release.N()}, o.flooding},
		{"more answers than coefficients", o.sum, o.pk, make([]int, ps.Release.N()+1), o.flooding},
		{"values that do not fit", o.sum, o.pk, o.answers, Flooding{1, 8, 20, 20, 1}},
	} {
		var refused *ReleaseError
		if _, err := NewRelease(o.roster, he.Digest{}, tc.c, tc.pk, tc.answers, tc.f); !errors.As(err, &refused) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	r := o.release(t, "r", o.answers, releaseDefences{})
	if _, err := r.Finish(nil); err == nil {
		t.Error("no shares were accepted")
	}
	if _, err := r.GenShare(&Secrets{Train: o.parties[0].Train}, &UsedSet{}); err == nil {
		t.Error("a party without a release key made a share")
	}
}

// L3: a repeat gives identical bytes; another request for the same c1 is
// refused for ever.
func TestSwitchShareRepeats(t *testing.T) {
	o := newOpening(t, hetest.Profiles(t), 2, 8, 1)
	used := &UsedSet{}
	share := func(id string, answers []int) ([]byte, error) {
		s, err := o.release(t, id, answers, releaseDefences{}).GenShare(o.parties[0], used)
		if err != nil {
			return nil, err
		}
		return s.Append(nil), nil
	}
	first, err := share("r", o.answers)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := share("r", o.answers); err != nil || !bytes.Equal(first, again) {
		t.Errorf("a repeat gave other bytes, or %v", err)
	}
	for id, answers := range map[string][]int{"another round": o.answers, "r": {16, 0}} {
		var usedErr *UsedError
		if _, err := share(id, answers); !errors.As(err, &usedErr) {
			t.Errorf("a second request for one c1: %v", err)
		}
	}
}

// Law L1: whatever is accepted, Append gives back byte for byte.
func FuzzParseSwitchShare(f *testing.F) {
	o := newOpening(f, hetest.Profiles(f), 2, 8, 1)
	r := o.release(f, "r", o.answers, releaseDefences{})
	share, err := r.GenShare(o.parties[0], &UsedSet{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(share.Append(nil))
	f.Add(share.Append(nil)[:100])
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := r.ParseShare(b); err == nil && !bytes.Equal(s.Append(nil), b) {
			t.Errorf("%d bytes were accepted and encode otherwise", len(b))
		}
	})
}

func FuzzParseModelShare(f *testing.F) {
	p := hetest.Profiles(f).Serve
	share, err := NewModelShare(p, zeros(8))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(share.Append(nil))
	f.Add(share.Append(nil)[:100])
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := ParseModelShare(b, p); err == nil && !bytes.Equal(s.Append(nil), b) {
			t.Errorf("%d bytes were accepted and encode otherwise", len(b))
		}
	})
}

func BenchmarkSwitchShare(b *testing.B) {
	o := newOpening(b, he.Standard(), 3, 32, 1)
	var size int
	for b.Loop() {
		share, err := o.release(b, "r", o.answers, releaseDefences{}).GenShare(o.parties[0], &UsedSet{})
		if err != nil {
			b.Fatal(err)
		}
		size = len(share.Append(nil))
	}
	b.ReportMetric(float64(size), "wire-B/share")
}

func BenchmarkReleaseOpen(b *testing.B) {
	o := newOpening(b, he.Standard(), 3, 32, 1)
	r := o.release(b, "r", o.answers, releaseDefences{})
	out := o.finish(b, r)
	for b.Loop() {
		r.Open(o.sk, out)
	}
}
