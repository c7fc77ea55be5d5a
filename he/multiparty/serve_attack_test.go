package multiparty

import (
	"bytes"
	"math"
	"math/big"
	"slices"
	"testing"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/hetest"
	"github.com/tuneinsight/lattigo/v5/ring"
)

// polynomial has the given integers as coefficients, in the NTT domain.
func polynomial(p *he.Profile, coeffs map[int]*big.Int) ring.Poly {
	r := p.RingQ(p.MaxLevel())
	m := r.NewPoly()
	for at, x := range coeffs {
		for i, sub := range r.SubRings[:r.Level()+1] {
			m.Coeffs[i][at] = residue(x, sub.Modulus)
		}
	}
	r.NTT(m, m)
	return m
}

func power(k int) *big.Int { return new(big.Int).Lsh(big.NewInt(1), uint(k)) }

// rounded is v/2^k to the nearest.
func rounded(v *big.Int, k uint) int64 {
	n := roundShift(new(big.Int).Set(v), k)
	if !n.IsInt64() {
		return math.MaxInt64
	}
	return n.Int64()
}

// matches counts the weights that were found.
func matches(found, weights []int64) (n int) {
	for j, w := range weights {
		if found[j] == w {
			n++
		}
	}
	return n
}

// onGrid is v modulo the answer grid's step, centred: what a querier reads.
func onGrid(p *he.Profile, v *big.Int, logParts int) *big.Int {
	step, _ := p.AnswerGrid(logParts)
	out := new(big.Int).Mod(v, step)
	if out.Cmp(new(big.Int).Rsh(step, 1)) > 0 {
		out.Sub(out, step)
	}
	return out
}

// fromHalf reads W(X^-1)·2^60 + noise, in the NTT domain, as weights.
func fromHalf(r *ring.Ring, half ring.Poly, width int) []int64 {
	m := r.NewPoly()
	r.INTT(half, m)
	out := make([]int64, width)
	for j := range out {
		v := centred(r, m, (r.N()-j)%r.N())
		if j > 0 {
			v.Neg(v)
		}
		out[j] = rounded(v, 60)
	}
	return out
}

// Attack: a query that is a large constant makes every coefficient of the
// model one of the answer's. Uniform values on all but the answers leave one
// weight, the first row's functional.
func TestAttackChosenQuery(t *testing.T) {
	p := hetest.Profiles(t).Serve
	const width, rows = 16, 3
	weights := normal(width)
	const at = 38 // above the errors, with weights below the grid's step
	constant := &he.Query{Profile: p, Width: width, C0: polynomial(p, map[int]*big.Int{0: power(at)}), C1: p.NewPolyQ(1)}
	read := func(off serveDefences) ([]int64, []*big.Int) {
		s := serve(t, p, weights, 3, off)
		v := s.opened(s.answer(t, constant, rows))
		found := make([]int64, width)
		for j := range found {
			found[j] = -rounded(v[(p.N()-j)%p.N()], at)
		}
		found[0] = rounded(onGrid(p, v[0], 0), at)
		return found, v
	}
	if found, _ := read(serveDefences{cover: true}); matches(found, weights) != width {
		t.Fatalf("without the cover one answer should tell %d weights, it tells %d", width, matches(found, weights))
	}
	found, v := read(serveDefences{})
	if found[0] != weights[0] || matches(found, weights) != 1 {
		t.Errorf("an answer tells %d weights; the first row's functional is one", matches(found, weights))
	}
	for k := 1; k < p.N()/width; k++ { // whose functional is zero
		if answered := onGrid(p, v[k*width], 0).BitLen() < 40; answered != (k < rows) {
			t.Errorf("row %d of %d that are due: answered %v", k, rows, answered)
		}
	}
	// All other coefficients are uniform: half are negative, half beyond a quarter of q.
	negative, far := 0, 0
	for at, x := range v {
		if at%width != 0 {
			negative += 1 - (x.Sign()+1)/2
			far += x.BitLen() - min(x.BitLen(), 102)
		}
	}
	n := float64(p.N() - p.N()/width)
	if spread := 6 * math.Sqrt(n) / 2; math.Abs(float64(negative)-n/2) > spread || math.Abs(float64(far)-n/2) > spread {
		t.Errorf("of %g covered coefficients %d are negative and %d far from zero: not uniform", n, negative, far)
	}
}

