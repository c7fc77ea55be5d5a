package multiparty

import (
	"math/big"
	"math/bits"
)

// A basis takes kept coefficients of a vector of period D to its slots and back:
// slot j is the value at the 4D-th root of unity to the power 5^j, and kept
// coefficient k stands for X^k' + X^-k', k' = k·N/D, so with θ_j = 2π·5^j/(4D)
//
//	slot j = c_0 + Σ_{k>=1} 2·c_k·cos(k·θ_j)   and   c_k = 1/D · Σ_j slot j · cos(k·θ_j).
type basis struct {
	cos    []*big.Int // 2·cos(2π·m/(4D)), over 2^cosineBits
	powers []int      // 5^j modulo 4D
}

func newBasis(width int) basis {
	s := basis{cos: twiceCosines(width)}
	for power := 1; len(s.powers) < width; power = power * 5 % len(s.cos) {
		s.powers = append(s.powers, power)
	}
	return s
}

// slot is slot j of kept coefficients, over 2^cosineBits more than they are.
func (s basis) slot(j int, kept []*big.Int) *big.Int {
	sum, term := new(big.Int).Lsh(kept[0], cosineBits), new(big.Int)
	for k, c := range kept[1:] {
		sum.Add(sum, term.Mul(c, s.cos[(k+1)*s.powers[j]%len(s.cos)]))
	}
	return sum
}

// only are the kept coefficients of the vector whose slots are those of kept where
// in says so and zero elsewhere, rounded to a unit. The map is linear but for that:
// what cosines are off cancels between masks and masked values, and leaves 2·D·2^-97
// of the value.
func (s basis) only(in []bool, kept []*big.Int) []*big.Int {
	out, term := integers(len(kept)), new(big.Int)
	for j, power := range s.powers {
		if !in[j] {
			continue
		}
		v := s.slot(j, kept)
		for k := range out {
			out[k].Add(out[k], term.Mul(v, s.cos[k*power%len(s.cos)]))
		}
	}
	shift := 2*cosineBits + bits.Len(uint(len(kept))) // of two factors, and of 2·D
	for k := range out {
		out[k] = roundShift(out[k], uint(shift))
	}
	return out
}

func integers(n int) []*big.Int {
	out := make([]*big.Int, n)
	for i := range out {
		out[i] = new(big.Int)
	}
	return out
}

// cosineBits is the fixed point of cosines. A weight is off by 2·D·2^-97 times
// the largest coefficient, far below the rounding.
const cosineBits = 96

// twiceCosines are 2·cos(2π·m/(4D)) for m < 4D, over 2^cosineBits: the same
// integers on every machine, as they come from the half-angle and Chebyshev
// recurrences in software floating point. The latter loses 2·log2(4D) = 20 of
// the spare bits.
func twiceCosines(width int) []*big.Int {
	const prec = cosineBits + 64
	float := func(x float64) *big.Float { return new(big.Float).SetPrec(prec).SetFloat64(x) }
	step := float(0) // 2·cos(π/2), halving the angle to 2π/(4D)
	for d := 1; d < width; d *= 2 {
		step.Sqrt(step.Add(step, float(2))) // 2·cos(x/2) = √(2 + 2·cos x)
	}
	out := make([]*big.Int, 4*width)
	before, now := step, float(2) // 2·cos(-x) and 2·cos(0)
	for m := range out {
		out[m] = nearest(now, cosineBits)
		next := float(0).Mul(step, now)
		before, now = now, next.Sub(next, before) // 2cos((m+1)x) = 2cos(x)·2cos(mx) - 2cos((m-1)x)
	}
	return out
}

// nearest is x·2^bits to the nearest integer, give or take 2^-32 of one.
func nearest(x *big.Float, bits int) *big.Int {
	n, _ := new(big.Float).SetMantExp(x, bits+32).Int(nil)
	return roundShift(n, 32)
}
