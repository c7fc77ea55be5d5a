package multiparty

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/hetest"
)

// multiply is the product of two polynomials of the conjugate-invariant ring,
// where X^a + X^-a times X^b + X^-b is X^(a+b) + X^-(a+b) + X^(a-b) + X^(b-a).
func multiply(n int, a, b []float64) []float64 {
	out := make([]float64, 2*n)
	for i, x := range a {
		for j, y := range b {
			switch v := x * y; {
			case v == 0:
			case i == 0 || j == 0:
				out[i+j] += v
			default:
				out[i+j] += v
				if i == j {
					v *= 2
				}
				out[max(i-j, j-i)] += v
			}
		}
	}
	return out[:n]
}

// In the clear: the product of the layouts, through the Gram map, has the
// pairs' cosines, and nothing of another pair, for every group of columns.
func TestGramMapHasEveryPair(t *testing.T) {
	ps := hetest.Profiles(t)
	for _, tc := range []struct{ companies, width, groups int }{{2, 8, 1}, {5, 16, 2}, {8, 16, 4}, {8, 4, 1}, {8, 1, 1}, {3, 64, 3}} {
		t.Run(fmt.Sprintf("%d companies of %d columns", tc.companies, tc.width), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, uint64(tc.width)))
			c := Comparison{Train: ps.Train, Release: ps.Release, Width: tc.width, Columns: tc.width, Steps: 1, Theta: DefaultTheta()}
			updates := [][]float64{{}, {}} // inputs 0 and 1 of a step are its state
			total := 0
			for i := range tc.companies {
				c.Rows = append(c.Rows, 10+7*i)
				total += c.Rows[i]
				u := make([]float64, tc.width)
				for k := range u {
					u[k] = rng.NormFloat64()
				}
				updates = append(updates, u)
			}
			if err := c.Check(); err != nil {
				t.Fatal(err)
			}
			if c.Groups() != tc.groups {
				t.Fatalf("%d groups, want %d", c.Groups(), tc.groups)
			}
			outputs, n := c.outputs(1, nil), ps.Train.N()
			rows, m := outputs[0].clear(updates), c.Gram()
			var kept [][]float64
			for _, columns := range outputs[1:] {
				product := multiply(n, rows, columns.clear(updates))
				k := make([]float64, m.Width)
				for i := range k {
					k[i] = product[i*ps.Train.TraceStride(m.Width)]
				}
				kept = append(kept, k)
			}
			unit := math.Exp2(float64(2*(he.LogUpdate-ps.Train.LogScale()) + he.LogCosine - ps.Train.LogScale()))
			gram := func(i, j int) (sum float64) { // of means over own rows, over the columns
				for k, x := range updates[2+i] {
					x *= updates[2+j][k]
					if k > 0 {
						x *= 2
					}
					sum += x
				}
				return sum * unit * float64(total*total) / float64(c.Rows[i]*c.Rows[j])
			}
			theta, slot := 0.99, 0
			for i := range tc.companies {
				for j := range i {
					for o, want := range []float64{gram(i, j), theta * gram(i, i), theta * gram(j, j)} {
						got := 0.0
						for _, term := range m.Outputs[o].Terms {
							if term.Slot == slot {
								got += term.Factor * kept[term.Input][term.Kept]
							}
						}
						if math.Abs(got/want-1) > 1e-9 {
							t.Errorf("pair %d %d, number %d: %g, want %g", i, j, o, got, want)
						}
					}
					slot++
				}
			}
		})
	}
}

