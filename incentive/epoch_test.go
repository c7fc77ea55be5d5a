package incentive

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// anyEpoch is an epoch of few evaluators and peers, with bonds of before.
func anyEpoch(t *rapid.T) Epoch {
	id := func(prefix string) *rapid.Generator[[]int] {
		return rapid.SliceOfNDistinct(rapid.IntRange(0, 9), 0, 5, rapid.ID[int])
	}
	var e Epoch
	for _, i := range id("p").Draw(t, "peers") {
		e.Peers = append(e.Peers, Peer{Key: Key{ID: fmt.Sprint("n", i), Registered: rapid.Uint64Range(0, 1).Draw(t, "registered")}})
	}
	for _, i := range id("e").Draw(t, "evaluators") {
		v := Evaluator{
			Key: Key{ID: fmt.Sprint("n", i), Registered: rapid.Uint64Range(0, 1).Draw(t, "registered")}, Entity: rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "entity"),
			Stake: rapid.OneOf(rapid.Uint64Range(0, 9), rapid.Uint64Range(0, 1<<60)).Draw(t, "stake"), Inactive: rapid.IntRange(0, 5).Draw(t, "inactive") == 0,
			Barred: rapid.IntRange(0, 5).Draw(t, "barred") == 0, Withheld: rapid.IntRange(0, 5).Draw(t, "withheld") == 0,
		}
		for _, j := range id("p").Draw(t, "ranked") {
			v.Ranking = append(v.Ranking, Weight{Peer: Key{ID: fmt.Sprint("n", j), Registered: 1}, Value: rapid.Uint32().Draw(t, "weight")})
		}
		e.Evaluators = append(e.Evaluators, v)
		for _, p := range e.Peers {
			e.Bonds = append(e.Bonds, Bond{Evaluator: v.Key, Peer: p.Key, Value: Fixed(rapid.Int64Range(0, int64(One)).Draw(t, "bond"))})
		}
	}
	return e
}

func anyParams(t *rapid.T) Params {
	p := rapid.SampledFrom([]Params{
		DefaultParams(), upstreamRule(), {Penalty: One / 3, Alpha: One / 2, PerPair: true},
		{Penalty: One, Alpha: One / 2, PerPair: true, Liquid: &Liquid{Low: One / 10, High: One / 3, Steepness: 1000 * One}},
		{Alpha: One, Whitepaper: &Whitepaper{Rho: 10 * One, Kappa: One / 2}},
	}).Draw(t, "params")
	p.MinStake = rapid.Uint64Range(0, 5).Draw(t, "threshold")
	return p
}

// Shares are shares, whatever is ranked, and the order of records is nothing.
func TestRankHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		params, epoch := anyParams(t), anyEpoch(t)
		out, err := Rank(params, epoch)
		if err != nil {
			t.Fatal(err)
		}
		var dividends, incentives, active Fixed
		for _, e := range out.Evaluators {
			dividends, active = dividends.Add(e.Dividend), active.Add(e.Active)
			if e.Dividend < 0 || e.Trust < 0 || e.Trust > One || e.Stake < 0 || e.Active < 0 {
				t.Errorf("evaluator %+v is out of range", e)
			}
		}
		for _, p := range out.Peers {
			incentives = incentives.Add(p.Incentive)
			if p.Incentive < 0 || p.Consensus < 0 || p.Consensus > One || p.Rank < 0 || p.Trust < 0 {
				t.Errorf("peer %+v is out of range", p)
			}
		}
		for name, total := range map[string]Fixed{"dividends": dividends, "incentives": incentives, "active stakes": active} {
			if total != 0 && (total > One || total < One-64) {
				t.Errorf("%s add up to %v", name, total)
			}
		}
		for _, b := range out.Bonds {
			if b.Value <= 0 || b.Value > One {
				t.Errorf("bond %+v is out of range", b)
			}
		}
		shuffled := Epoch{Evaluators: rapid.Permutation(epoch.Evaluators).Draw(t, "order"), Peers: rapid.Permutation(epoch.Peers).Draw(t, "order"), Bonds: rapid.Permutation(epoch.Bonds).Draw(t, "order")}
		shuffled.Evaluators = slices.Clone(shuffled.Evaluators)
		for i := range shuffled.Evaluators {
			shuffled.Evaluators[i].Ranking = rapid.Permutation(shuffled.Evaluators[i].Ranking).Draw(t, "order")
		}
		again, err := Rank(params, shuffled)
		if err != nil || fmt.Sprintf("%+v", again) != fmt.Sprintf("%+v", out) {
			t.Errorf("in another order of records the outcome is\n%+v %v, not\n%+v", again, err, out)
		}
	})
}

