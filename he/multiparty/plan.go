package multiparty

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/commonseal/commonseal/he"
)

// A Plan is what a ceremony makes: for each of the two collective profiles a
// public key, a relinearisation key, and a Galois key for every rotation; of a
// key set the Galois keys alone. All parties have the same plan.
type Plan struct {
	Train, Release                   *he.Profile
	TrainRotations, ReleaseRotations []int // slots to the left, distinct, not 0
}

// A stage is one commit-and-reveal of a ceremony. The numbers are part of the
// wire protocol.
type stage uint8

const (
	nonces   stage = iota // nonces, whose hash is the common reference string
	roundOne              // public keys, relinearisation round 1, Galois keys
	roundTwo              // relinearisation round 2, on the sums of round 1
	endTest               // openings of the test ciphertexts
	stages
)

// String names the stage for people.
func (s stage) String() string {
	if s < stages {
		return [...]string{"nonces", "round 1", "round 2", "end test"}[s]
	}
	return fmt.Sprintf("stage %d", uint8(s))
}

// A part is what every party contributes one share to: a key, a round of one,
// or the opening of a test. The zero part is a nonce.
type part struct {
	kind    he.Kind
	profile *he.Profile
	element uint64 // of a Galois key
}

// String names the part for people.
func (p part) String() string {
	switch {
	case p == part{}:
		return "nonce"
	case p.element != 0:
		return fmt.Sprintf("%s %s of element %d", p.profile.Name(), p.kind, p.element)
	default:
		return fmt.Sprintf("%s %s", p.profile.Name(), p.kind)
	}
}

// label is what every stream and common polynomial of the part is bound to,
// beside the roster.
func (p part) label() []byte {
	d := p.profile.Digest()
	return binary.BigEndian.AppendUint64(append([]byte{byte(p.kind)}, d[:]...), p.element)
}

// object is the header of a share of the part.
func (p part) object() he.Object {
	return he.Object{Kind: p.kind, Profile: p.profile, Level: p.profile.MaxLevel(), Element: p.element}
}

// size is the length of a share of the part, in bytes.
func (p part) size() int {
	if p == (part{}) {
		return len(he.Seed{})
	}
	o := p.object()
	return o.Size()
}

// A script is what each stage collects, in the order of its commitments.
type script [stages][]part

// profiles are the profiles of the plan.
func (p Plan) profiles() []*he.Profile { return []*he.Profile{p.Train, p.Release} }

// own is the plan's own instance of a profile, nil if it is none of the two.
func (p Plan) own(profile *he.Profile) *he.Profile {
	for _, own := range p.profiles() {
		if own.Digest() == profile.Digest() {
			return own
		}
	}
	return nil
}

// elements are the Galois elements of one of the plan's profiles, in
// increasing order.
func (p Plan) elements(profile *he.Profile) []uint64 {
	rotations := p.TrainRotations
	if profile == p.Release {
		rotations = p.ReleaseRotations
	}
	out := make([]uint64, len(rotations))
	for i, k := range rotations {
		out[i] = profile.Rotation(k)
	}
	slices.Sort(out)
	return out
}

// script lists the parts of the plan's base ceremony.
func (p Plan) script() (s script) {
	s[nonces] = []part{{}}
	for _, profile := range p.profiles() {
		s[roundOne] = append(s[roundOne], part{kind: he.KindPublicShare, profile: profile}, part{kind: he.KindRelinShare1, profile: profile})
		for _, e := range p.elements(profile) {
			s[roundOne] = append(s[roundOne], part{kind: he.KindGaloisShare, profile: profile, element: e})
		}
		s[roundTwo] = append(s[roundTwo], part{kind: he.KindRelinShare2, profile: profile})
		s[endTest] = append(s[endTest], part{kind: he.KindOpenShare, profile: profile})
	}
	return s
}

// keySetScript lists the parts of the plan's key set: Galois keys, and a test
// in each profile that gets any.
func (p Plan) keySetScript() (s script) {
	for _, profile := range p.profiles() {
		elements := p.elements(profile)
		for _, e := range elements {
			s[roundOne] = append(s[roundOne], part{kind: he.KindGaloisShare, profile: profile, element: e})
		}
		if len(elements) > 0 {
			s[endTest] = append(s[endTest], part{kind: he.KindOpenShare, profile: profile})
		}
	}
	return s
}

// digest identifies what the script makes.
func (s script) digest() he.Digest {
	var labels [][]byte
	for _, part := range s[roundOne] {
		labels = append(labels, part.label())
	}
	return he.HashParts("ceremony/plan", labels...)
}

// after is the stage that follows another: those without parts are left out.
func (s script) after(done stage) stage {
	for next := done + 1; next < stages; next++ {
		if len(s[next]) > 0 {
			return next
		}
	}
	return stages
}

// check refuses a plan that cannot be carried out by n parties.
func (p Plan) check(n int) error {
	if p.Train == nil || p.Release == nil || p.Train.Digest() == p.Release.Digest() {
		return fmt.Errorf("a ceremony makes keys in two profiles, one to train and one to release; each has its own secrets")
	}
	for _, profile := range p.profiles() {
		if profile.Special() == 0 {
			return fmt.Errorf("profile %s has no special prime, so it has no evaluation keys; no ceremony makes any", profile.Name())
		}
		elements := p.elements(profile)
		if len(slices.Compact(slices.Clone(elements))) != len(elements) || slices.Contains(elements, 1) {
			return fmt.Errorf("profile %s: a rotation is 0 or named twice; list each once", profile.Name())
		}
		// A wrong key gives an error uniform modulo Q: each coefficient passes
		// with probability 2^-63 or less.
		if _, bound := testBounds(profile, n, len(elements)); bound+64 > profile.LogQ(profile.MaxLevel()) {
			return fmt.Errorf("profile %s: modulus 2^%d leaves no room for an end test that opens within 2^%d", profile.Name(), profile.LogQ(profile.MaxLevel()), bound)
		}
	}
	return nil
}

// A Stage is one commit-and-reveal of a ceremony, for drivers that label, store
// or weigh what is said in it: by every party one commitment, then each part.
// Commitments and the one part of stage 0, a nonce, are short; all others are
// polynomials.
type Stage struct {
	Number     int   // as in [Describe]
	Commitment int   // length of the message, bytes
	Parts      []int // length of each part's message, bytes
}

// Stages are those of the plan's base ceremony, in order.
func (p Plan) Stages() []Stage { return p.script().stages() }

// KeySetStages are those of the plan's key set, in order.
func (p Plan) KeySetStages() []Stage { return p.keySetScript().stages() }

func (s script) stages() (out []Stage) {
	for number, parts := range s {
		if len(parts) == 0 {
			continue
		}
		next := Stage{Number: number, Commitment: messageHeader + len(he.Digest{})*(1+len(parts))}
		for _, p := range parts {
			next.Parts = append(next.Parts, messageHeader+p.size())
		}
		out = append(out, next)
	}
	return out
}

// Rounds is how many times every party of a base ceremony sends: a commitment
// and one share of each part, stage by stage.
func (p Plan) Rounds() (n int) {
	for _, s := range p.Stages() {
		n += 1 + len(s.Parts)
	}
	return n
}
