package multiparty

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/hetest"
)

// blend is a blend of models on all their servers.
func blend(t testing.TB, parts []uint16, models ...serving) serving {
	t.Helper()
	out := models[0]
	out.servers = nil
	for i := range models[0].servers {
		var of []Part
		for k, m := range models {
			of = append(of, Part{m.servers[i], parts[k]})
		}
		s, err := Blend(he.HashParts("blend"), of)
		if err != nil {
			t.Fatal(err)
		}
		out.servers = append(out.servers, s)
	}
	return out
}

// A blend answers with the average of its models' margins, within the declared
// error, also where a margin is large.
func TestBlendAnswers(t *testing.T) {
	p := hetest.Profiles(t).Serve
	const width = 16
	x := randomRows(64, 12)
	for _, parts := range [][]uint16{{256}, {1, 255}, {100, 100, 56}} {
		rng := rand.New(rand.NewPCG(11, uint64(len(parts))))
		var models []serving
		average := make([]float64, width)
		bound := 0.0
		for k, part := range parts {
			weights := make([]int64, width)
			for j := range weights {
				weights[j] = int64(math.Round(rng.NormFloat64() * 100 * (1 << he.LogWeights)))
				clear := math.Ldexp(float64(weights[j]), -he.LogWeights)
				average[j] += clear * float64(part) / (1 << he.LogParts)
				bound = max(bound, math.Abs(clear))
			}
			models = append(models, serveAs(t, p, he.HashParts("model", []byte{byte(k)}), weights, 3, serveDefences{}))
		}
		s := blend(t, parts, models...)
		q, err := he.EncryptQueries(s.pk, x, width, he.Seed{3}.Derive("q"))
		if err != nil {
			t.Fatal(err)
		}
		large, declared := 0.0, AnswerError(p, width, 3, bound)
		for k, got := range s.sk.DecryptAnswers(s.answer(t, q, x.Len()), x.Len(), he.LogParts) {
			want := dot(x.Row(k), average)
			large = max(large, math.Abs(want))
			if math.Abs(got-want) > declared {
				t.Errorf("%v parts, row %d: %g, want %g within %g", parts, k, got, want, declared)
			}
		}
		if large < 8 { // half a step of a model's grid, at a blend's scale
			t.Errorf("%v parts: no margin is beyond 8; the largest is %g", parts, large)
		}
	}
}

