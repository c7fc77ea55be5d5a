package he

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tuneinsight/lattigo/v5/core/rlwe"
	"github.com/tuneinsight/lattigo/v5/he/hefloat"
	"github.com/tuneinsight/lattigo/v5/ring"
	"github.com/tuneinsight/lattigo/v5/ring/ringqp"
)

// Limits shared by every profile. They are part of the protocol: a change is a
// new profile digest.
const (
	MaxParties = 32  // key holders of one roster
	MaxWidth   = 256 // packed columns, the constant included

	// LogStat is the statistical security, in bits, of masks and flooding.
	LogStat = 40
	// LogRefreshes bounds the maps one key epoch may run, in bits.
	LogRefreshes = 20
	// LogRefreshValue bounds the weights a map takes in, in bits above the scale.
	LogRefreshValue = 24
	// LogGradient is the scale of a gradient, in bits, and LogGradientValue bounds
	// what a map takes in above it: class sums of 2^13 blocks of 256 columns, each
	// row's error up to 4.
	LogGradient      = 64
	LogGradientValue = 23

	// Sigma and SigmaBound are the fresh error's deviation and cut.
	Sigma      = 3.2
	SigmaBound = 19
)

// A Spec is what a profile is derived from. Zero fields are absent.
type Spec struct {
	Name      string
	LogN      int
	Conjugate bool  // the conjugate-invariant ring: N real slots instead of N/2 complex
	LogQ      []int // bits of the primes, level 0 first
	LogP      []int // bits of the special primes
	LogScale  int   // bits of the scale of a fresh ciphertext
	Depth     int   // levels a circuit consumes above the floor
	Floor     int   // level at which a collective map takes its inputs
	Insecure  bool  // for tests only: no cap, and a digest of another domain
}

// capLogQP is the largest log2(QP) of a ternary secret at 128 bits, classical
// (Bossuat et al., IACR ePrint 2024/463, ternary rows).
var capLogQP = map[int]int{12: 106, 13: 214, 14: 430, 15: 868, 16: 1747}

// A Profile is a validated [Spec] with its rings. It is immutable and safe for
// concurrent use.
type Profile struct {
	spec   Spec
	params hefloat.Parameters
	digest Digest
}

// A Digest is a SHA-256 value.
type Digest = [32]byte

// Profiles are the three parameter sets of a federation.
type Profiles struct {
	Train   *Profile // steps and refreshes, collective key
	Release *Profile // values that are opened, collective key
	Serve   *Profile // inference, the querier's own key
}

// Standard returns the production profiles (PROTOCOL §2).
var Standard = sync.OnceValue(func() Profiles {
	train, release, serve := TrainSpec(), ReleaseSpec(), ServeSpec()
	return Profiles{must(Derive(train)), must(Derive(release)), must(Derive(serve))}
})

func must(p *Profile, err error) *Profile {
	if err != nil {
		panic("he: a built-in profile does not derive: " + err.Error()) // unreachable: TestStandard derives them
	}
	return p
}

// TrainSpec derives the training profile: a refresh floor at which the integer
// mask rule holds for the largest roster, and the gradient step's five levels
// above it.
//
// The floor's modulus is split over as few primes as hold it: every prime is a
// digit of every key.
func TrainSpec() Spec {
	const logScale, depth, most = 40, 5, 60
	s := Spec{Name: "train", LogN: 14, Conjugate: true, LogQ: []int{most}, LogP: []int{61}, LogScale: logScale, Depth: depth}
	// All masks together, the halving that makes room for the value, and a bit for
	// primes that are below their power of two.
	rest := MaskFloor(s.LogN) + bits.Len(MaxParties-1) + 2 - most
	for s.Floor = (rest + most - 1) / most; len(s.LogQ) <= s.Floor; {
		s.LogQ = append(s.LogQ, (rest+s.Floor-1)/s.Floor)
	}
	for range depth {
		s.LogQ = append(s.LogQ, logScale)
	}
	return s
}

// MaskFloor is the smallest mask, in bits, that hides a gradient through a
// whole key epoch: log2 B + 40 + log2(N·refreshes).
func MaskFloor(logN int) int {
	return LogGradient + LogGradientValue + LogStat + logN + LogRefreshes
}

