package ledger

// Digest is what a query calls the blend: of other models or parts it is another,
// of another epoch it is not.
func (b *Blend) Digest() Digest {
	same := Blend{Task: b.Task, Parts: b.Parts}
	return Hash("blend", appendCoded(nil, &same))
}

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

// Trains says of each column of the task whether any of the models weighs it; nil
// if one weighs all.
func (a *Asked) Trains(v View) []bool {
	t, _ := TaskOf(v, a.Task)
	out := make([]bool, t.Columns)
	for _, p := range a.Parts {
		m, _ := ModelOf(v, p.Model)
		j, _ := JobOf(v, m.Job)
		trains := j.Trains(t)
		if trains == nil {
			return nil
		}
		for c := range trains {
			out[c] = out[c] || trains[c]
		}
	}
	return out
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