// Attack: the node that adds answers and the querier, together, read each
// server's own answer: its share of a weight for each row, and after all rows
// the share, modulo the grid's step. Sums of zero leave them the sum alone.
func TestAttackSingleServerShare(t *testing.T) {
	p := hetest.Profiles(t).Serve
	const width, at = 16, 38 // above the errors, with weights below the grid's step
	weights := normal(width)
	q := &he.Query{Profile: p, Width: width, C0: polynomial(p, map[int]*big.Int{0: power(at)}), C1: p.NewPolyQ(1)}
	r := p.RingQ(1)
	told := func(off serveDefences) (n int) {
		s := serve(t, p, weights, 3, off)
		for i, a := range s.shares(t, q, 1) {
			share := r.NewPoly()
			r.IMForm(s.servers[i].weights, share)
			r.INTT(share, share)
			want := new(big.Int).Lsh(centred(r, share, 0), at)
			noise := want.Sub(want, s.opened(a)[0])
			noise.Mod(noise, r.ModulusAtLevel[1])
			if onGrid(p, noise, 0).BitLen() < at {
				n++
			}
		}
		if sum := rounded(onGrid(p, s.opened(s.answer(t, q, 1))[0], 0), at); sum != weights[0] {
			t.Errorf("the sum is %d, not the weight %d", sum, weights[0])
		}
		return n
	}
	if n := told(serveDefences{zeroSum: true}); n != 3 {
		t.Fatalf("without sums of zero 3 servers' shares should show, %d do", n)
	}
	if n := told(serveDefences{}); n != 0 {
		t.Errorf("%d servers' own shares show", n)
	}
}

// Attack: a querier's key whose uniform half is received, and is zero. Then
// nothing hides the second half of an answer, and one answer is the model.
func TestAttackUnderivedUniformHalf(t *testing.T) {
	p := hetest.Profiles(t).Serve
	const width = 16
	weights := normal(width)
	s := serve(t, p, weights, 3, serveDefences{})
	q := &he.Query{Profile: p, Width: width, C0: p.NewPolyQ(1), C1: polynomial(p, map[int]*big.Int{0: power(60)})}
	honest := s.pk
	s.pk = &he.PublicKey{Profile: p, Seed: honest.Seed, A: p.NewPolyQ(1), B: p.NewPolyQ(1)}
	if n := matches(fromHalf(p.RingQ(1), s.answer(t, q, 1).C1, width), weights); n != width {
		t.Fatalf("with a zero uniform half one answer should tell %d weights, it tells %d", width, n)
	}
	// On the wire a key has no uniform half, and its seed is the server's own.
	seed := he.QuerierSeed(s.roster.Session, "quinn", 0)
	mine := he.GenPublicKey(s.sk, [32]byte{1: 1}, he.Seed{1}.Stream("pk"))
	if _, err := he.ParseQuerierKey(mine.Append(nil), p, seed); err == nil {
		t.Error("a key with a seed of the querier's choice was accepted")
	}
	var err error
	if s.pk, err = he.ParseQuerierKey(s.pk.Append(nil), p, seed); err != nil { // b = 0, a derived
		t.Fatal(err)
	}
	if n := matches(fromHalf(p.RingQ(1), s.answer(t, q, 1).C1, width), weights); n != 0 {
		t.Errorf("with the derived uniform half an answer tells %d weights", n)
	}
}

// Attack: a public key whose b is no RLWE sample but Σ_j 2^36·base^j·X^-j, so
// that an answer coefficient of u·b spells width coefficients of u. With u the
// second half of the answer is the model.
func TestAttackChosenPublicKey(t *testing.T) {
	p := hetest.Profiles(t).Serve
	const width, servers, at = 8, 3, 36 // above the errors, and all digits below the grid's step
	const base = 2*servers + 1          // digits of a sum of ternary secrets
	weights := normal(width)
	r := p.RingQ(1)
	b := map[int]*big.Int{}
	digit := power(at)
	for j := range width {
		b[(p.N()-j)%p.N()] = new(big.Int).Set(digit)
		if j > 0 {
			b[p.N()-j].Neg(digit) // X^-j = -X^(N-j)
		}
		digit.Mul(digit, big.NewInt(base))
	}
	rows := p.N() / width
	q := &he.Query{Profile: p, Width: width, C0: p.NewPolyQ(1), C1: polynomial(p, map[int]*big.Int{0: power(60)})}
	told := func(off serveDefences) int {
		s := serve(t, p, weights, servers, off)
		s.pk = he.NewPublicKey(p, s.pk.Seed, polynomial(p, b))
		a := s.answer(t, q, rows)
		// The querier holds no secret: c0 itself has the answers.
		c0 := r.NewPoly()
		r.INTT(a.C0, c0)
		u := map[int]*big.Int{}
		for k := range rows {
			v := roundShift(onGrid(p, centred(r, c0, k*width), 0), at)
			for j := range width {
				d := new(big.Int).Add(v, big.NewInt(servers))
				v.Div(d, big.NewInt(base)) // floor: the balanced digit is what is left
				u[k*width+j] = d.Sub(d.Mod(d, big.NewInt(base)), big.NewInt(servers))
			}
		}
		half := *a.C1.CopyNew()
		r.MulCoeffsMontgomeryThenSub(polynomial(p, u), s.pk.A, half)
		return matches(fromHalf(r, half, width), weights)
	}
	if n := told(serveDefences{wide: true}); n != width {
		t.Fatalf("with ternary secrets one answer should tell %d weights, it tells %d", width, n)
	}
	if n := told(serveDefences{}); n != 0 {
		t.Errorf("an answer tells %d weights by its second half", n)
	}
}

