package he

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/tuneinsight/lattigo/v5/core/rlwe"
	"github.com/tuneinsight/lattigo/v5/ring"
	"github.com/tuneinsight/lattigo/v5/ring/ringqp"
)

// A Ciphertext is an encryption of degree one in the NTT domain, at a level
// and with a scale that is a power of two. It is immutable once made.
type Ciphertext struct {
	Profile  *Profile
	LogScale int
	C0, C1   ring.Poly
}

// NewCiphertext returns a zero ciphertext.
func NewCiphertext(p *Profile, level, logScale int) *Ciphertext {
	return &Ciphertext{Profile: p, LogScale: logScale, C0: ring.NewPoly(p.N(), level), C1: ring.NewPoly(p.N(), level)}
}

// Level is the index of the last prime.
func (c *Ciphertext) Level() int { return c.C0.Level() }

// CiphertextBytes is the encoded size of a ciphertext at level.
func CiphertextBytes(p *Profile, level int) int {
	return (&Object{Kind: KindCiphertext, Profile: p, Level: level}).Size()
}

// object views c as an object, sharing its rows.
func (c *Ciphertext) object() *Object {
	return &Object{Kind: KindCiphertext, Profile: c.Profile, Level: c.Level(), LogScale: c.LogScale,
		Rows: append(append([][]uint64(nil), c.C0.Coeffs...), c.C1.Coeffs...)}
}

// Append adds the encoding of c to dst.
func (c *Ciphertext) Append(dst []byte) []byte { return c.object().Append(dst) }

// Digest is SHA-256 of the encoding.
func (c *Ciphertext) Digest() Digest { return c.object().Digest() }

// C1Digest identifies c1 alone: the key of a share journal (law L3). It is
// taken modulo the first prime, which every level has: a ciphertext brought to
// a lower level is not a new one to answer for.
func (c *Ciphertext) C1Digest() Digest {
	o := &Object{Kind: KindOpenShare, Profile: c.Profile, Rows: c.C1.Coeffs[:1]}
	return o.Digest()
}

// ParseCiphertext decodes a ciphertext of profile p at exactly level and
// scale 2^logScale. The error is a [*DecodeError].
func ParseCiphertext(b []byte, p *Profile, level, logScale int) (*Ciphertext, error) {
	o, err := ParseObject(b, KindCiphertext, p)
	if err != nil {
		return nil, err
	}
	if o.Level != level || o.LogScale != logScale {
		return nil, &DecodeError{Want: KindCiphertext, Detail: fmt.Sprintf("level %d and scale 2^%d; level %d and scale 2^%d are due here", o.Level, o.LogScale, level, logScale)}
	}
	polys := o.Polys()
	return &Ciphertext{Profile: p, LogScale: logScale, C0: polys[0], C1: polys[1]}, nil
}

// RLWE returns c as lattigo's type, sharing its polynomials.
func (c *Ciphertext) RLWE() *rlwe.Ciphertext {
	ct := &rlwe.Ciphertext{Element: rlwe.Element[ring.Poly]{Value: []ring.Poly{c.C0, c.C1}, MetaData: &rlwe.MetaData{}}}
	ct.Scale = PowerScale(c.LogScale)
	ct.IsBatched, ct.IsNTT = true, true
	ct.LogDimensions = c.Profile.params.LogMaxDimensions()
	return ct
}

// PowerScale is lattigo's scale 2^k.
func PowerScale(k int) rlwe.Scale {
	s := rlwe.NewScale(1)
	s.Value.SetMantExp(&s.Value, k)
	return s
}

// Polys groups the rows over Q of an object without special primes into
// polynomials, sharing them.
func (o *Object) Polys() []ring.Poly {
	var out []ring.Poly
	for rows := o.Rows; len(rows) > 0; rows = rows[o.Level+1:] {
		out = append(out, ring.Poly{Coeffs: rows[: o.Level+1 : o.Level+1]})
	}
	return out
}

// PolysQP groups the rows of an object over QP.
func (o *Object) PolysQP() []ringqp.Poly {
	q, all := o.Level+1, o.Level+1+o.Profile.Special()
	var out []ringqp.Poly
	for rows := o.Rows; len(rows) > 0; rows = rows[all:] {
		out = append(out, ringqp.Poly{Q: ring.Poly{Coeffs: rows[:q:q]}, P: ring.Poly{Coeffs: rows[q:all:all]}})
	}
	return out
}

// A SecretKey is a ternary secret over QP, in the NTT domain and Montgomery
// form. It never prints.
type SecretKey struct {
	Profile *Profile
	Value   ringqp.Poly
}

