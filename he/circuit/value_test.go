package circuit

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/hetest"
	"github.com/tuneinsight/lattigo/v5/core/rlwe"
	"gonum.org/v1/gonum/floats"
)

// encryptCoefficients encrypts coefficients at the profile's scale.
func encryptCoefficients(p *he.Profile, pk *he.PublicKey, coeffs map[int]float64, s *he.Stream) *he.Ciphertext {
	r := p.RingQ(p.MaxLevel())
	m := r.NewPoly()
	for at, x := range coeffs {
		v, _ := new(big.Float).SetMantExp(big.NewFloat(x), p.LogScale()).Int(nil)
		for i, sub := range r.SubRings[:r.Level()+1] {
			q := new(big.Int).SetUint64(sub.Modulus)
			m.Coeffs[i][at] = new(big.Int).Mod(v, q).Uint64()
		}
	}
	r.NTT(m, m)
	return pk.Encrypt(m, p.LogScale(), s)
}

func coefficient(sk *he.SecretKey, c *he.Ciphertext, at int) float64 {
	v := make([]*big.Int, sk.Profile.N())
	for i := range v {
		v[i] = new(big.Int)
	}
	sk.Profile.RingQ(c.Level()).PolyToBigintCentered(sk.Phase(c), 1, v)
	f := new(big.Float).SetInt(v[at])
	out, _ := f.SetMantExp(f, -c.LogScale).Float64()
	return out
}

// release is one secret of the release profile with its relinearisation key.
func release(t *testing.T) (*he.Profile, *he.SecretKey, *he.PublicKey, *Valuer) {
	t.Helper()
	p := hetest.Profiles(t).Release
	seed := he.Seed{8}
	sk := he.NewSecretKey(p, seed.Stream("sk"))
	keys := &he.EvaluationKeys{Profile: p, Relin: rlwe.NewKeyGenerator(p.RLWE()).GenRelinearizationKeyNew(&rlwe.SecretKey{Value: sk.Value})}
	return p, sk, he.GenPublicKey(sk, [32]byte{1}, seed.Stream("pk")), NewValuer(keys)
}

// The answers of a panel are the inner products of each company's update with each
// direction, over Width, and no neighbour reaches them.
func TestValueIsInnerProduct(t *testing.T) {
	p, sk, pk, valuer := release(t)
	const width, companies = 16, 5
	for _, evaluators := range [][][]int{{{1}}, {{0}, {2}, {3}}, {{0}, {2}}} {
		panel := he.Panel{Width: width, Companies: companies, Evaluators: evaluators}
		t.Run(fmt.Sprintf("%d evaluators", len(panel.Evaluators)), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 9))
			// Kept coefficients of periodic vectors: ⟨u, d⟩/Width = u_0·d_0 + 2Σ u_k·d_k.
			vectors := func(n int) (out [][]float64) {
				for range n {
					v := make([]float64, width)
					for k := range v {
						v[k] = rng.NormFloat64()
					}
					out = append(out, v)
				}
				return out
			}
			us, ds := vectors(companies), vectors(len(panel.Evaluators))
			updates, directions := map[int]float64{}, map[int]float64{}
			for i, v := range us {
				for k, u := range v {
					if k > 0 && (i > 0 || panel.Apart()) {
						u *= 2
					}
					updates[panel.Update(i)+k] = u
				}
			}
			var want []float64
			for e, d := range ds {
				for k := range d {
					directions[panel.Direction(e)+k] = d[k]
				}
				for _, u := range us {
					want = append(want, 2*floats.Dot(u, d)-u[0]*d[0])
				}
			}
			seed := he.Seed{4}
			c, err := valuer.Value(encryptCoefficients(p, pk, updates, seed.Stream("u")), encryptCoefficients(p, pk, directions, seed.Stream("d")))
			if err != nil {
				t.Fatal(err)
			}
			if c.LogScale != 196 || c.Level() != p.MaxLevel() {
				t.Errorf("level %d and scale 2^%d; a value has the top level and 2^196", c.Level(), c.LogScale)
			}
			for k, at := range panel.Answers([]int{0, 1, 2, 3, 4}) {
				if got := coefficient(sk, c, at); math.Abs(got-want[k]) > 1e-12 {
					t.Errorf("value %d: %g, want %g", k, got, want[k])
				}
			}
			if _, err := valuer.Value(c, c); err == nil {
				t.Error("operands at another scale were accepted")
			}
		})
	}
}

