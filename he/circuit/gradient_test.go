package circuit

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/hetest"
	"github.com/tuneinsight/lattigo/v5/core/rlwe"
)

// bench is one secret with the keys of a plan: what a ceremony makes, ideally.
type bench struct {
	plan Plan
	sk   *he.SecretKey
	pk   *he.PublicKey
	keys *he.EvaluationKeys
	enc  *he.Encoder
	seed he.Seed

	parties int
}

func newBench(t testing.TB, p *he.Profile, columns int, rows ...int) *bench {
	t.Helper()
	plan, err := NewPlan(p, columns, rows)
	if err != nil {
		t.Fatal(err)
	}
	return newBenchOf(p, plan)
}

func newBenchOf(p *he.Profile, plan Plan) *bench { return newBenchOfParties(p, plan, 1) }

// newBenchOfParties has a secret that is the sum of so many.
func newBenchOfParties(p *he.Profile, plan Plan, parties int) *bench {
	b := &bench{plan: plan, seed: he.Seed{5}, enc: he.NewEncoder(p)}
	b.parties, b.sk = parties, he.NewSecretKey(p, b.seed.Stream("sk"))
	for i := 1; i < parties; i++ {
		another := he.NewSecretKey(p, b.seed.Stream("sk", []byte{byte(i)}))
		p.RingQP().Add(b.sk.Value, another.Value, b.sk.Value)
	}
	b.pk = he.GenPublicKey(b.sk, [32]byte{3}, b.seed.Stream("pk"))
	kgen := rlwe.NewKeyGenerator(p.RLWE())
	sk := &rlwe.SecretKey{Value: b.sk.Value}
	b.keys = &he.EvaluationKeys{Profile: p, Relin: kgen.GenRelinearizationKeyNew(sk), Galois: map[uint64]*rlwe.GaloisKey{}}
	for _, k := range plan.Rotations {
		el := p.Rotation(k)
		b.keys.Galois[el] = kgen.GenGaloisKeyNew(el, sk)
	}
	return b
}

func randomRows(n, d int, seed uint64) he.Rows {
	rng := rand.New(rand.NewPCG(seed, 1))
	x := he.Rows{Columns: d, Values: make([]float64, n*d)}
	for i := range x.Values {
		x.Values[i] = rng.Float64()*2 - 1
	}
	return x
}

// testInterval is the interval of most tests' polynomial.
const testInterval = 6

// weights encrypts the periodic vector of w over the interval.
func (b *bench) weights(t testing.TB, w []float64) *he.Ciphertext {
	t.Helper()
	v := make([]float64, b.plan.Profile.Slots())
	for i := range v {
		if c := i % b.plan.Packing.Width; c < len(w) {
			v[i] = w[c] / testInterval
		}
	}
	m, err := b.enc.Encode(v, b.plan.Profile.MaxLevel(), b.plan.Profile.LogScale())
	if err != nil {
		t.Fatal(err)
	}
	return b.pk.Encrypt(m, b.plan.Profile.LogScale(), b.seed.Stream("w"))
}

func (b *bench) block(t testing.TB, x he.Rows, label string) Block {
	t.Helper()
	cs, err := he.EncryptBlock(b.enc, b.pk, b.plan.Packing, x, b.seed.Derive(label))
	if err != nil {
		t.Fatal(err)
	}
	return cs
}

// classSums decrypts the sums over slots equal mod Width.
func (b *bench) classSums(t testing.TB, x *he.Ciphertext) []float64 {
	t.Helper()
	p := b.plan.Profile
	m := b.sk.Phase(x)
	p.RingQ(x.Level()).NTT(m, m)
	slots, err := b.enc.Decode(m, x.LogScale)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]float64, b.plan.Packing.Width)
	for i, v := range slots {
		out[i%len(out)] += v
	}
	return out
}

func (b *bench) hold(t *testing.T, what string, x *he.Ciphertext, w []float64, rows []he.Rows) {
	t.Helper()
	n := 0
	want := make([]float64, len(w))
	for _, z := range rows {
		n += z.Len()
		g, _ := Twin{}.Gradient(w, testInterval, z, 1)
		for j := range g {
			want[j] += g[j]
		}
	}
	bound, worst := float64(n)*b.plan.GradientError(n, Load{Blocks: len(rows), Parties: b.parties}), 0.0
	for j, got := range b.classSums(t, x) {
		var exp float64
		if j < len(want) {
			exp = want[j]
		}
		worst = max(worst, math.Abs(got-exp))
		if math.Abs(got-exp) > bound {
			t.Fatalf("%s: coordinate %d: %g, want %g within %g", what, j, got, exp, bound)
		}
	}
	t.Logf("%s: error %.2g, bound %.2g", what, worst, bound)
}

