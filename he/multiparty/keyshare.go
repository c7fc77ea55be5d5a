package multiparty

import (
	"github.com/commonseal/commonseal/he"
	"github.com/tuneinsight/lattigo/v5/ring"
	"github.com/tuneinsight/lattigo/v5/ring/ringqp"
)

// Shares follow Mouchet, Troncoso-Pastoriza, Bossuat, Hubaux, "Multiparty
// homomorphic encryption from ring-learning-with-errors", PETS 2021, in the
// form lattigo's evaluator takes keys: digit i carries P·(what is switched) on
// its own primes, and a Galois key switches before it permutes. All
// polynomials of a share are in the NTT domain and not in Montgomery form.

// A forge makes one party's key shares. Everything it draws is a function of
// its seed, the part and the input (law L3), so that a repeat gives identical
// bytes. Its seed is not that of the secrets: who holds the secrets afterwards
// cannot draw a ceremony's errors and ephemerals again.
type forge struct {
	secrets *Secrets
	seed    he.Seed
	root    he.Digest // roster and common reference string, and of a key set its id
	bound   he.Digest // what randomness is bound to: root
}

// newForge derives the secrets and the randomness of a party from its seed and
// the whole roster, so that another reference string is another key.
func newForge(seed he.Seed, plan Plan, roster Roster, self int) *forge {
	root := roster.Digest()
	secrets := newSecrets(self, seed.Derive("ceremony/secrets", root[:]), plan.Train, plan.Release)
	return &forge{secrets: secrets, seed: seed.Derive("ceremony/shares", root[:]), root: root, bound: root}
}

// stream is the secret randomness of a part: its errors, or an ephemeral.
func (f *forge) stream(label string, p part, input ...[]byte) *he.Stream {
	return f.seed.Stream(label, append([][]byte{f.bound[:], p.label()}, input...)...)
}

// crp expands the common random polynomials of a part, one a digit (law L6).
func crp(root he.Digest, p part) []ringqp.Poly {
	r := p.profile.RingQP()
	s := he.PublicStream("ceremony/crp", root[:], p.label())
	out := make([]ringqp.Poly, p.profile.Digits())
	for i := range out {
		out[i] = r.NewPoly()
		s.Uniform(r.RingQ, out[i].Q)
		s.Uniform(r.RingP, out[i].P)
	}
	return out
}

// publicSeed is the seed of the uniform half of the collective public key.
func publicSeed(root he.Digest, p *he.Profile) [32]byte {
	return he.HashParts("ceremony/public-key", root[:], part{kind: he.KindPublicShare, profile: p}.label())
}

// A noise draws fresh errors.
type noise struct {
	stream *he.Stream
	ring   *ringqp.Ring
	small  []int64
}

func newNoise(p *he.Profile, s *he.Stream) noise {
	return noise{stream: s, ring: p.RingQP(), small: make([]int64, p.N())}
}

// fill sets h to an error over QP.
func (n noise) fill(h ringqp.Poly) {
	n.stream.Fresh(n.small)
	he.SetSmall(n.ring.RingQ, n.small, h.Q)
	he.SetSmall(n.ring.RingP, n.small, h.P)
	n.ring.NTT(h, h)
}

// publicShare is b_i = e - a·s over Q.
func (f *forge) publicShare(p *he.Profile) *he.Object {
	share := part{kind: he.KindPublicShare, profile: p}
	r, o := p.RingQ(p.MaxLevel()), he.NewObject(share.object())
	b, small := o.Polys()[0], make([]int64, p.N())
	f.stream("ceremony/error", share).Fresh(small)
	he.SetSmall(r, small, b)
	r.NTT(b, b)
	r.MulCoeffsMontgomeryThenSub(he.UniformHalf(p, publicSeed(f.root, p)), f.secrets.Of(p).Value.Q, b)
	return o
}

