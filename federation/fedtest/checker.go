package fedtest

import (
	"github.com/commonseal/commonseal/federation/checker"
	"github.com/commonseal/commonseal/federation/store"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/ledger"
)

// populateCheckers starts the checkers.
func (w *World) populateCheckers(of *World) (err error) {
	for _, n := range w.Options.Checkers {
		s := store.NewMem()
		if of != nil {
			s = of.Checkers[n].Store.Clone()
		}
		if w.Checkers[n], err = found(w, n, s, func(s *store.Mem, f *follower) (*checker.Checker, error) { return w.startChecker(n, s, f), nil }); err != nil {
			return err
		}
	}
	return nil
}

func (w *World) startChecker(name string, s *store.Mem, f *follower) *checker.Checker {
	return checker.New(checker.Config{Name: name, Signing: w.Private(name), Profiles: w.Profiles, Journal: s.Journal, Ledger: f,
		Node: func(node string) (checker.Node, error) { return wireTo{w, name, node}, nil }})
}

// forged is what a process submits instead of a transaction.
func (w *World) forged(name string, tx []byte) []byte {
	if w.Forge == nil {
		return tx
	}
	t, err := ledger.ParseTx(tx)
	if err != nil {
		return tx
	}
	body := w.Forge(name, t.Body)
	if body == t.Body {
		return tx
	}
	return ledger.SignTx(w.Genesis.Chain, t.Expiry, body, w.Private(name))
}

// AlterRecord makes of an honest record of a step what a node would record that
// altered one coefficient of the last input of its map, and keeps the altered
// ciphertext where the node has its blobs. Nodes that do the same record the same.
func (w *World) AlterRecord(name string, r *ledger.StepRecord) (*ledger.StepRecord, error) {
	forged, last := *r, len(r.Inputs)-1
	parse := func(b []byte) (*he.Ciphertext, error) {
		return he.ParseCiphertext(b, w.Profiles.Train, int(r.Level), int(r.LogScale))
	}
	if j, _ := ledger.JobOf(w.View(), r.Job); j.Rounds > 0 && r.Step == j.End() {
		parse = w.parseValues
	}
	blobs := w.Nodes[name].Store.Blobs
	b, err := blobs.Get(r.Inputs[last])
	if err != nil {
		return nil, err
	}
	c, err := parse(b)
	if err != nil {
		return nil, err
	}
	const more = 1 << 30 // in the ring's other domain a constant is everywhere
	for i, q := range c.Profile.Params().Q()[:c.Level()+1] {
		for k, x := range c.C0.Coeffs[i] {
			c.C0.Coeffs[i][k] = (x + more) % q
		}
	}
	if _, err := blobs.Put(c.Append(nil)); err != nil {
		return nil, err
	}
	forged.Inputs = append([]ledger.Digest(nil), r.Inputs...)
	forged.Inputs[last] = c.Digest()
	return &forged, nil
}

// parseValues decodes what a release opens.
func (w *World) parseValues(b []byte) (*he.Ciphertext, error) {
	p := w.Profiles.Release
	return he.ParseCiphertext(b, p, p.MaxLevel(), 2*p.LogScale())
}

// Dial is somebody's connection to a node.
func (w *World) Dial(from, node string) checker.Node { return wireTo{w, from, node} }

// Blocks are all blocks so far.
func (w *World) Blocks() []ledger.Block { return w.chain.blocks }
