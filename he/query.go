package he

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"math/bits"

	"github.com/tuneinsight/lattigo/v5/ring"
)

const (
	// LogWeights is log2 of the scale of a served model's integer weights. An
	// answer is at the queries' scale times it.
	LogWeights = 24
	// LogParts is log2 of the parts of a blend of models: its weights are the sum of
	// the models', each taken its parts times, and so at the scale of one model's
	// times 2^LogParts.
	LogParts = 8
)

// A Query is up to N/Width rows under the querier's own key (PROTOCOL §5.1):
// column j of row k is coefficient k·Width + j, at the profile's scale.
type Query struct {
	Profile *Profile
	Width   int
	C0, C1  ring.Poly // NTT domain
}

// An Answer holds the inner product of row k and the weights in coefficient
// k·Width, and uniform values in all others; or it is one server's share of
// that.
type Answer struct {
	Profile *Profile
	Width   int
	C0, C1  ring.Poly // NTT domain
}

// QuerierSeed expands to the uniform half of a stranger's public key, a
// querier's or a receiver's: everybody who uses the key derives it (law L6).
// session is the chain and key epoch.
func QuerierSeed(session Digest, querier string, index int) [32]byte {
	return HashParts("querier-key", session[:], []byte(querier), binary.BigEndian.AppendUint64(nil, uint64(index)))
}

// ParseQuerierKey decodes the public key that a stranger brings and refuses it
// unless its uniform half is the expansion of seed, which the caller derives.
// The error is a [*DecodeError].
func ParseQuerierKey(b []byte, p *Profile, seed [32]byte) (*PublicKey, error) {
	k, err := ParsePublicKey(b, p)
	if err == nil && k.Seed != seed {
		return nil, &DecodeError{Want: KindPublicKey, Detail: fmt.Sprintf("seed %x; the one derived for this querier is %x", k.Seed[:6], seed[:6])}
	}
	return k, err
}

// EncryptQueries packs and encrypts up to N/width rows (1, x) of at most width
// columns. Its coins are drawn from seed for this key and these rows: other
// rows do not meet the same ones.
//
// It returns a [*RangeError] for the first value that is not finite and in
// [-1, 1].
func EncryptQueries(pk *PublicKey, x Rows, width int, seed Seed) (*Query, error) {
	return encryptQueries(pk, x, width, func(key, message Digest) *Stream {
		return seed.Stream("query", key[:], message[:])
	})
}

func encryptQueries(pk *PublicKey, x Rows, width int, coins func(key, message Digest) *Stream) (*Query, error) {
	p := pk.Profile
	switch {
	case !validWidth(width) || x.Columns < 1 || x.Columns > width:
		return nil, fmt.Errorf("queries of %d columns at width %d; widths are powers of two up to %d that hold the columns", x.Columns, width, MaxWidth)
	case len(x.Values)%x.Columns != 0 || x.Len() > p.N()/width:
		return nil, fmt.Errorf("%d values are not up to %d queries of %d columns", len(x.Values), p.N()/width, x.Columns)
	}
	if err := x.Check(); err != nil {
		return nil, err
	}
	message := make([]int64, p.N())
	for k := range x.Len() {
		for j, v := range x.Row(k) {
			message[k*width+j] = int64(math.RoundToEven(math.Ldexp(v, p.LogScale())))
		}
	}
	s := coins(pk.Digest(), digestOf("query/message", message))
	// The message takes its error here and is transformed with it, once.
	m, u := make([]int64, p.N()), make([]int64, p.N())
	s.Fresh(m)
	s.Ternary(u)
	for i, v := range message {
		m[i] += v
	}
	level := p.MaxLevel()
	r, mask := p.RingQ(level), p.SmallQ(level, u)
	q := &Query{Profile: p, Width: width, C0: p.SmallQ(level, m), C1: p.errorQ(level, s)}
	r.MulCoeffsMontgomeryThenAdd(mask, pk.B, q.C0)
	r.MulCoeffsMontgomeryThenAdd(mask, pk.A, q.C1)
	return q, nil
}

// digestOf names integers.
func digestOf(label string, vs []int64) Digest {
	b := make([]byte, 0, 8*len(vs))
	for _, v := range vs {
		b = binary.BigEndian.AppendUint64(b, uint64(v))
	}
	return HashParts(label, b)
}

// logGrid is log2 of the number of steps of the [Profile.AnswerGrid].
const logGrid = 38

// AnswerGrid is what an answer is read modulo: K near q/2^38, that is 2^66. To
// every answer each server adds a uniform one of M multiples of K, so that it
// tells what is left, whatever was asked, and next to nothing else.
//
// An answer of 2^logParts times the scale, a blend's, is read modulo so much more:
// it ranges as far, and no further.
//
// K·M is below q by less than 2^26, which is an error wherever a sum of multiples
// wraps around q, 2^-8 of what an answer's own error hides: M is the one, of the
// 2^13 just below 2^38, that leaves least. A blend's M is shorter by logParts, so
// that less is left, and its error longer.
func (p *Profile) AnswerGrid(logParts int) (k *big.Int, m uint64) {
	top := uint64(1) << (logGrid - logParts)
	least := uint64(math.MaxUint64)
	for candidate := top - 1; candidate > top-1<<13; candidate-- {
		rest := uint64(1)
		for _, prime := range p.params.Q() {
			hi, lo := bits.Mul64(rest, prime)
			rest = bits.Rem64(hi, lo, candidate)
		}
		if rest < least {
			m, least = candidate, rest
		}
	}
	k = p.Modulus(p.MaxLevel())
	return k.Quo(k, new(big.Int).SetUint64(m)), m
}

