package ledger

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestCopied(t *testing.T) {
	for _, tc := range []struct {
		pairs []Pair
		want  []bool
	}{
		{nil, []bool{false, false, false, false}},
		{[]Pair{{1, 3}}, []bool{false, false, false, true}},
		{[]Pair{{0, 3}, {2, 3}}, []bool{false, false, true, true}},
		{[]Pair{{0, 1}, {2, 3}, {1, 3}}, []bool{false, true, true, true}},
	} {
		if got := Copied(tc.pairs, []uint64{1, 2, 3, 4}); !slices.Equal(got, tc.want) {
			t.Errorf("%v: %v, want %v", tc.pairs, got, tc.want)
		}
	}
	if got := Copied([]Pair{{1, 3}}, []uint64{1, 4, 3, 2}); !slices.Equal(got, []bool{false, true, false, false}) {
		t.Errorf("who contributed later is the copy, whatever the roster's order: %v", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, MaxParties).Draw(t, "companies")
		pairs := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Pair {
			second := rapid.IntRange(1, n-1).Draw(t, "second")
			return Pair{uint8(rapid.IntRange(0, second-1).Draw(t, "first")), uint8(second)}
		}), 0, 40).Draw(t, "pairs")
		order := make([]uint64, n)
		for i := range order {
			order[i] = uint64(i)
		}
		want := Copied(pairs, order)
		if want[0] {
			t.Error("the first company is a copy")
		}
		for _, p := range pairs {
			if !want[p.Second] {
				t.Errorf("%d of %v is no copy", p.Second, pairs)
			}
		}
		slices.Reverse(pairs)
		if got := Copied(pairs, order); !slices.Equal(got, want) {
			t.Errorf("in another order %v, not %v", got, want)
		}
	})
}

// A job that compares goes on after its last gradient step, opens a release in
// the last round, and says who copies whom before anybody is valued.
func TestComparedJob(t *testing.T) {
	w := newWorld(t).rows()
	for what, change := range map[string]func(*OpenJob){
		"rounds of nothing valued": func(o *OpenJob) { o.Rounds, o.Valued = 3, nil },
		"too many rounds":          func(o *OpenJob) { o.Rounds = MaxRounds + 1 },
		"too much noise":           func(o *OpenJob) { o.Noise = MinNoise - 1 },
		"too little noise":         func(o *OpenJob) { o.Noise = MaxNoise + 1 },
		"noise on nothing":         func(o *OpenJob) { o.Noise, o.Valued = 18, nil },
	} {
		w.refusals(t, refusal{what, "peer", edit(openJob(7), change), Malformed})
	}
	job := w.job(edit(openJob(1), func(o *OpenJob) { o.Rounds, o.Noise = 3, 18 }))
	before, _ := CurrentEpoch(w.state)
	w.steps(job)
	if after, _ := CurrentEpoch(w.state); after.Releases != before.Releases+1 {
		t.Errorf("%d releases after the bits were ticketed, %d before", after.Releases, before.Releases)
	}
	r := w.modelRecord(job)
	r.Copies = []Pair{{0, 2}}
	model := func(pairs ...Pair) *ModelRecord { return edit(r, func(r *ModelRecord) { r.Copies = pairs }) }
	w.refusals(t,
		refusal{"a copy of itself", "north", model(Pair{1, 1}), Malformed},
		refusal{"a copy of a later company", "north", model(Pair{2, 1}), Malformed},
		refusal{"a company too many", "north", model(Pair{0, 3}), Malformed},
		refusal{"a pair twice", "north", model(Pair{0, 1}, Pair{0, 1}), Malformed},
		refusal{"pairs out of order", "north", model(Pair{0, 2}, Pair{0, 1}), Malformed},
	)
	differ := w.fork()
	differ.must("north", r)
	differ.must("south", model())
	if s := differ.jobState(job); s != JobDisputed {
		t.Errorf("other copies: state %d, want a dispute", s)
	}
	w.must("north", r)
	w.must("south", r)
	values := &Values{Job: job, Shares: w.openings(job), Values: []int64{5, -3, 1}}
	w.refusals(t, refusal{"a value of a copy", "north", values, Malformed})
	values.Values[2] = 0
	w.must("north", values)
	w.must("south", values)
	m, _ := ModelOf(w.state, r.Model())
	if !slices.Equal(m.Copies, r.Copies) || !slices.Equal(m.Opened, values.Values) {
		t.Errorf("copies %v and values %v", m.Copies, m.Opened)
	}

	plain := newWorld(t).rows()
	other := plain.job(openJob(1))
	plain.steps(other)
	plain.refusals(t, refusal{"copies of a job that compares nobody", "north", edit(plain.modelRecord(other), func(r *ModelRecord) { r.Copies = []Pair{{0, 1}} }), Malformed})
}
