package multiparty

import (
	"math/big"

	"github.com/commonseal/commonseal/he"
)

// A Term adds Factor times kept coefficient k of an input to coefficient
// Offset + k·Stride of the output. Double takes twice the factor for k >= 1:
// those coefficients stand for X^k + X^-k, coefficient 0 for 1 alone. Slots, unless
// nil, says of each of the Width slots whether it goes through; the others are zero
// in what is added.
type Term struct {
	Input          int
	Factor         float64
	Offset, Stride int
	Double         bool
	Slots          []bool
	// Period, if not 0, makes the term one that [ToSlot] made: of a single kept
	// coefficient.
	Period, Kept, Slot int
}

// Periodic is the term that makes a periodic vector of a periodic vector, or
// of a trace: kept coefficient to kept coefficient.
func Periodic(p *he.Profile, width, input int, factor float64) Term {
	return Term{Input: input, Factor: factor, Stride: p.TraceStride(width)}
}

// factorBits is the fixed point of factors.
const factorBits = 96

// fixed is the term's factor from the input's scale to logScale, over
// 2^factorBits.
func (t Term) fixed(m *Map, logScale int) *big.Int {
	f := new(big.Float).SetPrec(64).SetFloat64(t.Factor)
	n, _ := f.SetMantExp(f, factorBits+logScale-m.Inputs[t.Input].LogScale).Int(nil)
	return n
}

// ToSlot is the term that adds factor times kept coefficient kept of an input
// to slot slot, and all slots equal to it modulo period, of the periodic vector
// that the output holds. So a number that stands in one coefficient, such as an
// inner product, comes to stand beside others in a slot, where products are slot
// by slot.
func ToSlot(p *he.Profile, period, slot, input, kept int, factor float64) Term {
	return Term{Input: input, Factor: factor, Stride: p.TraceStride(period), Period: period, Kept: kept, Slot: slot}
}

// spread adds the vector that is v in the term's slot and zero in the others of
// its period. Slot j of kept coefficients c is c_0 + Σ_{k>=1} 2·c_k·cos(2π·k·5^j/(4D))
// ([Map.weights]); the cosines are orthogonal, so c_k is v·cos(2π·k·5^j/(4D))/D.
//
// Each product is rounded by itself, which is factorBits below the unit that
// masks and values are rounded to.
func (t Term) spread(v *big.Int, cos []*big.Int, out map[int]*big.Int) {
	power := 1 // 5^j modulo 4D
	for range t.Slot {
		power = power * 5 % len(cos)
	}
	for k := range t.Period {
		at := t.Offset + k*t.Stride
		if out[at] == nil {
			out[at] = new(big.Int)
		}
		c := new(big.Int).Mul(v, cos[k*power%len(cos)])
		out[at].Add(out[at], roundShift(c, cosineBits+1+logPeriod(t.Period)))
	}
}

// logPeriod is log2 of a period, a power of two.
func logPeriod(period int) uint { return uint(big.NewInt(int64(period)).BitLen() - 1) }
