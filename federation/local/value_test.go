package local

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/commonseal/commonseal/federation/table"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/circuit"
	"github.com/commonseal/commonseal/he/hetest"
	"gonum.org/v1/gonum/floats"
	"pgregory.net/rapid"
)

// Breast cancer among five companies, the fourth with shuffled labels and the
// fifth with the second's rows: encrypted values are the plaintext's within the
// declared bound, shuffled labels are worth nothing, the copy earns nothing, and
// values rank companies as exact retraining does.
func TestValueCorrectness(t *testing.T) {
	data, err := table.Open("../../docs/data/breast_cancer.csv", "benign")
	if err != nil {
		t.Fatal(err)
	}
	options := Options{Companies: 5, Steps: 10, Test: 0.2, Seed: 3, LogNoise: 18, Audit: true, Shuffle: []int{4}, Copy: []CopyRows{{Of: 2, By: 5}}}
	if testing.Short() {
		options.Profiles = hetest.Profiles(t) // production takes half a minute
	}
	r, err := Run(context.Background(), data, options, silent)
	if err != nil {
		t.Fatal(err)
	}
	hold(t, r)
	if r.Values[3] > 0 || r.Shares[3] > 0 {
		t.Errorf("shuffled labels are worth %g, %d/128 of a pot", r.Values[3], r.Shares[3])
	}
	if !slices.Equal(r.Copies, options.Copy) || r.Values[4] != 0 || r.Shares[4] != 0 {
		t.Errorf("copies %v; the copy is worth %g, %d/128 of a pot", r.Copies, r.Values[4], r.Shares[4])
	}
	if r.Audit.Spearman < 0.9 {
		t.Errorf("values %v rank as retraining %v only to %g", r.Values, r.Audit.Retrained, r.Audit.Spearman)
	}
	t.Logf("retrained %.4f: rank %.2f; renormalised %.4f: rank %.2f", r.Audit.Retrained, r.Audit.Spearman, r.Audit.Renormalised, r.Audit.SpearmanRenormalised)
	t.Logf("shares %v, noise %+v, comparing took %.1f s of %.1f", r.Shares, *r.Noise, r.SecondsCopies, r.SecondsTotal)
}

// Without looking for copies, one is paid: what merging is for.
func TestAttackCopiedRows(t *testing.T) {
	data := synthetic(t, 1500, 6) // enough for evaluators to agree on a sign
	options := Options{Companies: 4, Steps: 2, Test: 0.2, Seed: 2, Profiles: hetest.Profiles(t), Copy: []CopyRows{{Of: 2, By: 3}}}
	paid := func(keep bool) (copier, victim float64, apart [][]float64) {
		options.KeepCopies = keep
		r, err := Run(context.Background(), data, options, silent)
		if err != nil {
			t.Fatal(err)
		}
		hold(t, r)
		return r.Values[2], r.Values[1], r.ValuesApart
	}
	copier, victim, apart := paid(true)
	if copier <= 0 || victim <= 0 || len(apart) != 4 {
		t.Fatalf("a copy that is not looked for earns %g and its original %g; the attack should earn", copier, victim)
	}
	for e, of := range apart {
		if math.Abs(of[2]-of[1]) > 1e-4 {
			t.Fatalf("evaluator %d finds a copy that is not looked for is worth %g and its original %g; it should be as much", e+1, of[2], of[1])
		}
	}
	copier, victim, apart = paid(false)
	if copier != 0 || victim <= 0 {
		t.Errorf("a copy earns %g and its original %g", copier, victim)
	}
	for e, of := range apart {
		if of[2] != 0 {
			t.Errorf("evaluator %d finds a copy is worth %g", e+1, of[2])
		}
	}
}

// On twins: a marked copy leaves everybody's values as they are without it, at
// the same point and means.
func TestDuplicatesAreNeutral(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		random := func(n int) he.Rows {
			x := he.Rows{Columns: 5, Values: make([]float64, 5*n)}
			for i := range x.Values {
				x.Values[i] = rng.Float64()*2 - 1
			}
			return x
		}
		twin := circuit.Twin{LearningRate: 0.5, Steps: 1, Columns: 5}
		companies := []he.Rows{random(7), random(4), random(9)}
		checks := []he.Rows{random(6), random(3)}
		panel := he.Panel{Width: 8, Companies: 4, Evaluators: [][]int{{0}, {1}}, Rows: []int{6, 3}}
		whose := rapid.IntRange(0, 2).Draw(t, "copied")
		w := random(1).Row(0)
		merged := twin.MergedValues(w, 4, panel, append(slices.Clone(companies), companies[whose]), checks, map[int]bool{3: true})
		// Zero rows in the copy's place: no update, the same means.
		absent := he.Rows{Columns: 5, Values: make([]float64, len(companies[whose].Values))}
		alone := twin.Values(w, 4, panel, append(slices.Clone(companies), absent), checks)
		if d := floats.Distance(merged, alone, math.Inf(1)); d > 1e-15 || merged[3] != 0 || merged[7] != 0 {
			t.Errorf("with the copy %v, without %v", merged, alone)
		}
	})
}

