package multiparty

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"math/bits"

	"github.com/commonseal/commonseal/he"
	"github.com/tuneinsight/lattigo/v5/ring"
)

// A Map is a collective linear map on the kept coefficients of its inputs: what
// a training step does to point, weights and gradient, what moves updates
// to the release profile, and what leaves every party a share of the model.
//
// A vector of period Width is zero outside its kept coefficients, those at
// multiples of N/Width, and the sum over slots equal mod Width is those
// coefficients times Slots/Width. So a share of an input is Width masked
// integers; the other coefficients are never published. Factors are integers
// over a power of two, applied alike to masks and to masked values, so the
// result is exact but for (n+1)/2 units of rounding at the output scale.
type Map struct {
	Width   int
	Inputs  []Input
	Outputs []Output
	Model   *Model // nil if no shares of a model are left
}

// An Input is what the map requires of one ciphertext.
type Input struct {
	Profile  *he.Profile
	Level    int
	LogScale int
	LogValue int // bound of a kept coefficient, in bits above the scale
}

// An Output is a fresh ciphertext at the top level and scale of its profile.
type Output struct {
	Profile *he.Profile
	Terms   []Term
}

// Digest identifies the map.
func (m *Map) Digest() he.Digest {
	var b []byte
	num := func(vs ...int) {
		for _, v := range vs {
			b = binary.BigEndian.AppendUint64(b, uint64(v))
		}
	}
	terms := func(ts []Term) {
		num(len(ts))
		for _, t := range ts {
			num(t.Input, t.Offset, t.Stride)
			b = binary.BigEndian.AppendUint64(b, math.Float64bits(t.Factor))
			num(t.flags())
			if t.Period > 0 {
				num(t.Period, t.Kept, t.Slot)
			}
			for _, in := range t.Slots {
				b = append(b, flag(in))
			}
		}
	}
	num(m.Width, len(m.Inputs), len(m.Outputs))
	for _, in := range m.Inputs {
		d := in.Profile.Digest()
		b = append(b, d[:]...)
		num(in.Level, in.LogScale, in.LogValue)
	}
	for _, out := range m.Outputs {
		d := out.Profile.Digest()
		b = append(b, d[:]...)
		terms(out.Terms)
	}
	if m.Model != nil {
		num(1, m.Model.LogScale)
		terms(m.Model.Terms)
	}
	return he.HashParts("map", b)
}

// LogMask is the width, in bits, of every party's mask for the input, by the
// integer rule: masks and value fit below the modulus, n·2^logMask + 2B < Q,
// and hide the value through a whole key epoch, logMask >= log2 B + 40 +
// log2(N·refreshes).
func (in Input) LogMask(parties int) (int, error) {
	q := in.Profile.Modulus(in.Level)
	logMask := new(big.Int).Div(q, big.NewInt(int64(parties))).BitLen() - 2 // floor(log2(Q/n)) - 1
	logB := in.LogScale + in.LogValue
	need := logB + he.LogStat + bits.Len(uint(in.Profile.N()-1)) + he.LogRefreshes
	if logMask < need {
		return 0, fmt.Errorf("map input at level %d: a mask of 2^%d for %d parties does not hide a value of 2^%d, which takes 2^%d; use a higher level or a smaller value", in.Level, logMask, parties, logB, need)
	}
	sum := new(big.Int).Lsh(big.NewInt(int64(parties)), uint(logMask))
	sum.Add(sum, new(big.Int).Lsh(big.NewInt(2), uint(logB)))
	if sum.Cmp(q) >= 0 {
		return 0, fmt.Errorf("map input at level %d: %d masks of 2^%d and a value of 2^%d do not fit the modulus", in.Level, parties, logMask, logB)
	}
	return logMask, nil
}

// A MapShare is one party's contribution to a map.
type MapShare struct {
	inputs  []*he.Object // KindMapInput
	outputs []*he.Object // KindMapOutput
}

// Append adds the one encoding of s: its objects in order.
func (s *MapShare) Append(dst []byte) []byte {
	for _, o := range append(append([]*he.Object(nil), s.inputs...), s.outputs...) {
		dst = o.Append(dst)
	}
	return dst
}

