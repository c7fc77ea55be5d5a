package he_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/hetest"
	"github.com/tuneinsight/lattigo/v5/core/rlwe"
	"github.com/tuneinsight/lattigo/v5/he/hefloat"
	"github.com/tuneinsight/lattigo/v5/ring"
	"github.com/tuneinsight/lattigo/v5/ring/ringqp"
)

// keys are one secret and its public key.
type keys struct {
	sk *he.SecretKey
	pk *he.PublicKey
}

func key(tb testing.TB, p *he.Profile) keys { return jointKey(tb, p, 1) }

// jointKey is the sum of the parties' secrets and of their b parts.
func jointKey(tb testing.TB, p *he.Profile, parties int) keys {
	tb.Helper()
	half := [32]byte{7}
	var sum keys
	r := p.RingQ(p.MaxLevel())
	b := r.NewPoly()
	for i := range parties {
		s := he.Seed{byte(i)}
		sk := he.NewSecretKey(p, s.Stream("sk"))
		share := r.NewPoly()
		r.IMForm(he.GenPublicKey(sk, half, s.Stream("pk")).B, share)
		r.Add(b, share, b)
		if sum.sk == nil {
			sum.sk = sk
			continue
		}
		p.RingQP().Add(sum.sk.Value, sk.Value, sum.sk.Value)
	}
	sum.pk = he.NewPublicKey(p, half, b)
	return sum
}

// decrypt reads the slots of a ciphertext.
func (k keys) decrypt(tb testing.TB, c *he.Ciphertext) []float64 {
	tb.Helper()
	m := k.sk.Phase(c)
	k.sk.Profile.RingQ(c.Level()).NTT(m, m)
	v, err := he.NewEncoder(k.sk.Profile).Decode(m, c.LogScale)
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

// encrypt encrypts values at the profile's scale.
func (k keys) encrypt(tb testing.TB, v []float64, level int, s *he.Stream) *he.Ciphertext {
	tb.Helper()
	p := k.sk.Profile
	m, err := he.NewEncoder(p).Encode(v, level, p.LogScale())
	if err != nil {
		tb.Fatal(err)
	}
	return k.pk.Encrypt(m, p.LogScale(), s)
}

// within fails if a slot is further than bound from what it should be.
func within(tb testing.TB, what string, got, want []float64, bound float64) {
	tb.Helper()
	for i := range want {
		if !(math.Abs(got[i]-want[i]) <= bound) {
			tb.Errorf("%s: slot %d is %v, want %v within %g", what, i, got[i], want[i], bound)
			return
		}
	}
}

func TestEncryptDecrypts(t *testing.T) {
	p := hetest.Profiles(t).Train
	k := key(t, p)
	v, bound := randomRows(seed(t).Stream("rows"), p.Slots(), 1).Values, he.EncryptError(p, 1)
	for level := range p.MaxLevel() + 1 {
		c := k.encrypt(t, v, level, seed(t).Stream("encrypt", []byte{byte(level)}))
		within(t, fmt.Sprintf("level %d", level), k.decrypt(t, c), v, bound)
	}
}

func TestEncryptZeroIsZeroAndFresh(t *testing.T) {
	p := hetest.Profiles(t).Train
	k := key(t, p)
	one := k.pk.EncryptZero(3, p.LogScale(), seed(t).Stream("zero", []byte{1}))
	two := k.pk.EncryptZero(3, p.LogScale(), seed(t).Stream("zero", []byte{2}))
	within(t, "zero", k.decrypt(t, one), make([]float64, p.Slots()), he.EncryptError(p, 1))
	if one.C1Digest() == two.C1Digest() || reflect.DeepEqual(one.C0, two.C0) {
		t.Error("two encryptions of zero share a half")
	}
	again := k.pk.EncryptZero(3, p.LogScale(), seed(t).Stream("zero", []byte{1}))
	if one.Digest() != again.Digest() {
		t.Error("the same stream gave another encryption")
	}
}

func TestWrongKeyDoesNotDecrypt(t *testing.T) {
	p := hetest.Profiles(t).Train
	c := key(t, p).encrypt(t, make([]float64, p.Slots()), p.Floor(), seed(t).Stream("encrypt"))
	other := keys{sk: he.NewSecretKey(p, he.Seed{77}.Stream("sk"))}
	small := 0
	for _, x := range other.decrypt(t, c) {
		if math.Abs(x) < 1e9 { // of 2^180/2^40
			small++
		}
	}
	if small > 0 {
		t.Errorf("another key gives %d slots of a plausible size", small)
	}
}

// A key keeps its Montgomery form to itself: what crosses is b, canonical.
func TestPublicKeyRoundTrips(t *testing.T) {
	for _, p := range everyProfile(t) {
		k := key(t, p)
		b := k.pk.Append(nil)
		got, err := he.ParsePublicKey(b, p)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, k.pk) || !bytes.Equal(got.Append(nil), b) || got.Digest() != k.pk.Digest() {
			t.Errorf("%s: Parse(Append) is another key", p.Name())
		}
		// b + a·s is an error of at most 19.
		r, xs := p.RingQ(p.MaxLevel()), integers(p.N())
		phase := r.NewPoly()
		r.IMForm(got.B, phase)
		r.MulCoeffsMontgomeryThenAdd(he.UniformHalf(p, got.Seed), k.sk.Value.Q, phase)
		r.INTT(phase, phase)
		r.PolyToBigintCentered(phase, 1, xs)
		for i, x := range xs {
			if !x.IsInt64() || x.Int64() < -he.SigmaBound || x.Int64() > he.SigmaBound {
				t.Fatalf("%s: coefficient %d of b + a·s is %v", p.Name(), i, x)
			}
		}
		if _, err := he.ParsePublicKey(b[:len(b)-1], p); err == nil {
			t.Errorf("%s: a cut key was accepted", p.Name())
		}
	}
}

