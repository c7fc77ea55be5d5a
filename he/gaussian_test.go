package he_test

import (
	"fmt"
	"math"
	"math/big"
	"testing"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/hetest"
	"github.com/tuneinsight/lattigo/v5/ring"
)

// freshPMF is exp(-x²/2σ²), σ = 16/5, for x = 0 to 19, to 400 bits: a power of
// exp(-25/512), which is summed from its series.
func freshPMF() (terms []*big.Float, total *big.Float) {
	num := func(x float64) *big.Float { return new(big.Float).SetPrec(400).SetFloat64(x) }
	base, term := num(1), num(1)
	for k := 1; k < 80; k++ {
		term.Mul(term, num(-25.0/512))
		term.Quo(term, num(float64(k)))
		base.Add(base, term)
	}
	total = num(0)
	for x := range he.SigmaBound + 1 {
		p := num(1)
		for range x * x {
			p.Mul(p, base)
		}
		if x > 0 {
			p.Add(p, p) // both signs
		}
		terms = append(terms, p)
		total.Add(total, p)
	}
	return terms, total
}

// The table of the fresh error, recomputed; and how far from the distribution
// rounding it to 63 bits is.
func TestFreshCDF(t *testing.T) {
	terms, total := freshPMF()
	scale := new(big.Float).SetPrec(400).SetMantExp(big.NewFloat(1), 63)
	sum, distance, last := new(big.Float).SetPrec(400), new(big.Float).SetPrec(400), uint64(0)
	for k, p := range terms {
		sum.Add(sum, p)
		exact := new(big.Float).Quo(sum, total)
		exact.Mul(exact, scale)
		want, _ := new(big.Float).Add(exact, big.NewFloat(0.5)).Uint64()
		got := uint64(1 << 63) // what is above the last threshold
		if k < len(he.FreshCDF) {
			got = he.FreshCDF[k]
		}
		if got != want {
			t.Errorf("2^63·P(|x| <= %d) = %d, table has %d", k, want, got)
		}
		share := new(big.Float).Quo(p, total)
		share.Sub(share.Mul(share, scale), new(big.Float).SetUint64(got-last))
		distance.Add(distance, share.Abs(share))
		last = got
	}
	d, _ := distance.Float64() // twice the distance, in units of 2^-63
	logDistance := math.Log2(d) - 64
	t.Logf("statistical distance 2^%.2f", logDistance)
	if logDistance > -60 {
		t.Errorf("the fresh error is 2^%.2f from its distribution, not 2^-60", logDistance)
	}
}

func TestFreshFits(t *testing.T) {
	v := make([]int64, samples())
	seed(t).Stream("fresh").Fresh(v)
	counts := make([]int, 2*he.SigmaBound+1)
	for _, x := range v {
		if x < -he.SigmaBound || x > he.SigmaBound {
			t.Fatalf("a fresh error of %d", x)
		}
		counts[x+he.SigmaBound]++
	}
	terms, total := freshPMF()
	chiSquare(t, "fresh error", counts, func(cell int) float64 {
		x := max(cell-he.SigmaBound, he.SigmaBound-cell)
		p, _ := new(big.Float).Quo(terms[x], total).Float64()
		if x > 0 {
			p /= 2
		}
		return p
	})
}

// Small deviations against the exact probabilities: what an error in a sign, at
// zero, in a parity or in a loop bound would show.
func TestFloodIsExact(t *testing.T) {
	for logSigma := range 4 {
		s := seed(t).Stream("exact", []byte{byte(logSigma)})
		sigma := math.Exp2(float64(logSigma))
		edge := int(12 * sigma) // beyond it 2^-100
		weight := func(x int) float64 { return math.Exp(-float64(x*x) / (2 * sigma * sigma)) }
		total := 0.0
		for x := -edge; x <= edge; x++ {
			total += weight(x)
		}
		counts := make([]int, 2*edge+1)
		for range samples() {
			x := int(s.WideGaussian(logSigma).Int64())
			if x < -edge || x > edge {
				t.Fatalf("σ = %v: a draw of %d", sigma, x)
			}
			counts[x+edge]++
		}
		chiSquare(t, fmt.Sprintf("σ = 2^%d", logSigma), counts, func(cell int) float64 { return weight(cell-edge) / total })
	}
}

// A large deviation against the normal distribution it is close to, cell by
// cell of a twentieth of a deviation.
func TestFloodFitsNormal(t *testing.T) {
	for _, logSigma := range []int{64, 100, 168} {
		s := seed(t).Stream("normal", []byte{byte(logSigma)})
		const perSigma, edge = 20, 8
		counts := make([]int, 2*edge*perSigma)
		for range samples() {
			counts[int(math.Floor((float(s.WideGaussian(logSigma), logSigma)+edge)*perSigma))]++
		}
		chiSquare(t, fmt.Sprintf("σ = 2^%d", logSigma), counts, func(cell int) float64 {
			at := func(i int) float64 { return math.Erf((float64(i)/perSigma - edge) / math.Sqrt2) }
			return (at(cell+1) - at(cell)) / 2
		})
	}
}

