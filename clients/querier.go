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
	seed     he.Seed
	profile  *he.Profile
	secret   *he.SecretKey
	public   *he.PublicKey
	sequence atomic.Uint64
}

// NewQuerier makes a querier's key for a task. The seed is its secret; the same
// seed is the same key. next numbers its first query: above all it ever used.
func NewQuerier(c *Client, name string, seed he.Seed, task ledger.Digest, serve *he.Profile, next uint64) *Querier {
	q := newQuerier(c.config.Genesis.Chain, name, seed, task, serve)
	q.client = c
	q.sequence.Store(next - 1)
	return q
}

func newQuerier(chain, name string, seed he.Seed, task ledger.Digest, serve *he.Profile) *Querier {
	own := seed.Derive("clients/querier", []byte(name), task[:])
	derived := he.QuerierSeed(wire.QuerierSession(chain, task), name, 0)
	secret := he.NewSecretKey(serve, own.Stream("secret"))
	return &Querier{name: name, seed: own, profile: serve, secret: secret, public: he.GenPublicKey(secret, derived, own.Stream("public"))}
}

// QuerierKey is the digest of a querier's public key: what a company admits.
func QuerierKey(chain, name string, task ledger.Digest, seed he.Seed, serve *he.Profile) ledger.Digest {
	return newQuerier(chain, name, seed, task, serve).public.Digest()
}

// PublicKey is the encoding of the querier's public key: its digest is admitted
// to the ledger by a company, and Announce puts it to nodes.
func (q *Querier) PublicKey() []byte { return q.public.Append(nil) }

// Announce puts the public key to the nodes of the task the querier was admitted
// to. Once is enough.
func (q *Querier) Announce(ctx context.Context) error {
	v := q.client.View()
	x, ok := ledger.QuerierOf(v, q.name)
	if !ok {
		return fmt.Errorf("%s is not admitted; ask a company of the task", q.name)
	}
	t, _ := ledger.TaskOf(v, x.Task)
	b := q.PublicKey()
	p := ledger.Post{Chain: q.client.config.Genesis.Chain, Epoch: t.Epoch, Profile: q.profile.Digest(), Scope: t.ID, Kind: ledger.PostQuerierKey,
		Blob: sha256.Sum256(b), Size: uint32(len(b))}.Sign(q.client.config.Signing)
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

// Predict asks a model about rows (1, x) in [-1, 1], as many ciphertexts as they
// take, and returns their margins: the model's score is 1/(1 + e^-margin). Every
// row costs an answer of the querier's quota.
func (q *Querier) Predict(ctx context.Context, model ledger.Digest, rows he.Rows) ([]float64, error) {
	v := q.client.View()
	m, ok := ledger.ModelOf(v, model)
	if !ok {
		return nil, fmt.Errorf("no model %x", model[:6])
	}
	t, _ := ledger.TaskOf(v, m.Task)
	width := int(t.Packing.Width)
	each := q.profile.N() / width
	var out []float64
	for from := 0; from < rows.Len(); from += each {
		part := rows.Slice(from, min(from+each, rows.Len()))
		answer, err := q.ask(ctx, t, model, part, width)
		if err != nil {
			return nil, err
		}
		out = append(out, q.secret.DecryptAnswers(answer, part.Len())...)
	}
	return out, nil
}

// ask puts one ciphertext to the task's nodes, one after another until one
// answers.
func (q *Querier) ask(ctx context.Context, t *ledger.Task, model ledger.Digest, rows he.Rows, width int) (*he.Answer, error) {
	query, err := he.EncryptQueries(q.public, rows, width, q.seed)
	if err != nil {
		return nil, err
	}
	b := query.Append(nil)
	envelope := wire.Query{Model: model, Sequence: q.sequence.Add(1), Rows: uint16(rows.Len()), Digest: sha256.Sum256(b)}.
		Sign(q.client.config.Genesis.Chain, q.client.config.Signing).Append(nil)
	var errs []error
	for _, name := range t.Nodes {
		n, err := q.client.Node(name)
		var answer []byte
		if err == nil {
			answer, err = n.Predict(ctx, envelope, b)
		}
		if err == nil {
			return he.ParseAnswer(answer, q.profile, width)
		}
		errs = append(errs, fmt.Errorf("%s: %w", name, err))
	}
	return nil, errors.Join(errs...)
}
