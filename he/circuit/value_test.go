package circuit

import (
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/hetest"
	"github.com/tuneinsight/lattigo/v5/core/rlwe"
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

// Coefficient ValuePosition(i) of the product is the inner product of company
// i's update with the direction, over Width, and no neighbour reaches it.
func TestValueIsInnerProduct(t *testing.T) {
	p, sk, pk, valuer := release(t)
	const width, companies = 16, 5
	rng := rand.New(rand.NewPCG(1, 9))
	// Kept coefficients of periodic vectors: ⟨u, d⟩/Width = u_0·d_0 + 2Σ u_k·d_k.
	direction, updates, want := map[int]float64{}, map[int]float64{}, make([]float64, companies)
	for k := range width {
		direction[k] = rng.NormFloat64()
	}
	for i := range companies {
		for k := range width {
			u, twice := rng.NormFloat64(), 2.0
			if k == 0 {
				twice = 1
			}
			want[i] += twice * u * direction[k]
			if i > 0 && k > 0 {
				u *= 2
			}
			updates[ValuePosition(width, i)+k] = u
		}
	}
	seed := he.Seed{4}
	c, err := valuer.Value(encryptCoefficients(p, pk, updates, seed.Stream("u")), encryptCoefficients(p, pk, direction, seed.Stream("d")))
	if err != nil {
		t.Fatal(err)
	}
	if c.LogScale != 196 || c.Level() != p.MaxLevel() {
		t.Errorf("level %d and scale 2^%d; a value has the top level and 2^196", c.Level(), c.LogScale)
	}
	for i := range want {
		if got := coefficient(sk, c, ValuePosition(width, i)); math.Abs(got-want[i]) > 1e-12 {
			t.Errorf("company %d: %g, want %g", i, got, want[i])
		}
	}
	if _, err := valuer.Value(c, c); err == nil {
		t.Error("operands at another scale were accepted")
	}
}

// Values are efficient: they sum to the lower bound of all rows together, and
// a company without rows has none.
func TestValuesTwin(t *testing.T) {
	tw := Twin{LearningRate: 0.5}
	companies := []he.Rows{randomRows(40, 6, 1), randomRows(25, 6, 2), {Columns: 6}}
	validation := []he.Rows{randomRows(20, 6, 3)}
	w := randomRows(1, 6, 4).Row(0)
	all := he.Rows{Columns: 6, Values: append(append([]float64(nil), companies[0].Values...), companies[1].Values...)}
	phi := tw.Values(w, testInterval, companies, validation)
	if total := tw.Values(w, testInterval, []he.Rows{all}, validation)[0]; math.Abs(phi[0]+phi[1]-total) > 1e-12 || phi[2] != 0 {
		t.Errorf("values %v do not sum to %g", phi, total)
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
