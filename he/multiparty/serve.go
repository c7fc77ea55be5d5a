package multiparty

import (
	"fmt"
	"io"
	"math"
	"math/big"

	"github.com/commonseal/commonseal/he"
	"github.com/tuneinsight/lattigo/v5/ring"
)

// A ModelShare is one holder's share of a served model: integer weights modulo
// the serving modulus. It never prints.
type ModelShare struct{ object *he.Object }

// NewModelShare makes a share of the integers that [Round.ModelShare] left a
// party, or of the public remainder of [Round.Finish], which party 0 adds to its
// own.
func NewModelShare(p *he.Profile, weights []*big.Int) (*ModelShare, error) {
	width := len(weights)
	if width < 1 || width > he.MaxWidth || width&(width-1) != 0 {
		return nil, fmt.Errorf("model share: %d weights; they are a width, a power of two up to %d", width, he.MaxWidth)
	}
	o := he.NewObject(he.Object{Kind: he.KindModelShare, Profile: p, Level: p.MaxLevel(), Width: width})
	for i, sub := range p.RingQ(p.MaxLevel()).SubRings[:p.MaxLevel()+1] {
		for j, w := range weights {
			o.Rows[i][j] = residue(w, sub.Modulus)
		}
	}
	return &ModelShare{o}, nil
}

// Plus is the sum of two shares of one profile and width. It adds without
// lattigo's vectors, which take eight values at a time: a share may have fewer.
func (s *ModelShare) Plus(other *ModelShare) (*ModelShare, error) {
	p := s.object.Profile
	if other.object.Profile.Digest() != p.Digest() || other.object.Width != s.object.Width {
		return nil, fmt.Errorf("model share: widths %d and %d, profiles %s and %s; both are of one model", s.object.Width, other.object.Width, p.Name(), other.object.Profile.Name())
	}
	sum := he.NewObject(*s.object)
	for i, sub := range p.RingQ(p.MaxLevel()).SubRings[:p.MaxLevel()+1] {
		for j, w := range s.object.Rows[i] {
			sum.Rows[i][j] = ring.CRed(w+other.object.Rows[i][j], sub.Modulus)
		}
	}
	return &ModelShare{sum}, nil
}

// Append adds the one encoding of s to dst, for a sealed store or, of a
// remainder, for the wire.
func (s *ModelShare) Append(dst []byte) []byte { return s.object.Append(dst) }

// ParseModelShare decodes a share of a model. The error is a
// [*he.DecodeError].
func ParseModelShare(b []byte, p *he.Profile) (*ModelShare, error) {
	o, err := he.ParseObject(b, he.KindModelShare, p)
	if err != nil {
		return nil, err
	}
	return &ModelShare{o}, nil
}

// Format hides the share, whatever the verb.
func (*ModelShare) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[secret]") }

// polynomial is W(X^-1), W = Σ w_j·X^j, in the NTT domain and Montgomery form:
// coefficient kD of its product with a query is Σ_j w_j·x_kj.
func (s *ModelShare) polynomial() ring.Poly {
	p := s.object.Profile
	r := p.RingQ(p.MaxLevel())
	w := r.NewPoly()
	for i, sub := range r.SubRings[:r.Level()+1] {
		for j, v := range s.object.Rows[i] {
			if j == 0 {
				w.Coeffs[i][0] = v
			} else {
				w.Coeffs[i][p.N()-j] = ring.CRed(sub.Modulus-v, sub.Modulus) // X^-j = -X^(N-j)
			}
		}
	}
	r.NTT(w, w)
	r.MForm(w, w)
	return w
}

// A Server answers queries on its share of one model, or of a blend of models
// (PROTOCOL §5.1). No share of a key is an input to an answer. It is safe for
// concurrent use and never prints.
type Server struct {
	profile  *he.Profile
	width    int
	weights  ring.Poly // see ModelShare.polynomial
	logParts int       // log2 of what they are multiplied by: 0, or a blend's
	roster   he.Digest
	base     he.Digest // roster, model, width
	self     int       // in the roster
	seed     he.Seed   // of this share on this roster
	pairs    []he.Seed // with each other server
	steps    uint64    // of the answer grid
	step     []uint64  // its step, modulo each prime
	off      serveDefences
}

// Format hides the share and the seeds, whatever the verb.
func (*Server) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[secret]") }

// serveDefences are switched off by attack tests alone, one at a time.
type serveDefences struct {
	cover   bool // leave coefficients that are no answers uncovered
	zeroSum bool // leave this server's own answers readable
	wide    bool // re-randomise the second half with ternary secrets and fresh errors
	grid    bool // let an answer tell all its 104 bits
	blend   bool // draw for a blend what its first model draws
}

