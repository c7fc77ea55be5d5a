package incentive

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// A step is one valuation step of synthetic companies: updates, the validation
// gradient, and the curvature bound, in integers.
type step struct {
	updates  [][]*big.Int
	gradient []*big.Int
}

const curvature, scale = 1, 4 // H = 1/4

func ints(xs ...int64) []*big.Int {
	out := make([]*big.Int, len(xs))
	for i, x := range xs {
		out[i] = big.NewInt(x)
	}
	return out
}

// useful is a step of n companies, whose updates go along the validation
// gradient, each with a deviation of its own.
func useful(rng *rand.Rand, n, dimensions int) step {
	s := step{gradient: make([]*big.Int, dimensions)}
	for k := range s.gradient {
		s.gradient[k] = big.NewInt(int64(rng.IntN(2001) - 1000))
	}
	for range n {
		u := make([]*big.Int, dimensions)
		for k, g := range s.gradient {
			u[k] = big.NewInt(g.Int64()/int64(2*n) + int64(rng.IntN(101)-50))
		}
		s.updates = append(s.updates, u)
	}
	return s
}

// values are 2·scale·φ of the game in which clusters count once, as credited.
func (s step) values(t rapid.TB, clusters Clusters) []*big.Int {
	t.Helper()
	var counting [][]*big.Int
	var roots []int
	for i, root := range clusters {
		if root == i {
			counting, roots = append(counting, s.updates[i]), append(roots, i)
		}
	}
	phi, err := ValuesOf(counting, s.gradient, curvature, scale)
	if err != nil {
		t.Fatal(err)
	}
	all := make([]*big.Int, len(clusters))
	for k, root := range roots {
		all[root] = phi[k]
	}
	out, err := Credit(all, clusters)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// alone is every provider for itself.
func alone(n int) Clusters {
	out := make(Clusters, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// merged finds near-copies as the ledger does: a bit a pair.
func (s step) merged(t rapid.TB) Clusters {
	t.Helper()
	gram, _, err := Gram(s.updates, s.gradient)
	if err != nil {
		t.Fatal(err)
	}
	copies, err := Cosine{Num: 99, Den: 100}.NearCopies(gram)
	if err != nil {
		t.Fatal(err)
	}
	clusters, err := Merge(make([]uint64, len(s.updates)), copies)
	if err != nil {
		t.Fatal(err)
	}
	return clusters
}

// earned is the net of each of the named in a settlement.
func earned(s Settlement, ids ...string) (net int64) {
	for _, id := range ids {
		for _, p := range s.Credits {
			if p.ID == id {
				net += int64(p.Units)
			}
		}
		for _, p := range s.Debits {
			if p.ID == id {
				net -= int64(p.Units)
			}
		}
	}
	return net
}

func providers(phi []*big.Int, escrow uint64) []Value {
	out := make([]Value, len(phi))
	for i, x := range phi {
		out[i] = Value{ID: fmt.Sprint("c", i), Phi: x, Escrow: escrow}
	}
	return out
}

// A company splits its update into one that helps much and one that harms
// nearly as much. With harm clipped that pays; with harm debited it does not,
// beyond the unit that rounding moves.
func TestAttackIdentitySplit(t *testing.T) {
	const pot, escrow = 1_000_000, 1 << 50
	settle := func(s step, off defence) Settlement {
		out, err := settle(pot, providers(s.values(t, alone(len(s.updates))), escrow), off)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	gained := false
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 7))
		s := useful(rng, 5, 8)
		split := step{gradient: s.gradient, updates: append([][]*big.Int{}, s.updates...)}
		good, bad := make([]*big.Int, 8), make([]*big.Int, 8)
		for k, x := range s.updates[4] {
			good[k] = new(big.Int).Add(x, new(big.Int).Quo(s.gradient[k], big.NewInt(3)))
			bad[k] = new(big.Int).Sub(x, good[k])
		}
		split.updates[4] = good
		split.updates = append(split.updates, bad)
		gained = gained || earned(settle(split, debits), "c4", "c5") > earned(settle(s, debits), "c4")+pot/10
		before, after := settle(s, 0), settle(split, 0)
		for _, of := range [][2][]string{{{"c4"}, {"c4", "c5"}}, {{"c0"}, {"c0"}}} {
			if a, b := earned(before, of[0]...), earned(after, of[1]...); b > a+2 || b < a-2 {
				t.Errorf("seed %d: %v earn %d after the split, %d before", seed, of[1], b, a)
			}
		}
	}
	if !gained {
		t.Error("no split gains with harm clipped; the attack needs one that does")
	}
}

// A company contributes its rows twice, under two names.
func TestAttackDuplicateRows(t *testing.T) {
	gained := false
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 8))
		s := useful(rng, 4, 8)
		honest := s.values(t, s.merged(t))
		double := step{gradient: s.gradient, updates: append(append([][]*big.Int{}, s.updates...), s.updates[0])}
		raw := double.values(t, alone(5))
		gained = gained || new(big.Int).Add(raw[0], raw[4]).Cmp(honest[0]) > 0
		// The stated bound before the merge: 2φ − ⟨u, Hu⟩ for both.
		bound := new(big.Int).Lsh(honest[0], 1)
		bound.Sub(bound, new(big.Int).Mul(big.NewInt(2*curvature), dot(s.updates[0], s.updates[0])))
		if got := new(big.Int).Add(raw[0], raw[4]); got.Cmp(bound) != 0 {
			t.Errorf("seed %d: two of the same are worth %v, the stated bound is %v", seed, got, bound)
		}
		for i, v := range double.values(t, double.merged(t)) {
			want := new(big.Int)
			if i < 4 {
				want = honest[i]
			}
			if v.Cmp(want) != 0 {
				t.Errorf("seed %d: provider %d is worth %v after the merge, want %v", seed, i, v, want)
			}
		}
	}
	if !gained {
		t.Error("no duplicate gains without the merge; the attack needs one that does")
	}
}

