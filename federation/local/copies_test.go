package local

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/hetest"
	"github.com/commonseal/commonseal/he/multiparty"
	"gonum.org/v1/gonum/floats"
)

// trainedFor is a federation that has trained and not compared anybody.
func trainedFor(t *testing.T, o Options) *federation {
	t.Helper()
	o.Companies, o.Steps, o.Test, o.Profiles = 3, 3, 0.2, hetest.Profiles(t)
	f, err := found(synthetic(t, 400, 6), o, silent)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if err := errors.Join(f.makeKeys(ctx), f.contribute(ctx), f.train(ctx)); err != nil {
		t.Fatal(err)
	}
	return f
}

// products are the twin's inner products of companies' mean gradients, over the
// columns and summed over valued steps.
func (f *federation) products() [][]float64 {
	out := make([][]float64, len(f.companies))
	for i := range out {
		out[i] = make([]float64, len(f.companies))
	}
	twin := f.job.twin
	for t, w := range f.trained.Points {
		if !f.job.valued[t] {
			continue
		}
		var u [][]float64
		for _, c := range f.companies {
			g, _ := twin.Gradient(w, twin.Interval(t), c.training, 1/float64(c.training.Len()))
			u = append(u, g)
		}
		for i := range u {
			for j := range u {
				out[i][j] += floats.Dot(u[i], u[j]) / float64(twin.Columns*len(f.job.valued))
			}
		}
	}
	return out
}

// answers reads the opened slots of pairs, in their order.
func answers(t *testing.T, f *federation, opened []float64) []float64 {
	t.Helper()
	c := f.job.compare
	out := make([]float64, c.Pairs())
	power := 1
	for s := range out {
		out[s] = opened[0]
		for k, v := range opened[1:] {
			out[s] += 2 * v * math.Cos(2*math.Pi*float64((k+1)*power)/float64(4*c.Period()))
		}
		power = power * 5 % (4 * c.Period())
	}
	return out
}

// Attack: whoever holds the receiver's key, which is everybody, reads what is
// opened for the near-copy test. Were numbers opened as they are, it would be the
// inner product of two companies' gradients, to four digits; after the sign
// polynomials it is 0 or 1, and nothing behind it.
func TestAttackOpenedGram(t *testing.T) {
	o := Options{Seed: 4, Copy: []CopyRows{{Of: 1, By: 3}}}
	// Defence off: numbers to the release profile without a sign between.
	f := trainedFor(t, o)
	c := f.job.compare
	numbers, err := f.numbers()
	if err != nil {
		t.Fatal(err)
	}
	const up = 4.0
	bare := &multiparty.Map{Width: c.Period(), Inputs: c.First().Inputs, Outputs: []multiparty.Output{
		{Profile: c.Release, Terms: []multiparty.Term{multiparty.Periodic(c.Release, c.Period(), 0, 0.5)}},
		{Profile: c.Release, Terms: []multiparty.Term{multiparty.Periodic(c.Release, c.Period(), 1, math.Ldexp(up, 40-he.LogCosine))}},
	}}
	halves, err := f.exchange(f.job.round("bare", 0), bare, numbers)
	if err != nil {
		t.Fatal(err)
	}
	both, err := f.node.both(halves)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := f.open(f.comparison(), both)
	if err != nil {
		t.Fatal(err)
	}
	g, s := f.products(), 0
	read := answers(t, f, opened)
	for i := range g {
		for j := range i {
			e := (g[i][j]*g[i][j] - 0.9801*g[i][i]*g[j][j] + 1) / 2
			if got := (read[s]/e - 0.5) / up; math.Abs(got/g[i][j]-1) > 1e-3 {
				t.Fatalf("pair %d %d: the attack should read %g, got %g", i, j, g[i][j], got)
			}
			s++
		}
	}

	f = trainedFor(t, o)
	if both, err = f.bits(context.Background()); err != nil {
		t.Fatal(err)
	}
	if opened, err = f.open(f.comparison(), both); err != nil {
		t.Fatal(err)
	}
	declared, err := c.Flooding().ValueError(c.Release, 3)
	if err != nil {
		t.Fatal(err)
	}
	declared = declared*2*float64(c.Period()) + math.Exp2(-20) // of a slot, and of a sign
	for s, bit := range answers(t, f, opened) {
		want := []float64{0, 1, 0}[s] // pairs (2,1), (3,1), (3,2)
		if math.Abs(bit-want) > declared {
			t.Errorf("pair %d opens %g: 2^%.1f off its bit, beyond 2^%.1f", s, bit, math.Log2(math.Abs(bit-want)), math.Log2(declared))
		}
	}
	if got := c.Copies(opened); !slices.Equal(got, []multiparty.Pair{{First: 0, Second: 2}}) {
		t.Errorf("copies %v", got)
	}
}

// Clusters form over chains, and the first of each is left.
func TestMark(t *testing.T) {
	for _, tc := range []struct {
		pairs []multiparty.Pair
		want  map[int]bool
	}{
		{nil, map[int]bool{}},
		{[]multiparty.Pair{{First: 1, Second: 3}}, map[int]bool{3: true}},
		{[]multiparty.Pair{{First: 2, Second: 3}, {First: 0, Second: 3}}, map[int]bool{2: true, 3: true}},
		{[]multiparty.Pair{{First: 0, Second: 1}, {First: 2, Second: 4}, {First: 1, Second: 4}}, map[int]bool{1: true, 2: true, 4: true}},
	} {
		f := &federation{companies: make([]*company, 5), report: &Report{}}
		f.mark(tc.pairs)
		if fmt.Sprint(f.copies) != fmt.Sprint(tc.want) {
			t.Errorf("%v marks %v, want %v", tc.pairs, f.copies, tc.want)
		}
	}
}

// An experiment that names no company is refused before a key is made.
func TestExperimentRefuses(t *testing.T) {
	for _, o := range []Options{
		{Shuffle: []int{0}}, {Shuffle: []int{4}}, {Copy: []CopyRows{{Of: 1, By: 1}}}, {Copy: []CopyRows{{Of: 4, By: 1}}}, {Copy: []CopyRows{{Of: 1, By: 0}}},
	} {
		o.Companies, o.Steps, o.Test, o.Profiles = 3, 1, 0.2, hetest.Profiles(t)
		if _, err := Run(context.Background(), synthetic(t, 200, 3), o, silent); err == nil {
			t.Errorf("%+v was run", o)
		}
	}
	o := Options{Companies: 11, Steps: 1, Test: 0.2, Audit: true, Profiles: hetest.Profiles(t)}
	if _, err := Run(context.Background(), synthetic(t, 400, 3), o, silent); err == nil {
		t.Error("an audit of 2^11 models was run")
	}
}