// In the clear: the product of a valued step's updates and directions has every
// company's value by every evaluator among its answers, and nothing of another's,
// with directions as the step writes them and with those that parts of companies
// which count add up to.
func TestValuesHaveTheirPlaces(t *testing.T) {
	ps := hetest.Profiles(t)
	for _, tc := range []struct{ companies, width, evaluators int }{{2, 8, 1}, {5, 16, 1}, {2, 8, 2}, {3, 16, 2}, {4, 8, 4}, {8, 2, 8}, {2, 1, 2}, {2, 64, 2}} {
		t.Run(fmt.Sprintf("%+v", tc), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(2, uint64(tc.width)))
			c := &Comparison{Train: ps.Train, Release: ps.Release, Width: tc.width, Columns: tc.width, Steps: 1, Theta: DefaultTheta()}
			s := TrainingStep{Train: ps.Train, Release: ps.Release, Width: tc.width, Rows: 50, Panel: panelOf(tc.width, tc.companies, tc.evaluators), Compare: c}
			inputs := [][]float64{{}, {}} // the state
			for range tc.companies + tc.evaluators {
				v := make([]float64, tc.width)
				for k := range v {
					v[k] = rng.NormFloat64()
				}
				inputs = append(inputs, v)
			}
			inner := func(a, b []float64) float64 { return 2*dot(a, b) - a[0]*b[0] } // of periodic vectors
			updates, parts := s.updates().clear(inputs), s.parts()
			for _, counted := range [][]int{{0, 1}, {tc.companies - 1}, {0}, nil} {
				directions := parts[0].clear(inputs)
				for _, i := range counted {
					for at, v := range parts[1+i].clear(inputs) {
						directions[at] += v
					}
				}
				product, k := multiply(ps.Release.N(), updates, directions), 0
				for e, rows := range s.Panel.Rows {
					direction := make([]float64, tc.width)
					for j, g := range inputs[2+tc.companies+e] {
						direction[j] = s.mean(rows) * g
						for _, i := range counted {
							direction[j] -= s.mean(s.Rows) / 2 * inputs[2+i][j]
						}
					}
					for _, i := range counted {
						want := s.mean(s.Rows) * inner(inputs[2+i], direction)
						if got := product[s.Panel.Answers(counted)[k]]; math.Abs(got-want) > 1e-9*math.Abs(want)+1e-9 {
							t.Errorf("company %d by evaluator %d of %v: %g, want %g", i, e, counted, got, want)
						}
						k++
					}
				}
			}
			all, whole := s.directions().clear(inputs), parts[0].clear(inputs)
			for _, part := range parts[1:] {
				for at, v := range part.clear(inputs) {
					whole[at] += v
				}
			}
			for at := range all {
				if math.Abs(all[at]-whole[at]) > 1e-12 {
					t.Fatalf("coefficient %d of directions is %g, and of their parts %g", at, all[at], whole[at])
				}
			}
		})
	}
}

// A kept coefficient comes to stand in the one slot it is sent to.
func TestToSlot(t *testing.T) {
	p := hetest.Profiles(t).Train
	const period = 8
	m := &Map{Width: 4}
	m.Inputs = []Input{{Profile: p, LogScale: p.LogScale()}}
	kept := [][]*big.Int{{big.NewInt(1 << 40), big.NewInt(3 << 40), big.NewInt(0), big.NewInt(0)}}
	terms := []Term{ToSlot(p, period, 5, 0, 1, 0.5), ToSlot(p, period, 2, 0, 0, -1)}
	coefficients := make([]int64, period)
	for at, v := range m.linear(terms, p.LogScale(), kept) {
		coefficients[at/p.TraceStride(period)] = roundShift(v, factorBits).Int64()
	}
	for slot, got := range slots(t, p, coefficients) {
		want := map[int]float64{5: 1.5, 2: -1}[slot]
		if math.Abs(got-want) > 1e-9 {
			t.Errorf("slot %d is %g, want %g", slot, got, want)
		}
	}
	one, other := Map{Outputs: []Output{{p, terms[:1]}}}, Map{Outputs: []Output{{p, []Term{ToSlot(p, period, 4, 0, 1, 0.5)}}}}
	if one.Digest() == other.Digest() {
		t.Error("two slots, one digest")
	}
}

