package ledger

func (st *Settlement) code(c *coder) {
	c.u64(&st.Epoch)
	c.digest(&st.Task)
	st.Money.code(c)
	c.u64(&st.Pot)
	c.names(&st.Roster, MaxParties)
	list(c, &st.Owners, MaxParties, func(o *string) { c.text(o, MaxOwner) })
	c.names(&st.Evaluators, MaxParties)
	list(c, &st.Order, MaxParties, c.u64)
	list(c, &st.Escrows, MaxParties, c.u64)
	list(c, &st.Companies, MaxParties, func(e *Evaluator) { e.code(c) })
	list(c, &st.Models, MaxParties*MaxRanked, func(r *Ranked) { r.code(c) })
	list(c, &st.Bonds, maxBonds, func(b *Bond) { b.code(c) })
	c.names(&st.Operators, MaxMembers)
	st.Paid.code(c)
}

func (e *Evaluator) code(c *coder) {
	c.name(&e.Name)
	c.text(&e.Owner, MaxOwner)
	c.u64(&e.Stake)
	list(c, &e.Weights, MaxRanked, func(w *Weight) { w.code(c) })
	c.u64(&e.Counted)
	c.i64(&e.Trust)
	c.i64(&e.Dividend)
}

func (r *Ranked) code(c *coder) {
	c.digest(&r.Model)
	c.name(&r.Peer)
	c.text(&r.Owner, MaxOwner)
	list(c, &r.Found, MaxParties*MaxParties, c.i64)
	list(c, &r.Values, MaxParties, c.i64)
	codePairs(c, &r.Copies)
	c.i64(&r.Consensus)
	c.i64(&r.Incentive)
}

func (b *Bond) code(c *coder) {
	c.name(&b.Company)
	c.digest(&b.Model)
	c.i64(&b.Value)
}

func (p *Pools) code(c *coder) {
	for _, v := range []*uint64{&p.Operators, &p.Evaluators, &p.Peers, &p.Providers, &p.Carried, &p.Debited} {
		c.u64(v)
	}
}

func (p *Payout) code(c *coder) {
	for _, v := range []*uint64{&p.Operator, &p.Evaluator, &p.Peer, &p.Provider, &p.Debit, &p.Owed} {
		c.u64(v)
	}
}

// maxBonds is one of each company with each model that any of them ranks, in the
// worst case.
const maxBonds = MaxParties * MaxParties * MaxRanked

// bonds are a task's, as the last settlement left them.
type bonds struct{ List []Bond }

func (b *bonds) code(c *coder) { list(c, &b.List, maxBonds, func(x *Bond) { x.code(c) }) }

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

// Settlements are all there are, by epoch and task.
func Settlements(v View) (out []Settlement) {
	each(v, []byte(keySettled), func(_ []byte, st *Settlement) bool {
		out = append(out, *st)
		return true
	})
	return out
}

// SettlementOf is how a task's pot of an epoch was paid out.
func SettlementOf(v View, epoch uint64, task Digest) (*Settlement, bool) {
	return load[Settlement](v, key(keySettled, epoch, task))
}

// PayoutOf is what a member got of it.
func PayoutOf(v View, epoch uint64, task Digest, name string) (*Payout, bool) {
	return load[Payout](v, key(keyPayout, epoch, task, name))
}

// BlendOf is what answers for a task, if its models have been ranked.
func BlendOf(v View, task Digest) (*Blend, bool) { return load[Blend](v, key(keyBlend, task)) }