// NewServer is server self of a serving roster; published are the pair keys of
// all its servers, in roster order. seed is the server's own.
func NewServer(roster Roster, model he.Digest, self int, seed he.Seed, share *ModelShare, published [][]byte) (*Server, error) {
	pairs, err := pairSeeds(roster, model, self, seed, published)
	if err != nil {
		return nil, err
	}
	o, digest := share.object, roster.Digest()
	content := o.Digest()
	s := &Server{
		profile: o.Profile, width: o.Width, weights: share.polynomial(), roster: digest,
		base: he.HashParts("serve/model", digest[:], model[:], index(o.Width)),
		self: self, seed: seed.Derive("serve", digest[:], model[:], content[:]), pairs: pairs,
	}
	s.grid()
	return s, nil
}

// grid finds the answer grid.
func (s *Server) grid() {
	k, steps := s.profile.AnswerGrid(s.logParts)
	s.steps = steps
	for _, q := range s.profile.Params().Q() {
		s.step = append(s.step, residue(k, q))
	}
}

// What an answer is re-randomised with, uniform: u and the second half's error
// of 25 bits, the error on answers of 34.
//
// The querier's b is its own choice and need not be an RLWE sample: then the
// answer coefficients of u·b are linear functions of u of its choice. An answer
// read modulo the grid's step has 66 bits, of which one honest server's error
// hides 34, whatever was asked: 32 bits are little more than one weight
// (TestAttackSeveralWeightsInOneAnswer), and little more than one coefficient of
// a u of 25 bits. All the answers that leave a weight unknown, 63 at most, leave
// 4000 of 4096 coefficients, at a ratio of modulus to error 2^21 below that of a
// fresh sample. Of a ternary u an answer would give 20 coefficients, and u gives
// the share away (TestAttackChosenPublicKey).
//
// A sum that wraps around the modulus misses the grid by less than 2^26, and
// shows so with probability 2^26/2^34: 2^-8 bits more.
const (
	logWide  = 24
	logNoise = 33
)

// Answer is this server's share of the answers to the first rows rows of q:
//
//	W_i(X^-1)·(c0, c1) + (u·b + e0 + r_i, u·a + e1)
//
// with r_i a share of zero and a multiple of the grid's step on the answers and
// uniform everywhere else, so that the querier learns one linear functional of
// the weights for each row that is accounted for, and nothing else. pk is from
// [he.ParseQuerierKey]. All randomness is derived from the full input: a repeat
// gives identical bytes.
func (s *Server) Answer(pk *he.PublicKey, q *he.Query, rows int) (*he.Answer, error) {
	p := s.profile
	switch {
	case pk.Profile.Digest() != p.Digest() || q.Profile.Digest() != p.Digest():
		return nil, fmt.Errorf("serve: a query of profile %s under a key of profile %s; this model is served in %s", q.Profile.Name(), pk.Profile.Name(), p.Name())
	case q.Width != s.width:
		return nil, fmt.Errorf("serve: a query of width %d; this model has width %d", q.Width, s.width)
	case rows < 1 || rows > p.N()/s.width:
		return nil, fmt.Errorf("serve: %d rows in a query that holds 1 to %d", rows, p.N()/s.width)
	}
	key, query := pk.Digest(), q.Digest()
	request := he.HashParts("serve/request", s.base[:], index(rows), key[:], query[:])
	stream := s.seed.Stream("serve/answer", request[:])
	level := p.MaxLevel()
	r := p.RingQ(level)
	small := make([]int64, p.N())
	s.secret(stream, small)
	u := p.SmallQ(level, small)
	s.noise(stream, small)
	a := &he.Answer{Profile: p, Width: s.width, C0: s.cover(stream, request, rows), C1: p.SmallQ(level, small)}
	r.MulCoeffsMontgomeryThenAdd(u, pk.B, a.C0)
	r.MulCoeffsMontgomeryThenAdd(u, pk.A, a.C1)
	r.MulCoeffsMontgomeryThenAdd(q.C0, s.weights, a.C0)
	r.MulCoeffsMontgomeryThenAdd(q.C1, s.weights, a.C1)
	return a, nil
}

// secret draws u, noise e1.
func (s *Server) secret(stream *he.Stream, v []int64) {
	if s.off.wide {
		stream.Ternary(v)
		return
	}
	stream.Wide(v, logWide)
}

func (s *Server) noise(stream *he.Stream, v []int64) {
	if s.off.wide {
		stream.Fresh(v)
		return
	}
	stream.Wide(v, logWide)
}

