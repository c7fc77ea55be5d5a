package ledger

import (
	"cmp"
	"slices"

	"github.com/commonseal/commonseal/incentive"
)

// A Blend is the models that answer for a task together, as they earn: a query
// is answered by the sum of their weights, each Part of [BlendParts] times. Models
// of one task are of one key epoch and packed alike.
type Blend struct {
	Task  Digest
	Epoch uint64   // of the settlement
	Parts []Weight // by model
}

const (
	// BlendParts is what the parts of a blend add up to.
	BlendParts = 256
	// MaxBlend bounds the models of a blend.
	MaxBlend = 4
)

func (b *Blend) code(c *coder) {
	c.digest(&b.Task)
	c.u64(&b.Epoch)
	list(c, &b.Parts, MaxBlend, func(w *Weight) { w.code(c) })
}

// Digest is what a query calls the blend: one of another epoch, or of other
// parts, is another.
func (b *Blend) Digest() Digest { return Hash("blend", appendCoded(nil, b)) }

// blend is what answers for the task from now on: the models that earn most,
// in proportion. Models of key epochs before, or not served yet, are left out.
func (s *state) blend(st *Settlement) {
	var best []Ranked
	for _, r := range st.Models {
		if m, ok := ModelOf(s, r.Model); ok && m.Served() && r.Incentive > 0 {
			best = append(best, r)
		}
	}
	slices.SortStableFunc(best, func(a, b Ranked) int { return cmp.Compare(b.Incentive, a.Incentive) })
	best = best[:min(len(best), MaxBlend)]
	slices.SortFunc(best, func(a, b Ranked) int { return slices.Compare(a.Model[:], b.Model[:]) })
	var shares []incentive.Share
	for _, r := range best {
		shares = append(shares, incentive.Share{ID: string(r.Model[:]), Weight: uint64(r.Incentive)})
	}
	b := &Blend{Task: st.Task, Epoch: st.Epoch}
	for i, part := range incentive.Split(BlendParts, shares) {
		if part > 0 {
			b.Parts = append(b.Parts, Weight{best[i].Model, uint16(part)})
		}
	}
	if len(b.Parts) > 0 {
		s.put(key(keyBlend, st.Task), b)
		s.put(key(keyBlended, b.Digest()), b)
	}
}

// BlendOf is what answers for a task, if its models have been ranked.
func BlendOf(v View, task Digest) (*Blend, bool) { return load[Blend](v, key(keyBlend, task)) }

// BlendNamed is the blend of a digest, in force or replaced since.
func BlendNamed(v View, digest Digest) (*Blend, bool) {
	return load[Blend](v, key(keyBlended, digest))
}

// Asked is what a query names by a digest: one model, all of it, or a blend.
type Asked struct {
	Task  Digest
	Keys  uint32 // epoch of
	Parts []Weight
	Blend bool
}

// AskedOf is what answers to a query that names a digest, if it does so now. The
// result says why not.
func AskedOf(v View, digest Digest) (*Asked, Result) {
	out := &Asked{Parts: []Weight{{digest, 1}}}
	if b, ok := BlendNamed(v, digest); ok {
		if now, _ := BlendOf(v, b.Task); now.Digest() != digest {
			return nil, refuse(WrongState, "blend %x has been replaced; ask again, the one in force", digest[:6])
		}
		out.Blend, out.Parts = true, b.Parts
	}
	for _, p := range out.Parts {
		m, ok := ModelOf(v, p.Model)
		switch {
		case !ok:
			return nil, refuse(Unknown, "no model or blend %x", digest[:6])
		case !m.Served() && out.Blend:
			return nil, refuse(WrongState, "model %x of blend %x is served no more; ask the other models, or again when the next blend is made", m.ID[:6], digest[:6])
		case !m.Served():
			return nil, refuse(WrongState, "model %x waits for %v to serve it, or was proved wrong", m.ID[:6], m.Waiting)
		}
		out.Task, out.Keys = m.Task, m.Epoch
	}
	return out, Result{}
}