// Somebody contributes another's rows, or its ciphertext, a little changed and
// scaled so as to look like its own. The first to commit is paid.
func TestAttackForeignCopy(t *testing.T) {
	gained := false
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 9))
		s := useful(rng, 4, 8)
		honest := s.values(t, s.merged(t))
		copied := make([]*big.Int, 8)
		for k, x := range s.updates[1] {
			copied[k] = new(big.Int).Add(new(big.Int).Mul(x, big.NewInt(2)), big.NewInt(int64(rng.IntN(3)-1)))
		}
		theft := step{gradient: s.gradient, updates: append(append([][]*big.Int{}, s.updates...), copied)}
		gained = gained || theft.values(t, alone(5))[4].Sign() > 0
		paid := theft.values(t, theft.merged(t))
		if paid[4].Sign() != 0 {
			t.Errorf("seed %d: the copier is credited %v", seed, paid[4])
		}
		if paid[1].Cmp(honest[1]) != 0 {
			t.Errorf("seed %d: whose rows were copied is credited %v, was %v", seed, paid[1], honest[1])
		}
	}
	if !gained {
		t.Error("no copy gains without the merge; the attack needs one that does")
	}
}

// One contribution is submitted again and again. The ledger knows it by its
// digest; here the digest is its coordinates.
func TestAttackReplay(t *testing.T) {
	s := useful(rand.New(rand.NewPCG(1, 10)), 4, 8)
	honest := s.values(t, alone(4))[2]
	submitted := append(append([][]*big.Int{}, s.updates...), s.updates[2], s.updates[2])
	total := func(updates [][]*big.Int) *big.Int {
		sum := new(big.Int)
		for i, v := range (step{updates: updates, gradient: s.gradient}).values(t, alone(len(updates))) {
			if i == 2 || i >= 4 {
				sum.Add(sum, v)
			}
		}
		return sum
	}
	if total(submitted).Cmp(honest) <= 0 {
		t.Error("a replay gains nothing without digests; the attack needs one that does")
	}
	seen, accepted := map[string]bool{}, [][]*big.Int(nil)
	for _, u := range submitted {
		if digest := fmt.Sprint(u); !seen[digest] {
			seen[digest], accepted = true, append(accepted, u)
		}
	}
	if got := total(accepted); got.Cmp(honest) != 0 {
		t.Errorf("a contribution that is replayed is worth %v, once %v", got, honest)
	}
}