// float is v/2^logScale.
func float(v *big.Int, logScale int) float64 {
	f := new(big.Float).SetInt(v)
	x, _ := f.SetMantExp(f, -logScale).Float64()
	return x
}

// Law L8, on what AddFlood adds: deviation, kurtosis, mean, the lowest byte,
// and residues that are those of one integer of plausible size.
func TestFloodStatistics(t *testing.T) {
	p := hetest.Profiles(t).Release
	r := p.RingQ(p.MaxLevel())
	n := samples() / p.N() * p.N()
	for _, logSigma := range []int{0, 1, 20, 62, 63, 64, 65, 66, 126, 168, 190} {
		s := seed(t).Stream("statistics", []byte{byte(logSigma)})
		poly, xs := r.NewPoly(), integers(p.N())
		var sum, square, fourth float64
		lowest := make([]int, 256)
		for range n / p.N() {
			poly.Zero()
			s.AddFlood(r, logSigma, poly)
			reduced(t, r, poly)
			r.PolyToBigintCentered(poly, 1, xs)
			for _, x := range xs {
				f := float(x, logSigma)
				if math.Abs(f) > 12 {
					t.Fatalf("σ = 2^%d: a draw of %g σ: its residues are not of one integer", logSigma, f)
				}
				sum, square, fourth = sum+f, square+f*f, fourth+f*f*f*f
				lowest[lowByte(x)]++
			}
		}
		count := float64(n)
		mean, deviation, kurtosis := sum/count, math.Sqrt(square/count), fourth*count/(square*square)
		t.Logf("σ = 2^%d: mean %+.4f σ, deviation %.4f σ, kurtosis %.3f", logSigma, mean, deviation, kurtosis)
		// Six standard errors: σ/√n for the mean, √(24/n) for the kurtosis.
		if math.Abs(mean) > 6/math.Sqrt(count) || math.Abs(deviation-1) > 0.01 || math.Abs(kurtosis-3) > max(0.05, 6*math.Sqrt(24/count)) {
			t.Errorf("σ = 2^%d: mean %+.4f σ, deviation %.4f σ, kurtosis %.3f", logSigma, mean, deviation, kurtosis)
		}
		if logSigma >= 20 { // below, the lowest byte is not uniform
			chiSquare(t, fmt.Sprintf("lowest byte at σ = 2^%d", logSigma), lowest, uniform(256))
		}
	}
}

// AddFlood adds, reduced, to what is there, and what it adds is the integer.
func TestFloodAdds(t *testing.T) {
	p := hetest.Profiles(t).Release
	r := p.RingQ(p.MaxLevel())
	for _, logSigma := range []int{0, 63, 64, 65, 127, 128, 168, 190} {
		base, poly := r.NewPoly(), r.NewPoly()
		seed(t).Stream("base").Uniform(r, base)
		poly.Copy(base)
		flood := seed(t).Stream("flood")
		same := seed(t).Stream("flood")
		flood.AddFlood(r, logSigma, poly)
		reduced(t, r, poly)
		r.Sub(poly, base, poly)
		for j := range p.N() {
			x := same.WideGaussian(logSigma)
			for i, sub := range r.SubRings {
				q := new(big.Int).SetUint64(sub.Modulus)
				if want := new(big.Int).Mod(x, q).Uint64(); poly.Coeffs[i][j] != want {
					t.Fatalf("σ = 2^%d, coefficient %d: %d modulo %v, want %d", logSigma, j, poly.Coeffs[i][j], q, want)
				}
			}
		}
	}
}

func TestFloodPanicsBeyondItsBounds(t *testing.T) {
	p := hetest.Profiles(t).Serve
	for _, logSigma := range []int{-1, 191} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a flooding deviation of 2^%d was drawn", logSigma)
				}
			}()
			he.Seed{}.Stream("x").AddFlood(p.RingQ(1), logSigma, p.NewPolyQ(1))
		}()
	}
}

// lowByte is x modulo 256.
func lowByte(x *big.Int) byte {
	if len(x.Bits()) == 0 {
		return 0
	}
	b := byte(x.Bits()[0])
	if x.Sign() < 0 {
		b = -b
	}
	return b
}

func integers(n int) []*big.Int {
	out := make([]*big.Int, n)
	for i := range out {
		out[i] = new(big.Int)
	}
	return out
}

// reduced fails if a residue is not below its prime.
func reduced(tb testing.TB, r *ring.Ring, p ring.Poly) {
	tb.Helper()
	for i, sub := range r.SubRings[:r.Level()+1] {
		for j, v := range p.Coeffs[i] {
			if v >= sub.Modulus {
				tb.Fatalf("residue %d of row %d is %d, not below %d", j, i, v, sub.Modulus)
			}
		}
	}
}
