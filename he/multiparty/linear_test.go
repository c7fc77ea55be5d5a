package multiparty

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/hetest"
)

// Slots that go through stay as they are and the others are zero, for every width,
// to a unit of the factors' fixed point.
func TestOnlySlots(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for width := 1; width <= he.MaxWidth; width *= 2 {
		b, kept, in := newBasis(width), integers(width), make([]bool, width)
		for k := range kept {
			kept[k].SetUint64(rng.Uint64()).Lsh(kept[k], 136) // as wide as a mask
			in[k] = rng.IntN(2) == 0
		}
		got := b.only(in, kept)
		for j := range in {
			want := new(big.Int)
			if in[j] {
				want = b.slot(j, kept)
			}
			off := new(big.Int).Sub(b.slot(j, got), want)
			// half a unit of each coefficient, twice; and what cosines are off of a value
			limit := new(big.Int).Lsh(big.NewInt(int64(width)), cosineBits)
			limit.Add(limit, new(big.Int).Lsh(big.NewInt(int64(width*width)), 200+4))
			if off.CmpAbs(limit) > 0 {
				t.Fatalf("width %d, slot %d (%v): off by 2^%d, limit 2^%d", width, j, in[j], off.BitLen()-cosineBits, limit.BitLen()-cosineBits)
			}
		}
	}
}

// periodic encrypts the vector of period len(v) that has the slots v, at a scale.
func periodic(t *testing.T, p *he.Profile, sk *he.SecretKey, v []float64, logScale int, label string) *he.Ciphertext {
	t.Helper()
	all := make([]float64, p.Slots())
	for i := range all {
		all[i] = v[i%len(v)]
	}
	m, err := he.NewEncoder(p).Encode(all, p.Floor(), logScale)
	if err != nil {
		t.Fatal(err)
	}
	seed := he.Seed{99}
	return he.GenPublicKey(sk, [32]byte{7}, seed.Stream("pk")).Encrypt(m, logScale, seed.Stream("encrypt", []byte(label)))
}

// slotsOf decrypts the first width slots.
func slotsOf(t *testing.T, sk *he.SecretKey, c *he.Ciphertext, width int) []float64 {
	t.Helper()
	m := sk.Phase(c)
	sk.Profile.RingQ(c.Level()).NTT(m, m)
	all, err := he.NewEncoder(sk.Profile).Decode(m, c.LogScale)
	if err != nil {
		t.Fatal(err)
	}
	return all[:width]
}

// A step is w ← w − η·λ·w + η·g of the columns that train: the others are zero in
// point and weights, exactly so in every share of the model, and in the product that
// values are made of.
func TestStepOfSomeColumns(t *testing.T) {
	ps := hetest.Profiles(t)
	const width, n = 8, 3
	columns := []bool{true, false, true, true, false, true} // and two that pad
	for _, s := range []TrainingStep{
		{}, {Decay: 0.25}, {Trains: columns}, {Decay: 0.25, Trains: columns}, {Decay: 2, Trains: columns, Shared: true}, {Trains: columns, Panel: panelOf(width, n, 1)},
		{Decay: 0.25, Trains: columns, Panel: panelOf(width, n, 1), Shared: true}, {Trains: columns, Panel: panelOf(width, n, 2)},
		{Panel: panelOf(width, n, 3)},
	} {
		t.Run(fmt.Sprintf("%v/%v/%d/%v", s.Decay, s.Trains != nil, len(s.Panel.Evaluators), s.Shared), func(t *testing.T) {
			roster, parties, sums := holders(t, ps, n)
			s.Train, s.Release, s.Width, s.Rows, s.LearningRate, s.Momentum, s.Interval, s.Next = ps.Train, ps.Release, width, 11, 0.5, 0.4, 4, 5
			m, rng := s.Map(), rand.New(rand.NewPCG(9, 10))
			clear := make([][]float64, len(m.Inputs))
			var inputs []*he.Ciphertext
			for i, in := range m.Inputs {
				for range width {
					clear[i] = append(clear[i], rng.Float64()*2-1)
				}
				inputs = append(inputs, periodic(t, ps.Train, sums["train"], clear[i], in.LogScale, string(rune('a'+i))))
			}
			round, err := NewRound(roster, he.HashParts("round"), m, inputs)
			if err != nil {
				t.Fatal(err)
			}
			outputs, remainder := runRound(t, round, parties)
			weights, point := s.clear(clear)
			near := func(what string, got, want []float64, by float64) {
				for j := range want {
					if !(math.Abs(got[j]-want[j]) <= by) {
						t.Errorf("%s %d is %g, want %g", what, j, got[j], want[j])
					}
				}
			}
			near("point", slotsOf(t, sums["train"], outputs[0], width), point, 1e-6)
			near("weight", slotsOf(t, sums["train"], outputs[1], width), weights, 1e-6)
			if s.valued() > 0 {
				near("value", s.values(t, sums["release"], outputs[2], outputs[3]), s.clearValues(clear), 1e-5)
			}
			if s.Shared {
				s.checkShares(t, round, parties, remainder, weights)
			}
		})
	}
}