// A hundred epochs of a seeded simulation, in one digest: any machine, any
// number of processors and any later version must find the same.
func TestRankIsTheSameEverywhere(t *testing.T) {
	for _, processors := range []int{1, 8} {
		before := runtime.GOMAXPROCS(processors)
		got := digestOfEpochs(t)
		runtime.GOMAXPROCS(before)
		if want := "f05fc521686abadb"; got != want {
			t.Errorf("on %d processors the digest of all outcomes is %s, want %s", processors, got, want)
		}
	}
}

func digestOfEpochs(t *testing.T) string {
	t.Helper()
	rng, hash := rand.New(rand.NewPCG(1, 2)), sha256.New()
	for _, params := range []Params{DefaultParams(), upstreamRule(), {Alpha: One / 5, Penalty: One / 2, PerPair: true, Liquid: &Liquid{Low: One / 10, High: One / 3, Steepness: 1000 * One}}} {
		var bonds []Bond
		for range 34 {
			e := Epoch{Peers: peers("a", "b", "c", "d", "e", "f", "g"), Bonds: bonds}
			for i := range 9 {
				v := Evaluator{Key: key(fmt.Sprint(i)), Stake: rng.Uint64N(1 << 40), Entity: fmt.Sprint(i % 4), Inactive: rng.IntN(8) == 0, Withheld: rng.IntN(8) == 0}
				for _, p := range e.Peers {
					v.Ranking = append(v.Ranking, Weight{Peer: p.Key, Value: rng.Uint32N(1000)})
				}
				e.Evaluators = append(e.Evaluators, v)
			}
			o := mustRank(t, params, e)
			bonds = o.Bonds
			for _, x := range o.Evaluators {
				fmt.Fprintln(hash, x.ID, x.Counted, int64(x.Stake), int64(x.Active), int64(x.Trust), int64(x.Dividend), x.Stale)
			}
			for _, x := range o.Peers {
				fmt.Fprintln(hash, x.ID, int64(x.Consensus), int64(x.Trust), int64(x.Rank), int64(x.Incentive))
			}
			for _, x := range o.Bonds {
				fmt.Fprintln(hash, x.Evaluator.ID, x.Peer.ID, int64(x.Value))
			}
			fmt.Fprintln(hash, o.Caps)
		}
	}
	return fmt.Sprintf("%x", hash.Sum(nil)[:8])
}

func TestRankRefuses(t *testing.T) {
	x := voter("x", 1, map[string]uint32{"p": 1})
	twice := x
	twice.Ranking = append(twice.Ranking, twice.Ranking...)
	rich := Evaluator{Key: key("y"), Stake: ^uint64(0)}
	bond := Bond{Evaluator: key("x"), Peer: key("p"), Value: 1}
	for _, test := range []struct {
		params Params
		epoch  Epoch
		want   string
	}{
		{Params{}, Epoch{Evaluators: []Evaluator{x, {Key: Key{ID: "x", Registered: 2}}}}, `two records of evaluator "x"`},
		{Params{}, Epoch{Peers: peers("p", "p")}, `two records of peer "p"`},
		{Params{}, Epoch{Evaluators: []Evaluator{twice}, Peers: peers("p")}, `evaluator "x" ranks peer "p" twice`},
		{Params{}, Epoch{Evaluators: []Evaluator{x}, Peers: peers("p"), Bonds: []Bond{bond, bond}}, `two bonds of evaluator "x" on peer "p"`},
		{Params{}, Epoch{Evaluators: []Evaluator{x, rich}}, "2^64 or more"},
		{Params{Alpha: One + 1}, Epoch{}, "alpha 1.0000000002 is not in [0, 1]"},
		{Params{Penalty: -1}, Epoch{}, "bonds penalty"},
		{Params{Liquid: &Liquid{}}, Epoch{}, "without bonds per pair"},
		{Params{PerPair: true, Liquid: &Liquid{Low: 2}}, Epoch{}, "the lower comes first"},
	} {
		if _, err := Rank(test.params, test.epoch); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("Rank(%+v, %+v): %v, want %q", test.params, test.epoch, err, test.want)
		}
	}
}

// Nobody, nothing staked, nobody ranked, one who ranks itself: no shares, no
// error.
func TestRankOfNothing(t *testing.T) {
	x := voter("x", 0, map[string]uint32{"p": 1})
	for name, e := range map[string]Epoch{
		"nobody": {}, "no stake": {Evaluators: []Evaluator{x}, Peers: peers("p")},
		"no peers": {Evaluators: []Evaluator{voter("x", 1, nil)}}, "no evaluators": {Peers: peers("p")},
		"itself": {Evaluators: []Evaluator{voter("x", 1, map[string]uint32{"x": 1})}, Peers: peers("x")},
	} {
		for _, params := range []Params{DefaultParams(), upstreamRule(), {PerPair: true}, {Whitepaper: &Whitepaper{}}} {
			o := mustRank(t, params, e)
			payments, err := Payout(DefaultRates(), 10, o.Dividends(), o.Incentives(), nil)
			if err != nil || len(payments) != 1 || payments[0] != (Payment{Role: ToNobody, Units: 10}) {
				t.Errorf("%s: payments %v, %v; all goes to nobody", name, payments, err)
			}
		}
	}
}

