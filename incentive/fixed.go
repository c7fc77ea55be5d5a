package incentive

import (
	"fmt"
	"math"
	"math/bits"
	"strings"
)

// A Fixed is a signed number with 32 binary places (Q32.32): the int64 is the
// number times 2^32, and that int64 is its encoding everywhere.
//
// No operation fails. Results out of range become [MaxFixed] or [MinFixed], and
// anything over zero is zero. Products are rounded down and quotients toward
// zero, as substrate-fixed's I32F32 does, so that published vectors match to the
// bit; for what is not negative both mean truncation.
type Fixed int64

// Numbers with a name.
const (
	One      Fixed = 1 << 32
	MaxFixed Fixed = math.MaxInt64
	MinFixed Fixed = math.MinInt64
)

// Ratio is a/b truncated, 0 if b is 0.
func Ratio(a, b uint64) Fixed {
	hi := a >> 32
	if b == 0 {
		return 0
	}
	if hi >= b {
		return MaxFixed
	}
	q, _ := bits.Div64(hi, a<<32, b)
	return positive(q)
}

// Add is a + b.
func (a Fixed) Add(b Fixed) Fixed {
	sum := a + b
	switch {
	case a > 0 && b > 0 && sum < 0:
		return MaxFixed
	case a < 0 && b < 0 && sum >= 0:
		return MinFixed
	}
	return sum
}

// Sub is a − b.
func (a Fixed) Sub(b Fixed) Fixed {
	diff := a - b
	switch {
	case a >= 0 && b < 0 && diff < 0:
		return MaxFixed
	case a < 0 && b > 0 && diff >= 0:
		return MinFixed
	}
	return diff
}

// Mul is a·b, rounded down.
func (a Fixed) Mul(b Fixed) Fixed {
	hi, lo := bits.Mul64(a.magnitude(), b.magnitude())
	low := hi<<32 | lo>>32
	if (a < 0) == (b < 0) {
		if hi>>32 != 0 {
			return MaxFixed
		}
		return positive(low)
	}
	if lo&(1<<32-1) != 0 { // down is away from zero
		low++
		if low == 0 {
			return MinFixed
		}
	}
	if hi>>32 != 0 {
		return MinFixed
	}
	return negative(low)
}

// Div is a/b, truncated toward zero; 0 if b is 0.
func (a Fixed) Div(b Fixed) Fixed {
	if b == 0 {
		return 0
	}
	n, d := a.magnitude(), b.magnitude()
	same := (a < 0) == (b < 0)
	if n>>32 >= d {
		if same {
			return MaxFixed
		}
		return MinFixed
	}
	q, _ := bits.Div64(n>>32, n<<32, d)
	if same {
		return positive(q)
	}
	return negative(q)
}

// Of is the share a of units, truncated. A negative share has none, and one
// above 1 takes no more than there is.
func (a Fixed) Of(units uint64) uint64 {
	if a <= 0 {
		return 0
	}
	if a >= One {
		return units
	}
	hi, lo := bits.Mul64(uint64(a), units)
	return hi<<32 | lo>>32
}

// String is the number with as many decimal places as tell it from its
// neighbours, at least one.
func (a Fixed) String() string {
	m := a.magnitude()
	sign := ""
	if a < 0 {
		sign = "-"
	}
	// Ten decimal places tell numbers 2^-32 apart; round to nearest.
	const places = 10_000_000_000
	hi, lo := bits.Mul64(m&(1<<32-1), places)
	frac := hi<<32 | lo>>32
	if lo>>31&1 == 1 {
		frac++
	}
	whole := m>>32 + frac/places
	digits := strings.TrimRight(fmt.Sprintf("%010d", frac%places), "0")
	if digits == "" {
		digits = "0"
	}
	return fmt.Sprintf("%s%d.%s", sign, whole, digits)
}

func (a Fixed) magnitude() uint64 {
	if a < 0 {
		return -uint64(a)
	}
	return uint64(a)
}

func positive(m uint64) Fixed {
	if m > math.MaxInt64 {
		return MaxFixed
	}
	return Fixed(m)
}

func negative(m uint64) Fixed {
	if m > 1<<63 {
		return MinFixed
	}
	return Fixed(-m)
}

// exp is e^x, and false if a step of it is out of range. The series stops where
// upstream's stops, after the term x^31/31!, and e itself has 23 binary places
// there: both are kept, for bits to match.
func exp(x Fixed) (Fixed, bool) {
	const e23 = Fixed(22802600 << 9) // ⌊e·2^23⌋ / 2^23
	switch x {
	case 0:
		return One, true
	case One:
		return e23, true
	case MinFixed:
		return 0, false
	}
	y := x
	if x < 0 {
		y = -x
	}
	sum, term := y.Add(One), y
	for i := Fixed(2); i < 32; i++ {
		term = term.Mul(y)
		if term == MaxFixed {
			return 0, false
		}
		term = term.Div(i * One)
		sum = sum.Add(term)
		if sum == MaxFixed {
			return 0, false
		}
	}
	if x < 0 {
		sum = One.Div(sum)
	}
	return sum, true
}

// sigmoid is 1/(1 + e^(−ρ(x−κ))), the exponent held within ±20.
func sigmoid(x, rho, kappa Fixed) Fixed {
	exponent := rho.Mul(-One).Mul(x.Sub(kappa))
	e, _ := exp(min(max(exponent, -20*One), 20*One)) // e^20 is in range
	return One.Div(e.Add(One))
}

// sum adds in order.
func sum(xs []Fixed) Fixed {
	var total Fixed
	for _, x := range xs {
		total = total.Add(x)
	}
	return total
}

// normalise is xs over their sum, xs if that is zero.
func normalise(xs []Fixed) []Fixed {
	out := make([]Fixed, len(xs))
	total := sum(xs)
	if total == 0 {
		copy(out, xs)
		return out
	}
	for i, x := range xs {
		out[i] = x.Div(total)
	}
	return out
}

// of16 is the share a of 65535, truncated, which upstream stores.
func (a Fixed) of16() uint64 { return min(uint64(max(0, a.Mul(maxU16*One)))>>32, maxU16) }