// ReleaseSpec derives the profile of what is opened: one product at scale
// 2^98, flooded, below 2^220: `commonseal params` prints by how much and to what
// precision.
func ReleaseSpec() Spec {
	return Spec{Name: "release", LogN: 14, Conjugate: true, LogQ: []int{58, 54, 54, 54}, LogP: []int{60, 60}, LogScale: 98, Depth: 0, Floor: 3}
}

// ServeSpec derives the inference profile: queries at 2^30 times weights at
// 2^24 in two primes of 52 bits, which is all that N = 2^12 may hold.
func ServeSpec() Spec {
	return Spec{Name: "serve", LogN: 12, LogQ: []int{52, 52}, LogScale: 30, Floor: 1}
}

// Derive checks s against its cap and builds the profile.
//
// An insecure spec is refused outside tests; its digest never equals a
// production one.
func Derive(s Spec) (*Profile, error) {
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("profile %s: %w", s.Name, err)
	}
	s.LogQ, s.LogP = slices.Clone(s.LogQ), slices.Clone(s.LogP) // the profile's own
	lit := hefloat.ParametersLiteral{LogN: s.LogN, LogQ: s.LogQ, LogP: s.LogP, LogDefaultScale: s.LogScale}
	if s.Conjugate {
		lit.RingType = ring.ConjugateInvariant
	}
	params, err := hefloat.NewParametersFromLiteral(lit)
	if err != nil {
		return nil, fmt.Errorf("profile %s: %w", s.Name, err)
	}
	p := &Profile{spec: s, params: params}
	if limit := capLogQP[s.LogN]; !s.Insecure && p.LogQP() > float64(limit) {
		return nil, fmt.Errorf("profile %s: log2(QP) = %.2f is above the 128-bit cap %d", s.Name, p.LogQP(), limit)
	}
	p.digest = p.identify()
	return p, nil
}

// check refuses what has no security, and what no header can express.
func (s Spec) check() error {
	limit, ok := capLogQP[s.LogN]
	top := len(s.LogQ) - 1
	switch {
	case s.Insecure && !testing.Testing():
		return errors.New("insecure parameters exist only in tests")
	case !s.Insecure && (!ok || s.logQP() > limit):
		return fmt.Errorf("log2(QP) = %d is above the 128-bit cap %d of N = 2^%d; drop a prime or raise N", s.logQP(), limit, s.LogN)
	case s.Depth < 0 || s.Floor < 0 || s.Floor+s.Depth > top:
		return fmt.Errorf("%d levels above floor %d do not fit %d primes; add primes", s.Depth, s.Floor, top+1)
	case top > math.MaxUint8 || s.LogScale < 1 || s.LogScale > MaxLogScale || s.LogN < bits.Len(MaxWidth-1):
		return fmt.Errorf("%d primes, scale 2^%d and N = 2^%d do not fit an object's header", top+1, s.LogScale, s.LogN)
	}
	return nil
}

func (s Spec) logQP() (sum int) {
	for _, b := range append(append([]int(nil), s.LogQ...), s.LogP...) {
		sum += b
	}
	return sum
}

// identify hashes everything two machines must agree on: the spec, the primes
// themselves, and the limits above.
func (p *Profile) identify() Digest {
	h := sha256.New()
	domain := "commonseal/profile/1/"
	if p.spec.Insecure {
		domain = "commonseal/profile/insecure/1/"
	}
	fmt.Fprintf(h, "%s%q/%d/%t/%d/%d/%d/", domain, p.spec.Name, p.spec.LogN, p.spec.Conjugate, p.spec.LogScale, p.spec.Depth, p.spec.Floor)
	fmt.Fprintf(h, "%d/%d/%d/%d/%d/%d/%d/", MaxParties, MaxWidth, LogStat, LogRefreshes, LogRefreshValue, LogGradient, LogGradientValue)
	for _, primes := range [][]uint64{p.params.Q(), p.params.P()} {
		fmt.Fprintf(h, "%d/", len(primes)) // or a prime could change sides
		for _, q := range primes {
			h.Write(binary.LittleEndian.AppendUint64(nil, q))
		}
	}
	return Digest(h.Sum(nil))
}

