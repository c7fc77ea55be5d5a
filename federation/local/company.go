package local

import (
	"encoding/binary"
	"fmt"
	"math/big"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/circuit"
	"github.com/commonseal/commonseal/he/multiparty"
)

// A company is a provider that holds a key share. Its methods take and give
// bytes: what it would receive and send.
type company struct {
	name  string
	index int // in the roster
	local bool
	seed  he.Seed

	training, validation he.Rows // signed

	job       job
	roster    multiparty.Roster
	secrets   *multiparty.Secrets
	publicKey *he.PublicKey
	keys      *he.EvaluationKeys
	encoder   *he.Encoder
	journal   *multiparty.UsedSet

	// What a local company evaluates itself.
	evaluator                        *circuit.Evaluator
	trainingBlocks, validationBlocks []circuit.PlainBlock
	round                            *multiparty.Round // the last one it took part in

	weights []*big.Int // its share of the model
	server  *multiparty.Server
	querier *he.PublicKey
}

// newCompany is company index of n. Names sort as indices do.
func newCompany(index, n int, local bool, seed he.Seed) *company {
	name := fmt.Sprintf("company-%0*d", len(fmt.Sprint(n)), index+1)
	return &company{name: name, index: index, local: local, seed: seed.Derive("local/company", []byte(name))}
}

// blocks cuts rows into what a block holds.
func (c *company) blocks(x he.Rows) []he.Rows {
	capacity := c.job.plan.Packing.Capacity(c.job.profiles.Train.Slots())
	var out []he.Rows
	for at := 0; at < x.Len(); at += capacity {
		out = append(out, x.Slice(at, min(at+capacity, x.Len())))
	}
	return out
}

// encrypt gives block b of rows of a kind as ciphertexts.
func (c *company) encrypt(kind string, b int, x he.Rows) ([][]byte, error) {
	seed := c.seed.Derive("local/contribution", []byte(kind), binary.BigEndian.AppendUint64(nil, uint64(b)))
	cs, err := he.EncryptBlock(c.encoder, c.publicKey, c.job.plan.Packing, x, seed)
	if err != nil {
		return nil, err
	}
	out := make([][]byte, len(cs))
	for i, ct := range cs {
		out[i] = ct.Append(nil)
	}
	return out, nil
}

// encode keeps a local company's rows ready.
func (c *company) encode() (err error) {
	plan := c.job.plan.Own(len(c.blocks(c.training)))
	if c.evaluator, err = circuit.NewEvaluator(plan, c.keys); err != nil {
		return err
	}
	for _, set := range []struct {
		rows he.Rows
		out  *[]circuit.PlainBlock
	}{{c.training, &c.trainingBlocks}, {c.validation, &c.validationBlocks}} {
		for _, x := range c.blocks(set.rows) {
			block, err := circuit.NewPlainBlock(c.encoder, plan, x)
			if err != nil {
				return err
			}
			*set.out = append(*set.out, block)
		}
	}
	return nil
}

// update is the encrypted gradient of a local company's blocks at the point it
// is sent, which must be the one that its own last round left.
func (c *company) update(t int, point []byte, blocks []circuit.PlainBlock) ([]byte, error) {
	p := c.job.profiles.Train
	w, err := he.ParseCiphertext(point, p, p.MaxLevel(), p.LogScale())
	if err != nil {
		return nil, err
	}
	u, err := c.evaluator.LocalGradient(w, c.job.twin.Interval(t), c.round.OutputC1(0), blocks, c.publicKey, c.seed.Derive("local/update"))
	if err != nil {
		return nil, err
	}
	return u.Append(nil), nil
}

// mapShare is the company's share of a round of its own derivation on the
// inputs it is sent.
func (c *company) mapShare(id he.Digest, m *multiparty.Map, inputs [][]byte) ([]byte, error) {
	cs := make([]*he.Ciphertext, len(inputs))
	if len(cs) != len(m.Inputs) {
		return nil, fmt.Errorf("%d inputs; this round has %d", len(cs), len(m.Inputs))
	}
	for i, in := range m.Inputs {
		var err error
		if cs[i], err = he.ParseCiphertext(inputs[i], in.Profile, in.Level, in.LogScale); err != nil {
			return nil, err
		}
	}
	round, err := multiparty.NewRound(c.roster, id, m, cs)
	if err != nil {
		return nil, err
	}
	share, err := round.GenShare(c.secrets, c.journal)
	if err != nil {
		return nil, err
	}
	c.round = round
	return share.Append(nil), nil
}

// switchShare is the company's share of a release to a receiver whose key it
// checks.
func (c *company) switchShare(r released, values, receiver []byte) ([]byte, error) {
	release, err := r.parse(c.roster, c.job.profiles.Release, values, receiver)
	if err != nil {
		return nil, err
	}
	share, err := release.GenShare(c.secrets, c.journal)
	if err != nil {
		return nil, err
	}
	return share.Append(nil), nil
}

// keepWeights keeps the company's share of the model that the last round left.
func (c *company) keepWeights() (err error) {
	c.weights, err = c.round.ModelShare(c.secrets)
	return err
}

// pairKey is the company's key for serving a model with the others.
func (c *company) pairKey(model he.Digest) ([]byte, error) {
	return multiparty.PairKey(c.roster, model, c.index, c.seed)
}

// openServer starts serving the share kept; the first company's takes in the
// public remainder.
func (c *company) openServer(model he.Digest, remainder []byte, pairKeys [][]byte) error {
	share, err := multiparty.NewModelShare(c.job.profiles.Serve, c.weights)
	if err != nil {
		return err
	}
	if c.index == 0 {
		rest, err := multiparty.ParseModelShare(remainder, c.job.profiles.Serve)
		if err != nil {
			return err
		}
		if share, err = share.Plus(rest); err != nil {
			return err
		}
	}
	c.server, err = multiparty.NewServer(c.roster, model, c.index, c.seed, share, pairKeys)
	return err
}

// admit takes the key of a querier whose uniform half the company derives.
func (c *company) admit(key []byte, derived [32]byte) (err error) {
	c.querier, err = he.ParseQuerierKey(key, c.job.profiles.Serve, derived)
	return err
}

// answer is the company's share of the answers to the admitted querier's query
// of so many rows.
func (c *company) answer(query []byte, rows int) ([]byte, error) {
	q, err := he.ParseQuery(query, c.job.profiles.Serve, c.job.plan.Packing.Width)
	if err != nil {
		return nil, err
	}
	a, err := c.server.Answer(c.querier, q, rows)
	if err != nil {
		return nil, err
	}
	return a.Append(nil), nil
}
