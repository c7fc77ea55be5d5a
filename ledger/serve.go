package ledger

import "slices"

// A Model is the encrypted result of a job: shared among the key holders, and
// served once all of them have said with which pair key they do.
type Model struct {
	ID        Digest
	Job       Digest
	Task      Digest
	Epoch     uint32
	State     Digest   // of the weights' last ciphertext
	Remainder Digest   // blob of the public remainder
	Values    Digest   // of the ciphertext of values; zero: none
	Opened    []int64  // values, as [Values] has them; none until opened
	Record    Digest   // [Values.Digest] of those; zero until opened
	Since     int64    // block time since when they are
	Copies    []Pair   // of companies whose rows are near-copies
	Waiting   []string // holders that do not serve yet
	Refuted   bool     // a step of its job was proved wrong: it is served no more, and earns nothing
}

func (m *Model) code(c *coder) {
	c.digest(&m.ID)
	c.digest(&m.Job)
	c.digest(&m.Task)
	c.u32(&m.Epoch)
	c.digest(&m.State)
	c.digest(&m.Remainder)
	c.digest(&m.Values)
	list(c, &m.Opened, MaxParties*MaxParties, c.i64)
	c.digest(&m.Record)
	c.i64(&m.Since)
	codePairs(c, &m.Copies)
	c.names(&m.Waiting, MaxParties)
	c.flag(&m.Refuted)
}

// Served says whether the model answers queries.
func (m *Model) Served() bool { return len(m.Waiting) == 0 && !m.Refuted }

// Serve is a holder's word that it answers with its share of a model, and the
// X25519 key it shares masks with the other holders by.
type Serve struct {
	Model   Digest
	PairKey Digest
}

func (*Serve) kind() kind { return 22 }
func (x *Serve) code(c *coder) {
	c.digest(&x.Model)
	c.digest(&x.PairKey)
}

func (x *Serve) apply(s *state, from sender) Result {
	m, ok := ModelOf(s, x.Model)
	if !ok {
		return refuse(Unknown, "no model %x", x.Model[:6])
	}
	at := key(keyPairKey, m.ID, from.name)
	if r := s.once(at, x); r.Code != OK {
		return r
	}
	if !slices.Contains(m.Waiting, from.name) {
		return refuse(Forbidden, "%s holds no share of model %x", from.name, m.ID[:6])
	}
	if x.PairKey == (Digest{}) {
		return refuse(Malformed, "no pair key")
	}
	m.Waiting = slices.DeleteFunc(m.Waiting, func(n string) bool { return n == from.name })
	s.put(at, x)
	s.put(key(keyModel, m.ID), m)
	return Result{}
}

// ModelOf is the model of an id.
func ModelOf(v View, id Digest) (*Model, bool) { return load[Model](v, key(keyModel, id)) }

// Models are all models.
func Models(v View) (out []Model) {
	each(v, []byte(keyModel), func(_ []byte, m *Model) bool {
		out = append(out, *m)
		return true
	})
	return out
}

// PairKeyOf is the pair key a holder serves a model with.
func PairKeyOf(v View, model Digest, holder string) (Digest, bool) {
	x, ok := load[Serve](v, key(keyPairKey, model, holder))
	if !ok {
		return Digest{}, false
	}
	return x.PairKey, true
}