// Format hides the key, whatever the verb.
func (SecretKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// MarshalText hides the key where it is a field of what is logged as JSON.
func (SecretKey) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue hides the key.
func (SecretKey) LogValue() slog.Value { return slog.StringValue(hidden) }

// NewSecretKey draws a uniform ternary secret.
func NewSecretKey(p *Profile, s *Stream) *SecretKey {
	v := make([]int64, p.N())
	s.Ternary(v)
	return &SecretKey{Profile: p, Value: p.SmallQP(v, true)}
}

// SmallQP is the polynomial of small signed coefficients over QP in the NTT
// domain, in Montgomery form if asked.
func (p *Profile) SmallQP(v []int64, montgomery bool) ringqp.Poly {
	r := p.RingQP()
	out := r.NewPoly()
	SetSmall(r.RingQ, v, out.Q)
	if r.RingP != nil {
		SetSmall(r.RingP, v, out.P)
	}
	r.NTT(out, out)
	if montgomery {
		r.MForm(out, out)
	}
	return out
}

// SmallQ is the polynomial of small signed coefficients over Q at level, in
// the NTT domain.
func (p *Profile) SmallQ(level int, v []int64) ring.Poly {
	r := p.RingQ(level)
	out := r.NewPoly()
	SetSmall(r, v, out)
	r.NTT(out, out)
	return out
}

// A PublicKey is (b, a) over Q with a expanded from Seed by everybody who uses
// the key, never received (law L6).
type PublicKey struct {
	Profile *Profile
	Seed    [32]byte
	B, A    ring.Poly // NTT domain, Montgomery form
}

// NewPublicKey completes the key whose b part, in the NTT domain, is given.
func NewPublicKey(p *Profile, seed [32]byte, b ring.Poly) *PublicKey {
	r := p.RingQ(p.MaxLevel())
	k := &PublicKey{Profile: p, Seed: seed, B: r.NewPoly(), A: UniformHalf(p, seed)}
	r.MForm(b, k.B)
	r.MForm(k.A, k.A)
	return k
}

// UniformHalf expands the uniform half of a public key.
func UniformHalf(p *Profile, seed [32]byte) ring.Poly {
	r := p.RingQ(p.MaxLevel())
	a := r.NewPoly()
	d := p.Digest()
	PublicStream("public-key/a", d[:], seed[:]).Uniform(r, a)
	return a
}

// GenPublicKey returns the public key of one secret: a querier's, or a
// receiver's.
func GenPublicKey(sk *SecretKey, seed [32]byte, s *Stream) *PublicKey {
	p := sk.Profile
	r := p.RingQ(p.MaxLevel())
	b := p.errorQ(p.MaxLevel(), s)
	r.MulCoeffsMontgomeryThenSub(UniformHalf(p, seed), sk.Value.Q, b)
	return NewPublicKey(p, seed, b)
}

// errorQ draws a fresh error in the NTT domain.
func (p *Profile) errorQ(level int, s *Stream) ring.Poly {
	v := make([]int64, p.N())
	s.Fresh(v)
	return p.SmallQ(level, v)
}

// object is k as an object, its b part out of Montgomery form.
func (k *PublicKey) object() *Object {
	r := k.Profile.RingQ(k.Profile.MaxLevel())
	b := r.NewPoly()
	r.IMForm(k.B, b)
	return &Object{Kind: KindPublicKey, Profile: k.Profile, Level: k.Profile.MaxLevel(), Seed: k.Seed, Rows: b.Coeffs}
}

// Append adds the encoding of k to dst.
func (k *PublicKey) Append(dst []byte) []byte { return k.object().Append(dst) }

// Digest is SHA-256 of the encoding.
func (k *PublicKey) Digest() Digest { return k.object().Digest() }

// ParsePublicKey decodes a public key and expands its uniform half. The caller
// compares Seed with the one it derives. The error is a [*DecodeError].
func ParsePublicKey(b []byte, p *Profile) (*PublicKey, error) {
	o, err := ParseObject(b, KindPublicKey, p)
	if err != nil {
		return nil, err
	}
	return NewPublicKey(p, o.Seed, o.Polys()[0]), nil
}

// EncryptZero returns a fresh encryption of zero at level, with fresh error on
// both halves.
func (k *PublicKey) EncryptZero(level, logScale int, s *Stream) *Ciphertext {
	r := k.Profile.RingQ(level)
	v := make([]int64, k.Profile.N())
	s.Ternary(v)
	u := k.Profile.SmallQ(level, v)
	c := &Ciphertext{Profile: k.Profile, LogScale: logScale, C0: k.Profile.errorQ(level, s), C1: k.Profile.errorQ(level, s)}
	r.MulCoeffsMontgomeryThenAdd(u, k.B, c.C0)
	r.MulCoeffsMontgomeryThenAdd(u, k.A, c.C1)
	return c
}

// Encrypt encrypts the plaintext polynomial m, in the NTT domain at its own
// level and at scale 2^logScale.
func (k *PublicKey) Encrypt(m ring.Poly, logScale int, s *Stream) *Ciphertext {
	c := k.EncryptZero(m.Level(), logScale, s)
	k.Profile.RingQ(m.Level()).Add(c.C0, m, c.C0)
	return c
}

// Phase is c0 + c1·s in the coefficient domain: the message and its noise. It
// is for whoever holds the whole secret: a querier, a test, a simulation.
func (sk *SecretKey) Phase(c *Ciphertext) ring.Poly {
	r := sk.Profile.RingQ(c.Level())
	m := *c.C0.CopyNew()
	r.MulCoeffsMontgomeryThenAdd(c.C1, sk.Value.Q, m)
	r.INTT(m, m)
	return m
}
