package multiparty

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/commonseal/commonseal/he"
	"github.com/tuneinsight/lattigo/v5/ring"
)

// A Release opens chosen coefficients of one ciphertext to one receiver
// (PROTOCOL §5.2): public-key switching, with every party's flooding on the
// coefficients that are answers and every party's uniform cover on all others.
type Release struct {
	roster     Roster
	ciphertext *he.Ciphertext
	receiver   *he.PublicKey
	answers    []int
	logSigma   int
	logNoise   int // 0: none
	request    he.Digest
	off        releaseDefences
}

// releaseDefences are switched off by attack tests alone, one at a time.
type releaseDefences struct {
	flood bool // switch without flooding
	cover bool // leave coefficients that are no answers uncovered
}

// A ReleaseError says why a ciphertext is not released as asked.
type ReleaseError struct{ Detail string }

// Error says what is due.
func (e *ReleaseError) Error() string { return "release: " + e.Detail }

// NewRelease opens the coefficients answers of c to receiver; id is the digest
// of the release's descriptor. c is a sum of products as f describes it: of the
// release profile, at its top level and at twice its scale. f is the party's own
// rule, never received: bounds that are too small flood too little. receiver
// comes from [he.ParseQuerierKey].
//
// It returns a [*ReleaseError] if c or answers are anything else, or if f does
// not fit the modulus.
func NewRelease(roster Roster, id he.Digest, c *he.Ciphertext, receiver *he.PublicKey, answers []int, f Flooding) (*Release, error) {
	return newRelease(roster, id, c, receiver, answers, f, releaseDefences{})
}

func newRelease(roster Roster, id he.Digest, c *he.Ciphertext, receiver *he.PublicKey, answers []int, f Flooding, off releaseDefences) (*Release, error) {
	fail := func(format string, args ...any) (*Release, error) {
		return nil, &ReleaseError{fmt.Sprintf(format, args...)}
	}
	p := c.Profile
	if p.Name() != "release" || receiver.Profile.Digest() != p.Digest() {
		return fail("a ciphertext of profile %s to a key of profile %s; both must be of the release profile", p.Name(), receiver.Profile.Name())
	}
	if c.Level() != p.MaxLevel() || c.LogScale != 2*p.LogScale() {
		return fail("level %d and scale 2^%d; a sum of products has level %d and scale 2^%d", c.Level(), c.LogScale, p.MaxLevel(), 2*p.LogScale())
	}
	sorted := slices.Compact(slices.Sorted(slices.Values(answers)))
	if len(sorted) == 0 || len(sorted) != len(answers) || sorted[0] < 0 || sorted[len(sorted)-1] >= p.N() {
		return fail("%d answers; they are distinct coefficients below %d, one at least", len(answers), p.N())
	}
	logSigma, err := f.LogSigma(p, roster.N())
	if err != nil {
		return fail("%s", err)
	}
	r := &Release{roster: roster, ciphertext: c, receiver: receiver, answers: slices.Clone(answers), logSigma: logSigma, off: off}
	rosterDigest, content, key := roster.Digest(), c.Digest(), receiver.Digest()
	r.request = he.HashParts("switch/request", rosterDigest[:], id[:], content[:], key[:], indices(answers),
		indices([]int{f.Terms, f.Width, f.LogA, f.LogB, f.Directions}))
	return r, nil
}

func indices(vs []int) []byte {
	var b []byte
	for _, v := range vs {
		b = binary.BigEndian.AppendUint64(b, uint64(v))
	}
	return b
}

// A SwitchShare is one party's contribution to a release.
type SwitchShare struct{ object *he.Object }

// Append adds the one encoding of s to dst.
func (s *SwitchShare) Append(dst []byte) []byte { return s.object.Append(dst) }

// ParseShare decodes a share of r. The error is a [*he.DecodeError].
func (r *Release) ParseShare(b []byte) (*SwitchShare, error) {
	o, err := he.ParseObject(b, he.KindSwitchShare, r.ciphertext.Profile)
	if err != nil {
		return nil, err
	}
	if o.Level != r.ciphertext.Level() {
		return nil, &he.DecodeError{Want: he.KindSwitchShare, Detail: fmt.Sprintf("level %d; the ciphertext has level %d", o.Level, r.ciphertext.Level())}
	}
	return &SwitchShare{o}, nil
}

// CheckSwitchShare holds bytes to the form of a share of any release of the
// profile. The error is a [*he.DecodeError].
func CheckSwitchShare(b []byte, release *he.Profile) error {
	_, err := he.ParseObject(b, he.KindSwitchShare, release)
	return err
}