// One of five companies has flipped labels, another random ones. Their values
// are not positive, and cost them.
func TestAttackHarmfulData(t *testing.T) {
	const pot, escrow = 1_000_000, 1 << 50
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 11))
		s := logistic5(rng)
		values := s.values(t, s.merged(t))
		for i, name := range map[int]string{3: "flipped", 4: "random"} {
			if values[i].Sign() > 0 {
				t.Errorf("seed %d: %s labels are worth %v", seed, name, values[i])
			}
		}
		clipped, err := settle(pot, providers(values, escrow), debits)
		if err != nil {
			t.Fatal(err)
		}
		if earned(clipped, "c3") != 0 {
			t.Errorf("seed %d: with harm clipped it costs %d; the attack needs it to be free", seed, -earned(clipped, "c3"))
		}
		debited, err := Settle(pot, providers(values, escrow))
		if err != nil {
			t.Fatal(err)
		}
		if len(debited.Owed) != 0 || earned(debited, "c3") >= 0 || earned(debited, "c0", "c1", "c2") < pot {
			t.Errorf("seed %d: flipped labels earn %d, good data %d of %d", seed, earned(debited, "c3"), earned(debited, "c0", "c1", "c2"), pot)
		}
	}
}

// logistic5 is a step of logistic regression in five companies, of 60 rows each,
// 20 with flipped labels, an eighth of the way to the model that made the labels.
func logistic5(rng *rand.Rand) step {
	const rows, dimensions, fixed = 60, 4, 1 << 12
	truth := make([]float64, dimensions)
	for k := range truth {
		truth[k] = 3 + rng.Float64()
	}
	update := func(rows int, label func(bool) bool) []*big.Int {
		sum := make([]float64, dimensions)
		for range rows {
			x, margin := make([]float64, dimensions), 0.0
			for k := range x {
				x[k] = 2*rng.Float64() - 1
				margin += truth[k] * x[k]
			}
			y, p := 0.0, sigmoidOf(margin/8)
			if label(rng.Float64() < sigmoidOf(margin)) {
				y = 1
			}
			for k := range sum {
				sum[k] += (y - p) * x[k]
			}
		}
		out := make([]*big.Int, dimensions)
		for k, v := range sum {
			out[k] = big.NewInt(int64(v * fixed))
		}
		return out
	}
	same := func(y bool) bool { return y }
	s := step{gradient: update(5*rows, same)}
	for range 3 {
		s.updates = append(s.updates, update(rows, same))
	}
	s.updates = append(s.updates, update(rows/3, func(y bool) bool { return !y }), update(rows, func(bool) bool { return rng.IntN(2) == 0 }))
	return s
}

func sigmoidOf(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// Somebody of no value splits into much good and as much harm, and cannot pay
// for the harm. It could take nearly the whole pot; it takes at most a quarter,
// and owes more.
func TestAttackDefault(t *testing.T) {
	const pot = 1_000_000
	most, gainedOff := int64(0), int64(0)
	rapid.Check(t, func(t *rapid.T) {
		honest := rapid.Int64Range(1, 1000).Draw(t, "honest")
		split := rapid.Int64Range(0, 100_000).Draw(t, "split")
		escrow := rapid.Uint64Range(0, 3*pot).Draw(t, "escrow")
		values := []Value{
			{ID: "honest", Phi: big.NewInt(honest)},
			{ID: "good", Phi: big.NewInt(split)}, {ID: "harm", Phi: big.NewInt(-split), Escrow: escrow},
		}
		off, err := settle(pot, values, defaults)
		if err != nil {
			t.Fatal(err)
		}
		gainedOff = max(gainedOff, earned(off, "good", "harm"))
		on, err := Settle(pot, values)
		if err != nil {
			t.Fatal(err)
		}
		gain, owed := earned(on, "good", "harm"), uint64(0)
		for _, p := range on.Owed {
			owed += p.Units
		}
		most = max(most, gain)
		if gain > pot/4 || gain > int64(owed)+1 {
			t.Errorf("it gains %d of %d and owes %d", gain, pot, owed)
		}
	})
	if gainedOff < pot/2 {
		t.Errorf("the best split gains %d of %d with the defence off; the attack needs more than half", gainedOff, pot)
	}
	t.Logf("the best split gains %d of %d, %d with the defence off", most, pot, gainedOff)
}
