package circuit

import (
	"math"
	"testing"

	"github.com/commonseal/commonseal/he"
	"gonum.org/v1/gonum/floats"
	"pgregory.net/rapid"
)

// No replaced row moves values further than declared, at whatever point; rows at
// the corners of the cube come close enough for the bound to mean something.
func TestPrivacyBoundsOneRow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const columns = 4
		draw := func(n int, label string) he.Rows {
			x := he.Rows{Columns: columns, Values: make([]float64, n*columns)}
			for i := range x.Values {
				x.Values[i] = rapid.Float64Range(-1, 1).Draw(t, label)
			}
			return x
		}
		tw := Twin{LearningRate: 0.7, Steps: 1, Columns: columns}
		companies := []he.Rows{draw(3, "a"), draw(2, "b")}
		checks := []he.Rows{draw(2, "checks"), draw(3, "other checks")}
		w := draw(1, "w").Row(0)
		panel := rapid.SampledFrom([]he.Panel{
			{Companies: 2, Evaluators: [][]int{{0}, {1}}, Rows: []int{2, 3}}, {Companies: 2, Evaluators: [][]int{{0, 1}}, Rows: []int{5}}, {Companies: 2, Evaluators: [][]int{{0}}, Rows: []int{2}},
		}).Draw(t, "panel")
		bound := tw.Privacy(5, panel.Rows, 1, 1)
		moved := func(change func(row []float64), z he.Rows) float64 {
			before := tw.Values(w, testInterval, panel, companies, checks)
			change(z.Row(0))
			return floats.Distance(before, tw.Values(w, testInterval, panel, companies, checks), 2)
		}
		replace := func(row []float64) { copy(row, draw(1, "other").Row(0)) }
		if d := moved(replace, companies[0]); d > bound.Training {
			t.Errorf("a training row moves values by %g, declared %g", d, bound.Training)
		}
		if d := moved(replace, checks[0]); d > bound.Validation {
			t.Errorf("a validation row moves values by %g, declared %g", d, bound.Validation)
		}
	})
	// All rows alike at a corner, one replaced by its opposite.
	tw := Twin{LearningRate: 0.7, Steps: 1, Columns: 2}
	corner := func(n int) he.Rows {
		x := he.Rows{Columns: 2, Values: make([]float64, 2*n)}
		for i := range x.Values {
			x.Values[i] = 1
		}
		return x
	}
	companies, checks := []he.Rows{corner(4)}, []he.Rows{corner(2), corner(3)}
	panel := he.Panel{Companies: 1, Evaluators: [][]int{{0}, {1}}, Rows: []int{2, 3}}
	w := []float64{-1.9, -1.9}
	before := tw.Values(w, testInterval, panel, companies, checks)
	floats.Scale(-1, checks[0].Row(0))
	moved := floats.Distance(before, tw.Values(w, testInterval, panel, companies, checks), 2)
	if bound := tw.Privacy(4, panel.Rows, 1, 1).Validation; moved > bound || moved < bound/4 {
		t.Errorf("a row moves values by %g, declared %g", moved, bound)
	}
}

// The polynomial stays below what the bound takes it for, within its interval.
func TestMaxInside(t *testing.T) {
	for interval := minInterval; interval <= maxInterval; interval++ {
		for i := range 2001 {
			m := float64(interval) * (float64(i)/1000 - 1)
			if e := (Twin{}).Error(m, interval); math.Abs(e) > maxInside {
				t.Fatalf("interval %d: the polynomial is %g at %g", interval, e, m)
			}
		}
	}
}

func TestEpsilon(t *testing.T) {
	p := Privacy{Training: 0.1, Validation: 0.3, Deviation: 0.3}
	// ρ = ½: ε = ½ + 2·√(½·ln 10^6).
	if got, want := p.Epsilon(1e-6), 0.5+2*math.Sqrt(0.5*math.Log(1e6)); math.Abs(got-want) > 1e-12 {
		t.Errorf("ε is %g, want %g", got, want)
	}
	for _, epsilon := range []float64{0.1, 1, 10, 1000} {
		p.Deviation = p.DeviationFor(epsilon, 1e-6)
		if got := p.Epsilon(1e-6); math.Abs(got/epsilon-1) > 1e-9 {
			t.Errorf("a deviation for ε = %g gives %g", epsilon, got)
		}
	}
	if e := (Privacy{Training: 1}).Epsilon(1e-6); !math.IsInf(e, 1) {
		t.Errorf("without noise ε is %g", e)
	}
}