// Values are efficient by every evaluator: they sum to the lower bound of all rows
// together, and a company without rows has none. One evaluator by all validation
// rows finds the mean of what two find apart, by their rows.
func TestValuesTwin(t *testing.T) {
	tw := Twin{LearningRate: 0.5}
	companies := []he.Rows{randomRows(40, 6, 1), randomRows(25, 6, 2), {Columns: 6}}
	validation := []he.Rows{randomRows(20, 6, 3), {Columns: 6}, randomRows(12, 6, 5)}
	apart := he.Panel{Width: 8, Companies: 3, Evaluators: [][]int{{0}, {2}}, Rows: []int{20, 12}}
	together := he.Panel{Width: 8, Companies: 3, Evaluators: [][]int{{0, 2}}, Rows: []int{32}}
	w := randomRows(1, 6, 4).Row(0)
	all := he.Rows{Columns: 6, Values: append(append([]float64(nil), companies[0].Values...), companies[1].Values...)}
	phi := tw.Values(w, testInterval, apart, companies, validation)
	total := tw.Values(w, testInterval, apart, []he.Rows{all}, validation)
	for e := range 2 {
		if of := phi[3*e : 3*e+3]; math.Abs(of[0]+of[1]-total[e]) > 1e-12 || of[2] != 0 {
			t.Errorf("evaluator %d: values %v do not sum to %g", e, of, total[e])
		}
	}
	for i, v := range tw.Values(w, testInterval, together, companies, validation) {
		if want := (20*phi[i] + 12*phi[3+i]) / 32; math.Abs(v-want) > 1e-12 {
			t.Errorf("company %d: together %g, apart %g", i, v, want)
		}
	}
	if phi[0] == phi[3] {
		t.Error("two evaluators, one value")
	}
}

func TestReplay(t *testing.T) {
	p := hetest.Profiles(t).Train
	b := newBenchOf(p, newPlan(p, he.Packing{Width: 4, Baby: 4}, 2))
	ev, err := NewEvaluator(b.plan, b.keys)
	if err != nil {
		t.Fatal(err)
	}
	_, _, pk, valuer := release(t)
	blobs := map[he.Digest][]byte{}
	put := func(cs ...*he.Ciphertext) (out []he.Digest) {
		for _, c := range cs {
			blobs[c.Digest()] = c.Append(nil)
			out = append(out, c.Digest())
		}
		return out
	}
	w, blocks := b.weights(t, []float64{1, 0.5, 0, -1}), []Block{b.block(t, randomRows(9, 4, 1), "0"), b.block(t, randomRows(3, 4, 2), "1")}
	xs, err := ev.Gradient(w, testInterval, [][]Block{blocks[:1], blocks[1:]})
	if err != nil {
		t.Fatal(err)
	}
	gradient := Op{Kind: OpGradient, Interval: testInterval, Groups: []int{1, 1}, Inputs: put(append(append([]*he.Ciphertext{w}, blocks[0]...), blocks[1]...)...), Outputs: put(xs...)}
	sum := Op{Kind: OpSum, Inputs: gradient.Outputs, Outputs: put(he.Add(xs...))}
	u := encryptCoefficients(valuer.profile, pk, map[int]float64{1: 2}, he.Seed{1}.Stream("u"))
	v, err := valuer.Value(u, u)
	if err != nil {
		t.Fatal(err)
	}
	value := Op{Kind: OpValue, Inputs: append(put(u), put(u)...), Outputs: put(v)}

	replayer := &Replayer{Steps: ev, Values: valuer, Blob: func(d he.Digest) ([]byte, error) {
		if blob, ok := blobs[d]; ok {
			return blob, nil
		}
		return nil, errors.New("no such blob")
	}}
	for i, op := range []Op{gradient, sum, value} {
		if err := replayer.Replay(op); err != nil {
			t.Errorf("operation %d: %v", i, err)
		}
		wrong := op
		wrong.Outputs = append([]he.Digest{he.HashParts("other")}, op.Outputs[1:]...)
		var differs *ReplayError
		if err := replayer.Replay(wrong); !errors.As(err, &differs) || differs.Output != 0 {
			t.Errorf("operation %d with another output recorded: %v", i, err)
		}
		if wrong.Digest() == op.Digest() {
			t.Errorf("operation %d: two records, one digest", i)
		}
		wrong = op
		wrong.Inputs = append([]he.Digest{he.HashParts("absent")}, op.Inputs[1:]...)
		if err := replayer.Replay(wrong); err == nil {
			t.Errorf("operation %d was replayed without its input", i)
		}
	}
	for _, op := range []Op{{Kind: 9}, {Kind: OpSum}, {Kind: OpValue}, {Kind: OpGradient, Groups: []int{1 << 60, 1 << 60}}, {Kind: OpGradient, Groups: []int{-1, 1}}, {Kind: OpGradient, Inputs: gradient.Inputs}, {Kind: OpGradient, Interval: 9, Groups: gradient.Groups, Inputs: gradient.Inputs}} {
		if err := replayer.Replay(op); err == nil {
			t.Errorf("%+v was replayed", op)
		}
	}
	blobs[gradient.Inputs[1]] = blobs[gradient.Inputs[2]]
	if err := replayer.Replay(gradient); err == nil {
		t.Error("a blob under another's digest was used")
	}
}