// The uniform half is expanded for one profile and one seed (law L6).
func TestUniformHalfIsBound(t *testing.T) {
	ps := hetest.Profiles(t)
	half := he.UniformHalf(ps.Train, [32]byte{1})
	reduced(t, ps.Train.RingQ(ps.Train.MaxLevel()), half)
	if reflect.DeepEqual(half, he.UniformHalf(ps.Train, [32]byte{2})) {
		t.Error("two seeds expand to one half")
	}
	spec := ps.Train.Spec()
	spec.Name = "other"
	other, err := he.Derive(spec)
	if err != nil {
		t.Fatal(err)
	}
	if reflect.DeepEqual(half, he.UniformHalf(other, [32]byte{1})) {
		t.Error("two profiles expand to one half")
	}
}

// A ternary secret, the same in every row of Q and P.
func TestSecretKeyIsTernary(t *testing.T) {
	p := hetest.Profiles(t).Train
	v := he.NewSecretKey(p, he.Seed{1}.Stream("sk")).Value
	rows := func(r *ring.Ring, poly ring.Poly) {
		c, xs := *poly.CopyNew(), integers(p.N())
		r.IMForm(c, c)
		r.INTT(c, c)
		r.PolyToBigintCentered(c, 1, xs)
		want := make([]int64, p.N())
		he.Seed{1}.Stream("sk").Ternary(want)
		for i, x := range xs {
			if !x.IsInt64() || x.Int64() != want[i] {
				t.Fatalf("coefficient %d is %v, want %d", i, x, want[i])
			}
		}
	}
	rows(p.RingQP().RingQ, v.Q)
	rows(p.RingQP().RingP, v.P)
}

// The rows of an object, as polynomials that share them.
func TestPolysShareRows(t *testing.T) {
	p := hetest.Profiles(t).Train
	o := he.NewObject(he.Object{Kind: he.KindRelinKey, Profile: p, Level: p.MaxLevel()})
	polys := o.PolysQP()
	if len(polys) != 2*p.Digits() {
		t.Fatalf("%d polynomials of %d digits", len(polys), p.Digits())
	}
	row := 0
	for i, poly := range polys {
		for _, coeffs := range append(append([][]uint64(nil), poly.Q.Coeffs...), poly.P.Coeffs...) {
			if &coeffs[0] != &o.Rows[row][0] {
				t.Fatalf("polynomial %d does not share row %d", i, row)
			}
			row++
		}
	}
	if row != len(o.Rows) {
		t.Errorf("%d of %d rows", row, len(o.Rows))
	}
}

