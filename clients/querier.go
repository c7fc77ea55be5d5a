package clients

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/commonseal/commonseal/federation/wire"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/ledger"
)

// A Querier asks the models of one task. Queries are encrypted under its own
// key, and nobody else can read the answers. It is safe for concurrent use.
type Querier struct {
	client   *Client
	name     string
	asker    *wire.Asker
	sequence atomic.Uint64
}

// NewQuerier makes a querier's key for a task. The seed is its secret; the same
// seed is the same key. next numbers its first query: above all it ever used.
func NewQuerier(c *Client, name string, seed he.Seed, task ledger.Digest, serve *he.Profile, next uint64) *Querier {
	q := &Querier{client: c, name: name, asker: wire.NewAsker(c.config.Genesis.Chain, name, seed, task, serve)}
	q.sequence.Store(next - 1)
	return q
}

// QuerierKey is the digest of a querier's public key: what a company admits.
func QuerierKey(chain, name string, task ledger.Digest, seed he.Seed, serve *he.Profile) ledger.Digest {
	return sha256.Sum256(wire.NewAsker(chain, name, seed, task, serve).PublicKey())
}

// PublicKey is the encoding of the querier's public key: its digest is admitted
// to the ledger by a company, and Announce puts it to nodes.
func (q *Querier) PublicKey() []byte { return q.asker.PublicKey() }

// Announce puts the public key to the nodes of the task the querier was admitted
// to. Once is enough.
func (q *Querier) Announce(ctx context.Context) error {
	v := q.client.View()
	x, ok := ledger.QuerierOf(v, q.name)
	if !ok {
		return fmt.Errorf("%s is not admitted; ask a company of the task", q.name)
	}
	t, _ := ledger.TaskOf(v, x.Task)
	p, b := q.asker.Announcement(t.Epoch, q.client.config.Signing)
	var errs []error
	for _, name := range t.Nodes {
		n, err := q.client.Node(name)
		if err == nil {
			err = n.Put(ctx, p, b)
		}
		if err == nil {
			return nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", name, err))
	}
	return errors.Join(errs...)
}

// Predict asks a model, or a blend by its digest, about rows (1, x) in [-1, 1], as
// many ciphertexts as they take, and returns their margins: the score is
// 1/(1 + e^-margin). Every row costs an answer of the querier's quota. A blend that
// is replaced meanwhile is refused: ask again, the one in force.
func (q *Querier) Predict(ctx context.Context, of ledger.Digest, rows he.Rows) ([]float64, error) {
	number := func() uint64 { return q.sequence.Add(1) }
	return q.asker.Predict(q.client.View(), of, rows, q.client.config.Signing, number, func(nodes []string, envelope, query []byte) ([]byte, error) {
		return q.put(ctx, nodes, envelope, query)
	})
}

// put gives a query to the task's nodes, one after another until one answers.
func (q *Querier) put(ctx context.Context, nodes []string, envelope, query []byte) ([]byte, error) {
	var errs []error
	for _, name := range nodes {
		n, err := q.client.Node(name)
		var answer []byte
		if err == nil {
			answer, err = n.Predict(ctx, envelope, query)
		}
		if err == nil {
			return answer, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", name, err))
	}
	return nil, errors.Join(errs...)
}
