// Package node is an aggregation node: it stores ciphertexts, evaluates steps,
// adds shares up and passes queries on. It holds no key share and sees
// ciphertexts only.
//
// [Node.Work] carries out what [federation.NodeDuties] says the node owes, and
// is all of its initiative: whatever it does is a function of the ledger, its
// journal and the blobs it holds, so that a node that is killed anywhere goes on
// where it was, and nodes of one job record the same bytes. The rest is what
// others ask of it, through a gRPC service that is a thin edge.
package node

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/commonseal/commonseal/federation"
	"github.com/commonseal/commonseal/federation/replay"
	"github.com/commonseal/commonseal/federation/store"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/ledger"
)

// A Ledger is the state that the node re-executed itself. Submit returns once
// the transaction is in a block, with what became of it. Safe for concurrent
// use.
type Ledger interface {
	View() ledger.View
	Now() int64 // block time
	Submit(ctx context.Context, tx []byte) (ledger.Result, error)
}

// A Peer is another node. Get checks the digest of what it returns. Posts
// returns posts of a scope that the peer took after a cursor, and the cursor
// behind each.
type Peer interface {
	Get(ctx context.Context, d ledger.Digest) ([]byte, error)
	Posts(ctx context.Context, scope ledger.Digest, after uint64) ([]ledger.Post, uint64, error)
}

// Config is what a node is made of.
type Config struct {
	Name     string
	Signing  ed25519.PrivateKey
	Profiles he.Profiles
	Store    *store.Store
	Ledger   Ledger
	Peer     func(name string) (Peer, error) // of another aggregator, by its name on the ledger
	Quota    int64                           // bytes a sender may store here; 0: 16 GiB
	Log      *slog.Logger                    // nil: nothing
}

const defaultQuota = 16 << 30

// A Node is one aggregator. Work is for one goroutine; all else is safe for
// concurrent use.
type Node struct {
	Config
	posts   posts
	keeping sync.Mutex // held while a post is journalled and added
	serving serving

	unpaid *ledger.Usage // Bill's: a record that is on its way

	// What follows is Work's alone.
	cursors map[cursor]uint64
	tasks   map[ledger.Digest]*replay.Keys
	jobs    map[ledger.Digest]*work
}

// A cursor says how far a scope of a peer was read.
type cursor struct {
	peer  string
	scope ledger.Digest
}

// New opens a node on its store.
func New(c Config) (*Node, error) {
	if c.Quota == 0 {
		c.Quota = defaultQuota
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	n := &Node{Config: c, cursors: map[cursor]uint64{}, tasks: map[ledger.Digest]*replay.Keys{}, jobs: map[ledger.Digest]*work{}}
	n.posts.init()
	n.serving.init()
	if err := n.loadPosts(); err != nil {
		return nil, fmt.Errorf("node %s: %w", c.Name, err)
	}
	return n, nil
}

// Work reads what peers have, then carries out every duty it can, and says
// whether it did any. An error that ctx did not cause is that of the first duty
// that could not be carried out: call Work again later, or when the ledger or the
// posts have changed. It does not hold up the duties after it.
func (n *Node) Work(ctx context.Context) (did bool, err error) {
	v := n.Ledger.View()
	if n.pull(ctx, v) {
		did = true
	}
	has := holding{n}
	for _, d := range federation.NodeDuties(v, n.Name, n.Ledger.Now(), has) {
		if ctx.Err() != nil {
			return did, ctx.Err()
		}
		failed := n.carryOut(ctx, v, d)
		n.tell(d, failed)
		if failed != nil {
			if errors.Is(failed, store.ErrCrash) {
				return did, failed
			}
			err = errors.Join(err, fmt.Errorf("%s: %w", d.Key(), failed))
			continue
		}
		did = true
	}
	n.forgetJobs(v)
	return did, err
}

// tell logs what became of a duty. All that is about one job has one trace, in
// every process: the job's own name on the ledger.
func (n *Node) tell(d federation.Duty, failed error) {
	log, trace := n.Log, strings.Split(d.Key(), "/")
	if len(trace) > 1 && len(trace[1]) >= traceDigits {
		log = log.With("trace", trace[1][:traceDigits])
	}
	if failed != nil {
		log.Info("a duty waits", "duty", trace[0], "cause", failed.Error())
		return
	}
	log.Info("done", "duty", d.Key())
}

const traceDigits = 16

// carryOut does one duty.
func (n *Node) carryOut(ctx context.Context, v ledger.View, d federation.Duty) error {
	switch d := d.(type) {
	case federation.Finish:
		return n.finish(ctx, v, d)
	case federation.Record:
		return n.record(ctx, v, d)
	case federation.Conclude:
		return n.conclude(ctx, v, d)
	case federation.OpenValues:
		return n.openValues(ctx, v, d)
	case federation.Pause:
		return n.submit(ctx, &ledger.PauseJob{Job: d.Job})
	}
	return fmt.Errorf("a duty of type %T, which is not a node's", d)
}

// lifetime is how long a transaction may wait for a block.
const lifetime = ledger.MaxExpiry / 2

// A TxError says that the ledger refused what the node recorded.
type TxError struct{ Result ledger.Result }

// Error gives the ledger's reason.
func (e *TxError) Error() string {
	return fmt.Sprintf("the ledger refused (code %d): %s", e.Result.Code, e.Result.Detail)
}

// submit records a body. That it is recorded already is as good.
func (n *Node) submit(ctx context.Context, body ledger.Body) error {
	g := ledger.GenesisOf(n.Ledger.View())
	r, err := n.Ledger.Submit(ctx, ledger.SignTx(g.Chain, n.Ledger.Now()+lifetime, body, n.Signing))
	if err != nil {
		return err
	}
	if r.Code != ledger.OK && r.Code != ledger.Replayed {
		return &TxError{r}
	}
	return nil
}

// holding is what duties ask of the node.
type holding struct{ n *Node }

func (h holding) Done(key string) bool {
	_, err := h.n.Store.Journal.Get("done/" + key)
	return err == nil
}

func (h holding) Post(scope ledger.Digest, kind ledger.PostKind, step, index uint16, sender ledger.Key) (ledger.Post, bool) {
	return h.n.posts.get(ledger.Post{Scope: scope, Kind: kind, Step: step, Index: index, Sender: sender})
}

// done writes down that a duty was carried out.
func (n *Node) done(d federation.Duty) error { return n.Store.Journal.Put("done/"+d.Key(), []byte{1}) }

// blob is a blob by its digest: the node's own, or another node's.
func (n *Node) blob(ctx context.Context, v ledger.View) func(ledger.Digest) ([]byte, error) {
	return func(d ledger.Digest) ([]byte, error) {
		b, err := n.Store.Blobs.Get(d)
		var rotten *store.CorruptError
		if err == nil || !errors.Is(err, store.ErrNotFound) && !errors.As(err, &rotten) {
			return b, err
		}
		for _, name := range n.peers(v) {
			p, err := n.Peer(name)
			if err != nil {
				continue
			}
			if b, err := p.Get(ctx, d); err == nil {
				_, err = n.Store.Blobs.Put(b)
				return b, err
			}
		}
		return nil, fmt.Errorf("blob %x: no node has it; wait for its uploader", d[:6])
	}
}

// peers are the other aggregators, by name.
func (n *Node) peers(v ledger.View) (out []string) {
	for _, m := range ledger.Members(v) {
		if m.Roles.Has(ledger.Aggregator) && !m.Revoked && m.Name != n.Name {
			out = append(out, m.Name)
		}
	}
	return out
}