// Attack: with b = 0 and c1 = 0 nothing but e0 hides an answer of 104 bits, and a
// query spells three small weights in it. Modulo the step a query made for the grid
// spells one, and seven bits of the next.
func TestAttackSeveralWeightsInOneAnswer(t *testing.T) {
	p := hetest.Profiles(t).Serve
	const width, servers, first, step = 16, 3, 36, 22 // three errors stay below 2^35
	weights := normal(width)
	for j := range weights {
		weights[j] >>= 5 // below 2^20 with a margin
	}
	told := func(off serveDefences, query ...*big.Int) int {
		return spelled(t, serve(t, p, weights, servers, off), weights, query)
	}
	powers := []*big.Int{power(first), power(first + step), power(first + 2*step)}
	if n := told(serveDefences{grid: true}, powers...); n != 3 {
		t.Fatalf("without the grid an answer should tell 3 weights, it tells %d", n)
	}
	if n := told(serveDefences{}, powers...); n > 1 {
		t.Errorf("an answer tells %d weights", n)
	}
	k, _ := p.AnswerGrid(0)
	if n := told(serveDefences{}, power(first), new(big.Int).Rsh(k, 7)); n != 1 {
		t.Errorf("a query made for the grid is told %d weights; one is due", n)
	}
}

// spelled is how many weights, of 20 bits, one answer spells to a querier whose b
// is zero and whose query has these coefficients, the places of digits.
func spelled(t *testing.T, s serving, weights []int64, query []*big.Int) int {
	t.Helper()
	server := s.servers[0]
	p := server.profile
	s.pk = he.NewPublicKey(p, s.pk.Seed, p.NewPolyQ(1))
	coeffs := map[int]*big.Int{}
	for j, c := range query {
		coeffs[j] = c
	}
	a := s.answer(t, &he.Query{Profile: p, Width: s.width, C0: polynomial(p, coeffs), C1: p.NewPolyQ(1)}, 1)
	c0 := p.RingQ(1).NewPoly()
	p.RingQ(1).INTT(a.C0, c0) // with b = 0 there is no secret in it
	v := centred(p.RingQ(1), c0, 0)
	if !server.off.grid {
		v = onGrid(p, v, server.logParts)
	}
	found := make([]int64, len(query))
	for j, c := range slices.Backward(query) { // from the top digit down
		c := new(big.Int).Lsh(c, uint(server.logParts))
		d := new(big.Int).Add(v, new(big.Int).Rsh(c, 1))
		d.Div(d, c)
		v.Sub(v, new(big.Int).Mul(c, d))
		found[j] = d.Int64()
	}
	return matches(found, weights[:len(query)])
}

// Attack: ask the same often, and average the noise away. A repeat has the
// same bytes, so there is nothing to average.
func TestAttackRepeatedQuery(t *testing.T) {
	p := hetest.Profiles(t).Serve
	const width, rows, repeats = 16, 64, 64
	s := serve(t, p, normal(width), 2, serveDefences{})
	zero := &he.Query{Profile: p, Width: width, C0: p.NewPolyQ(1), C1: p.NewPolyQ(1)} // its answers are noise alone
	noise := func(seedOf func(i int) he.Seed) (first, mean float64) {
		sums := zeros(rows)
		for i := range repeats {
			for _, server := range s.servers {
				server.seed = seedOf(i)
			}
			v := s.opened(s.answer(t, zero, rows))
			for k := range sums {
				noise := onGrid(p, v[k*width], 0)
				sums[k].Add(sums[k], noise)
				if x := scaled(noise, 0); i == 0 {
					first += x * x
				}
			}
		}
		for _, v := range sums {
			x := scaled(v, 0) / repeats
			mean += x * x
		}
		return math.Sqrt(first / rows), math.Sqrt(mean / rows)
	}
	if first, mean := noise(func(i int) he.Seed { return he.Seed{byte(i)} }); mean > first/4 {
		t.Fatalf("with fresh randomness %d repeats should average noise of %g by 8, they leave %g", repeats, first, mean)
	}
	sealed := s.servers[0].seed
	if first, mean := noise(func(int) he.Seed { return sealed }); mean != first {
		t.Errorf("repeats average noise of %g to %g", first, mean)
	}
	if a, b := s.answer(t, zero, rows), s.answer(t, zero, rows); !bytes.Equal(a.Append(nil), b.Append(nil)) {
		t.Error("a repeat gave other bytes")
	}
}