func TestCiphertextRoundTrips(t *testing.T) {
	p := hetest.Profiles(t).Release
	k := key(t, p)
	// Case 8 of the security list: scales of 2^100 and more keep.
	for _, logScale := range []int{0, 40, 98, 100, 127, 196, he.MaxLogScale} {
		c := k.pk.EncryptZero(2, logScale, seed(t).Stream("encrypt"))
		b := c.Append(nil)
		if len(b) != he.CiphertextBytes(p, 2) {
			t.Errorf("%d bytes, CiphertextBytes says %d", len(b), he.CiphertextBytes(p, 2))
		}
		got, err := he.ParseCiphertext(b, p, 2, logScale)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, c) || got.Digest() != c.Digest() {
			t.Errorf("scale 2^%d: Parse(Append) is another ciphertext", logScale)
		}
		for _, due := range [][2]int{{1, logScale}, {3, logScale}, {2, logScale + 1}, {2, logScale - 1}} {
			_, err := he.ParseCiphertext(b, p, due[0], due[1])
			var decode *he.DecodeError
			if !errors.As(err, &decode) || !strings.Contains(err.Error(), "are due here") {
				t.Errorf("level 2 and scale 2^%d where %v are due: %v", logScale, due, err)
			}
		}
	}
}

func TestLevelsAndSums(t *testing.T) {
	p := hetest.Profiles(t).Train
	k := key(t, p)
	s := seed(t).Stream("rows")
	one, two := randomRows(s, p.Slots(), 1).Values, randomRows(s, p.Slots(), 1).Values
	c := k.encrypt(t, one, 5, seed(t).Stream("one"))
	d := k.encrypt(t, two, 5, seed(t).Stream("two"))
	low := c.At(2)
	if low.Level() != 2 || &low.C0.Coeffs[0][0] != &c.C0.Coeffs[0][0] || c.At(7).Level() != 5 {
		t.Errorf("At(2) is at level %d or a copy, At(7) at level %d", low.Level(), c.At(7).Level())
	}
	within(t, "at a lower level", k.decrypt(t, low), one, he.EncryptError(p, 1))
	before := c.Digest()
	sum := he.Add(c, d, c)
	want := make([]float64, p.Slots())
	for i := range want {
		want[i] = 2*one[i] + two[i]
	}
	within(t, "a sum", k.decrypt(t, sum), want, 3*he.EncryptError(p, 1))
	if c.Digest() != before {
		t.Error("Add wrote to an operand")
	}
}

// lattigo's evaluator understands what RLWE, RelinKey and GaloisKey give it.
func TestEvaluationKeysEvaluate(t *testing.T) {
	p := hetest.Profiles(t).Train
	k := key(t, p)
	v := randomRows(seed(t).Stream("rows"), p.Slots(), 1).Values
	c := k.encrypt(t, v, p.MaxLevel(), seed(t).Stream("encrypt"))
	if got := p.TraceStride(16); got != p.N()/16 {
		t.Errorf("TraceStride(16) = %d", got)
	}
	gen := rlwe.NewKeyGenerator(p.RLWE())
	sk := &rlwe.SecretKey{Value: k.sk.Value}
	rotation := gen.GenGaloisKeyNew(p.Rotation(3), sk)
	set := &he.EvaluationKeys{Profile: p, Relin: he.RelinKey(p, digits(p, gen.GenRelinearizationKeyNew(sk).EvaluationKey)),
		Galois: map[uint64]*rlwe.GaloisKey{p.Rotation(3): he.GaloisKey(p, p.Rotation(3), digits(p, rotation.EvaluationKey))}}
	if got := set.Galois[p.Rotation(3)]; !reflect.DeepEqual(got, rotation) {
		t.Error("GaloisKey is not the key its digits are of")
	}
	eval := hefloat.NewEvaluator(p.Params(), set.Set())
	square, err := eval.MulRelinNew(c.RLWE(), c.RLWE())
	if err != nil {
		t.Fatal(err)
	}
	if square, err = eval.RotateNew(square, 3); err != nil {
		t.Fatal(err)
	}
	want := make([]float64, len(v))
	for i := range want {
		x := v[(i+3)%len(v)]
		want[i] = x * x
	}
	got := &he.Ciphertext{Profile: p, LogScale: 2 * p.LogScale(), C0: square.Value[0], C1: square.Value[1]}
	within(t, "a rotated square", k.decrypt(t, got), want, 4*he.EncryptError(p, 1))
}

// digits takes an evaluation key apart, out of Montgomery form.
func digits(p *he.Profile, k rlwe.EvaluationKey) (out [][2]ringqp.Poly) {
	r := p.RingQP()
	for _, row := range k.Value {
		b, a := *row[0][0].CopyNew(), *row[0][1].CopyNew()
		r.IMForm(b, b)
		r.IMForm(a, a)
		out = append(out, [2]ringqp.Poly{b, a})
	}
	return out
}