func TestShares(t *testing.T) {
	for _, tc := range []struct{ values, want []int64 }{
		{[]int64{1, 1, 2}, []int64{32, 32, 64}},
		{[]int64{3, -1}, []int64{96, -32}},
		{[]int64{0, 0}, []int64{0, 0}},
		{[]int64{1, 255}, []int64{1, 128}},   // half of a unit, away from zero
		{[]int64{-1, 255}, []int64{-1, 128}}, // likewise
		{[]int64{math.MaxInt64, math.MinInt64}, []int64{64, -64}},
		{nil, []int64{}},
	} {
		if got := Shares(tc.values); !slices.Equal(got, tc.want) {
			t.Errorf("shares of %v are %v, want %v", tc.values, got, tc.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(-1<<50, 1<<50), 1, 32).Draw(t, "values")
		var sum, all int64
		for _, v := range values {
			all += max(v, -v)
		}
		for i, s := range Shares(values) {
			sum += max(s, -s)
			if exact := 128 * float64(values[i]) / float64(max(1, all)); math.Abs(exact-float64(s)) > 0.5000001 {
				t.Errorf("share %d of %d/%d", s, values[i], all)
			}
		}
		if slack := int64(len(values)); all > 0 && (sum < 128-slack || sum > 128+slack) {
			t.Errorf("shares add up to %d/128", sum)
		}
	})
}

// The general engine on games whose values are known.
func TestShapley(t *testing.T) {
	game := func(n int, worth func(in func(i int) bool) float64) []float64 {
		out := make([]float64, 1<<n)
		for c := range out {
			out[c] = worth(func(i int) bool { return c>>i&1 == 1 })
		}
		return out
	}
	glove := game(3, func(in func(int) bool) float64 {
		if in(2) && (in(0) || in(1)) {
			return 1
		}
		return 0
	})
	airport := game(3, func(in func(int) bool) (cost float64) {
		for i, c := range []float64{10, 20, 37} {
			if in(i) {
				cost = c
			}
		}
		return cost
	})
	for _, tc := range []struct{ worth, want []float64 }{
		{glove, []float64{1. / 6, 1. / 6, 2. / 3}},
		{airport, []float64{10. / 3, 25. / 3, 76. / 3}},
	} {
		if got, err := shapley(3, tc.worth); err != nil || floats.Distance(got, tc.want, math.Inf(1)) > 1e-12 {
			t.Errorf("Shapley values %v, want %v", got, tc.want)
		}
	}
	for _, tc := range []struct {
		a, b []float64
		want float64
	}{
		{[]float64{1, 2, 3}, []float64{10, 20, 30}, 1},
		{[]float64{1, 2, 3}, []float64{3, 2, 1}, -1},
		{[]float64{1, 2, 3, 4, 5}, []float64{2, 1, 3, 4, 5}, 0.9},
		{[]float64{1, 1}, []float64{1, 2}, 0},
	} {
		if got, err := spearman(tc.a, tc.b); err != nil || math.Abs(got-tc.want) > 1e-12 {
			t.Errorf("rank correlation of %v and %v is %g, want %g", tc.a, tc.b, got, tc.want)
		}
	}
}

// On twins, over other splits and shuffles: values rank as retraining does, and
// shuffled labels are worth nothing.
func TestValuesRankAsRetraining(t *testing.T) {
	data, err := table.Open("../../docs/data/breast_cancer.csv", "benign")
	if err != nil {
		t.Fatal(err)
	}
	copies, nearest, alike, merged := 1.0, 1.0, 0.0, 0
	for seed := range uint64(12) {
		f, err := found(data, Options{Companies: 5, Steps: 10, Test: 0.2, Seed: seed, Profiles: he.Standard(), Shuffle: []int{4}, Copy: []CopyRows{{Of: 2, By: 5}}}, silent)
		if err != nil {
			t.Fatal(err)
		}
		f.copies = map[int]bool{4: true}
		var training, checking []he.Rows
		for _, c := range f.companies {
			training, checking = append(training, c.training), append(checking, c.validation)
		}
		f.report.Values = f.join(f.valuesTwin(training, checking))
		f.audit()
		if f.report.Audit.Spearman < 0.9 {
			t.Errorf("seed %d: values %.4f, retrained %.4f: rank correlation %.2f", seed, f.report.Values, f.report.Audit.Retrained, f.report.Audit.Spearman)
		}
		if f.report.Values[3] > 0 {
			t.Errorf("seed %d: shuffled labels are worth %g", seed, f.report.Values[3])
		}
		g := f.products()
		for i := range g {
			for j := range i {
				e := g[i][j]*g[i][j] - 0.9801*g[i][i]*g[j][j]
				if i == 4 && j == 1 {
					copies = min(copies, e)
					continue
				}
				nearest = min(nearest, math.Abs(e))
				cosine := g[i][j] / math.Sqrt(g[i][i]*g[j][j])
				alike = max(alike, cosine)
				if cosine >= 0.99 && i < 4 { // the copy is as near to others as its original
					merged++
				}
			}
		}
	}
	// Honest companies may be as alike as that: docs/adr/0016 says so.
	t.Logf("e is 2^%.1f or more of copies, and 2^%.1f or more from 0 of others, whose largest cosine is %.4f: %d of 72 pairs would be merged", math.Log2(copies), math.Log2(nearest), alike, merged)
	if copies < math.Exp2(-26) || nearest < math.Exp2(-26) || merged > 2 {
		t.Error("a bit is soft, or honest companies are merged by habit")
	}
}
