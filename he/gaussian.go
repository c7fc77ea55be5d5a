package he

import (
	"fmt"
	"math/bits"

	"github.com/tuneinsight/lattigo/v5/ring"
)

// freshCDF[k] is 2^63·P(|x| <= k) for the discrete Gaussian of deviation 3.2
// cut at 19. TestFreshCDF recomputes it.
var freshCDF = [SigmaBound]uint64{
	1149872836518706973, 3340023669317320718, 5231742859181312982, 6713673040852152709,
	7766573333558595573, 8445050410543775183, 8841576294031517593, 9051758687454227208,
	9152802460441190481, 9196859083481262423, 9214281214904026345, 9220529772758650828,
	9222562348483741347, 9223162004373033246, 9223322456656299390, 9223361395058736926,
	9223369965413244325, 9223371676247247625, 9223371985993021523,
}

// Fresh fills v with the fresh error: discrete Gaussian, deviation 3.2, cut at
// 19, to within 2^-60 of its distribution. Every threshold is compared, so that
// the time does not depend on the value.
func (s *Stream) Fresh(v []int64) {
	for i := range v {
		w := s.Uint64()
		u, k := w>>1, int64(0)
		for _, t := range freshCDF {
			_, below := bits.Sub64(u, t, 0) // 1 if u < t
			k += int64(1 - below)
		}
		sign := -int64(w & 1)
		v[i] = (k ^ sign) - sign
	}
}

// maxFlood bounds the flooding deviation, in bits: a fraction has 192.
const maxFlood = 190

// A wide integer is sign and magnitude in four words, least first.
type wide struct {
	w   [4]uint64
	neg bool
}

// AddFlood adds to p an independent discrete Gaussian of deviation 2^logSigma
// on every coefficient: exact (law L8), 0 <= logSigma <= 190, p in the
// coefficient domain.
//
// Karney, "Sampling exactly from the normal distribution", ACM TOMS 42 (2016),
// Algorithm D, with the deviation a power of two so that every quantity is
// dyadic; its Bernoulli trials are those of Canonne, Kamath and Steinke,
// NeurIPS 2020.
func (s *Stream) AddFlood(r *ring.Ring, logSigma int, p ring.Poly) {
	if logSigma < 0 || logSigma > maxFlood {
		panic(fmt.Sprintf("he: flooding of deviation 2^%d", logSigma)) // a constant of our own protocols, never input
	}
	for j := range p.Coeffs[0] {
		x := s.wideGaussian(logSigma)
		for i, sub := range r.SubRings[:r.Level()+1] {
			p.Coeffs[i][j] = ring.CRed(p.Coeffs[i][j]+x.mod(sub.Modulus), sub.Modulus)
		}
	}
}

// mod is the residue of x in [0, q).
func (x wide) mod(q uint64) uint64 {
	var rem uint64
	for i := len(x.w) - 1; i >= 0; i-- {
		rem = bits.Rem64(rem, x.w[i], q)
	}
	if x.neg && rem != 0 {
		rem = q - rem
	}
	return rem
}

// wideGaussian draws k + j/σ with k from exp(-k²/2), j uniform below σ = 2^m,
// and accepts the fraction x = j/σ with probability exp(-x(2k+x)/2).
func (s *Stream) wideGaussian(m int) wide {
	for {
		k := s.halfGaussian()
		neg := s.Uint64()&1 == 1
		j := s.fraction(m)
		if neg && k == 0 && j.isZero() {
			continue // zero is drawn once, not as +0 and -0
		}
		if s.acceptFraction(k, j, m) {
			return wide{w: j.plus(k, m), neg: neg}
		}
	}
}

// halfGaussian draws k >= 0 with probability proportional to exp(-k²/2).
func (s *Stream) halfGaussian() uint64 {
	for {
		k := uint64(0)
		for s.expHalf() {
			k++
		}
		ok := true
		for i := uint64(0); ok && i < k*(k-1); i++ { // k = 0: k·(k-1) is 0 too
			ok = s.expHalf()
		}
		if ok {
			return k
		}
	}
}

// expHalf is true with probability exp(-1/2): the number of the first failure
// among trials of probability 1/2 · 1/n is odd.
func (s *Stream) expHalf() bool {
	for n := uint64(1); ; n++ {
		if s.Uint64()&1 == 1 || s.Below(n) != 0 {
			return n%2 == 1
		}
	}
}

// acceptFraction is true with probability exp(-x(2k+x)/2), x = j/2^m: k+1
// trials of exp(-x(2k+x)/(2k+2)), each with an exponent below one.
func (s *Stream) acceptFraction(k uint64, j fraction, m int) bool {
	for range k + 1 {
		n := uint64(1)
		for s.below(j, m) && s.ratio(k, j, m) && s.Below(n) == 0 {
			n++
		}
		if n%2 == 0 {
			return false
		}
	}
	return true
}

// ratio is true with probability (2k+x)/(2k+2).
func (s *Stream) ratio(k uint64, j fraction, m int) bool {
	switch f := s.Below(2*k + 2); {
	case f < 2*k:
		return true
	case f == 2*k:
		return s.below(j, m)
	default:
		return false
	}
}

// A fraction is j/2^m, its m bits left-aligned in words, most significant
// first.
type fraction [3]uint64

func (j fraction) isZero() bool { return j == fraction{} }

// fraction draws m uniform bits.
func (s *Stream) fraction(m int) (j fraction) {
	for i := 0; i < len(j) && m > 64*i; i++ {
		j[i] = s.Uint64()
		if left := m - 64*i; left < 64 {
			j[i] &= ^uint64(0) << (64 - left)
		}
	}
	return j
}

// below is true with probability j/2^m: a uniform number is compared with it
// word by word, drawing only what decides.
func (s *Stream) below(j fraction, m int) bool {
	for i := 0; i < len(j) && m > 64*i; i++ {
		if u := s.Uint64(); u != j[i] {
			return u < j[i]
		}
	}
	return false
}

// plus is the integer k·2^m + j.
func (j fraction) plus(k uint64, m int) (out [4]uint64) {
	// The fraction as an integer of 192 bits is j·2^(192-m): shift it down.
	v := [4]uint64{j[2], j[1], j[0], k} // k at weight 2^192
	shift := 192 - m
	for shift >= 64 {
		v = [4]uint64{v[1], v[2], v[3], 0}
		shift -= 64
	}
	if shift > 0 {
		for i := range 3 {
			v[i] = v[i]>>shift | v[i+1]<<(64-shift)
		}
		v[3] >>= shift
	}
	return v
}