// objects are the zero objects of a share of m.
func (m *Map) objects() *MapShare {
	s := &MapShare{}
	for _, in := range m.Inputs {
		s.inputs = append(s.inputs, &he.Object{Kind: he.KindMapInput, Profile: in.Profile, Level: in.Level, Width: m.Width})
	}
	for _, out := range m.Outputs {
		s.outputs = append(s.outputs, &he.Object{Kind: he.KindMapOutput, Profile: out.Profile, Level: out.Profile.MaxLevel()})
	}
	return s
}

// ParseShare decodes a share of m. The error is a [*he.DecodeError].
func (m *Map) ParseShare(b []byte) (*MapShare, error) {
	s, total := m.objects(), 0
	all := [][]*he.Object{s.inputs, s.outputs}
	for _, list := range all {
		for _, o := range list {
			total += o.Size()
		}
	}
	if len(b) != total {
		return nil, &he.DecodeError{Want: he.KindMapInput, Detail: fmt.Sprintf("a share of %d bytes; this map's shares have %d", len(b), total)}
	}
	for _, list := range all {
		for i, o := range list {
			size := o.Size()
			got, err := he.ParseObject(b[:size], o.Kind, o.Profile)
			if err != nil {
				return nil, err
			}
			if got.Level != o.Level || got.Width != o.Width {
				return nil, &he.DecodeError{Want: o.Kind, Detail: fmt.Sprintf("level %d and width %d; this map has %d and %d", got.Level, got.Width, o.Level, o.Width)}
			}
			list[i], b = got, b[size:]
		}
	}
	return s, nil
}

// A Round is a map applied to ciphertexts: everything a share depends on but
// the party's secrets.
type Round struct {
	roster   Roster
	m        *Map
	inputs   []*he.Ciphertext
	logMasks []int
	request  he.Digest
	off      defences
}

// NewRound applies m to inputs; id is the digest of the round's descriptor
// (job, step, purpose). It refuses inputs that are not what the map requires,
// and bounds that the mask rule does not cover (law L12: a value beyond the
// mask would show).
func NewRound(roster Roster, id he.Digest, m *Map, inputs []*he.Ciphertext) (*Round, error) {
	return newRound(roster, id, m, inputs, defences{})
}

// defences are switched off by attack tests alone, one at a time.
type defences struct {
	maskRule bool // accept a mask that does not cover the value
	sumsUp   bool // take shares that do not add up
	freshCRP bool // derive the CRP from the reference string alone
}

func newRound(roster Roster, id he.Digest, m *Map, inputs []*he.Ciphertext, off defences) (*Round, error) {
	if len(inputs) != len(m.Inputs) {
		return nil, fmt.Errorf("map: %d inputs; it takes %d", len(inputs), len(m.Inputs))
	}
	r := &Round{roster: roster, m: m, inputs: inputs, off: off}
	seen := map[he.Digest]bool{}
	rosterDigest, mapDigest := roster.Digest(), m.Digest()
	parts := [][]byte{rosterDigest[:], id[:], mapDigest[:]}
	for i, in := range m.Inputs {
		c := inputs[i]
		if c.Profile.Digest() != in.Profile.Digest() || c.Level() != in.Level || c.LogScale != in.LogScale {
			return nil, fmt.Errorf("map input %d: %s at level %d and scale 2^%d; it takes %s at level %d and scale 2^%d",
				i, c.Profile.Name(), c.Level(), c.LogScale, in.Profile.Name(), in.Level, in.LogScale)
		}
		if c1 := c.C1Digest(); seen[c1] {
			return nil, fmt.Errorf("map input %d repeats another's c1; one share, once", i)
		} else {
			seen[c1] = true
		}
		logMask, err := in.LogMask(roster.N())
		if err != nil && !off.maskRule {
			return nil, err
		}
		r.logMasks = append(r.logMasks, logMask)
		digest := c.Digest()
		parts = append(parts, digest[:])
	}
	r.request = he.HashParts("map/request", parts...)
	return r, nil
}

// OutputC1 is the common random polynomial of an output, which is its c1:
// everybody derives it, and a party that is handed the output checks it (law
// L6).
func (r *Round) OutputC1(output int) ring.Poly {
	p := r.m.Outputs[output].Profile
	ringQ := p.RingQ(p.MaxLevel())
	a := ringQ.NewPoly()
	request := r.request
	if r.off.freshCRP {
		request = he.Digest{}
	}
	he.PublicStream("map/crp", r.roster.CRS[:], request[:], index(output)).Uniform(ringQ, a)
	return a
}

