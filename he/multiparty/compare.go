package multiparty

import (
	"fmt"
	"math"
	"math/big"

	"github.com/commonseal/commonseal/he"
)

// A Comparison finds the companies whose updates are near-copies of one
// another, and opens one bit a pair: whether, for the inner products G of
// updates summed over the valued steps,
//
//	G_ij > 0  and  G_ij²·b² ≥ a²·G_ii·G_jj,  θ = a/b
//
// (INCENTIVES §2). No inner product is opened. The maps below and the circuits
// of he/circuit make of updates two numbers a pair, one slot each, and of each
// number its sign:
//
//	step        rows, columns   train    updates laid out so that one product has all G
//	Gram        x, y, z         train    G_ij, θ·G_ii, θ·G_jj of pair p in slot p, below 1
//	First       e, x            train    e = x² − y·z, by the circuit
//	Next        e, x            train    both sharpened, as often as there are signs
//	Last        e, x            release  halves, whose product with ½ each is the bit
//
// Everything is a function of recorded ciphertexts: no party draws a number but
// its masks, so there is none to choose badly (docs/adr/0016).
type Comparison struct {
	Train, Release *he.Profile
	Width          int   // of an update
	Columns        int   // of a row, the constant included
	Steps          int   // valued steps that are summed
	Rows           []int // training rows of each company
	Theta          Theta
}

// A Theta is the cosine, a/b in (0, 1], from which on two updates are one.
type Theta struct{ A, B int }

// DefaultTheta is 99/100.
func DefaultTheta() Theta { return Theta{99, 100} }

// Check refuses what the layouts have no room for.
func (c Comparison) Check() error {
	n := len(c.Rows)
	switch {
	case n < 2 || c.Steps < 1 || c.Theta.A < 1 || c.Theta.A > c.Theta.B:
		return fmt.Errorf("compare: %d companies, %d steps, θ = %d/%d; it takes two companies, one step and a θ in (0, 1]", n, c.Steps, c.Theta.A, c.Theta.B)
	case c.group() < 1 || 2*n*c.Period() > c.Release.N() || c.Period() > he.MaxWidth:
		return fmt.Errorf("compare: %d pairs of %d companies and %d columns have no room in N = %d; compare fewer companies or columns", c.Pairs(), n, c.Width, c.Train.N())
	}
	for i, r := range c.Rows {
		if r < 1 {
			return fmt.Errorf("compare: company %d has no rows", i+1)
		}
	}
	return nil
}

// Pairs is how many pairs there are.
func (c Comparison) Pairs() int { return len(c.Rows) * (len(c.Rows) - 1) / 2 }

// Period is that of vectors with one pair in a slot.
func (c Comparison) Period() int {
	period := 2
	for period < c.Pairs() {
		period *= 2
	}
	return period
}

// segment is how many coefficients an update takes, so that products with another
// reach no neighbour's; and at least the distance of what a map keeps.
func (c Comparison) segment() int { return max(2*c.Width, c.Train.TraceStride(he.MaxWidth)) }

// group is how many companies' updates share a ciphertext of columns: products
// with rows take 2n segments for each.
func (c Comparison) group() int { return c.Train.N() / (2 * c.segment() * len(c.Rows)) }

// Groups is how many ciphertexts of columns there are.
func (c Comparison) Groups() int { return (len(c.Rows) + c.group() - 1) / c.group() }

// place is where the inner product of companies i and j stands, in segments of
// the product with j's columns. Company i's update begins at o, segment i of the
// rows, j's at p, segment n·(2j+1) of the columns: p > o, so X^(p+k)·X^-(o+k) meets
// at p − o once for every k, and no other products do.
func (c Comparison) place(i, j int) int {
	n := len(c.Rows)
	return n*(2*(j%c.group())+1) - i
}

// outputs are the layouts that a valued step writes: rows, then columns, of the
// slots that train. Update i is input 2+i of the step.
func (c Comparison) outputs(mean float64, slots []bool) []Output {
	n, factor := len(c.Rows), math.Ldexp(mean, he.LogUpdate-c.Train.LogScale())
	out := make([]Output, 1+c.Groups())
	for g := range out {
		out[g].Profile = c.Train
	}
	for i := range n {
		column := &out[1+i/c.group()]
		at := c.segment() * n * (2*(i%c.group()) + 1)
		out[0].Terms = append(out[0].Terms, Term{Input: 2 + i, Factor: factor, Offset: c.segment() * i, Stride: 1, Double: true, Slots: slots})
		column.Terms = append(column.Terms, Term{Input: 2 + i, Factor: factor, Offset: at, Stride: 1, Slots: slots})
	}
	return out
}