// Opened answers are read as bits, pair by pair.
func TestCopiesReadsBits(t *testing.T) {
	ps := hetest.Profiles(t)
	c := Comparison{Train: ps.Train, Release: ps.Release, Width: 8, Columns: 8, Steps: 1, Rows: []int{1, 1, 1, 1}, Theta: DefaultTheta()}
	if c.Pairs() != 6 || c.Period() != 8 || len(c.Answers()) != 8 {
		t.Fatalf("%d pairs, period %d, %d answers", c.Pairs(), c.Period(), len(c.Answers()))
	}
	m := &Map{Inputs: []Input{{Profile: ps.Release, LogScale: ps.Release.LogScale()}}}
	one := new(big.Int).Lsh(big.NewInt(1), uint(ps.Release.LogScale()))
	read := func(bits map[int]float64) []Pair {
		var terms []Term
		for slot, bit := range bits {
			terms = append(terms, ToSlot(ps.Release, c.Period(), slot, 0, 0, bit))
		}
		opened := make([]float64, c.Period())
		for at, v := range m.linear(terms, ps.Release.LogScale(), [][]*big.Int{{one}}) {
			opened[at/ps.Release.TraceStride(c.Period())] = scaled(roundShift(v, factorBits), ps.Release.LogScale())
		}
		return c.Copies(opened)
	}
	// Slots are pairs (1,0), (2,0), (2,1), (3,0), (3,1), (3,2); 6 and 7 are none.
	got := read(map[int]float64{0: 0.999, 2: 1.0001, 3: 0.2, 5: 1, 6: 1, 7: 0.25})
	if want := []Pair{{0, 1}, {1, 2}, {2, 3}}; !slices.Equal(got, want) {
		t.Errorf("copies %v, want %v", got, want)
	}
	if got := read(map[int]float64{6: 0.25, 7: 0.25}); got != nil {
		t.Errorf("copies %v of none", got)
	}
}

func TestComparisonRefuses(t *testing.T) {
	ps := hetest.Profiles(t)
	good := Comparison{Train: ps.Train, Release: ps.Release, Width: 16, Columns: 12, Steps: 3, Rows: []int{3, 2, 9}, Theta: DefaultTheta()}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for what, spoil := range map[string]func(c *Comparison){
		"one company":         func(c *Comparison) { c.Rows = c.Rows[:1] },
		"no step":             func(c *Comparison) { c.Steps = 0 },
		"θ above 1":           func(c *Comparison) { c.Theta = Theta{2, 1} },
		"no θ":                func(c *Comparison) { c.Theta = Theta{} },
		"a company of none":   func(c *Comparison) { c.Rows[1] = 0 },
		"no room for columns": func(c *Comparison) { c.Width = 256 },
		"no room for pairs":   func(c *Comparison) { c.Rows = slices.Repeat([]int{5}, 12); c.Width = 2 },
	} {
		c := good
		c.Rows = slices.Clone(good.Rows)
		spoil(&c)
		if err := c.Check(); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
	for n := 2; n <= 23; n++ { // as docs/adr/0016 says
		c := Comparison{Train: he.Standard().Train, Release: he.Standard().Release, Width: 1 << (n % 6), Columns: 1, Steps: 3, Rows: slices.Repeat([]int{100}, n), Theta: DefaultTheta()}
		if err := c.Check(); err != nil {
			t.Errorf("production, %d companies of %d columns: %v", n, c.Width, err)
		}
		for _, m := range []*Map{c.Gram(), c.First(), c.Next(), c.Last()} {
			for _, in := range m.Inputs {
				if m.Width > he.MaxWidth {
					t.Errorf("%d companies of %d columns: a map of width %d", n, c.Width, m.Width)
				}
				if _, err := in.LogMask(n); err != nil {
					t.Errorf("%d companies: %v", n, err)
				}
			}
		}
		if _, err := c.Flooding().LogSigma(c.Release, n); err != nil {
			t.Errorf("%d companies: %v", n, err)
		}
	}
}