// cover is e0 + r_i in the NTT domain. e0 is drawn on the answers only: it is
// nothing to a uniform coefficient.
func (s *Server) cover(stream *he.Stream, request he.Digest, rows int) ring.Poly {
	p := s.profile
	r := p.RingQ(p.MaxLevel())
	out := r.NewPoly()
	if !s.off.cover {
		stream.Uniform(r, out)
	}
	e0 := make([]int64, rows)
	stream.Wide(e0, logNoise+s.logParts)
	answers := short(r, rows)
	he.SetSmall(r, e0, answers)
	if !s.off.grid {
		s.addSteps(r, stream, answers)
	}
	if !s.off.zeroSum {
		s.addZero(r, request, answers)
	}
	for i, row := range answers.Coeffs {
		for k, v := range row {
			out.Coeffs[i][k*s.width] = v
		}
	}
	r.NTT(out, out)
	return out
}

// addSteps adds a uniform multiple of the grid's step to each answer.
func (s *Server) addSteps(r *ring.Ring, stream *he.Stream, answers ring.Poly) {
	for k := range answers.Coeffs[0] {
		t := stream.Below(s.steps)
		for i, sub := range r.SubRings[:r.Level()+1] {
			add := ring.BRed(t, s.step[i], sub.Modulus, sub.BRedConstant)
			answers.Coeffs[i][k] = ring.CRed(answers.Coeffs[i][k]+add, sub.Modulus)
		}
	}
}

// addZero adds this server's share of zero: over all servers, each pair's mask
// is added once and subtracted once.
func (s *Server) addZero(r *ring.Ring, request he.Digest, answers ring.Poly) {
	mask := short(r, len(answers.Coeffs[0]))
	for j, pair := range s.pairs {
		if j == s.self {
			continue
		}
		pair.Stream("serve/zero", request[:]).Uniform(r, mask)
		for i, sub := range r.SubRings[:r.Level()+1] {
			for k, v := range mask.Coeffs[i] {
				if s.self > j {
					v = sub.Modulus - v
				}
				answers.Coeffs[i][k] = ring.CRed(answers.Coeffs[i][k]+v, sub.Modulus)
			}
		}
	}
}

// short is n residues for each prime of r.
func short(r *ring.Ring, n int) ring.Poly { return ring.NewPoly(n, r.Level()) }

// AddAnswers adds the shares of all servers of the roster. Any node may.
func AddAnswers(roster Roster, shares []*he.Answer) (*he.Answer, error) {
	if len(shares) != roster.N() {
		return nil, fmt.Errorf("serve: %d answers of %d servers; all or none", len(shares), roster.N())
	}
	first := shares[0]
	p := first.Profile
	r := p.RingQ(p.MaxLevel())
	sum := &he.Answer{Profile: p, Width: first.Width, C0: r.NewPoly(), C1: r.NewPoly()}
	for i, a := range shares {
		if a.Profile.Digest() != p.Digest() || a.Width != first.Width {
			return nil, fmt.Errorf("serve: answer %d is of profile %s and width %d; the first of %s and %d", i, a.Profile.Name(), a.Width, p.Name(), first.Width)
		}
		r.Add(sum.C0, a.C0, sum.C0)
		r.Add(sum.C1, a.C1, sum.C1)
	}
	return sum, nil
}

// AnswerError bounds |answer − x·w| for width columns in [-1, 1], weights in
// [-bound, bound] and n servers, by worst cases for what is rounded and six
// deviations for what is drawn:
//
//	weights, (n+1)/2 units of 2^-24 each            D·(n+1)/2·2^-24
//	columns, half a unit of 2^-30 each              D·bound/2·2^-30
//	the query's u·e + e0 + e1·s, σ_q on every       6·√D·bound·σ_q·2^-30,
//	of D columns, times the weights                 σ_q² = 3.2²·(4N/3 + 1)
//	each server's u·e + e1·s, u and e1 uniform      6·√n·σ_a·2^-54,
//	of 25 bits, and e0 of 34                        σ_a² = 2^48/3·(3.2²·N + 2N/3) + 2^66/3
//	each wrap of the grid around the modulus        n·2^26·2^-54
//
// Below the modulus n multiples wrap n-1 times at most; the querier centres what
// it opens, which is the last.
//
// It bounds a blend's answers too, as of a model whose weights are the average: the
// rounding of weights is averaged, a query's error meets the average, e0 grows as
// the scale does, and the other terms do not grow at all.
func AnswerError(p *he.Profile, width, servers int, bound float64) float64 {
	const tail, variance, logWrap = 6, he.Sigma * he.Sigma, 26
	d, n, ringN := float64(width), float64(servers), float64(p.N())
	query := math.Sqrt(variance * (4*ringN/3 + 1))
	answer := math.Sqrt(n / 3 * (math.Exp2(2*logWide)*(variance*ringN+2*ringN/3) + math.Exp2(2*logNoise)))
	units := d*bound/2 + tail*math.Sqrt(d)*bound*query + math.Ldexp(tail*answer+math.Ldexp(n, logWrap), -he.LogWeights)
	return math.Ldexp(units, -p.LogScale()) + math.Ldexp(d*(n+1)/2, -he.LogWeights)
}
