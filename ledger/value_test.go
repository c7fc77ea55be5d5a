package ledger

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Rounded values are no finer than a grain of 2^-7 of their sum at most, next to
// what they were, and round to what the ledger takes.
func TestCoarse(t *testing.T) {
	for _, tc := range []struct {
		n        int
		in, want []int64
	}{
		{3, []int64{1, -2, 3}, []int64{1, -2, 3}},
		{3, []int64{5, -3, 1 << 40}, []int64{0, 0, 1 << 40}},
		{2, []int64{1000, 27, 10, -11}, []int64{1000, 24, 10, -11}}, // grains 8 and 1
		{2, []int64{1000, 28}, []int64{1000, 32}},
		{2, []int64{1000, -28}, []int64{1000, -32}},
		{1, []int64{-1 << 63}, []int64{-1 << 63}},
		{2, []int64{1<<63 - 1, -1 << 63}, []int64{1<<63 - 1<<56, -1 << 63}},
		{0, nil, nil},
	} {
		if got := Coarse(tc.in, tc.n); !slices.Equal(got, tc.want) {
			t.Errorf("%v rounds to %v, want %v", tc.in, got, tc.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, MaxParties).Draw(t, "n")
		values := rapid.SliceOfN(rapid.Int64(), n, n).Draw(t, "values")
		shift := rapid.IntRange(0, 63).Draw(t, "shift")
		for i := range values {
			values[i] >>= shift
		}
		rounded := Coarse(values, n)
		if !coarse(rounded, n) {
			t.Fatalf("%v rounds to %v, which is refused", values, rounded)
		}
		grain := grainOf(values)
		for i, v := range rounded {
			if off := magnitude(v - values[i]); off > uint64(grain) {
				t.Fatalf("%d rounds to %d, by more than the grain %d", values[i], v, grain)
			}
		}
	})
}

// A node that records what it opened to the last bit tells what the rounding
// keeps from the record.
func TestAttackFineValues(t *testing.T) {
	for _, off := range []defence{coarseValues, 0} {
		w := newWorld(t).rows()
		w.off = off
		job := w.job(openJob(1))
		w.steps2(job, "north", "south")
		r := w.do("north", &Values{Job: job, Shares: w.openings(job), Values: []int64{5, -3, 1 << 40}})
		if want := map[defence]Code{coarseValues: OK, 0: Malformed}[off]; r.Code != want {
			t.Errorf("defence %d off: code %d, %s", off, r.Code, r.Detail)
		}
	}
}

// What evaluators find is joined by the median of the stake that ranks, and
// nobody's rows are judged by its own or its owner's.
func TestEvaluatorsAreJoined(t *testing.T) {
	st := &Settlement{Roster: companies, Owners: slices.Clone(owners), Evaluators: companies, Models: []Ranked{{Found: []int64{
		900, 10, 20,
		1, 900, 30,
		2, 12, 900,
	}}}, Companies: []Evaluator{{Name: "ann", Counted: 5}, {Name: "bob", Counted: 3}, {Name: "cal", Counted: 4}}}
	joined := func() []int64 {
		t.Helper()
		if err := st.join(); err != nil {
			t.Fatal(err)
		}
		return st.Models[0].Values
	}
	// ann: cal's 4 of 7; bob: ann's 5 of 9; cal: ann's 5 of 8.
	if got := joined(); !slices.Equal(got, []int64{2, 10, 20}) {
		t.Errorf("%v", got)
	}
	st.Owners[1] = st.Owners[0] // bob is ann's: only cal judges both
	if got := joined(); !slices.Equal(got, []int64{2, 12, 20}) {
		t.Errorf("with two of one owner: %v", got)
	}
	st.Companies = st.Companies[:1] // bob and cal ranked nothing: nobody judges ann
	if got := joined(); !slices.Equal(got, []int64{0, 0, 20}) {
		t.Errorf("with one that ranked: %v", got)
	}
	st.Models[0].Found = []int64{7, 8, 9}
	if got := joined(); !slices.Equal(got, []int64{7, 8, 9}) {
		t.Errorf("of all rows together: %v", got)
	}
}

// Who values its own rows by rows of its own gains: with another owner's name on
// its validation rows it does, without it does not.
func TestAttackOwnRowsValued(t *testing.T) {
	for _, tc := range []struct {
		owner string
		want  int64
	}{{"a stranger", 1 << 50}, {owners[0], 3}} {
		st := &Settlement{Roster: companies, Owners: []string{owners[0], tc.owner, owners[2]}, Evaluators: companies, Models: []Ranked{{Found: []int64{
			1 << 50, 0, 0,
			1 << 50, 0, 0,
			3, 0, 0,
		}}}, Companies: []Evaluator{{Name: "ann", Counted: 6}, {Name: "bob", Counted: 6}, {Name: "cal", Counted: 5}}}
		if err := st.join(); err != nil {
			t.Fatal(err)
		}
		if got := st.Models[0].Values[0]; got != tc.want {
			t.Errorf("owned by %s: ann's rows are worth %d, want %d", tc.owner, got, tc.want)
		}
	}
}