// Name is "train", "release" or "serve".
func (p *Profile) Name() string { return p.spec.Name }

// Spec is what the profile was derived from.
func (p *Profile) Spec() Spec { return p.spec }

// Digest identifies the profile; it is part of every encoding.
func (p *Profile) Digest() Digest { return p.digest }

// N is the number of coefficients.
func (p *Profile) N() int { return p.params.N() }

// Slots is the number of values a ciphertext holds in slots.
func (p *Profile) Slots() int { return p.params.MaxSlots() }

// MaxLevel is the level of a fresh ciphertext.
func (p *Profile) MaxLevel() int { return p.params.MaxLevel() }

// Floor is the level at which a collective map takes its inputs.
func (p *Profile) Floor() int { return p.spec.Floor }

// LogScale is log2 of the scale of a fresh ciphertext.
func (p *Profile) LogScale() int { return p.spec.LogScale }

// LogQP is log2 of the largest modulus that anything is encrypted under.
func (p *Profile) LogQP() float64 { return p.params.LogQP() }

// Params are lattigo's own parameters, for the packages beneath he.
func (p *Profile) Params() hefloat.Parameters { return p.params }

// RLWE are the ring parameters alone.
func (p *Profile) RLWE() rlwe.Parameters { return *p.params.GetRLWEParameters() }

// RingQ is the ciphertext ring at level.
func (p *Profile) RingQ(level int) *ring.Ring { return p.params.RingQ().AtLevel(level) }

// RingQP is the ring of evaluation keys, at the top level.
func (p *Profile) RingQP() *ringqp.Ring { return p.params.RingQP() }

// Special is the number of special primes.
func (p *Profile) Special() int { return len(p.params.P()) }

// Digits is the number of gadget digits of an evaluation key.
func (p *Profile) Digits() int {
	if p.Special() == 0 {
		return 0
	}
	return p.params.BaseRNSDecompositionVectorSize(p.MaxLevel(), p.Special()-1)
}

// Modulus is the product of the primes up to level.
func (p *Profile) Modulus(level int) *big.Int {
	return new(big.Int).Set(p.RingQ(level).ModulusAtLevel[level])
}

// LogQ is floor(log2 of the modulus at level).
func (p *Profile) LogQ(level int) int { return p.Modulus(level).BitLen() - 1 }

// Derivation explains the profile, one line a fact.
func (p *Profile) Derivation() string {
	var b strings.Builder
	s := p.spec
	kind := "standard ring"
	if s.Conjugate {
		kind = "conjugate-invariant ring"
	}
	fmt.Fprintf(&b, "%s: %s, N = 2^%d, %d slots\n", s.Name, kind, s.LogN, p.Slots())
	fmt.Fprintf(&b, "  primes      Q %v  P %v  log2(QP) = %.1f of at most %d at 128 bits\n", s.LogQ, s.LogP, p.LogQP(), capLogQP[s.LogN])
	fmt.Fprintf(&b, "  scale       2^%d\n", s.LogScale)
	if s.Depth > 0 {
		fmt.Fprintf(&b, "  levels      %d for the circuit, from %d to the refresh floor %d\n", s.Depth, p.MaxLevel(), s.Floor)
		fmt.Fprintf(&b, "  mask        2^%d for %d parties at level %d; the rule asks 2^%d (value 2^%d, statistical 2^-%d, N 2^%d, maps 2^%d)\n",
			p.LogQ(s.Floor)-bits.Len(MaxParties-1)-1, MaxParties, s.Floor, MaskFloor(s.LogN), LogGradient+LogGradientValue, LogStat, s.LogN, LogRefreshes)
	}
	fmt.Fprintf(&b, "  ciphertext  %d bytes at level %d\n", CiphertextBytes(p, p.MaxLevel()), p.MaxLevel())
	fmt.Fprintf(&b, "  digest      %x\n", p.digest)
	return b.String()
}