// GenShare is this party's share,
//
//	h0 = s_i·c1 + u·b + flood_i + cover_i,  h1 = u·a + e1
//
// for the receiver's key (b, a), with flood_i on the answers, which is e0 as
// well, and cover_i uniform on all other coefficients. It claims c1 in the
// journal first; a repeat gives identical bytes.
//
// It returns a [*UsedError] if c1 was answered for another request, and a
// [*SpentError] if the epoch's budget is.
func (r *Release) GenShare(s *Secrets, journal Journal) (*SwitchShare, error) {
	c, p := r.ciphertext, r.ciphertext.Profile
	sk := s.Of(p)
	if sk == nil {
		return nil, fmt.Errorf("release: this party has no key of profile %s; run its ceremony first", p.Name())
	}
	if err := journal.Claim(Opening, []he.Digest{c.C1Digest()}, r.request); err != nil {
		return nil, err
	}
	level := c.Level()
	ringQ := p.RingQ(level)
	stream := s.Seed.Stream("switch/encrypt", r.request[:])
	small := make([]int64, p.N())
	stream.Ternary(small)
	u := p.SmallQ(level, small)
	stream.Fresh(small)
	h0, h1 := r.cover(s.Seed), p.SmallQ(level, small)
	ringQ.MulCoeffsMontgomeryThenAdd(c.C1, sk.Value.Q, h0)
	ringQ.MulCoeffsMontgomeryThenAdd(u, r.receiver.B, h0)
	ringQ.MulCoeffsMontgomeryThenAdd(u, r.receiver.A, h1)
	return &SwitchShare{&he.Object{Kind: he.KindSwitchShare, Profile: p, Level: level,
		Rows: append(slices.Clone(h0.Coeffs), h1.Coeffs...)}}, nil
}

// cover is flood_i + cover_i in the NTT domain.
func (r *Release) cover(seed he.Seed) ring.Poly {
	ringQ := r.ciphertext.Profile.RingQ(r.ciphertext.Level())
	out := ringQ.NewPoly()
	if !r.off.cover {
		seed.Stream("switch/cover", r.request[:]).Uniform(ringQ, out)
	}
	flood := short(ringQ, len(r.answers))
	if !r.off.flood {
		seed.Stream("switch/flood", r.request[:]).AddFlood(ringQ, r.logSigma, flood)
	}
	if r.logNoise > 0 {
		seed.Stream("switch/noise", r.request[:]).AddFlood(ringQ, r.ciphertext.LogScale-r.logNoise, flood)
	}
	for i, row := range flood.Coeffs {
		for k, at := range r.answers {
			out.Coeffs[i][at] = row[k]
		}
	}
	ringQ.NTT(out, out)
	return out
}

// Finish adds the N shares: the ciphertext under the receiver's key.
func (r *Release) Finish(shares []*SwitchShare) (*he.Ciphertext, error) {
	if len(shares) != r.roster.N() {
		return nil, fmt.Errorf("release: %d shares of %d; all parties or none", len(shares), r.roster.N())
	}
	c := r.ciphertext
	ringQ := c.Profile.RingQ(c.Level())
	out := &he.Ciphertext{Profile: c.Profile, LogScale: c.LogScale, C0: *c.C0.CopyNew(), C1: ringQ.NewPoly()}
	for _, s := range shares {
		h := s.object.Polys()
		ringQ.Add(out.C0, h[0], out.C0)
		ringQ.Add(out.C1, h[1], out.C1)
	}
	return out, nil
}

// Open decrypts the answers, in the order they were asked for, each to within
// [Flooding.ValueError].
func (r *Release) Open(receiver *he.SecretKey, out *he.Ciphertext) []float64 {
	return receiver.Values(out, r.answers)
}

// WithNoise is the release with privacy noise: every party adds a discrete
// Gaussian of its own to every answer, of deviation 2^-logNoise, before anything
// is opened. A party's alone is what the others, who know their own, are held
// off by; an answer is off by √n times it. It is bound to the request, so that a
// repeat adds the same. Exact (law L8), for logNoise from 6 to 64.
func (r *Release) WithNoise(logNoise int) (*Release, error) {
	if logNoise < minLogNoise || logNoise > maxLogNoise {
		return nil, &ReleaseError{fmt.Sprintf("noise of deviation 2^-%d; it is 2^-%d to 2^-%d", logNoise, maxLogNoise, minLogNoise)}
	}
	out := *r
	out.logNoise = logNoise
	out.request = he.HashParts("switch/noisy", r.request[:], indices([]int{logNoise}))
	return &out, nil
}

// The largest noise is what the sampler draws at the scale of a product, 2^190
// of 2^196; the smallest is far below the flooding.
const minLogNoise, maxLogNoise = 6, 64
