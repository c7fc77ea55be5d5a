package incentive

import (
	"fmt"
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func vectorOf(n int, low, high int64) *rapid.Generator[[]*big.Int] {
	return rapid.SliceOfN(rapid.Map(rapid.Int64Range(low, high), big.NewInt), n, n)
}

// anyStep is up to most updates of few coordinates.
func anyStep(t *rapid.T, most int) step {
	d := rapid.IntRange(1, 5).Draw(t, "coordinates")
	return step{
		updates:  rapid.SliceOfN(vectorOf(d, -100, 100), 1, most).Draw(t, "updates"),
		gradient: vectorOf(d, -1000, 1000).Draw(t, "gradient"),
	}
}

func (s step) gram(t rapid.TB) (p []*big.Int, g [][]*big.Int) {
	t.Helper()
	g, p, err := Gram(s.updates, s.gradient)
	if err != nil {
		t.Fatal(err)
	}
	return p, g
}

func (s step) closed(t rapid.TB) []*big.Int {
	t.Helper()
	p, g := s.gram(t)
	out, err := Values(p, g)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The closed form is the Shapley value and the Banzhaf value by definition, and
// adds up to the value of all.
func TestValuesAreShapleyAndBanzhaf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anyStep(t, 8)
		p, g := s.gram(t)
		closed := s.closed(t)
		n, game := len(p), GramGame(p, g)
		for name, solve := range map[string]func(int, Game) ([]*big.Rat, error){"shapley": Shapley, "banzhaf": Banzhaf} {
			defined, err := solve(n, game)
			if err != nil {
				t.Fatal(err)
			}
			for i, x := range defined {
				if want := new(big.Rat).SetFrac(closed[i], big.NewInt(2)); x.Cmp(want) != 0 {
					t.Errorf("%s of %d is %s, the closed form %s", name, i, x.RatString(), want.RatString())
				}
			}
		}
		all, err := game(1<<n - 1)
		if err != nil || all.Cmp(new(big.Rat).SetFrac(total(closed), big.NewInt(2))) != 0 {
			t.Errorf("values add up to %v/2, all are worth %v, %v", total(closed), all, err)
		}
	})
}

// Null player, symmetry, additivity over steps, permutation of identities.
func TestValuesAreFair(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anyStep(t, 6)
		d := len(s.gradient)
		null := step{updates: append(slices.Clone(s.updates), ints(make([]int64, d)...)), gradient: s.gradient}
		if v := null.closed(t); v[len(v)-1].Sign() != 0 || fmt.Sprint(v[:len(v)-1]) != fmt.Sprint(s.closed(t)) {
			t.Errorf("a provider of nothing is worth %v, or changes %v", v[len(v)-1], v)
		}
		twin := step{updates: append(slices.Clone(s.updates), s.updates[0]), gradient: s.gradient}
		if v := twin.closed(t); v[0].Cmp(v[len(v)-1]) != 0 {
			t.Errorf("equals are worth %v and %v", v[0], v[len(v)-1])
		}
		order := rapid.Permutation(alone(len(s.updates))).Draw(t, "order")
		moved := step{gradient: s.gradient}
		for _, i := range order {
			moved.updates = append(moved.updates, s.updates[i])
		}
		values, there := s.closed(t), moved.closed(t)
		for k, i := range order {
			if values[i].Cmp(there[k]) != 0 {
				t.Errorf("%d is worth %v, %v in another order", i, values[i], there[k])
			}
		}
		// Two steps: the sum of games has the sum of values.
		p, g := s.gram(t)
		q, h := moved.gram(t)
		for i := range p {
			p[i].Add(p[i], q[i])
			for j := range p {
				g[i][j].Add(g[i][j], h[i][j])
			}
		}
		both, err := Values(p, g)
		if err != nil {
			t.Fatal(err)
		}
		for i := range both {
			if new(big.Int).Add(values[i], there[i]).Cmp(both[i]) != 0 {
				t.Errorf("%d is worth %v and %v in two steps, %v in both", i, values[i], there[i], both[i])
			}
		}
	})
}