// galoisShare is h = e + P·s - a·π⁻¹(s) for each digit, π the automorphism of
// the part and a its common polynomials.
func (f *forge) galoisShare(p part) *he.Object {
	r, sk := p.profile.RingQP(), f.secrets.Of(p.profile)
	inverse := ring.ModExp(p.element, r.RingQ.NthRoot()-1, r.RingQ.NthRoot())
	permuted := r.NewPoly()
	r.AutomorphismNTT(sk.Value, inverse, permuted)

	a, o := crp(f.root, p), he.NewObject(p.object())
	lifted, e := timesP(sk), newNoise(p.profile, f.stream("ceremony/error", p))
	for i, h := range o.PolysQP() {
		e.fill(h)
		addDigit(p.profile, i, lifted, h)
		r.MulCoeffsMontgomeryThenSub(a[i], permuted, h)
	}
	return o
}

// relinShare1 is (h0, h1) = (e0 + P·s - a·u, e1 + a·s) for each digit.
func (f *forge) relinShare1(p *he.Profile) *he.Object {
	share := part{kind: he.KindRelinShare1, profile: p}
	r, sk, u := p.RingQP(), f.secrets.Of(p), f.ephemeral(p)
	a, o := crp(f.root, share), he.NewObject(share.object())
	lifted, e := timesP(sk), newNoise(p, f.stream("ceremony/error", share))
	polys := o.PolysQP()
	for i := range a {
		h0, h1 := polys[2*i], polys[2*i+1]
		e.fill(h0)
		addDigit(p, i, lifted, h0)
		r.MulCoeffsMontgomeryThenSub(a[i], u, h0)
		e.fill(h1)
		r.MulCoeffsMontgomeryThenAdd(a[i], sk.Value, h1)
	}
	return o
}

// relinShare2 is (s·h0 + e2, (u-s)·h1 + e3) for each digit of the sum of round
// 1, whose digest its errors are bound to.
//
// A chosen h0 makes this share be the key: the sum must be the party's own, of
// revealed shares, and there must be one (law L5).
func (f *forge) relinShare2(p *he.Profile, sum *he.Object) *he.Object {
	share := part{kind: he.KindRelinShare2, profile: p}
	r, sk, u := p.RingQP(), f.secrets.Of(p), f.ephemeral(p)
	r.Sub(u, sk.Value, u)
	o, digest := he.NewObject(share.object()), sum.Digest()
	e := newNoise(p, f.stream("ceremony/error", share, digest[:]))
	in, out := sum.PolysQP(), o.PolysQP()
	for i := 0; i < len(out); i += 2 {
		e.fill(out[i])
		r.MulCoeffsMontgomeryThenAdd(in[i], sk.Value, out[i])
		e.fill(out[i+1])
		r.MulCoeffsMontgomeryThenAdd(in[i+1], u, out[i+1])
	}
	return o
}

// ephemeral is the ternary u of the relinearisation rounds, in Montgomery
// form. Both rounds derive it and neither keeps it.
func (f *forge) ephemeral(p *he.Profile) ringqp.Poly {
	v := make([]int64, p.N())
	f.stream("ceremony/ephemeral", part{kind: he.KindRelinShare1, profile: p}).Ternary(v)
	u := p.SmallQP(v, true)
	clear(v)
	return u
}

// timesP is P·s over Q, not in Montgomery form.
func timesP(sk *he.SecretKey) ring.Poly {
	r := sk.Profile.RingQP()
	out := r.RingQ.NewPoly()
	r.RingQ.MulScalarBigint(sk.Value.Q, r.RingP.ModulusAtLevel[r.RingP.Level()], out)
	r.RingQ.IMForm(out, out)
	return out
}

// addDigit adds P·s to h on the primes of digit i: the gadget vector is one
// there and zero on all others.
func addDigit(p *he.Profile, i int, lifted ring.Poly, h ringqp.Poly) {
	first := i * p.Special()
	for j := first; j < min(first+p.Special(), p.MaxLevel()+1); j++ {
		p.RingQ(p.MaxLevel()).SubRings[j].Add(h.Q.Coeffs[j], lifted.Coeffs[j], h.Q.Coeffs[j])
	}
}
