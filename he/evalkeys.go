package he

import (
	"fmt"
	"maps"

	"github.com/tuneinsight/lattigo/v5/core/rlwe"
	"github.com/tuneinsight/lattigo/v5/ring"
	"github.com/tuneinsight/lattigo/v5/ring/ringqp"
)

// EvaluationKeys are the public keys circuits run on. They are immutable and
// safe for concurrent use.
type EvaluationKeys struct {
	Profile *Profile
	Relin   *rlwe.RelinearizationKey
	Galois  map[uint64]*rlwe.GaloisKey // by Galois element
}

// Set is what lattigo's evaluators take.
func (k *EvaluationKeys) Set() rlwe.EvaluationKeySet {
	set := rlwe.NewMemEvaluationKeySet(k.Relin)
	for element, key := range k.Galois {
		set.GaloisKeys[element] = key
	}
	return set
}

// With returns k and the Galois keys of key sets of the same epoch, sharing all
// of them; the relinearisation key is k's. Where an element has two keys the
// earlier argument's is taken: both do, but evaluators that are to agree on
// every byte must use the same, and so give the sets in the same order. It
// refuses a set of another profile and one that is not there.
func (k *EvaluationKeys) With(sets ...*EvaluationKeys) (*EvaluationKeys, error) {
	out := &EvaluationKeys{Profile: k.Profile, Relin: k.Relin, Galois: maps.Clone(k.Galois)}
	for i, set := range sets {
		if set == nil {
			return nil, fmt.Errorf("key set %d is not there; finish it first", i)
		}
		if set.Profile.Digest() != k.Profile.Digest() {
			return nil, fmt.Errorf("a key set of profile %s does not go with keys of profile %s", set.Profile.Name(), k.Profile.Name())
		}
		for element, key := range set.Galois {
			if _, have := out.Galois[element]; !have {
				out.Galois[element] = key
			}
		}
	}
	return out, nil
}

// RelinKey assembles a relinearisation key from its digits (b, a), in the NTT
// domain, not in Montgomery form. It takes the polynomials over.
func RelinKey(p *Profile, digits [][2]ringqp.Poly) *rlwe.RelinearizationKey {
	return &rlwe.RelinearizationKey{EvaluationKey: rlwe.EvaluationKey{GadgetCiphertext: gadget(p, digits)}}
}

// GaloisKey assembles the key of a Galois element from its digits (b, a), in
// the NTT domain, not in Montgomery form. It takes the polynomials over.
func GaloisKey(p *Profile, element uint64, digits [][2]ringqp.Poly) *rlwe.GaloisKey {
	return &rlwe.GaloisKey{
		GaloisElement: element, NthRoot: p.RingQ(0).NthRoot(),
		EvaluationKey: rlwe.EvaluationKey{GadgetCiphertext: gadget(p, digits)},
	}
}

func gadget(p *Profile, digits [][2]ringqp.Poly) rlwe.GadgetCiphertext {
	r := p.RingQP()
	g := rlwe.GadgetCiphertext{Value: make([][]rlwe.VectorQP, len(digits))}
	for i, d := range digits {
		r.MForm(d[0], d[0])
		r.MForm(d[1], d[1])
		g.Value[i] = []rlwe.VectorQP{{d[0], d[1]}}
	}
	return g
}

// Rotation is the Galois element of the rotation by k slots to the left.
func (p *Profile) Rotation(k int) uint64 { return p.params.GaloisElement(k) }

// isRotation tells the Galois elements of rotations, the powers of 5: below the
// order of the root and 1 modulo 4. In the conjugate-invariant ring g and -g
// are one automorphism, so this is also what gives each of them one name.
func (p *Profile) isRotation(element uint64) bool {
	return element%4 == 1 && element < p.RingQ(0).NthRoot()
}

// TraceStride is the distance between the coefficients that a vector of
// period width keeps: a periodic vector is zero elsewhere, and the sum over
// slots equal mod width is those coefficients times Slots/width (PROTOCOL §3).
func (p *Profile) TraceStride(width int) int { return p.N() / width }

// NewPolyQ is a zero polynomial over Q at level.
func (p *Profile) NewPolyQ(level int) ring.Poly { return ring.NewPoly(p.N(), level) }