// Parts of an update are worth together what it is, whatever their signs, and
// others are worth what they were.
func TestValuesAreNeutralToSplits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anyStep(t, 6)
		part := vectorOf(len(s.gradient), -500, 500).Draw(t, "part")
		rest := make([]*big.Int, len(part))
		for k, x := range s.updates[0] {
			rest[k] = new(big.Int).Sub(x, part[k])
		}
		split := step{updates: append(slices.Clone(s.updates), rest), gradient: s.gradient}
		split.updates[0] = part
		n := len(s.updates)
		if err := splitNeutral(s.closed(t), split.closed(t), 0, []int{0, n}); err != nil {
			t.Error(err)
		}
	})
}

// More along the gradient, at the same length and overlap with others, is worth
// more.
func TestValuesAreMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, g := anyStep(t, 6).gram(t)
		before, err := Values(p, g)
		if err != nil {
			t.Fatal(err)
		}
		more := rapid.Int64Range(1, 100).Draw(t, "more")
		p[0].Add(p[0], big.NewInt(more))
		after, err := Values(p, g)
		if err != nil || new(big.Int).Sub(after[0], before[0]).Cmp(big.NewInt(2*more)) != 0 {
			t.Errorf("%d more along the gradient makes %v of %v, %v", more, after[0], before[0], err)
		}
	})
}

// Merging is joining sets: whatever the order of pairs, the first to commit
// counts for each.
func TestMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 10).Draw(t, "n")
		heights := rapid.SliceOfN(rapid.Uint64Range(0, 5), n, n).Draw(t, "heights")
		var pairs [][2]int
		for range rapid.IntRange(0, 12).Draw(t, "pairs") {
			pairs = append(pairs, [2]int{rapid.IntRange(0, n-1).Draw(t, "a"), rapid.IntRange(0, n-1).Draw(t, "b")})
		}
		clusters, err := Merge(heights, pairs)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Merge(heights, rapid.Permutation(pairs).Draw(t, "order"))
		if err != nil || !slices.Equal(clusters, again) {
			t.Errorf("clusters are %v, and %v in another order", clusters, again)
		}
		for _, pair := range pairs {
			if clusters[pair[0]] != clusters[pair[1]] {
				t.Errorf("%v are in clusters %v", pair, clusters)
			}
		}
		for _, members := range clusters.Members() {
			first := members[0]
			for _, i := range members {
				if heights[i] < heights[first] {
					first = i
				}
			}
			for _, i := range members {
				if clusters[i] != first {
					t.Errorf("%d counts as %d, the first to commit of %v is %d", i, clusters[i], members, first)
				}
			}
		}
	})
	if _, err := Merge(make([]uint64, 2), [][2]int{{0, 2}}); err == nil {
		t.Error("a pair with nobody passes")
	}
}

// The bound is on the cosine, exactly, with its sign; nothing is a copy of
// nothing.
func TestNearCopies(t *testing.T) {
	bound := Cosine{Num: 3, Den: 5}
	for _, test := range []struct {
		a, b []int64
		want bool
	}{
		{[]int64{1, 0}, []int64{3, 4}, true},      // 3/5
		{[]int64{1, 0}, []int64{299, 400}, false}, // a little less
		{[]int64{-1, 0}, []int64{3, 4}, false},
		{[]int64{7, 7}, []int64{1, 1}, true},
		{[]int64{0, 0}, []int64{0, 0}, false},
		{[]int64{0, 0}, []int64{1, 1}, false},
	} {
		gram, _, err := Gram([][]*big.Int{ints(test.a...), ints(test.b...)}, ints(0, 0))
		if err != nil {
			t.Fatal(err)
		}
		pairs, err := bound.NearCopies(gram)
		if err != nil || (len(pairs) == 1) != test.want {
			t.Errorf("%v and %v: %v, %v, want %v", test.a, test.b, pairs, err, test.want)
		}
	}
	for _, bound := range []Cosine{{}, {1, 0}, {2, 1}, {-1, 2}} {
		if _, err := bound.NearCopies(nil); err == nil {
			t.Errorf("a bound of %v passes", bound)
		}
	}
}