// What is no blend is refused.
func TestBlendRefuses(t *testing.T) {
	p := hetest.Profiles(t).Serve
	first, second := he.HashParts("model", []byte{1}), he.HashParts("model", []byte{2})
	a, b := serveAs(t, p, first, normal(16), 2, serveDefences{}), serveAs(t, p, second, normal(16), 2, serveDefences{})
	narrow, wider := serveAs(t, p, second, normal(8), 2, serveDefences{}), serveAs(t, p, second, normal(16), 3, serveDefences{})
	whole := blend(t, []uint16{256}, a)
	for name, parts := range map[string][]Part{
		"no model":          nil,
		"parts of nothing":  {{a.servers[0], 256}, {b.servers[0], 0}},
		"too few parts":     {{a.servers[0], 128}, {b.servers[0], 127}},
		"too many parts":    {{a.servers[0], 256}, {b.servers[0], 256}},
		"a model twice":     {{a.servers[0], 128}, {a.servers[0], 128}},
		"another width":     {{a.servers[0], 128}, {narrow.servers[0], 128}},
		"another roster":    {{a.servers[0], 128}, {wider.servers[0], 128}},
		"another's share":   {{a.servers[0], 128}, {b.servers[1], 128}},
		"a blend in it":     {{whole.servers[0], 256}},
		"another's of both": {{a.servers[1], 128}, {b.servers[0], 128}},
	} {
		if _, err := Blend(he.HashParts("blend"), parts); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// Attack: one query to a model and to its blend. If a blend drew what its model
// draws, the difference of the answers would be weights and nothing else: two
// answers would be the model.
func TestAttackBlendAndItsModel(t *testing.T) {
	p := hetest.Profiles(t).Serve
	const width = 16
	weights := normal(width)
	q := &he.Query{Profile: p, Width: width, C0: p.NewPolyQ(1), C1: polynomial(p, map[int]*big.Int{0: power(60)})}
	told := func(off serveDefences) int {
		s := serve(t, p, weights, 3, off)
		model, both := s.answer(t, q, 1), blend(t, []uint16{256}, s).answer(t, q, 1)
		r := p.RingQ(1)
		half := r.NewPoly()
		r.Sub(both.C1, model.C1, half)
		inverse := new(big.Int).ModInverse(big.NewInt(255), p.Modulus(1))
		r.MulScalarBigint(half, inverse, half)
		return matches(fromHalf(r, half, width), weights)
	}
	if n := told(serveDefences{blend: true}); n != width {
		t.Fatalf("with the model's randomness two answers should tell %d weights, they tell %d", width, n)
	}
	if n := told(serveDefences{}); n != 0 {
		t.Errorf("two answers tell %d weights", n)
	}
}

// Attack: several small weights side by side in one answer of a blend, whose grid is
// as much wider as its weights are: one is told, as of a model.
func TestAttackSeveralWeightsInOneBlend(t *testing.T) {
	p := hetest.Profiles(t).Serve
	const width, servers, first, step = 16, 3, 36, 22
	weights := normal(width)
	for j := range weights {
		weights[j] >>= 5
	}
	told := func(off serveDefences, query ...*big.Int) int {
		return spelled(t, blend(t, []uint16{256}, serve(t, p, weights, servers, off)), weights, query)
	}
	if n := told(serveDefences{grid: true}, power(first), power(first+step)); n != 2 {
		t.Fatalf("without the grid an answer should tell 2 weights, it tells %d", n)
	}
	if n := told(serveDefences{}, power(first), power(first+step)); n > 1 {
		t.Errorf("an answer tells %d weights", n)
	}
	k, _ := p.AnswerGrid(he.LogParts)
	if n := told(serveDefences{}, power(first), new(big.Int).Rsh(k, 7+he.LogParts)); n != 1 {
		t.Errorf("a query made for the grid is told %d weights; one is due", n)
	}
}

// Attack: the node that adds up and the querier compare each server's own answers
// of a model and of its blend, whose masks are sums of zero over the servers. Were
// they the same masks, each server's share would show.
func TestAttackBlendMasks(t *testing.T) {
	p := hetest.Profiles(t).Serve
	const width, at = 16, 38
	q := &he.Query{Profile: p, Width: width, C0: polynomial(p, map[int]*big.Int{0: power(at)}), C1: p.NewPolyQ(1)}
	told := func(off serveDefences) (n int) {
		s := serve(t, p, normal(width), 3, off)
		both := blend(t, []uint16{256}, s)
		answers, blended := s.shares(t, q, 1), both.shares(t, q, 1)
		r := p.RingQ(1)
		for i := range answers {
			share := r.NewPoly()
			r.IMForm(s.servers[i].weights, share)
			r.INTT(share, share)
			want := new(big.Int).Mul(centred(r, share, 0), new(big.Int).Lsh(big.NewInt(255), at))
			noise := want.Sub(want, new(big.Int).Sub(s.opened(blended[i])[0], s.opened(answers[i])[0]))
			noise.Mod(noise, r.ModulusAtLevel[1])
			if noise.Cmp(new(big.Int).Rsh(r.ModulusAtLevel[1], 1)) > 0 {
				noise.Sub(noise, r.ModulusAtLevel[1])
			}
			if noise.BitLen() < 60 {
				n++
			}
		}
		return n
	}
	// The grid hides a share by itself, but for its place on the grid.
	if n := told(serveDefences{blend: true, grid: true}); n != 3 {
		t.Fatalf("with the model's masks 3 servers' shares should show, %d do", n)
	}
	if n := told(serveDefences{grid: true}); n != 0 {
		t.Errorf("%d servers' own shares show", n)
	}
}
