package multiparty

import (
	"bytes"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/hetest"
)

// A serving is a model on all its servers, and one querier.
type serving struct {
	roster  Roster
	servers []*Server
	sk      *he.SecretKey
	pk      *he.PublicKey
	width   int
}

// serve shares weights, integers at 2^24, among n servers as a map leaves them:
// masks wider than the modulus, and a remainder.
func serve(t testing.TB, p *he.Profile, weights []int64, n int, off serveDefences) serving {
	t.Helper()
	return serveAs(t, p, testModel, weights, n, off)
}

func serveAs(t testing.TB, p *he.Profile, model he.Digest, weights []int64, n int, off serveDefences) serving {
	t.Helper()
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("server%02d", i))
	}
	roster, err := NewRoster(he.HashParts("serving"), names)
	if err != nil {
		t.Fatal(err)
	}
	masks := he.Seed{78}.Stream("masks", model[:])
	left, remainder := make([][]*big.Int, n), zeros(len(weights))
	seeds := make([]he.Seed, n)
	for j, w := range weights {
		remainder[j].SetInt64(w)
		for i := range left {
			mask := masks.Masked(160)
			left[i] = append(left[i], mask)
			remainder[j].Sub(remainder[j], mask)
			seeds[i] = he.Seed{77, byte(i)}
		}
	}
	return start(t, p, model, roster, seeds, left, remainder, off)
}

// start makes the servers of the parties' shares, which cross a store.
func start(t testing.TB, p *he.Profile, model he.Digest, roster Roster, seeds []he.Seed, left [][]*big.Int, remainder []*big.Int, off serveDefences) serving {
	t.Helper()
	s := serving{roster: roster, width: len(remainder)}
	var published [][]byte
	for i, seed := range seeds {
		key, err := PairKey(roster, model, i, seed)
		if err != nil {
			t.Fatal(err)
		}
		published = append(published, key)
	}
	for i, seed := range seeds {
		share, err := NewModelShare(p, left[i])
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			rest, err := NewModelShare(p, remainder)
			if err != nil {
				t.Fatal(err)
			}
			if share, err = share.Plus(rest); err != nil {
				t.Fatal(err)
			}
		}
		if share, err = ParseModelShare(share.Append(nil), p); err != nil {
			t.Fatal(err)
		}
		server, err := NewServer(roster, model, i, seed, share, published)
		if err != nil {
			t.Fatal(err)
		}
		server.off = off
		s.servers = append(s.servers, server)
	}
	seed := he.Seed{42}
	s.sk = he.NewSecretKey(p, seed.Stream("sk"))
	s.pk = he.GenPublicKey(s.sk, he.QuerierSeed(roster.Session, "quinn", 0), seed.Stream("pk"))
	return s
}

var testModel = he.HashParts("model")

func zeros(n int) []*big.Int {
	out := make([]*big.Int, n)
	for i := range out {
		out[i] = new(big.Int)
	}
	return out
}

// shares are all servers' answers; each crosses the wire.
func (s serving) shares(t testing.TB, q *he.Query, rows int) []*he.Answer {
	t.Helper()
	var out []*he.Answer
	for _, server := range s.servers {
		a, err := server.Answer(s.pk, q, rows)
		if err != nil {
			t.Fatal(err)
		}
		if a, err = he.ParseAnswer(a.Append(nil), a.Profile, s.width); err != nil {
			t.Fatal(err)
		}
		out = append(out, a)
	}
	return out
}