// DecryptAnswers reads the answers to the first n rows of a query: inner
// products of rows and weights, which wrap beyond ±2^11, half a step of the
// grid. Answers to rows that were not asked for, or not paid for, are uniform.
// logParts is 0 for a model's, [LogParts] for a blend's, which it divides.
func (sk *SecretKey) DecryptAnswers(a *Answer, n, logParts int) []float64 {
	at := make([]int, min(n, a.Profile.N()/a.Width))
	for k := range at {
		at[k] = k * a.Width
	}
	p := a.Profile
	c := &Ciphertext{Profile: p, LogScale: p.LogScale() + LogWeights + logParts, C0: a.C0, C1: a.C1}
	step, _ := p.AnswerGrid(logParts)
	half := new(big.Int).Rsh(step, 1)
	return sk.values(c, at, func(v *big.Int) {
		if v.Mod(v, step); v.Cmp(half) > 0 {
			v.Sub(v, step)
		}
	})
}

// Values decrypts the coefficients of c at the given positions.
func (sk *SecretKey) Values(c *Ciphertext, at []int) []float64 {
	return sk.values(c, at, func(*big.Int) {})
}

func (sk *SecretKey) values(c *Ciphertext, at []int, reduce func(*big.Int)) []float64 {
	out := make([]float64, len(at))
	for i, v := range Centred(c.Profile.RingQ(c.Level()), sk.Phase(c), at) {
		reduce(v)
		f := new(big.Float).SetInt(v) // exact: its precision is v's length
		out[i], _ = f.SetMantExp(f, -c.LogScale).Float64()
	}
	return out
}

// Centred are the coefficients of m at the given positions, as integers in
// [-Q/2, Q/2). m is in the coefficient domain.
func Centred(r *ring.Ring, m ring.Poly, at []int) []*big.Int {
	q := r.ModulusAtLevel[r.Level()]
	half := new(big.Int).Rsh(q, 1)
	var basis []*big.Int // 1 modulo its prime, 0 modulo the others
	for _, sub := range r.SubRings[:r.Level()+1] {
		prime := new(big.Int).SetUint64(sub.Modulus)
		rest := new(big.Int).Quo(q, prime)
		basis = append(basis, rest.Mul(rest, new(big.Int).ModInverse(rest, prime)))
	}
	out, residue := make([]*big.Int, len(at)), new(big.Int)
	for i, pos := range at {
		v := new(big.Int)
		for j, b := range basis {
			v.Add(v, residue.Mul(residue.SetUint64(m.Coeffs[j][pos]), b))
		}
		v.Mod(v, q)
		if v.Cmp(half) > 0 {
			v.Sub(v, q)
		}
		out[i] = v
	}
	return out
}

// Append adds the encoding of q to dst.
func (q *Query) Append(dst []byte) []byte { return q.object().Append(dst) }

// Digest is SHA-256 of the encoding.
func (q *Query) Digest() Digest { return q.object().Digest() }

func (q *Query) object() *Object { return pairObject(KindQuery, q.Profile, q.Width, q.C0, q.C1) }

// ParseQuery decodes a query of one width. The error is a [*DecodeError].
func ParseQuery(b []byte, p *Profile, width int) (*Query, error) {
	polys, err := parsePair(b, KindQuery, p, width)
	if err != nil {
		return nil, err
	}
	return &Query{Profile: p, Width: width, C0: polys[0], C1: polys[1]}, nil
}

// Append adds the encoding of a to dst.
func (a *Answer) Append(dst []byte) []byte {
	return pairObject(KindAnswer, a.Profile, a.Width, a.C0, a.C1).Append(dst)
}

// ParseAnswer decodes an answer, or a server's share of one, of one width. The
// error is a [*DecodeError].
func ParseAnswer(b []byte, p *Profile, width int) (*Answer, error) {
	polys, err := parsePair(b, KindAnswer, p, width)
	if err != nil {
		return nil, err
	}
	return &Answer{Profile: p, Width: width, C0: polys[0], C1: polys[1]}, nil
}

func pairObject(kind Kind, p *Profile, width int, c0, c1 ring.Poly) *Object {
	return &Object{Kind: kind, Profile: p, Level: p.MaxLevel(), Width: width,
		Rows: append(append([][]uint64(nil), c0.Coeffs...), c1.Coeffs...)}
}

func parsePair(b []byte, kind Kind, p *Profile, width int) ([]ring.Poly, error) {
	o, err := ParseObject(b, kind, p)
	if err != nil {
		return nil, err
	}
	if o.Width != width {
		return nil, &DecodeError{Want: kind, Detail: fmt.Sprintf("width %d; %d is due here", o.Width, width)}
	}
	return o.Polys(), nil
}