// GenShare is this party's share of the round. It claims every input's c1 in
// the journal first; a repeat gives identical bytes.
//
// It returns a [*UsedError] if an input was answered for another request, and a
// [*SpentError] if the epoch's budget is.
func (r *Round) GenShare(s *Secrets, journal Journal) (*MapShare, error) {
	if err := r.holds(s); err != nil {
		return nil, err
	}
	c1s := make([]he.Digest, len(r.inputs))
	for i, c := range r.inputs {
		c1s[i] = c.C1Digest()
	}
	if err := journal.Claim(Refresh, c1s, r.request); err != nil {
		return nil, err
	}
	out, masks := r.m.objects(), r.masks(s)
	for j, in := range r.m.Inputs {
		out.inputs[j] = he.NewObject(*out.inputs[j])
		phase := noisyPhase(s.Of(in.Profile), r.inputs[j], s.Seed.Stream("map/input-error", r.request[:], index(j)))
		writeKept(in, r.m.Width, phase, masks[j], out.inputs[j])
	}
	for o, spec := range r.m.Outputs {
		p := spec.Profile
		poly := r.m.place(spec, masks, s.Seed.Stream("map/output-error", r.request[:], index(o)))
		p.RingQ(p.MaxLevel()).MulCoeffsMontgomeryThenSub(r.OutputC1(o), s.Of(p).Value.Q, poly)
		out.outputs[o].Rows = poly.Coeffs
	}
	return out, nil
}

// holds refuses a party without a key of every profile of the map.
func (r *Round) holds(s *Secrets) error {
	var need []*he.Profile
	for _, in := range r.m.Inputs {
		need = append(need, in.Profile)
	}
	for _, out := range r.m.Outputs {
		need = append(need, out.Profile)
	}
	for _, p := range need {
		if s.Of(p) == nil {
			return fmt.Errorf("map: this party has no key of profile %s; run its ceremony first", p.Name())
		}
	}
	return nil
}

func index(i int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(i)) }

// masks draws the party's masks, Width for each input, each of logMask bits
// and symmetric.
func (r *Round) masks(s *Secrets) [][]*big.Int {
	out := make([][]*big.Int, len(r.logMasks))
	for j, logMask := range r.logMasks {
		stream := s.Seed.Stream("map/mask", r.request[:], index(j))
		out[j] = make([]*big.Int, r.m.Width)
		for k := range out[j] {
			out[j][k] = stream.Masked(logMask - 1)
		}
	}
	return out
}

// noisyPhase is c1·s + e in the coefficient domain.
func noisyPhase(sk *he.SecretKey, c *he.Ciphertext, stream *he.Stream) ring.Poly {
	p := sk.Profile
	r := p.RingQ(c.Level())
	h := r.NewPoly()
	r.MulCoeffsMontgomery(c.C1, sk.Value.Q, h)
	r.INTT(h, h)
	e := make([]int64, p.N())
	stream.Fresh(e)
	noise := r.NewPoly()
	he.SetSmall(r, e, noise)
	r.Add(h, noise, h)
	return h
}

// writeKept writes the kept coefficients of phase less the masks into the
// share object.
func writeKept(in Input, width int, phase ring.Poly, masks []*big.Int, o *he.Object) {
	stride := in.Profile.TraceStride(width)
	for i, sub := range in.Profile.RingQ(in.Level).SubRings[:in.Level+1] {
		for k := range o.Rows[i] {
			o.Rows[i][k] = ring.CRed(phase.Coeffs[i][k*stride]+sub.Modulus-residue(masks[k], sub.Modulus), sub.Modulus)
		}
	}
}

// residue is v mod q.
func residue(v *big.Int, q uint64) uint64 {
	var rem uint64
	for words, i := v.Bits(), len(v.Bits())-1; i >= 0; i-- {
		if bits.UintSize == 64 {
			rem = bits.Rem64(rem, uint64(words[i]), q)
			continue
		}
		hi, lo := bits.Mul64(rem, 1<<32)
		lo, carry := bits.Add64(lo, uint64(words[i]), 0)
		rem = bits.Rem64(hi+carry, lo, q)
	}
	if v.Sign() < 0 && rem != 0 {
		rem = q - rem
	}
	return rem
}