func TestJoin(t *testing.T) {
	for _, test := range []struct {
		name   string
		stakes []uint64
		phi    [][]*big.Int
		want   string
	}{
		{"the middle one of three", []uint64{1, 1, 1}, [][]*big.Int{ints(-5), ints(7), ints(1)}, "[1]"},
		{"an exact half is no majority", []uint64{1, 1}, [][]*big.Int{ints(-5), ints(7)}, "[-5]"},
		{"the majority of stake", []uint64{3, 2}, [][]*big.Int{ints(-5, 9), ints(7, 1)}, "[-5 9]"},
		{"who found nothing does not count", []uint64{3, 2}, [][]*big.Int{{nil}, ints(7)}, "[7]"},
		{"no stake", []uint64{0, 0}, [][]*big.Int{ints(-5), ints(7)}, "[0]"},
		{"nobody", nil, nil, "[]"},
		{"nothing found", []uint64{1}, [][]*big.Int{{nil}}, "[0]"},
	} {
		if got, err := Join(test.stakes, test.phi); err != nil || fmt.Sprint(got) != test.want {
			t.Errorf("%s: %v, %v, want %s", test.name, got, err, test.want)
		}
	}
	for _, phi := range [][][]*big.Int{{ints(1), ints(1, 2)}, {ints(1)}} {
		if _, err := Join([]uint64{1, 1}, phi); err == nil {
			t.Errorf("Join(%v) passes", phi)
		}
	}
	if _, err := Join([]uint64{^uint64(0), 1}, [][]*big.Int{ints(1), ints(1)}); err == nil {
		t.Error("stakes beyond 64 bits pass")
	}
}

// Less than half the stake moves a joined value no further than others found.
func TestJoinIsRobust(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		honest := rapid.SliceOfN(rapid.Int64Range(-100, 100), 3, 5).Draw(t, "honest")
		lies := rapid.SliceOfN(rapid.Int64(), 0, len(honest)-1).Draw(t, "lies")
		var phi [][]*big.Int
		for _, x := range append(slices.Clone(honest), lies...) {
			phi = append(phi, ints(x))
		}
		joined, err := Join(slices.Repeat([]uint64{7}, len(phi)), phi)
		if err != nil {
			t.Fatal(err)
		}
		if joined[0].Cmp(big.NewInt(slices.Min(honest))) < 0 || joined[0].Cmp(big.NewInt(slices.Max(honest))) > 0 {
			t.Errorf("%v of %v and %v", joined[0], honest, lies)
		}
	})
}

func TestValuesRefuse(t *testing.T) {
	two := [][]*big.Int{ints(1, 2), ints(3, 4)}
	for name, err := range map[string]error{
		"rows":        second(Values(ints(1), two)),
		"columns":     second(Values(ints(1, 2), [][]*big.Int{ints(1), ints(1)})),
		"symmetry":    second(Values(ints(1, 2), two)),
		"a game":      second(GramGame(ints(1), two)(1)),
		"nothing":     second(Values([]*big.Int{nil}, [][]*big.Int{ints(1)})),
		"nowhere":     second(Values(ints(1), [][]*big.Int{{nil}})),
		"holes":       second(ValuesOf([][]*big.Int{{nil}}, ints(1), 1, 1)),
		"no gradient": second(ValuesOf(nil, []*big.Int{nil}, 1, 1)),
		"lengths":     second(ValuesOf(two, ints(1), 1, 1)),
		"curvature":   second(ValuesOf(two, ints(1, 1), 1, 0)),
		"credit":      second(Credit(ints(1), Clusters{0, 1})),
		"no value":    second(Credit([]*big.Int{nil}, Clusters{0})),
		"near copies": second(Cosine{1, 2}.NearCopies(two)),
	} {
		if err == nil {
			t.Errorf("%s pass", name)
		}
	}
	if _, _, _, err := (Clusters{0}).Quotient(ints(1, 2), [][]*big.Int{ints(1, 0), ints(0, 1)}); err == nil {
		t.Error("clusters of others pass")
	}
}

func second[T any](_ T, err error) error { return err }
