package he

import (
	"maps"
	"math/big"
	"slices"
)

// HeaderBytes is where an object's residues begin.
const HeaderBytes = headerBytes

// FreshCDF is the table of the fresh error.
var FreshCDF = freshCDF

// Kinds are all kinds, in the order of their numbers.
func Kinds() []Kind { return slices.Sorted(maps.Keys(shapes)) }

// Fields tells which header fields a kind sets.
func (k Kind) Fields() (scale, width, element, seeded, topLevel, short bool) {
	s := shapes[k]
	return s.scale, s.width, s.element, s.seeded, s.topLevel, s.shortPolynomials
}

// Check is what ParseObject holds a header to.
func (o *Object) Check() error { return o.check() }

// Moduli is the prime of every row.
func (o *Object) Moduli() []uint64 {
	moduli, _ := o.layout()
	return moduli
}

// HeaderSize is the length an accepted header stands for.
func HeaderSize(b []byte, want Kind, p *Profile) (int, error) {
	o, err := parseHeader(b, want, p)
	if err != nil {
		return 0, err
	}
	return o.Size(), nil
}

// WideGaussian is one coefficient of AddFlood, as an integer.
func (s *Stream) WideGaussian(logSigma int) *big.Int {
	x := s.wideGaussian(logSigma)
	words := make([]big.Word, len(x.w))
	for i, w := range x.w {
		words[i] = big.Word(w)
	}
	v := new(big.Int).SetBits(words)
	if x.neg {
		v.Neg(v)
	}
	return v
}

// EncryptQueriesUnbound is EncryptQueries with coins that are not bound to the
// rows.
func EncryptQueriesUnbound(pk *PublicKey, x Rows, width int, seed Seed) (*Query, error) {
	return encryptQueries(pk, x, width, func(Digest, Digest) *Stream { return seed.Stream("query") })
}