// goes says whether a column trains.
func (s TrainingStep) goes(j int) bool { return s.Trains == nil || j < len(s.Trains) && s.Trains[j] }

// update is η times an input's gradient in the clear, and zero where nothing trains.
func (s TrainingStep) update(g []float64, rows int) []float64 {
	out := make([]float64, len(g))
	for j := range g {
		if s.goes(j) {
			out[j] = s.LearningRate * s.mean(rows) * g[j]
		}
	}
	return out
}

// clear is the step in the clear: the next weights and the next point over its
// interval.
func (s TrainingStep) clear(inputs [][]float64) (weights, point []float64) {
	weights, point = make([]float64, s.Width), make([]float64, s.Width)
	for j := range weights {
		if !s.goes(j) {
			continue
		}
		v := inputs[0][j] * s.Interval
		weights[j] = v
		if j > 0 {
			weights[j] -= s.LearningRate * s.Decay * v
		}
		for _, g := range inputs[2 : 2+max(1, s.valued())] {
			weights[j] += s.update(g, s.Rows)[j]
		}
		point[j] = (weights[j] + s.Momentum*(weights[j]-inputs[1][j])) / s.Next
	}
	return weights, point
}

// clearValues are ⟨u_i, g_e − U/2⟩ in units of η, of columns that train.
func (s TrainingStep) clearValues(inputs [][]float64) (out []float64) {
	updates := inputs[2 : 2+s.valued()]
	for e, rows := range s.Panel.Rows {
		direction := s.update(inputs[2+s.valued()+e], rows)
		for _, g := range updates {
			for j, u := range s.update(g, s.Rows) {
				direction[j] -= u / 2
			}
		}
		for _, g := range updates {
			out = append(out, dot(s.update(g, s.Rows), direction)/s.LearningRate/s.LearningRate)
		}
	}
	return out
}

// values are Width times the answers of the product of updates and directions, in
// the clear.
func (s TrainingStep) values(t *testing.T, sk *he.SecretKey, updates, directions *he.Ciphertext) (out []float64) {
	t.Helper()
	var factors [2][]float64
	for f, c := range []*he.Ciphertext{updates, directions} {
		for _, v := range coefficients(sk, c) {
			factors[f] = append(factors[f], scaled(v, c.LogScale))
		}
	}
	product := multiply(s.Release.N(), factors[0], factors[1])
	var all []int
	for i := range s.valued() {
		all = append(all, i)
	}
	for _, at := range s.Panel.Answers(all) {
		out = append(out, product[at]*float64(s.Width))
	}
	return out
}

// checkShares adds the shares of the model up. Those of a column that does not
// train are zero, each of them.
func (s TrainingStep) checkShares(t *testing.T, r *Round, parties []*Secrets, remainder []*big.Int, want []float64) {
	t.Helper()
	for j := range s.Width {
		all := []*big.Int{remainder[j]}
		for _, p := range parties {
			w, err := r.ModelShare(p)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, w[j])
		}
		sum, nothing := new(big.Int), true
		for _, v := range all {
			sum.Add(sum, v)
			nothing = nothing && v.Sign() == 0
		}
		if got := scaled(sum, he.LogWeights); math.Abs(got-want[j]) > 1e-6 || nothing == s.goes(j) {
			t.Errorf("shares of weight %d add up to %g, want %g: %v", j, got, want[j], all)
		}
	}
}

// What slots cost: the linear part of a valued step's share at a usual width and at
// the widest, of all columns and of every other.
func BenchmarkLinear(b *testing.B) {
	ps := he.Standard()
	for _, width := range []int{32, he.MaxWidth} {
		for _, some := range []bool{false, true} {
			b.Run(fmt.Sprintf("width=%d/some=%v", width, some), func(b *testing.B) {
				s := TrainingStep{Train: ps.Train, Release: ps.Release, Width: width, Rows: 100, LearningRate: 0.5, Decay: 0.1, Interval: 4, Next: 4, Panel: panelOf(width, 3, 1)}
				if some {
					s.Trains = make([]bool, width)
					for j := range width {
						s.Trains[j] = j%2 == 0
					}
				}
				m, stream := s.Map(), he.Seed{1}.Stream("bench")
				kept := make([][]*big.Int, len(m.Inputs))
				for j := range kept {
					for range width {
						kept[j] = append(kept[j], stream.Masked(164))
					}
				}
				for b.Loop() {
					for _, out := range m.Outputs {
						m.linear(out.Terms, out.Profile.LogScale(), kept)
					}
				}
			})
		}
	}
}
