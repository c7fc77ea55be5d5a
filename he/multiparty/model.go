package multiparty

import (
	"errors"
	"math/big"
)

// A Model is a result that is never encrypted: the weights, that is the slots
// of the periodic vector that Terms make, of which every party keeps an integer
// share at scale 2^LogScale. Terms take kept coefficient k to kept coefficient
// k: Offset 0, Stride 1.
type Model struct {
	LogScale int
	Terms    []Term
}

// ErrNoModel is returned when a map leaves no model shares.
var ErrNoModel = errors.New("this map leaves no model shares")

// ModelShare is the integer share of the model this party keeps: what the map
// makes of its masks. It is a secret, and a repeat gives the same integers.
//
// With [Round.Finish]'s remainder the shares add up to the weights at scale
// 2^LogScale, to within (n+1)/2 units.
func (r *Round) ModelShare(s *Secrets) ([]*big.Int, error) {
	if r.m.Model == nil {
		return nil, ErrNoModel
	}
	return r.m.weights(r.masks(s)), nil
}

// weights are the model's Width integers. What no term lets through is zero
// itself, and so are the shares of it.
func (m *Map) weights(kept [][]*big.Int) []*big.Int {
	out, s := integers(m.Width), newBasis(m.Width)
	for _, p := range places(m.Model.Terms) {
		c := m.sum(p, m.Model.LogScale, kept)
		for j := range out {
			if p.slots == nil || p.slots[j] {
				out[j].Add(out[j], s.slot(j, c))
			}
		}
	}
	for j := range out {
		out[j] = roundShift(out[j], factorBits+cosineBits)
	}
	return out
}
