package multiparty

import (
	"errors"
	"math/big"
)

// A Model is a result that is never encrypted: the weights, that is the slots
// of the periodic vector that Terms make, of which every party keeps an integer
// share at scale 2^LogScale. Terms take kept coefficient k to kept coefficient
// k: Offset 0, Stride 1.
type Model struct {
	LogScale int
	Terms    []Term
}

// ErrNoModel is returned when a map leaves no model shares.
var ErrNoModel = errors.New("this map leaves no model shares")

// ModelShare is the integer share of the model this party keeps: what the map
// makes of its masks. It is a secret, and a repeat gives the same integers.
//
// With [Round.Finish]'s remainder the shares add up to the weights at scale
// 2^LogScale, to within (n+1)/2 units.
func (r *Round) ModelShare(s *Secrets) ([]*big.Int, error) {
	if r.m.Model == nil {
		return nil, ErrNoModel
	}
	return r.m.weights(r.masks(s)), nil
}

// weights are the model's Width integers: slot j of a vector of period D with
// kept coefficients c is c_0 + Σ_{k>=1} 2·c_k·cos(2π·k·5^j/(4D)), as the kept
// coefficient k stands for X^k' + X^-k', k' = k·N/D, and slot j is the value at
// the 4N-th root of unity to the power 5^j.
func (m *Map) weights(kept [][]*big.Int) []*big.Int {
	c := m.linear(m.Model.Terms, m.Model.LogScale, kept)
	cos := twiceCosines(m.Width)
	out := make([]*big.Int, m.Width)
	power := 1 // 5^j modulo 4D
	for j := range out {
		sum := new(big.Int)
		for k, v := range c {
			factor := cos[k*power%len(cos)]
			if k == 0 {
				factor = new(big.Int).Rsh(factor, 1)
			}
			sum.Add(sum, new(big.Int).Mul(v, factor))
		}
		out[j] = roundShift(sum, factorBits+cosineBits)
		power = power * 5 % len(cos)
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
