package multiparty

import (
	"fmt"
	"math"
	"math/big"
	"strings"

	"github.com/commonseal/commonseal/he"
)

// LogReleases bounds the releases of one key epoch, in bits.
const LogReleases = 20

// A Flooding says what a released ciphertext is, so that the noise that hides
// its error can be derived: a sum of Terms products A·B of two outputs of maps
// in the layout of [he.Panel], A with one segment of 2·Width coefficients for
// each party, whose first Width are kept, B with as many kept coefficients for
// each direction. Inner products begin segments of it.
type Flooding struct {
	Terms      int
	Width      int
	LogA, LogB int // bounds of a kept coefficient, in bits above the scale
	Directions int // of B
}

// maxTerms keeps the integers of a derivation below 2^63.
const maxTerms = 1 << LogReleases

// check refuses what is no layout of the profile.
func (f Flooding) check(p *he.Profile, parties int) error {
	segments := parties
	if f.Directions > 1 {
		segments *= 2 * min(f.Directions, p.N())
	}
	if f.Terms < 1 || f.Terms > maxTerms || f.Width < 1 || f.Width&(f.Width-1) != 0 || f.LogA < 0 || f.LogB < 0 || f.LogA > 64 || f.LogB > 64 || f.Directions < 1 || segments*2*f.Width > p.N() {
		return fmt.Errorf("a sum of %d products in %d directions, %d segments of twice %d coefficients, values of 2^%d and 2^%d: no layout of N = %d",
			f.Terms, f.Directions, segments, f.Width, f.LogA, f.LogB, p.N())
	}
	return nil
}

// LogHide is k, the flooding's deviation in bits above the error it hides:
// ceil(s - 1 + (log2 q + log2 N)/2) for Gaussian noise, statistical distance
// 2^-s over q releases of N coefficients (PROTOCOL §5.2).
func LogHide(p *he.Profile) int {
	logN := big.NewInt(int64(p.N())).BitLen() - 1
	return he.LogStat - 1 + (LogReleases+logN+1)/2
}

// tailSquared is t² for a tail |x| > t·σ of a sub-Gaussian error that no
// answer of a key epoch meets but with probability 2^-s: 2·exp(-t²/2) =
// 2^-(s + log2 q + log2 N), so t = 10.2 for N = 2^14.
func tailSquared(p *he.Profile) int64 {
	return int64(7*(he.LogStat+LogReleases+p.Spec().LogN+1)+4) / 5 // 7/5 is above 2·ln 2
}

// Error bounds the error of a coefficient before flooding, B_ct, in integers so
// that all parties flood alike. It is that of the ciphertext: noise that the
// maps' inputs carried is part of their message.
//
// An output of a map is m + e + ρ: e the sum of n fresh errors on all N
// coefficients, ρ at most (n+1)/2 on each kept one. Let ã be the coefficients of
// a as a Laurent polynomial, ã_k = a_|k| for |k| < N: coefficient m of a product
// is Σ_k ã_k·b̃_(m-k). With Δ the scale, V = 2^LogA and W = 2^LogB, the error of
// any coefficient of one product in E directions is
//
//	A·e_B    2nD coefficients ã; two may meet the same     deviation 2σ·√n·√(nD)·VΔ
//	         e_k, which doubles the variance
//	e_A·B    2ED coefficients b̃, likewise                  deviation 2σ·√n·√(ED)·WΔ
//	A·ρ_B    at most 2ED coefficients ρ̃                    ED·(n+1)·VΔ
//	ρ_A·B    at most 2ED coefficients b̃                    ED·(n+1)·WΔ
//	e·e, ρ·ρ and e·ρ  at most 2N products                  2N·(19n + (n+1)/2)²
//	relinearisation   see relinError
//
// The deviations add in squares, over products too, at the tail of
// [tailSquared]; everything else adds up as it stands.
func (f Flooding) Error(p *he.Profile, parties int) *big.Int {
	n, d, directions, terms := int64(parties), int64(f.Width), int64(f.Directions), int64(f.Terms)
	v := new(big.Int).Lsh(big.NewInt(1), uint(f.LogA))
	w := new(big.Int).Lsh(big.NewInt(1), uint(f.LogB))

	const variance = 11 // above 3.2²
	square := new(big.Int).Mul(v, v)
	square.Mul(square, big.NewInt(n)).Add(square, new(big.Int).Mul(new(big.Int).Mul(w, w), big.NewInt(directions)))
	square.Mul(square, big.NewInt(4*variance*tailSquared(p)*n*d*terms))
	sum := square.Sqrt(square)

	rounding := new(big.Int).Add(v, w)
	sum.Add(sum, rounding.Mul(rounding, big.NewInt(terms*directions*d*(n+1))))
	sum.Add(sum, big.NewInt(1)) // the square root's floor
	sum.Lsh(sum, uint(p.LogScale()))

	e := he.SigmaBound*n + (n+2)/2
	small := big.NewInt(2 * int64(p.N()) * e * e)
	small.Add(small, relinError(p, n))
	return sum.Add(sum, small.Mul(small, big.NewInt(terms)))
}

