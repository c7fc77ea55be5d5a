package multiparty

import (
	"errors"
	"math"
	"math/big"
	"testing"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/hetest"
)

// everyCoefficient asks for all there is.
func everyCoefficient(p *he.Profile) []int {
	out := make([]int, p.N())
	for i := range out {
		out[i] = i
	}
	return out
}

// Attack: one ciphertext, another receiver, who reads what no release was for.
// The journal binds c1 to one request.
func TestAttackSecondReceiver(t *testing.T) {
	o := newOpening(t, hetest.Profiles(t), 3, 8, 1)
	first := o.release(t, "first", o.answers[:1], releaseDefences{})
	journals := []*UsedSet{{}, {}, {}}
	for i, s := range o.parties {
		if _, err := first.GenShare(s, journals[i]); err != nil {
			t.Fatal(err)
		}
	}
	seed := he.Seed{67}
	o.sk = he.NewSecretKey(o.sum.Profile, seed.Stream("sk"))
	o.pk = he.GenPublicKey(o.sk, he.QuerierSeed(o.roster.Session, "mallory", 0), seed.Stream("pk"))
	second := o.release(t, "first", o.answers[1:], releaseDefences{})
	for i, got := range second.Open(o.sk, o.finish(t, second)) { // with empty journals
		if want := o.values[1+i]; math.Abs(got-want) > 1e-6 {
			t.Fatalf("without journals a second receiver should read %g, it reads %g", want, got)
		}
	}
	for i, s := range o.parties {
		var used *UsedError
		if _, err := second.GenShare(s, journals[i]); !errors.As(err, &used) {
			t.Errorf("party %d answered a second receiver: %v", i, err)
		}
	}
}

// Attack: a receiver's key with b = 0 takes the re-encryption off h0 without a
// secret. What is left, less flooding, is s_i·c1 on the answers: divided by c1,
// a party's whole key.
func TestAttackUnfloodedRelease(t *testing.T) {
	o := newOpening(t, hetest.Profiles(t), 2, 8, 1)
	p := o.sum.Profile
	o.pk = he.NewPublicKey(p, o.pk.Seed, p.NewPolyQ(p.MaxLevel()))
	read := func(off releaseDefences) (found int) {
		r := o.release(t, "r", everyCoefficient(p), off)
		share, err := r.GenShare(o.parties[0], &UsedSet{})
		if err != nil {
			t.Fatal(err)
		}
		ring0 := p.RingQ(0)
		q := new(big.Int).SetUint64(ring0.SubRings[0].Modulus)
		s, want := ring0.NewPoly(), ring0.NewPoly()
		for i, h := range share.object.Rows[0] {
			inverse := new(big.Int).ModInverse(new(big.Int).SetUint64(o.sum.C1.Coeffs[0][i]), q)
			s.Coeffs[0][i] = inverse.Mod(inverse.Mul(inverse, new(big.Int).SetUint64(h)), q).Uint64()
		}
		ring0.INTT(s, s)
		ring0.IMForm(o.parties[0].Release.Value.Q, want)
		ring0.INTT(want, want)
		for i, v := range want.Coeffs[0] {
			if s.Coeffs[0][i] == v {
				found++
			}
		}
		return found
	}
	if n := read(releaseDefences{flood: true}); n != p.N() {
		t.Fatalf("without flooding a share should tell %d coefficients of the key, it tells %d", p.N(), n)
	}
	if n := read(releaseDefences{}); n != 0 {
		t.Errorf("a flooded share tells %d coefficients of the key", n)
	}
}

// Attack: read the coefficients that are no answers. They hold cross terms of
// one company's update and another's; the cover makes them uniform, with one
// evaluator's direction and with three.
func TestAttackUncoveredRelease(t *testing.T) {
	for _, evaluators := range []int{1, 3} {
		o := newOpening(t, hetest.Profiles(t), 3, 8, evaluators)
		p := o.sum.Profile
		exact := o.key.Values(o.sum, everyCoefficient(p))
		told := func(off releaseDefences) (n int) {
			r := o.release(t, "r", o.answers, off)
			for i, got := range o.sk.Values(o.finish(t, r), everyCoefficient(p)) {
				if math.Abs(got-exact[i]) < 1e-3 {
					n++
				}
			}
			return n
		}
		if n := told(releaseDefences{cover: true}); n != p.N() {
			t.Fatalf("%d evaluators: without the cover all %d coefficients should open, %d do", evaluators, p.N(), n)
		}
		if n := told(releaseDefences{}); n != len(o.answers) || n != 3*evaluators {
			t.Errorf("%d evaluators: %d coefficients open; %d are answers", evaluators, n, len(o.answers))
		}
	}
}