// Companies' rows are valued so many times an epoch. Who opens one job after the
// other learns no more, and keeps others from it only until companies end its jobs.
func TestAttackManyValuations(t *testing.T) {
	for _, off := range []defence{epochBudget, 0} {
		g := founding()
		g.Money.Releases = 2
		w := foundWorld(t, g).rows()
		w.off = off
		valued := 0
		for salt := range uint64(5) {
			if r := w.do("peer", openJob(salt)); r.Code == OK {
				valued++
			} else if r.Code != OverLimit {
				t.Fatalf("code %d, %s", r.Code, r.Detail)
			}
		}
		if want := map[defence]int{epochBudget: 5, 0: 2}[off]; valued != want {
			t.Errorf("defence %d off: %d jobs value rows, want %d", off, valued, want)
		}
		if off != 0 {
			continue
		}
		unvalued := openJob(9)
		unvalued.Valued = nil
		w.must("peer", unvalued)
		w.must("ann", &AbortJob{JobID("peer", openJob(0))})
		w.must("peer", openJob(7))
		w.refusals(t, refusal{"one more", "peer", openJob(8), OverLimit})
	}
}

// Nodes that name a share of their own making in the place of a company's open
// whatever they like.
func TestAttackForgedOpening(t *testing.T) {
	for _, off := range []defence{signedOpenings, 0} {
		w := newWorld(t).rows()
		w.off = off
		job := w.job(openJob(1))
		w.steps2(job, "north", "south")
		j, _ := JobOf(w.state, job)
		ticket, _ := TicketOf(w.state, job, j.Step)
		forged := Post{Chain: chain, Epoch: 1, Profile: d("release"), Scope: job, Kind: PostOpening, Step: j.Step, Blob: d("theirs"), Size: 1000, Previous: ticket.Record}
		x := &Values{Job: job, Shares: w.openings(job), Values: []int64{1, 2, 3}}
		x.Shares[0] = forged.Sign(signer("north")).Append(nil)
		if r, want := w.do("north", x), map[defence]Code{signedOpenings: OK, 0: BadSignature}[off]; r.Code != want {
			t.Errorf("defence %d off: code %d, %s", off, r.Code, r.Detail)
		}
		if off != 0 {
			continue
		}
		of := func(change func(*Post)) *Values {
			p := forged
			change(&p)
			return edit(x, func(x *Values) {
				x.Shares = append([][]byte{p.Sign(signer("ann")).Append(nil)}, w.openings(job)[1:]...)
			})
		}
		w.refusals(t,
			refusal{"a share that is no post", "north", edit(x, func(x *Values) { x.Shares = [][]byte{{1}, {2}, {3}} }), Malformed},
			refusal{"a share of another record", "north", of(func(p *Post) { p.Previous = d("another") }), BadSignature},
			refusal{"a share of a map", "north", of(func(p *Post) { p.Kind = PostShare }), BadSignature},
			refusal{"a share of another chain", "north", of(func(p *Post) { p.Chain = "another" }), BadSignature},
			refusal{"shares in another order", "north", edit(x, func(x *Values) { x.Shares = w.openings(job); x.Shares[0], x.Shares[1] = x.Shares[1], x.Shares[0] }), BadSignature},
		)
		w.must("north", of(func(*Post) {}))
	}
}

// A company that signs its share once more for another node keeps nobody from
// agreeing: what is signed is the same.
func TestValuesAgreeWithoutSignatures(t *testing.T) {
	w := newWorld(t).rows()
	job := w.job(openJob(1))
	w.steps2(job, "north", "south")
	x := &Values{Job: job, Shares: w.openings(job), Values: []int64{1, 2, 3}}
	other := edit(x, func(x *Values) {
		x.Shares = slices.Clone(x.Shares)
		x.Shares[0] = slices.Clone(x.Shares[0])
		x.Shares[0][len(x.Shares[0])-1] ^= 1
	})
	if x.Digest() != other.Digest() {
		t.Error("another signature of the same words is another record")
	}
	for _, change := range []func(*Values){
		func(x *Values) { x.Values = []int64{1, 2, 4} },
		func(x *Values) { x.Job = d("another") },
		func(x *Values) { x.Shares = x.Shares[1:] },
		func(x *Values) { x.Shares = append([][]byte{append([]byte{1}, x.Shares[0]...)}, x.Shares[1:]...) },
	} {
		if edit(x, change).Digest() == x.Digest() {
			t.Error("other values have the same digest")
		}
	}
	if (&Values{Shares: [][]byte{{1}}}).Digest() != (&Values{Shares: [][]byte{{}}}).Digest() {
		t.Error("what is shorter than a signature has nothing to sign")
	}
}

// Nodes that compute a step wrongly end a job before its values are opened: the
// epoch's valuation is another job's.
func TestAttackRefutedUsesTheEpochUp(t *testing.T) {
	g := rich()
	g.Money.Releases = 1
	w := foundWorld(t, g).rows()
	job := w.job(openJob(1))
	w.must("north", w.record(job))
	w.must("south", w.record(job))
	w.refused(OverLimit, "peer", openJob(2))
	w.must("ann", &OpenChallenge{Job: job})
	w.must("v1", &Verdict{job, 0, true})
	w.must("peer", openJob(2))
	w.refused(OverLimit, "peer", openJob(3))
}