// forms are plans of every kind for rows of d columns.
func forms(p *he.Profile, d int) []Plan {
	width := he.WidthFor(d)
	out := []Plan{newPlan(p, he.Packing{Width: width, Baby: width}, min(4, width))}
	for _, baby := range []int{width / 2, width / 8} {
		if baby > 1 {
			out = append(out, newPlan(p, he.Packing{Width: width, Baby: baby}, min(4, baby)))
		}
	}
	for stack := 2; stack <= width; stack *= 4 {
		if packing := (he.Packing{Width: width, Baby: width / stack, Stack: stack}); packing.Capacity(p.Slots()) > 0 {
			out = append(out, newPlan(p, packing, min(2, width)))
		}
	}
	return out
}

func TestGradientIsItsTwin(t *testing.T) {
	p := hetest.Profiles(t).Train
	columns := []int{1, 2, 3, 10, 16, 17, 50, 197}
	if testing.Short() { // minutes, under the race detector
		columns = []int{1, 3, 10, 17}
	}
	for _, d := range columns {
		for _, plan := range forms(p, d) {
			t.Run(fmt.Sprintf("columns=%d/baby=%d/stack=%d", d, plan.Packing.Baby, plan.Packing.Stack), func(t *testing.T) {
				testGradient(t, newBenchOf(p, plan), d)
			})
		}
	}
}

func testGradient(t *testing.T, b *bench, d int) {
	p := b.plan.Profile
	w := randomRows(1, d, 9).Row(0)
	for j := range w {
		w[j] *= 3 / math.Sqrt(float64(d))
	}
	capacity := b.plan.Packing.Capacity(p.Slots())
	rows := []he.Rows{randomRows(capacity, d, 1), randomRows(min(100, capacity), d, 2), randomRows(min(7, capacity), d, 3)}
	blocks := []Block{b.block(t, rows[0], "0"), b.block(t, rows[1], "1"), b.block(t, rows[2], "2")}
	ev, err := NewEvaluator(b.plan, b.keys)
	if err != nil {
		t.Fatal(err)
	}
	cw := b.weights(t, w)
	xs, err := ev.Gradient(cw, testInterval, [][]Block{blocks})
	if err != nil {
		t.Fatal(err)
	}
	b.hold(t, "one group", xs[0], w, rows)
	xs, err = ev.Gradient(cw, testInterval, [][]Block{blocks[:1], blocks[1:]})
	if err != nil {
		t.Fatal(err)
	}
	b.hold(t, "first of two", xs[0], w, rows[:1])
	b.hold(t, "second of two", xs[1], w, rows[1:])
	for _, plan := range []Plan{b.plan, b.plan.Own(1)} {
		own, err := NewEvaluator(plan, b.keys)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := NewPlainBlock(b.enc, plan, rows[1])
		if err != nil {
			t.Fatal(err)
		}
		x, err := own.LocalGradient(cw, testInterval, cw.C1, []PlainBlock{plain}, b.pk, b.seed)
		if err != nil {
			t.Fatal(err)
		}
		b.hold(t, "local", x, w, rows[1:2])
		if _, err := own.Gradient(cw, testInterval, [][]Block{blocks}); (err != nil) != plan.Wrapped {
			t.Errorf("encrypted blocks under plan %+v: %v", plan.Packing, err)
		}
	}
}

// The planner's choices on the production profile: columns and rows of every
// company to form and keys.
func TestPlan(t *testing.T) {
	p := he.Standard().Train
	for _, tc := range []struct {
		columns int
		rows    []int
		baby    int
		stack   int
		keys    int
	}{
		{1, []int{100, 100}, 1, 1, 0},
		{10, []int{20000, 9000, 4000}, 16, 1, 6},
		{10, []int{549, 243, 108}, 2, 8, 6},
		{16, []int{200000}, 16, 1, 6},
		{31, []int{225, 100, 44}, 1, 32, 6},
		{31, []int{100000, 40000, 20000}, 32, 1, 10},
		{65, []int{157, 70, 31}, 8, 16, 11},
		{197, []int{9600}, 32, 1, 27},
		{65, slices.Repeat([]int{8}, 32), 0, 0, 0}, // stacked, however many
		{31, slices.Repeat([]int{10}, 32), 0, 0, 0},
	} {
		plan, err := NewPlan(p, tc.columns, tc.rows)
		if err != nil {
			t.Fatal(err)
		}
		if tc.baby == 0 {
			if !plan.Packing.Stacked() {
				t.Errorf("%d columns of %v rows: %s; want them stacked", tc.columns, tc.rows, plan)
			}
			continue
		}
		if plan.Packing.Baby != tc.baby || plan.Packing.Stack != tc.stack || len(plan.Rotations) != tc.keys {
			t.Errorf("%d columns of %v rows: %s; want baby %d, stack %d, %d keys", tc.columns, tc.rows, plan, tc.baby, tc.stack, tc.keys)
		}
	}
	if _, err := NewPlan(p, 257, nil); err == nil {
		t.Error("257 columns were planned")
	}
	if _, err := NewPlan(p, 256, []int{1 << 28}); err == nil {
		t.Error("more blocks than a gradient's bound covers were planned")
	}
}

