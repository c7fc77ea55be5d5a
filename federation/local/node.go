package local

import (
	"math/big"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/circuit"
	"github.com/commonseal/commonseal/he/multiparty"
)

// A node is the aggregation node: it holds ciphertexts, evaluates and adds
// shares up. It has no key share.
type node struct {
	job       job
	roster    multiparty.Roster
	publicKey *he.PublicKey
	evaluator *circuit.Evaluator
	valuer    *circuit.Valuer
	comparer  *circuit.Comparer

	blocks, validation [][]circuit.Block // by company; a local one has none
	contributed        map[*he.Ciphertext]he.Digest

	point     *he.Ciphertext         // where the next gradient is taken, at the top level
	weights   *he.Ciphertext         // likewise
	valued    []multiparty.Valuation // of valued steps, if copies are looked for
	values    []*he.Ciphertext       // of valued steps
	remainder []*big.Int             // of the shared model
	model     he.Digest

	ops  []circuit.Op
	keep func(*he.Ciphertext) // called for what operations take and give; nil: forget
}

// accept parses a block of a contribution.
func (n *node) accept(to *[]circuit.Block, vectors [][]byte) error {
	p := n.job.profiles.Train
	block := make(circuit.Block, len(vectors))
	for i, b := range vectors {
		var err error
		if block[i], err = he.ParseCiphertext(b, p, p.MaxLevel(), p.LogScale()); err != nil {
			return err
		}
		n.contributed[block[i]] = block[i].Digest()
	}
	*to = append(*to, block)
	return nil
}

// parseUpdate parses a local company's gradient.
func (n *node) parseUpdate(b []byte) (*he.Ciphertext, error) {
	p := n.job.profiles.Train
	return he.ParseCiphertext(b, p, p.Floor(), he.LogGradient)
}

// gradients evaluates the groups of step t, and records it.
func (n *node) gradients(t int, groups [][]circuit.Block) ([]*he.Ciphertext, error) {
	if len(groups) == 0 {
		return nil, nil
	}
	out, err := n.evaluator.Gradient(n.point, n.job.twin.Interval(t), groups)
	if err != nil {
		return nil, err
	}
	op := circuit.Op{Kind: circuit.OpGradient, Interval: n.job.twin.Interval(t)}
	inputs := []*he.Ciphertext{n.point}
	for _, g := range groups {
		op.Groups = append(op.Groups, len(g))
		for _, b := range g {
			inputs = append(inputs, b...)
		}
	}
	n.record(op, inputs, out)
	return out, nil
}

// checks are the pooled blocks that each evaluator values by, of those that have
// any.
func (n *node) checks() (groups [][]circuit.Block) {
	for _, members := range n.job.panel.Evaluators {
		var blocks []circuit.Block
		for _, i := range members {
			blocks = append(blocks, n.validation[i]...)
		}
		if len(blocks) > 0 {
			groups = append(groups, blocks)
		}
	}
	return groups
}

// judge is the gradient of each evaluator: local companies' as they sent it, by
// company, and those of pooled blocks.
func (n *node) judge(local, pooled []*he.Ciphertext) (out []*he.Ciphertext) {
	for _, members := range n.job.panel.Evaluators {
		var terms []*he.Ciphertext
		inPool := false
		for _, i := range members {
			if local[i] != nil {
				terms = append(terms, local[i])
			}
			inPool = inPool || len(n.validation[i]) > 0
		}
		if inPool {
			terms, pooled = append(terms, pooled[0]), pooled[1:]
		}
		out = append(out, n.sum(terms))
	}
	return out
}

// sum adds gradients up, and records it.
func (n *node) sum(cs []*he.Ciphertext) *he.Ciphertext {
	out := he.Add(cs...)
	n.record(circuit.Op{Kind: circuit.OpSum}, cs, []*he.Ciphertext{out})
	return out
}

// value evaluates a valued step, and records it.
func (n *node) value(updates, directions *he.Ciphertext) error {
	out, err := n.valuer.Value(updates, directions)
	if err != nil {
		return err
	}
	n.record(circuit.Op{Kind: circuit.OpValue}, []*he.Ciphertext{updates, directions}, []*he.Ciphertext{out})
	n.values = append(n.values, out)
	return nil
}

func (n *node) record(op circuit.Op, inputs, outputs []*he.Ciphertext) {
	for _, c := range inputs {
		op.Inputs = append(op.Inputs, n.digest(c))
	}
	for _, c := range outputs {
		op.Outputs = append(op.Outputs, n.digest(c))
	}
	n.ops = append(n.ops, op)
}

func (n *node) digest(c *he.Ciphertext) he.Digest {
	if n.keep != nil {
		n.keep(c)
	}
	if d, ok := n.contributed[c]; ok {
		return d
	}
	return c.Digest()
}

// start is an encryption of zero that everybody makes alike: the first round
// maps it to a point and weights.
func (n *node) start() *he.Ciphertext {
	p := n.job.profiles.Train
	digest := n.roster.Digest()
	return n.publicKey.EncryptZero(p.Floor(), p.LogScale(), he.PublicStream("local/zero", digest[:], n.job.id[:]))
}

// finish adds up the shares of a round, all parties' in roster order. If the
// map leaves a model, the node keeps its public remainder.
func (n *node) finish(id he.Digest, m *multiparty.Map, inputs []*he.Ciphertext, shares [][]byte) ([]*he.Ciphertext, error) {
	round, err := multiparty.NewRound(n.roster, id, m, inputs)
	if err != nil {
		return nil, err
	}
	parsed := make([]*multiparty.MapShare, len(shares))
	for i, b := range shares {
		if parsed[i], err = m.ParseShare(b); err != nil {
			return nil, err
		}
	}
	outputs, remainder, err := round.Finish(parsed)
	if err != nil {
		return nil, err
	}
	if remainder != nil {
		n.remainder = remainder
		state := outputs[1].Digest()
		n.model = he.HashParts("local/model", id[:], state[:])
	}
	return outputs, nil
}
