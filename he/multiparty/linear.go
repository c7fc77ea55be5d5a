package multiparty

import (
	"math/big"
	"slices"
)

// A placed is terms that go to the same coefficients through the same slots: their
// inputs are added up first.
type placed struct {
	slots          []bool
	offset, stride int
	double         bool
	terms          []Term
}

// places puts terms together, in the order of each place's first.
func places(terms []Term) (out []placed) {
	for _, t := range terms {
		if t.Period > 0 {
			continue // it goes to its slot by itself
		}
		at := slices.IndexFunc(out, func(p placed) bool {
			return p.offset == t.Offset && p.stride == t.Stride && p.double == t.Double && (p.slots == nil) == (t.Slots == nil) && slices.Equal(p.slots, t.Slots)
		})
		if at < 0 {
			at, out = len(out), append(out, placed{slots: t.Slots, offset: t.Offset, stride: t.Stride, double: t.Double})
		}
		out[at].terms = append(out[at].terms, t)
	}
	return out
}

// sum is the terms of a place, of kept coefficients: Width integers at scale
// 2^(logScale+factorBits), all slots of them.
func (m *Map) sum(p placed, logScale int, kept [][]*big.Int) []*big.Int {
	out, term := integers(m.Width), new(big.Int)
	for _, t := range p.terms {
		factor := t.fixed(m, logScale)
		for k, v := range kept[t.Input] {
			out[k].Add(out[k], term.Mul(v, factor))
		}
	}
	return out
}

// linear applies terms to kept coefficients, at scale 2^(logScale+factorBits):
// coefficient position to value, not rounded to the scale yet.
func (m *Map) linear(terms []Term, logScale int, kept [][]*big.Int) map[int]*big.Int {
	out := map[int]*big.Int{}
	for _, p := range places(terms) {
		sum := m.sum(p, logScale, kept)
		if p.slots != nil {
			sum = newBasis(m.Width).only(p.slots, sum)
		}
		for k, v := range sum {
			if p.double && k > 0 {
				v.Lsh(v, 1)
			}
			at := p.offset + k*p.stride
			if out[at] == nil {
				out[at] = new(big.Int)
			}
			out[at].Add(out[at], v)
		}
	}
	m.toSlots(terms, logScale, kept, out)
	return out
}

// toSlots adds the terms that [ToSlot] made.
func (m *Map) toSlots(terms []Term, logScale int, kept [][]*big.Int, out map[int]*big.Int) {
	var cos []*big.Int // of the slots' period
	for _, t := range terms {
		if t.Period == 0 {
			continue
		}
		if len(cos) != 4*t.Period {
			cos = twiceCosines(t.Period)
		}
		t.spread(new(big.Int).Mul(kept[t.Input][t.Kept], t.fixed(m, logScale)), cos, out)
	}
}

// flags say in a map's digest how a term is applied, beside its numbers.
func (t Term) flags() int {
	return int(flag(t.Double)) | int(flag(t.Slots != nil))<<1 | int(flag(t.Period > 0))<<2
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}
