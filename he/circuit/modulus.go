package circuit

import (
	"math/bits"

	"github.com/commonseal/commonseal/he"
	"github.com/tuneinsight/lattigo/v5/ring"
)

// A modulus is one prime with what fast reductions need.
type modulus struct {
	*ring.SubRing
	q     uint64
	twice uint64 // 2^128 mod q: Montgomery's form of 2^64
}

// moduli are the primes of Q and then those of P.
func moduli(p *he.Profile) []modulus {
	r := p.RingQP()
	var out []modulus
	for _, sub := range append(append([]*ring.SubRing(nil), r.RingQ.SubRings...), r.RingP.SubRings...) {
		one := ring.MForm(1, sub.Modulus, sub.BRedConstant)
		out = append(out, modulus{SubRing: sub, q: sub.Modulus, twice: ring.MForm(one, sub.Modulus, sub.BRedConstant)})
	}
	return out
}

// inverse is 1/x mod q in Montgomery form.
func (m *modulus) inverse(x uint64) uint64 {
	return ring.MForm(ring.ModExp(x%m.q, m.q-2, m.q), m.q, m.BRedConstant)
}

// A sum is 128 bits.
type sum struct{ hi, lo uint64 }

func (s *sum) addProduct(a, b uint64) {
	hi, lo := bits.Mul64(a, b)
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, lo, 0)
	s.hi, _ = bits.Add64(s.hi, hi, carry)
}

// montgomery is s/2^64 mod q, for any s.
func (m *modulus) montgomery(s sum) uint64 {
	h, _ := bits.Mul64(s.lo*m.MRedConstant, m.q)
	r, borrow := bits.Sub64(s.hi, h, 0)
	return ring.BRedAdd(r+m.q&-borrow, m.q, m.BRedConstant)
}

// reduce is s mod q.
func (m *modulus) reduce(s sum) uint64 {
	return ring.MRed(m.montgomery(s), m.twice, m.q, m.MRedConstant)
}

// lift writes residues x mod from, centred around zero, modulo m, to within a
// few multiples of q: a number theoretic transform takes them so.
func (m *modulus) lift(x []uint64, from *modulus, out []uint64) {
	half := from.q >> 1
	back := m.q - half%m.q
	if from.q < 2*m.q {
		for k, v := range x {
			out[k] = ring.CRed(v+half, from.q) + back
		}
		return
	}
	for k, v := range x {
		out[k] = ring.BRedAdd(ring.CRed(v+half, from.q), m.q, m.BRedConstant) + back
	}
}

// liftScaled adds to out the centred lift of x times factor, in Montgomery
// form, below 2q.
func (m *modulus) liftScaled(x []uint64, from *modulus, factor uint64, out []uint64) {
	half := from.q >> 1
	back := m.q - half%m.q
	for k, v := range x {
		v = ring.BRedAdd(ring.CRed(v+half, from.q), m.q, m.BRedConstant) + back
		out[k] = ring.CRed(out[k]+ring.MRed(v, factor, m.q, m.MRedConstant), m.q)
	}
}
