package agent

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/commonseal/commonseal/federation"
	"github.com/commonseal/commonseal/federation/store"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/ledger"
)

// A Ledger is the company's own copy of the ledger. Submit returns once a
// transaction is in a block, with its result there; the same bytes accepted
// before are [ledger.OK] or [ledger.Replayed]. Safe for concurrent use.
type Ledger interface {
	View() ledger.View
	Now() int64 // block time, Unix milliseconds; 0 before the first block
	Submit(ctx context.Context, tx []byte) (ledger.Result, error)
}

// A Shelf keeps posted blobs. Put of what is there already is harmless. Safe for
// concurrent use.
type Shelf interface {
	Put(ctx context.Context, post ledger.Post, blob []byte) error
	Get(ctx context.Context, d ledger.Digest) ([]byte, error)
}

// A Peer is an aggregation node as its client sees it. Posts is what it took in
// a scope after a cursor, oldest first, nothing if there is no more. Held is its
// word that it keeps a manifest and all that it lists, so many bytes.
type Peer interface {
	Shelf
	Posts(ctx context.Context, scope ledger.Digest, after uint64) (posts []ledger.Post, cursor uint64, err error)
	Held(ctx context.Context, manifest ledger.Digest) (held ledger.Held, bytes uint64, err error)
}

// A Company is what an agent acts for, and with what.
type Company struct {
	Name     string
	Signing  ed25519.PrivateKey
	Profiles he.Profiles
	// Seed is the root secret of the company's home: all it holds is derived from
	// it and from the ledger, and the journal is sealed with it.
	Seed   he.Seed
	Store  *store.Store
	Ledger Ledger
	// Peers are the nodes that can be dialled now, by name. Safe for concurrent
	// use.
	Peers func() map[string]Peer
	// Asks are the nodes that can be dialled now by a querier with this TLS key, by
	// name: the company's own, which judges models. done ends the connections. nil:
	// it judges none.
	Asks func(tls ed25519.PrivateKey) (nodes map[string]Endpoint, done func())
	// Policy is what the company takes part in now. It is asked every round; while
	// it cannot be read the last one stands.
	Policy func() (Policy, error)
	Log    *slog.Logger // nil: none
}

// Format hides the keys and the seed, whatever the verb.
func (c Company) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "company "+c.Name) }

// LogValue hides them too.
func (c Company) LogValue() slog.Value { return slog.StringValue("company " + c.Name) }

// An Agent does a company's duties. Work and Run are used by one goroutine;
// Answer by any number beside it.
type Agent struct {
	Company
	policy Policy
	off    defences

	round   uint64             // of Work
	waits   map[string]wait    // by duty, or by scope of posts
	refused map[string]error   // by duty: for good
	outbox  map[string]*letter // by natural key of its post
	posts   map[string]post    // of nodes, by natural key
	cursors map[string]uint64  // by peer and scope
	first   atomic.Int64       // which peer is asked first; Answer reads it too
	making  map[ledger.Digest]*making
	aborted wait                       // before the next ceremony is begun
	made    map[ledger.Digest]keyMaker // ceremonies that are Done, if their keys are wanted
	epochs  map[uint32]*epochKeys
	keys    map[ledger.Digest]taskKeys // by task
	uploads map[federation.Contribute]*upload
	jobs    map[ledger.Digest]*job
	rows    map[ledger.Digest]*rows // by task, until they are contributed

	mu       sync.Mutex // guards what Answer reads: what follows; and refused
	chain    string
	servers  map[ledger.Digest]*server
	queriers map[string]*querier
}

// defences are switched off by attack tests alone, one at a time.
type defences struct {
	ticket   bool // answer what one node recorded
	journal  bool // forget what was answered
	named    bool // answer whatever shares a record goes on from
	point    bool // take a gradient wherever asked
	promise  bool // say something else after a restart
	rollback bool // answer with an old journal
}

// New is the agent of a company, which goes on where its journal ends.
func New(c Company) (*Agent, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Seed == (he.Seed{}) {
		return nil, errors.New("agent: the company has no seed; draw one and keep it")
	}
	a := &Agent{
		Company: c,
		waits:   map[string]wait{}, refused: map[string]error{}, outbox: map[string]*letter{},
		posts: map[string]post{}, cursors: map[string]uint64{},
		making: map[ledger.Digest]*making{}, made: map[ledger.Digest]keyMaker{}, epochs: map[uint32]*epochKeys{}, keys: map[ledger.Digest]taskKeys{},
		uploads: map[federation.Contribute]*upload{}, jobs: map[ledger.Digest]*job{}, rows: map[ledger.Digest]*rows{},
		servers: map[ledger.Digest]*server{}, queriers: map[string]*querier{},
	}
	if err := a.reload(); err != nil {
		return nil, fmt.Errorf("agent: %w", err)
	}
	return a, nil
}