func (s serving) answer(t testing.TB, q *he.Query, rows int) *he.Answer {
	t.Helper()
	sum, err := AddAnswers(s.roster, s.shares(t, q, rows))
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// opened are the coefficients of an answer, or of a share of one, as integers.
func (s serving) opened(a *he.Answer) []*big.Int {
	return coefficients(s.sk, &he.Ciphertext{Profile: a.Profile, C0: a.C0, C1: a.C1})
}

func normal(n int) []int64 {
	rng := rand.New(rand.NewPCG(7, 8))
	out := make([]int64, n)
	for i := range out {
		out[i] = int64(math.Round(rng.NormFloat64() * (1 << he.LogWeights)))
	}
	return out
}

func randomRows(n, d int) he.Rows {
	rng := rand.New(rand.NewPCG(9, 10))
	x := he.Rows{Columns: d, Values: make([]float64, n*d)}
	for i := range x.Values {
		x.Values[i] = rng.Float64()*2 - 1
	}
	return x
}

// A trained model, from the map to the answer: every share crosses a wire or a
// store.
func TestModelIsServed(t *testing.T) {
	ps := hetest.Profiles(t)
	const width = 16
	roster, parties, sums := holders(t, ps, 3)
	in := Input{Profile: ps.Train, Level: ps.Train.Floor(), LogScale: 40, LogValue: he.LogRefreshValue}
	m := &Map{Width: width, Inputs: []Input{in}, Model: &Model{LogScale: he.LogWeights, Terms: []Term{{Factor: 1, Stride: 1}}}}
	coeffs, kept := map[int]int64{}, make([]int64, width)
	for k, w := range normal(width) {
		kept[k] = w << 14 // about a quarter, at 2^40
		coeffs[k*ps.Train.TraceStride(width)] = kept[k]
	}
	weights := slots(t, ps.Train, kept)
	r, err := NewRound(roster, he.HashParts("last"), m, []*he.Ciphertext{encryptPhase(ps.Train, sums["train"], in.Level, coeffs, "w")})
	if err != nil {
		t.Fatal(err)
	}
	_, remainder := runRound(t, r, parties)
	var seeds []he.Seed
	var left [][]*big.Int
	for _, party := range parties {
		share, err := r.ModelShare(party)
		if err != nil {
			t.Fatal(err)
		}
		seeds, left = append(seeds, party.Seed), append(left, share)
	}
	s := start(t, ps.Serve, testModel, roster, seeds, left, remainder, serveDefences{})
	x := randomRows(20, 12)
	q, err := he.EncryptQueries(s.pk, x, width, he.Seed{3}.Derive("q"))
	if err != nil {
		t.Fatal(err)
	}
	bound := AnswerError(ps.Serve, width, 3, 10)
	for k, got := range s.sk.DecryptAnswers(s.answer(t, q, 20), 20, 0) {
		if want := dot(x.Row(k), weights); math.Abs(got-want) > bound {
			t.Errorf("row %d: %g, want %g within %g", k, got, want, bound)
		}
	}
}

func dot(x, w []float64) (sum float64) {
	for j, v := range x {
		sum += v * w[j]
	}
	return sum
}

// The declared error holds, and at 32 columns and three servers it is below
// 2^-15.
func TestAnswerError(t *testing.T) {
	p := hetest.Profiles(t).Serve
	if !testing.Short() {
		p = he.Standard().Serve
	}
	for _, tc := range []struct{ width, servers int }{{2, 2}, {32, 3}, {256, 3}, {32, 32}, {256, 32}} {
		weights := normal(tc.width)
		bound := 0.0
		clear := make([]float64, tc.width)
		shared := make([]int64, tc.width)
		for j, w := range weights {
			clear[j] = math.Ldexp(float64(w), -he.LogWeights)
			bound = max(bound, math.Abs(clear[j]))
			shared[j] = w + int64(j%(tc.servers+2)) - int64(tc.servers+1)/2 // the map's rounding
		}
		s := serve(t, p, shared, tc.servers, serveDefences{})
		rows := p.N() / tc.width
		x := randomRows(rows, tc.width)
		q, err := he.EncryptQueries(s.pk, x, tc.width, he.Seed{3}.Derive("q"))
		if err != nil {
			t.Fatal(err)
		}
		worst := 0.0
		for k, got := range s.sk.DecryptAnswers(s.answer(t, q, rows), rows, 0) {
			worst = max(worst, math.Abs(got-dot(x.Row(k), clear)))
		}
		declared := AnswerError(p, tc.width, tc.servers, bound)
		t.Logf("width %d, %d servers: worst of %d answers 2^%.1f, declared 2^%.1f", tc.width, tc.servers, rows, math.Log2(worst), math.Log2(declared))
		if worst > declared {
			t.Errorf("width %d, %d servers: error %g, declared %g", tc.width, tc.servers, worst, declared)
		}
		if tc.width == 32 && tc.servers == 3 && worst > math.Exp2(-15) {
			t.Errorf("32 columns, 3 servers: error 2^%.1f, above 2^-15", math.Log2(worst))
		}
	}
}

// L3: a repeat gives identical bytes; any other query, row count, key, model
// share or server gives others.
func TestAnswersRepeat(t *testing.T) {
	p := hetest.Profiles(t).Serve
	s := serve(t, p, normal(16), 2, serveDefences{})
	query := func(label string) *he.Query {
		q, err := he.EncryptQueries(s.pk, randomRows(4, 16), 16, he.Seed{3}.Derive(label))
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	again := serve(t, p, normal(16), 2, serveDefences{})
	if printed := fmt.Sprintf("%v %+v", s.servers[0], s.servers[0]); printed != "[secret] [secret]" {
		t.Errorf("a server prints as %q", printed)
	}
	first := s.shares(t, query("q"), 4)[0].Append(nil)
	if !bytes.Equal(first, again.shares(t, query("q"), 4)[0].Append(nil)) {
		t.Error("a repeat gave other bytes")
	}
	if bytes.Equal(first, s.shares(t, query("q"), 3)[0].Append(nil)) || bytes.Equal(first, s.shares(t, query("r"), 4)[0].Append(nil)) {
		t.Error("another request gave the same bytes")
	}
	other := serve(t, p, normal(32)[16:], 2, serveDefences{})
	if s.servers[0].seed == other.servers[0].seed {
		t.Error("another share draws the same randomness")
	}
}

func TestServerRefuses(t *testing.T) {
	ps := hetest.Profiles(t)
	s := serve(t, ps.Serve, normal(16), 2, serveDefences{})
	server := s.servers[0]
	q, err := he.EncryptQueries(s.pk, randomRows(4, 8), 16, he.Seed{3}.Derive("q"))
	if err != nil {
		t.Fatal(err)
	}
	narrow, foreign := *q, *q
	narrow.Width = 8
	foreign.Profile = ps.Release
	for name, ask := range map[string]func() error{
		"no row":          func() error { _, err := server.Answer(s.pk, q, 0); return err },
		"too many rows":   func() error { _, err := server.Answer(s.pk, q, ps.Serve.N()/16+1); return err },
		"another width":   func() error { _, err := server.Answer(s.pk, &narrow, 1); return err },
		"another profile": func() error { _, err := server.Answer(s.pk, &foreign, 1); return err },
		"a missing share": func() error { _, err := AddAnswers(s.roster, s.shares(t, q, 1)[:1]); return err },
		"uneven weights":  func() error { _, err := NewModelShare(ps.Serve, zeros(12)); return err },
		"a wider share": func() error {
			a, _ := NewModelShare(ps.Serve, zeros(8))
			b, _ := NewModelShare(ps.Serve, zeros(16))
			_, err := a.Plus(b)
			return err
		},
	} {
		if ask() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	own, err := PairKey(s.roster, testModel, 0, he.Seed{77, 0})
	if err != nil {
		t.Fatal(err)
	}
	share, err := NewModelShare(ps.Serve, zeros(16))
	if err != nil {
		t.Fatal(err)
	}
	for name, published := range map[string][][]byte{
		"one key": {own}, "keys in another order": {make([]byte, 32), own}, "a key of low order": {own, make([]byte, 32)}, "a short key": {own, own[:31]},
	} {
		if _, err := NewServer(s.roster, testModel, 0, he.Seed{77, 0}, share, published); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// One server's answer to 128 queries of 32 columns, everything included.
func BenchmarkAnswer(b *testing.B) {
	const width, rows = 32, 128
	s := serve(b, he.Standard().Serve, normal(width), 3, serveDefences{})
	q, err := he.EncryptQueries(s.pk, randomRows(rows, width), width, he.Seed{3}.Derive("q"))
	if err != nil {
		b.Fatal(err)
	}
	var a *he.Answer
	for b.Loop() {
		if a, err = s.servers[0].Answer(s.pk, q, rows); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "answers/s")
	b.ReportMetric(float64(len(a.Append(nil)))/rows, "wire-B/query")
}