// roundShift divides v by 2^bits, to the nearest: the one rounding of a map, for
// masks and values alike.
func roundShift(v *big.Int, bits uint) *big.Int {
	half := new(big.Int).Lsh(big.NewInt(1), bits-1)
	return v.Rsh(v.Add(v, half), bits)
}

// place is the output polynomial of linear(kept) plus a fresh error if a
// stream is given, in the NTT domain.
func (m *Map) place(spec Output, kept [][]*big.Int, stream *he.Stream) ring.Poly {
	p := spec.Profile
	r := p.RingQ(p.MaxLevel())
	out := r.NewPoly()
	if stream != nil {
		e := make([]int64, p.N())
		stream.Fresh(e)
		he.SetSmall(r, e, out)
	}
	for at, v := range m.linear(spec.Terms, p.LogScale(), kept) {
		v = roundShift(v, factorBits)
		for i, sub := range r.SubRings[:r.Level()+1] {
			out.Coeffs[i][at] = ring.CRed(out.Coeffs[i][at]+residue(v, sub.Modulus), sub.Modulus)
		}
	}
	r.NTT(out, out)
	return out
}

// Finish adds the N shares, in roster order: the outputs and, if the map
// leaves a model, the public remainder that one share of it takes in.
func (r *Round) Finish(shares []*MapShare) (outputs []*he.Ciphertext, remainder []*big.Int, err error) {
	m := r.m
	if len(shares) != r.roster.N() {
		return nil, nil, fmt.Errorf("map: %d shares of %d; all parties or none", len(shares), r.roster.N())
	}
	kept := make([][]*big.Int, len(m.Inputs))
	for j := range m.Inputs {
		kept[j] = r.opened(j, shares)
		if !r.masked(j, kept[j]) {
			return nil, nil, &GarbledError{Input: j}
		}
	}
	for o, spec := range m.Outputs {
		p := spec.Profile
		ringQ := p.RingQ(p.MaxLevel())
		c := &he.Ciphertext{Profile: p, LogScale: p.LogScale(), C0: m.place(spec, kept, nil), C1: r.OutputC1(o)}
		for _, s := range shares {
			ringQ.Add(c.C0, s.outputs[o].Polys()[0], c.C0)
		}
		outputs = append(outputs, c)
	}
	if m.Model != nil {
		remainder = m.weights(kept)
	}
	return outputs, remainder, nil
}

// A GarbledError says that the shares of an input do not add up to a value
// behind N masks: one of them at least is wrong, or one of the round that left
// the input was. Which one cannot be told without opening shares, which nobody
// does (law L14).
type GarbledError struct{ Input int }

// Error says what that means for the key holders.
func (e *GarbledError) Error() string {
	return fmt.Sprintf("map: the shares of input %d do not add up: a key holder's share is wrong, here or in the round before; abort the job and make new keys without whoever cannot explain itself", e.Input)
}

// masked says whether opened coefficients are within N masks and the value's
// bound. What N masks and a value reach is about half of the modulus: a wrong
// share, whose coefficients are as good as uniform, stays within it with
// probability 2^-Width or so.
func (r *Round) masked(input int, kept []*big.Int) bool {
	in := r.m.Inputs[input]
	bound := new(big.Int).Lsh(big.NewInt(int64(r.roster.N())), uint(r.logMasks[input]-1))
	bound.Add(bound, new(big.Int).Lsh(big.NewInt(2), uint(in.LogScale+in.LogValue)))
	for _, v := range kept {
		if v.CmpAbs(bound) > 0 && !r.off.sumsUp {
			return false
		}
	}
	return true
}

// opened is input j less all masks: its kept coefficients, centred.
func (r *Round) opened(j int, shares []*MapShare) []*big.Int {
	in := r.m.Inputs[j]
	ringQ := in.Profile.RingQ(in.Level)
	sum := ringQ.NewPoly()
	ringQ.INTT(r.inputs[j].C0, sum)
	stride := in.Profile.TraceStride(r.m.Width)
	for i, sub := range ringQ.SubRings[:in.Level+1] {
		for k := range r.m.Width {
			for _, s := range shares {
				sum.Coeffs[i][k*stride] = ring.CRed(sum.Coeffs[i][k*stride]+s.inputs[j].Rows[i][k], sub.Modulus)
			}
		}
	}
	out := make([]*big.Int, r.m.Width)
	for k := range out {
		out[k] = new(big.Int)
	}
	ringQ.PolyToBigintCentered(sum, stride, out)
	return out
}
