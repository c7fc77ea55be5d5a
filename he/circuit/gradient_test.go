package circuit

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/hetest"
	"github.com/tuneinsight/lattigo/v5/core/rlwe"
	"gonum.org/v1/gonum/mat"
)

// bench is one secret with the keys of a plan: what a ceremony makes, ideally.
type bench struct {
	plan Plan
	sk   *he.SecretKey
	pk   *he.PublicKey
	keys *he.EvaluationKeys
	enc  *he.Encoder
	seed he.Seed
}

func newBench(t testing.TB, p *he.Profile, columns int) *bench {
	t.Helper()
	plan, err := NewPlan(p, columns)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{plan: plan, seed: he.Seed{5}, enc: he.NewEncoder(p)}
	b.sk = he.NewSecretKey(p, b.seed.Stream("sk"))
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

// weights encrypts the periodic vector of w.
func (b *bench) weights(t testing.TB, w []float64) *he.Ciphertext {
	t.Helper()
	v := make([]float64, b.plan.Profile.Slots())
	for i := range v {
		if c := i % b.plan.Packing.Width; c < len(w) {
			v[i] = w[c]
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
		g, _ := Twin{}.Gradient(w, z, 1)
		for j := range g {
			want[j] += g[j]
		}
	}
	bound := b.plan.GradientError(1, len(rows))
	for j, got := range b.classSums(t, x) {
		var exp float64
		if j < len(want) {
			exp = want[j]
		}
		if math.Abs(got-exp) > bound {
			t.Fatalf("%s: coordinate %d: %g, want %g within %g", what, j, got, exp, bound)
		}
	}
}

func TestGradientIsItsTwin(t *testing.T) {
	for _, d := range []int{1, 2, 3, 5, 10, 16, 17, 31, 50, 65, 128, 197} {
		p := hetest.Profiles(t).Train
		b := newBench(t, p, d)
		t.Run(fmt.Sprintf("columns=%d", d), func(t *testing.T) {
			w := randomRows(1, d, 9).Row(0)
			for j := range w {
				w[j] *= 3 / math.Sqrt(float64(d))
			}
			rows := []he.Rows{randomRows(p.Slots(), d, 1), randomRows(100, d, 2), randomRows(7, d, 3)}
			blocks := []Block{b.block(t, rows[0], "0"), b.block(t, rows[1], "1"), b.block(t, rows[2], "2")}
			ev, err := NewEvaluator(b.plan, b.keys)
			if err != nil {
				t.Fatal(err)
			}
			cw := b.weights(t, w)
			xs, err := ev.Gradient(cw, [][]Block{blocks})
			if err != nil {
				t.Fatal(err)
			}
			b.hold(t, "one group", xs[0], w, rows)
			xs, err = ev.Gradient(cw, [][]Block{blocks[:1], blocks[1:]})
			if err != nil {
				t.Fatal(err)
			}
			b.hold(t, "first of two", xs[0], w, rows[:1])
			b.hold(t, "second of two", xs[1], w, rows[1:])
			plain, err := he.EncodeBlock(b.enc, b.plan.Packing, rows[1])
			if err != nil {
				t.Fatal(err)
			}
			x, err := ev.LocalGradient(cw, []PlainBlock{plain}, b.pk, b.seed.Stream("local"))
			if err != nil {
				t.Fatal(err)
			}
			b.hold(t, "local", x, w, rows[1:2])
		})
	}
}

func TestPlanKeys(t *testing.T) {
	for columns, want := range map[int]int{1: 0, 2: 1, 3: 2, 10: 6, 16: 6, 31: 13, 64: 21, 65: 29, 256: 45} {
		plan, err := NewPlan(hetest.Profiles(t).Train, columns)
		if err != nil || len(plan.Rotations) != want {
			t.Errorf("%d columns: %d Galois keys, want %d (%v)", columns, len(plan.Rotations), want, err)
		}
	}
	if _, err := NewPlan(hetest.Profiles(t).Train, 257); err == nil {
		t.Error("257 columns were planned")
	}
}

func TestGradientIsTheSameOnAnyCores(t *testing.T) {
	p := hetest.Profiles(t).Train
	b := newBench(t, p, 20)
	block := b.block(t, randomRows(64, 20, 1), "x")
	w := b.weights(t, make([]float64, 20))
	run := func(procs int) he.Digest {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
		ev, err := NewEvaluator(b.plan, b.keys)
		if err != nil {
			t.Fatal(err)
		}
		x, err := ev.Gradient(w, [][]Block{{block, block}})
		if err != nil {
			t.Fatal(err)
		}
		return x[0].Digest()
	}
	if run(1) != run(2) {
		t.Error("one core and two give different bytes")
	}
}

func TestPolynomial(t *testing.T) {
	const points = 4001
	a, y := mat.NewDense(points, 2, nil), mat.NewVecDense(points, nil)
	for i := range points {
		m := Interval * (2*float64(i)/(points-1) - 1)
		a.Set(i, 0, m)
		a.Set(i, 1, m*m*m)
		y.SetVec(i, Twin{Exact: true}.Error(m)-0.5)
	}
	var c mat.VecDense
	if err := c.SolveVec(a, y); err != nil {
		t.Fatal(err)
	}
	if math.Abs(c.AtVec(0)-Slope) > 1e-7 || math.Abs(c.AtVec(1)-Cubic) > 1e-7 {
		t.Errorf("least squares gives %.8f and %.8f; the constants are %.8f and %.8f", c.AtVec(0), c.AtVec(1), Slope, Cubic)
	}
}

func TestGradientProduction(t *testing.T) {
	if testing.Short() {
		t.Skip("the production ring takes seconds") // the insecure ring runs the same circuit above
	}
	p := he.Standard().Train
	b := newBench(t, p, 10)
	x := randomRows(p.Slots(), 10, 4)
	ev, err := NewEvaluator(b.plan, b.keys)
	if err != nil {
		t.Fatal(err)
	}
	w := randomRows(1, 10, 5).Row(0)
	xs, err := ev.Gradient(b.weights(t, w), [][]Block{{b.block(t, x, "p")}})
	if err != nil {
		t.Fatal(err)
	}
	b.hold(t, "production", xs[0], w, []he.Rows{x})
}

func BenchmarkGradient(b *testing.B) {
	for _, tc := range []struct{ columns, blocks int }{{10, 3}, {31, 3}, {31, 1}, {65, 3}, {65, 1}} {
		b.Run(fmt.Sprintf("columns=%d/blocks=%d", tc.columns, tc.blocks), func(b *testing.B) {
			p := he.Standard().Train
			s := newBench(b, p, tc.columns)
			block := s.block(b, randomRows(p.Slots(), tc.columns, 1), "x")
			var blocks []Block
			for range tc.blocks {
				blocks = append(blocks, block)
			}
			w := s.weights(b, make([]float64, tc.columns))
			ev, err := NewEvaluator(s.plan, s.keys)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := ev.Gradient(w, [][]Block{blocks}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(tc.blocks*p.Slots())*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