// Work is one round: it hears the nodes, does what duties can be done now, and
// says again what has shown no effect. It says whether it did anything. What it
// could not do it tries again in later rounds, less and less often.
//
// An error stops the agent: ctx's, the disk's, or a [*PromiseError]. What is
// refused for good is in [Agent.Refused].
func (a *Agent) Work(ctx context.Context) (did bool, err error) {
	v, now := a.Ledger.View(), a.Ledger.Now()
	if now == 0 || ledger.GenesisOf(v) == nil {
		return false, nil
	}
	a.round++
	a.reconsider()
	a.forget(v)
	a.pull(ctx, v)
	opened, err := a.openServers(ctx, v) // before duties, of which those that judge ask the servers
	if err != nil {
		return did, fmt.Errorf("agent: %w", err)
	}
	did = a.openBlends(v) || opened
	for _, d := range federation.CompanyDuties(v, a.Name, now, federation.Trust{Nodes: a.policy.Trust}, holding{a}) {
		done, err := a.attempt(ctx, d.Key(), func() (bool, error) { return a.carryOut(ctx, v, d) })
		if err != nil {
			return did, fmt.Errorf("agent: %s: %w", d.Key(), err)
		}
		did = did || done
	}
	sent, err := a.deliver(ctx, v)
	if err != nil {
		return did, fmt.Errorf("agent: %w", err)
	}
	return did || sent, ctx.Err()
}

// reconsider reads the policy, and takes up again what an earlier one declined.
func (a *Agent) reconsider() {
	p, err := a.Policy()
	if err != nil {
		a.Log.Warn("the policy cannot be read; the last one stands", "cause", err.Error())
		return
	}
	a.policy = p
	a.mu.Lock()
	defer a.mu.Unlock()
	for key, err := range a.refused {
		if errors.Is(err, ErrDeclined) {
			delete(a.refused, key)
		}
	}
}

// Refused are the duties that the company does not do, and why: each a
// [*RefusedError].
func (a *Agent) Refused() map[string]error {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make(map[string]error, len(a.refused))
	for key, err := range a.refused {
		out[key] = err
	}
	return out
}

// carryOut does one duty, and says whether anything was done.
func (a *Agent) carryOut(ctx context.Context, v ledger.View, d federation.Duty) (bool, error) {
	switch d := d.(type) {
	case federation.OpenRoster:
		return a.openRoster(ctx, d)
	case federation.CommitStage:
		return a.commit(ctx, v, d)
	case federation.RevealStage:
		return a.reveal(ctx, v, d)
	case federation.Acknowledge:
		return a.acknowledge(ctx, v, d)
	case federation.AbortLate:
		return a.submit(ctx, &ledger.AbortCeremony{Ceremony: d.Ceremony, Cause: "its deadline is past"})
	case federation.Consent:
		return a.consent(ctx, v, d)
	case federation.OpenKeySet:
		return a.openKeySet(ctx, v, d)
	case federation.Contribute:
		return a.contribute(ctx, v, d)
	case federation.Approve:
		return a.approve(ctx, v, d)
	case federation.Update:
		return a.update(ctx, v, d)
	case federation.Witness:
		return a.witness(ctx, v, d)
	case federation.Share:
		return a.share(ctx, v, d)
	case federation.Opening:
		return a.opening(ctx, v, d)
	case federation.Serve:
		return a.serve(ctx, v, d)
	}
	return a.judge(ctx, v, d)
}

// judge does one duty about rankings and what they are paid for.
func (a *Agent) judge(ctx context.Context, v ledger.View, d federation.Duty) (bool, error) {
	switch d := d.(type) {
	case federation.Score:
		return a.score(ctx, v, d)
	case federation.Rank:
		return a.rank(ctx, v, d)
	case federation.Reveal:
		return a.unseal(ctx, d)
	case federation.CloseEpoch:
		return a.submit(ctx, &ledger.CloseEpoch{Number: d.Number})
	case federation.Settle:
		return a.submit(ctx, &ledger.Settle{Epoch: d.Epoch, Task: d.Task})
	case federation.Lapse:
		return a.submit(ctx, &ledger.Lapse{Job: d.Job, Step: d.Step})
	}
	return false, fmt.Errorf("a duty of an unknown kind %T", d)
}

// expiry is how long a transaction may wait for its block, in ms.
const expiry = ledger.MaxExpiry / 2

// submit has a body recorded.
func (a *Agent) submit(ctx context.Context, body ledger.Body) (bool, error) {
	chain := ledger.GenesisOf(a.Ledger.View()).Chain
	r, err := a.Ledger.Submit(ctx, ledger.SignTx(chain, a.Ledger.Now()+expiry, body, a.Signing))
	switch {
	case err != nil:
		return false, err
	case r.Code == ledger.OK || r.Code == ledger.Replayed:
		return true, nil
	}
	return false, &ResultError{r}
}

// key is the public half of the company's signing key.
func (a *Agent) key() ledger.Key { return ledger.Key(a.Signing.Public().(ed25519.PublicKey)) }

// isStrict says whether the company replays a step before it answers for it.
func isStrict(v ledger.View) bool { return ledger.GenesisOf(v).Mode == ledger.Strict }
