package fedtest

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"

	"github.com/commonseal/commonseal/federation/agent"
	"github.com/commonseal/commonseal/federation/node"
	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/gate"
	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

// A wireTo is one process's connection to a node.
type wireTo struct {
	w        *World
	from, to string
}

// lost says whether this message is.
func (c wireTo) lost() error {
	if c.w.Faults && !c.w.asking && c.w.random.IntN(10) == 0 {
		return fmt.Errorf("%s to %s: %w", c.from, c.to, ErrLost)
	}
	return nil
}

// Put, Get, Posts and Held are what node and agent ask of a peer.
func (c wireTo) Put(ctx context.Context, p ledger.Post, blob []byte) error {
	if err := c.lost(); err != nil {
		return err
	}
	if c.w.Tamper != nil {
		p, blob = c.w.Tamper(c.from, p, blob)
	}
	parsed, err := ledger.ParsePost(p.Append(nil))
	if err != nil {
		return err
	}
	if err := c.w.saidOnce(parsed); err != nil {
		return err
	}
	n := c.w.Nodes[c.to]
	if err := n.Driver.Accept(c.from, parsed); err != nil {
		return err
	}
	if _, err = n.Store.Blobs.Put(blob); err == nil {
		err = n.Driver.Keep(ctx, parsed)
	}
	if n.Store.Crashed() { // the node did, while it was told
		return errors.Join(fmt.Errorf("%s crashed: %w", c.to, ErrLost), n.restart(c.w))
	}
	return errors.Join(err, c.lost())
}

func (c wireTo) Get(_ context.Context, d ledger.Digest) ([]byte, error) {
	if err := c.lost(); err != nil {
		return nil, err
	}
	return c.w.Nodes[c.to].Store.Blobs.Get(d)
}

func (c wireTo) Posts(_ context.Context, scope ledger.Digest, after uint64) ([]ledger.Post, uint64, error) {
	if err := c.lost(); err != nil {
		return nil, 0, err
	}
	posts, cursor := c.w.Nodes[c.to].Driver.Posts(scope, nil, after, 64)
	return posts, cursor, nil
}

func (c wireTo) Held(_ context.Context, manifest ledger.Digest) (ledger.Held, uint64, error) {
	if err := c.lost(); err != nil {
		return ledger.Held{}, 0, err
	}
	return c.w.Nodes[c.to].Driver.Held(manifest)
}

// endpoints are the nodes as a querier with a TLS key sees them.
func (w *World) endpoints(tls ed25519.PrivateKey) (out map[string]agent.Endpoint, done func()) {
	out = map[string]agent.Endpoint{}
	name, ok := ledger.Peer(w.View(), ledger.Key(tls.Public().(ed25519.PublicKey)))
	for _, n := range nodes {
		if ok {
			out[n] = wireTo{w, name, n}
		}
	}
	return out, func() {}
}

// Predict is what a querier asks of a node. Every company answers there for all
// that it serves.
func (c wireTo) Predict(ctx context.Context, envelope, query []byte) ([]byte, error) {
	if err := c.lost(); err != nil {
		return nil, err
	}
	n := c.w.Nodes[c.to].Driver
	for _, company := range c.w.Companies {
		if c.w.Absent[company] {
			continue
		}
		a := c.w.Agents[company].Driver
		for _, model := range a.Serves() {
			leave, err := n.Enlist(model, company, a.Answer)
			if err != nil {
				continue // this node's copy of the ledger is behind
			}
			defer leave()
		}
	}
	c.w.asking = true
	answer, err := n.Answer(ctx, c.from, envelope, query)
	c.w.asking = false
	var refused *node.RefusedError
	if errors.As(err, &refused) && refused.Reason == node.OverQuota {
		err = gate.Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_OVER_LIMIT, "", "%s", refused.Detail)
	}
	return answer, errors.Join(err, c.lost())
}