func TestGradientIsTheSameOnAnyCores(t *testing.T) {
	p := hetest.Profiles(t).Train
	b := newBench(t, p, 20, p.Slots())
	block := b.block(t, randomRows(64, 20, 1), "x")
	w := b.weights(t, make([]float64, 20))
	run := func(procs int) he.Digest {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
		ev, err := NewEvaluator(b.plan, b.keys)
		if err != nil {
			t.Fatal(err)
		}
		x, err := ev.Gradient(w, testInterval, [][]Block{{block, block}})
		if err != nil {
			t.Fatal(err)
		}
		return x[0].Digest()
	}
	if run(1) != run(2) {
		t.Error("one core and two give different bytes")
	}
}

func TestGradientProduction(t *testing.T) {
	if testing.Short() {
		t.Skip("the production ring takes seconds") // the insecure ring runs the same circuit above
	}
	p := he.Standard().Train
	for _, tc := range []struct {
		packing       he.Packing
		parties, rows int
	}{
		{he.Packing{Width: 16, Baby: 16}, 1, p.Slots()},
		{he.Packing{Width: 16, Baby: 16}, 3, 900},
		{he.Packing{Width: 16, Baby: 2, Stack: 8}, 1, 900},
		{he.Packing{Width: 16, Baby: 2, Stack: 8}, 3, 900},
		{he.Packing{Width: 16, Baby: 2, Stack: 8}, 32, 900},
	} {
		b := newBenchOfParties(p, newPlan(p, tc.packing, 2), tc.parties)
		x := randomRows(tc.rows, 16, 4)
		ev, err := NewEvaluator(b.plan, b.keys)
		if err != nil {
			t.Fatal(err)
		}
		w := randomRows(1, 16, 5).Row(0)
		for j := range w {
			w[j] *= 0.75
		}
		xs, err := ev.Gradient(b.weights(t, w), testInterval, [][]Block{{b.block(t, x, "p")}})
		if err != nil {
			t.Fatal(err)
		}
		b.hold(t, fmt.Sprintf("%d parties, %d rows, stack %d", tc.parties, tc.rows, tc.packing.Stack), xs[0], w, []he.Rows{x})
	}
}

// The three companies' rows are those of the sets in docs/data, split 61, 27
// and 12 %, after a fifth is kept for testing and a tenth for validation.
func BenchmarkGradient(b *testing.B) {
	for _, tc := range []struct {
		set     string
		columns int
		rows    []int
	}{
		{"infant_mortality", 10, []int{20460, 9055, 4025}},
		{"breast_cancer", 31, []int{250, 110, 50}},
		{"edinburgh", 10, []int{550, 243, 109}},
		{"digits", 65, []int{157, 70, 30}},
		{"wide", 197, []int{11982}},
		{"many", 31, []int{98000, 43000, 19000}},
	} {
		b.Run("rows="+tc.set, func(b *testing.B) { benchmarkGradient(b, tc.columns, tc.rows) })
	}
}

func benchmarkGradient(b *testing.B, columns int, rows []int) {
	p := he.Standard().Train
	s := newBench(b, p, columns, rows...)
	b.Log(s.plan, s.plan.Transforms(s.plan.Blocks(rows)))
	block := s.block(b, randomRows(s.plan.Packing.Capacity(p.Slots()), columns, 1), "x")
	blocks := make([]Block, s.plan.Blocks(rows))
	total := 0
	for i := range blocks {
		blocks[i] = block
	}
	for _, n := range rows {
		total += n
	}
	w := s.weights(b, make([]float64, columns))
	ev, err := NewEvaluator(s.plan, s.keys)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := ev.Gradient(w, testInterval, [][]Block{blocks}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(total)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(len(blocks)*s.plan.Packing.Vectors()*he.CiphertextBytes(p, p.MaxLevel()))/float64(total), "wire-B/row")
}