// input is what a map takes of a circuit of the comparison.
func (c Comparison) input(logScale, logValue int) Input {
	return Input{Profile: c.Train, Level: c.Train.CompareLevel(), LogScale: logScale, LogValue: logValue}
}

// Gram is the map from products of rows and columns, one for each group, to
// vectors x, y and z with a pair in a slot. Updates become means over a
// company's own rows, whose inner products over the steps' number and the
// columns are below 1 wherever the polynomial is a sigmoid: that does not change
// a cosine, and small companies' are no smaller numbers.
func (c Comparison) Gram() *Map {
	m := &Map{Width: c.Train.N() / c.segment(), Outputs: []Output{{Profile: c.Train}, {Profile: c.Train}, {Profile: c.Train}}}
	for range c.Groups() {
		m.Inputs = append(m.Inputs, c.input(2*he.LogUpdate, 8))
	}
	total := 0
	for _, r := range c.Rows {
		total += r
	}
	unit := math.Ldexp(float64(c.Width)*float64(total)*float64(total)/float64(c.Steps*c.Columns), he.LogCosine-c.Train.LogScale())
	theta, slot := float64(c.Theta.A)/float64(c.Theta.B), 0
	for i := range c.Rows {
		for j := range i {
			for o, of := range []struct {
				i, j   int
				factor float64
			}{{i, j, unit}, {i, i, theta * unit}, {j, j, theta * unit}} {
				own := of.factor / float64(c.Rows[of.i]) / float64(c.Rows[of.j])
				m.Outputs[o].Terms = append(m.Outputs[o].Terms, ToSlot(c.Train, c.Period(), slot, of.j/c.group(), c.place(of.i, of.j), own))
			}
			slot++
		}
	}
	return m
}

// First is the map from e and x as they are to numbers that a sign polynomial
// takes.
func (c Comparison) First() *Map {
	return c.sharpen([]Input{c.input(2*he.LogCosine, 2), c.input(c.Train.LogScale(), he.LogCosine-c.Train.LogScale()+2)},
		c.Train, math.Ldexp(1, he.LogSign-c.Train.LogScale()), math.Ldexp(1, he.LogSign-he.LogCosine))
}

// Next is the map from what a sign polynomial gives to what the next one takes.
func (c Comparison) Next() *Map {
	up := math.Ldexp(1, he.LogSign-c.Train.LogScale())
	return c.sharpen(c.signed(), c.Train, up, up)
}

// Last is the map from what the last sign polynomial gives to halves of it.
func (c Comparison) Last() *Map { return c.sharpen(c.signed(), c.Release, 0.5, 0.5) }

func (c Comparison) signed() []Input {
	return []Input{c.input(he.LogSigned, 2), c.input(he.LogSigned, 2)}
}

// sharpen maps each of two vectors to itself times a factor.
func (c Comparison) sharpen(inputs []Input, to *he.Profile, factors ...float64) *Map {
	m := &Map{Width: c.Period(), Inputs: inputs}
	for i, factor := range factors {
		m.Outputs = append(m.Outputs, Output{Profile: to, Terms: []Term{Periodic(to, c.Period(), i, factor)}})
	}
	return m
}

// Answers are the coefficients of the bits that are opened: all that the
// periodic vector keeps.
func (c Comparison) Answers() []int {
	out := make([]int, c.Period())
	for k := range out {
		out[k] = k * c.Release.TraceStride(c.Period())
	}
	return out
}

// Flooding is that of the bits' release: one product of two vectors of at most
// one in a slot, and so in a coefficient.
func (c Comparison) Flooding() Flooding {
	return Flooding{Terms: 1, Width: c.Period(), LogA: 1, LogB: 1, Directions: 1}
}

// A Pair is two companies by index, First the lower.
type Pair struct{ First, Second int }

// Copies are the pairs whose bit is set, in order of the second and then the first, given the
// opened answers. Everybody computes alike: in integers, from answers rounded to
// 2^-32.
func (c Comparison) Copies(opened []float64) []Pair {
	const bits = 32
	cos := twiceCosines(c.Period())
	half := new(big.Int).Lsh(big.NewInt(1), bits+cosineBits-1)
	var out []Pair
	power, i, j := 1, 1, 0 // pair (i, j) is slot s, power 5^s modulo 4D
	for range c.Pairs() {
		sum := new(big.Int)
		for k, v := range opened {
			factor := cos[k*power%len(cos)]
			if k == 0 {
				factor = new(big.Int).Rsh(factor, 1)
			}
			sum.Add(sum, new(big.Int).Mul(factor, big.NewInt(int64(math.Round(math.Ldexp(v, bits))))))
		}
		if sum.Cmp(half) > 0 {
			out = append(out, Pair{First: j, Second: i})
		}
		power = power * 5 % len(cos)
		if j++; j == i {
			i, j = i+1, 0
		}
	}
	return out
}