// relinError bounds the error of one relinearisation by worst cases, far below
// the rest. Each digit of the gadget, below twice its primes' product and so
// below 2P/2^6, multiplies the key's error and is divided by P. The error of the
// collective key is s·e + u·e' + e” with s, e sums of n ternary or fresh
// polynomials, u of n ternary ones: at most 3·2N·n·19n. Dividing rounds by
// 1 + 2N·n.
func relinError(p *he.Profile, n int64) *big.Int {
	ringN := int64(p.N())
	key := big.NewInt(3 * 2 * ringN * he.SigmaBound * n * n)
	digits := key.Mul(key, big.NewInt(2*ringN*int64(p.Digits())))
	digits.Rsh(digits, 5)
	return digits.Add(digits, big.NewInt(2*(1+2*ringN*n)))
}

// LogSigma is the deviation of every party's flooding, in bits: k + log2 B_ct.
// It is an error if values, error and flooding of all parties do not fit the
// profile's modulus.
func (f Flooding) LogSigma(p *he.Profile, parties int) (int, error) {
	if err := f.check(p, parties); err != nil {
		return 0, err
	}
	e := f.Error(p, parties)
	logSigma := LogHide(p) + e.BitLen()
	sum := new(big.Int).Lsh(big.NewInt(int64(parties)), uint(logSigma+4)) // 16 deviations each
	value := new(big.Int).Lsh(big.NewInt(2*int64(f.Terms)*int64(f.Width)), uint(f.LogA+f.LogB+2*p.LogScale()))
	sum.Add(sum, value.Add(value, e))
	if sum.Lsh(sum, 1).Cmp(p.Modulus(p.MaxLevel())) >= 0 || logSigma > maxLogSigma {
		return 0, fmt.Errorf("release of %d products of width %d, values up to 2^%d·2^%d: with %d parties' flooding of 2^%d it does not fit the modulus 2^%d; release fewer products or smaller values",
			f.Terms, f.Width, f.LogA, f.LogB, parties, logSigma, p.LogQ(p.MaxLevel()))
	}
	return logSigma, nil
}

// maxLogSigma is what the sampler takes.
const maxLogSigma = 190

// ValueError bounds |opened value − exact value|: the ciphertext's error, the
// flooding of all parties at the tail of [tailSquared], and the fresh
// encryptions' u·e + e1·s under the receiver's key, at most n·2·2N·19, over the
// scale of a product.
func (f Flooding) ValueError(p *he.Profile, parties int) (float64, error) {
	logSigma, err := f.LogSigma(p, parties)
	if err != nil {
		return 0, err
	}
	flood := math.Sqrt(float64(int64(parties)*tailSquared(p))) * math.Exp2(float64(logSigma))
	e, _ := new(big.Float).SetInt(f.Error(p, parties)).Float64()
	fresh := float64(parties * 4 * p.N() * he.SigmaBound)
	return math.Ldexp(flood+e+fresh, -2*p.LogScale()), nil
}

// Derivation explains the flooding, one line a fact.
func (f Flooding) Derivation(p *he.Profile, parties int) string {
	logSigma, err := f.LogSigma(p, parties)
	if err != nil {
		return err.Error() + "\n"
	}
	e, _ := f.ValueError(p, parties)
	var b strings.Builder
	fmt.Fprintf(&b, "flooding: %d products of width %d in %d directions for %d parties, coefficients up to 2^%d and 2^%d\n", f.Terms, f.Width, f.Directions, parties, f.LogA, f.LogB)
	fmt.Fprintf(&b, "  hide        2^%d: statistical 2^-%d over 2^%d releases of 2^%d coefficients\n", LogHide(p), he.LogStat, LogReleases, p.Spec().LogN)
	fmt.Fprintf(&b, "  error       2^%d at %.1f deviations; flooding 2^%d\n", f.Error(p, parties).BitLen(), math.Sqrt(float64(tailSquared(p))), logSigma)
	fmt.Fprintf(&b, "  an answer   to within 2^%.1f\n", math.Log2(e))
	return b.String()
}