// An exact half is no majority, whatever the rounding of its share.
// Who is away holds no part of the total that a cap is a share of.
func TestEntityCapOfThoseThatDecide(t *testing.T) {
	e := Epoch{Evaluators: []Evaluator{{Key: key("a"), Stake: 60}, {Key: key("b"), Stake: 20}, {Key: key("c"), Stake: 20}, {Key: key("d"), Stake: 60, Inactive: true}}}
	o := mustRank(t, Params{EntityCap: Ratio(1, 2)}, e)
	if fmt.Sprint(o.Caps) != "[{a 60 40}]" || o.Evaluators[0].Active > One/2 {
		t.Errorf("with another away, caps are %v, its share %v", o.Caps, o.Evaluators[0].Active)
	}
}

func TestStrictMajorityIsExact(t *testing.T) {
	e := Epoch{
		Evaluators: []Evaluator{voter("x", 1, map[string]uint32{"p": 1}), voter("y", 2, map[string]uint32{"p": 1}), voter("z", 3, map[string]uint32{"q": 1})},
		Peers:      peers("p", "q"),
	}
	for _, p := range mustRank(t, Params{}, e).Peers {
		if p.Consensus != 0 {
			t.Errorf("half of the stake gives %s a consensus of %v", p.ID, p.Consensus)
		}
	}
	e.Evaluators[2].Stake++
	if o := mustRank(t, Params{}, e); o.Peers[1].Consensus != One || o.Peers[0].Consensus != 0 {
		t.Errorf("four of seven decide nothing: %+v", o.Peers)
	}
}

func TestEntityCap(t *testing.T) {
	third := Ratio(1, 3)
	for _, test := range []struct {
		name     string
		limit    Fixed
		stakes   []uint64
		entities string
		want     []uint64
	}{
		{"nobody above", third, []uint64{3, 3, 3, 3}, "abcd", []uint64{3, 3, 3, 3}},
		{"one above: a quarter of what counts, not of what is held", One / 4, []uint64{80, 10, 10, 10}, "abcd", []uint64{10, 10, 10, 10}},
		{"two above", One / 4, []uint64{80, 70, 10, 10, 10, 10}, "abcdef", []uint64{20, 20, 10, 10, 10, 10}},
		{"a third is a little less, in 32 places", third, []uint64{80, 10, 10}, "abc", []uint64{10, 10, 10}},
		{"too few for a third: all as the smallest", third, []uint64{80, 20}, "ab", []uint64{20, 20}},
		{"one entity of two evaluators", One / 2, []uint64{30, 10, 20}, "aab", []uint64{15, 5, 20}},
		{"alone", third, []uint64{7}, "a", []uint64{7}},
		{"no cap", 0, []uint64{80, 1}, "ab", []uint64{80, 1}},
		{"without stake", third, []uint64{0, 0}, "ab", []uint64{0, 0}},
	} {
		var e Epoch
		for i, s := range test.stakes {
			e.Evaluators = append(e.Evaluators, Evaluator{Key: key(fmt.Sprint(i)), Stake: s, Entity: test.entities[i : i+1]})
		}
		o := mustRank(t, Params{EntityCap: test.limit}, e)
		for i, want := range test.want {
			if got := o.Evaluators[i].Counted; got != want {
				t.Errorf("%s: evaluator %d counts %d of %d, want %d (%v)", test.name, i, got, test.stakes[i], want, o.Caps)
			}
		}
	}
}

// The cap holds whatever the stakes, takes nothing from whom it does not
// limit, and no higher level would hold.
func TestEntityCapHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := Ratio(1, rapid.Uint64Range(2, 5).Draw(t, "one in"))
		stakes := rapid.SliceOfN(rapid.Uint64Range(1, 1<<50), 1, 9).Draw(t, "stakes")
		held := make([]Cap, len(stakes))
		for i, s := range stakes {
			held[i].Stake = s
		}
		holds := func(level uint64) bool {
			total := uint64(0)
			for _, s := range stakes {
				total += min(s, level)
			}
			return level <= limit.Of(total)
		}
		level := capLevel(limit, held)
		feasible := uint64(One)/uint64(limit) < uint64(len(stakes))
		if feasible && !holds(min(level, slices.Max(stakes))) {
			t.Errorf("at %d an entity is above %v of %v", level, limit, stakes)
		}
		if level < slices.Max(stakes) && holds(level+1) {
			t.Errorf("%d would do, and %d is the level of %v", level+1, level, stakes)
		}
		if !feasible && level < slices.Min(stakes) {
			t.Errorf("the smallest of %v is limited to %d", stakes, level)
		}
	})
}
