// Package clients is the Go SDK: it follows the ledger of a consortium, records
// transactions, asks models under the asker's own key, and verifies receipts.
//
//	c, err := clients.Open(clients.Config{Genesis: genesis, Dir: dir, TLS: tls, Signing: signing})
//	go c.Run(ctx)
//	err = c.Until(ctx, func(v ledger.View) bool { … })
//	q := clients.NewQuerier(c, "shop", seed, task, profile, next)
//	margins, err := q.Predict(ctx, model, rows)
//	mine, err := c.Contribute(ctx, "ann", "churn", "rows.csv", "churned", handOver)
//
// What a client says of the ledger it has checked: more than two thirds of the
// validators signed every block, those of the genesis and then those that the ledger
// says, and the state is re-executed here.
package clients

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/commonseal/commonseal/federation/peer"
	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/audit"
	"github.com/commonseal/commonseal/ledger/gate"
	"github.com/commonseal/commonseal/ledger/tree"
	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

// Config is what a client is made of.
type Config struct {
	Genesis ledger.Genesis
	Doors   []Door             // of validators, two at least; none: as the genesis has them
	Dir     string             // of the replica of the ledger; "" keeps it in memory
	TLS     ed25519.PrivateKey // registered on the ledger, to be let in
	Signing ed25519.PrivateKey // likewise, to record; nil only reads
	Log     *slog.Logger       // nil: nothing
}

// A Door is where a validator's ledger service is, and whose key it proves.
type Door struct {
	Name    string
	Address string // host:port
	TLS     ledger.Key
}

// A Client follows one ledger. It is safe for concurrent use.
type Client struct {
	*gate.Follower
	config   Config
	identity *gate.Identity
	replica  *tree.Tree
	verifier *audit.Verifier
	doors    []*grpc.ClientConn

	mu    sync.Mutex // guards nodes
	nodes map[string]node
}

// A node is a connection to an aggregator, good for one address and key.
type node struct {
	address string
	tls     ledger.Key
	peer    *peer.Peer
}

// Open opens the replica and prepares to follow. Run does.
func Open(c Config) (_ *Client, err error) {
	out := &Client{config: c, nodes: map[string]node{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, out.Close())
		}
	}()
	if out.identity, err = gate.NewIdentity(c.TLS); err != nil {
		return nil, err
	}
	var endpoints []gate.Endpoint
	for _, d := range doorsOf(c) {
		conn, err := gate.Dial(d.Address, d.TLS, out.identity)
		if err != nil {
			return nil, fmt.Errorf("validator %s: %w", d.Name, err)
		}
		out.doors = append(out.doors, conn)
		endpoints = append(endpoints, gate.Endpoint{Name: d.Name, Service: commonsealv1.NewLedgerServiceClient(conn)})
	}
	if out.replica, err = OpenReplica(c.Dir, c.Genesis); err != nil {
		return nil, err
	}
	out.verifier = audit.NewFollowing(c.Genesis.Chain, audit.Signers(out.replica))
	rules := gate.Rules{Verify: out.verifier.Verify, Apply: ledger.Apply, Check: ledger.Check}
	out.Follower, err = gate.NewFollower(endpoints, out.replica, rules, c.Log)
	return out, err
}

// OpenReplica opens a state on disk, or in memory if dir is "", and begins it
// with a genesis if it is new.
func OpenReplica(dir string, g ledger.Genesis) (*tree.Tree, error) {
	t, err := tree.Open(dir)
	if err != nil {
		return nil, err
	}
	if t.Height() >= 0 {
		return t, nil
	}
	writes, err := g.Writes()
	if err == nil {
		_, err = t.Stage(0, ledger.Outcome{Writes: writes})
	}
	if err == nil {
		err = t.Commit()
	}
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// Close ends all connections and closes the replica, after Run has returned.
func (c *Client) Close() error {
	var errs []error
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.nodes {
		errs = append(errs, n.peer.Close())
	}
	for _, d := range c.doors {
		errs = append(errs, d.Close())
	}
	if c.replica != nil {
		errs = append(errs, c.replica.Close())
	}
	return errors.Join(errs...)
}

// Until returns when the state is as asked.
func (c *Client) Until(ctx context.Context, so func(ledger.View) bool) error {
	for {
		next := c.Changed()
		if so(c.View()) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-next:
		}
	}
}

// syncTime is how long validators have to say how far the chain is; they may be
// starting.
const syncTime = 15 * time.Second

// Sync returns when the replica is as far as the chain was when it was called: as
// the second of the validators says that answer, more than half of all or as many
// as do in a while, or the only one. One that lies cannot hold it up.
func (c *Client) Sync(ctx context.Context) error {
	asking, cancel := context.WithTimeout(ctx, syncTime)
	defer cancel()
	said := make(chan int64, len(c.doors))
	for _, d := range c.doors {
		go func() {
			r, err := commonsealv1.NewLedgerServiceClient(d).Query(asking, &commonsealv1.QueryRequest{Key: ledger.GenesisKey()}, grpc.WaitForReady(true))
			if err != nil {
				said <- -1
				return
			}
			said <- r.Height
		}()
	}
	var heights []int64
	for asked := 0; asked < len(c.doors) && 2*len(heights) <= len(c.doors); asked++ {
		if h := <-said; h >= 0 {
			heights = append(heights, h)
		}
	}
	slices.Sort(heights)
	if len(heights) == 0 {
		return errors.New("no validator answers; check the addresses in node.yaml, and that they run")
	}
	tip := heights[max(0, len(heights)-2)]
	return c.Until(ctx, func(ledger.View) bool { return c.Now() > 0 && c.Height() >= tip })
}

// Root is of the state and the log, as far as they were followed.
func (c *Client) Root() ledger.Digest { return c.replica.Root() }

// A RefusedError says that the ledger refused a transaction.
type RefusedError struct{ Result ledger.Result }

// Error gives the ledger's reason.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("the ledger refused (code %d): %s", e.Result.Code, e.Result.Detail)
}

// lifetime is how long a transaction may wait for a block, in milliseconds.
const lifetime = ledger.MaxExpiry / 2

// Record signs a body, submits it, and returns the transaction once it is in a
// block. That the same is recorded already is as good: then the transaction is
// nil. The error is a [*RefusedError] if the ledger refused.
func (c *Client) Record(ctx context.Context, body ledger.Body) ([]byte, error) {
	if err := c.Until(ctx, func(ledger.View) bool { return c.Now() > 0 }); err != nil {
		return nil, fmt.Errorf("no block yet: %w", err)
	}
	tx := ledger.SignTx(c.config.Genesis.Chain, c.Now()+lifetime, body, c.config.Signing)
	r, err := c.Submit(ctx, tx)
	switch {
	case err != nil:
		return nil, err
	case r.Code == ledger.Replayed:
		return nil, nil
	case r.Code != ledger.OK:
		return nil, &RefusedError{r}
	}
	return tx, nil
}

// Node is the connection to an aggregator, as the ledger has it now.
func (c *Client) Node(name string) (*peer.Peer, error) {
	m, err := c.aggregator(name)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if n, ok := c.nodes[name]; ok {
		if n.address == m.Address && n.tls == m.TLS {
			return n.peer, nil
		}
		_ = n.peer.Close() // its owner renewed key or address
	}
	p, err := peer.Dial(m.Address, m.TLS, c.identity)
	if err != nil {
		return nil, fmt.Errorf("aggregator %s: %w", name, err)
	}
	c.nodes[name] = node{m.Address, m.TLS, p}
	return p, nil
}

// NodeAs is a connection to an aggregator under another TLS key than the client's,
// a querier's. The caller closes it.
func (c *Client) NodeAs(name string, tls ed25519.PrivateKey) (*peer.Peer, error) {
	m, err := c.aggregator(name)
	if err != nil {
		return nil, err
	}
	id, err := gate.NewIdentity(tls)
	if err != nil {
		return nil, err
	}
	return peer.Dial(m.Address, m.TLS, id)
}

func (c *Client) aggregator(name string) (*ledger.Member, error) {
	m, ok := ledger.MemberOf(c.View(), name)
	if !ok || m.Revoked || !m.Roles.Has(ledger.Aggregator) {
		return nil, fmt.Errorf("%s is no aggregator, or was revoked", name)
	}
	return m, nil
}

// Receipt finds the first transaction that is as asked, and asks the validators
// for the proof that it is on the ledger, which it verifies. The bytes verify
// offline ever after: [VerifyReceipt].
func (c *Client) Receipt(ctx context.Context, which func(ledger.Tx) bool) ([]byte, error) {
	hash, err := c.find(which)
	if err != nil {
		return nil, err
	}
	errs := []error{errors.New("no validator gave a receipt")}
	for _, d := range c.doors {
		r, err := commonsealv1.NewLedgerServiceClient(d).Receipt(ctx, &commonsealv1.ReceiptRequest{Hash: hash[:]})
		if err == nil {
			err = c.known(ctx, func() error {
				_, err := audit.VerifyReceipt(r.Receipt, c.verifier)
				return err
			})
			if err == nil {
				return r.Receipt, nil
			}
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// find is the SHA-256 of the first transaction on the ledger that is as asked.
func (c *Client) find(which func(ledger.Tx) bool) (ledger.Digest, error) {
	for i := range c.replica.Leaves() {
		tx, err := c.replica.Leaf(i)
		if err != nil {
			return ledger.Digest{}, err
		}
		if t, err := ledger.ParseTx(tx); err == nil && which(t) {
			return sha256.Sum256(tx), nil
		}
	}
	return ledger.Digest{}, errors.New("no such transaction is on the ledger")
}

// Recorded is how many transactions are on the ledger, and their bytes.
func (c *Client) Recorded() (transactions int, bytes int64, err error) {
	for i := range c.replica.Leaves() {
		tx, err := c.replica.Leaf(i)
		if err != nil {
			return 0, 0, err
		}
		transactions, bytes = transactions+1, bytes+int64(len(tx))
	}
	return transactions, bytes, nil
}

// VerifyReceipt verifies a receipt offline: more than two thirds of the genesis
// validators signed the state that contains the transaction.
func VerifyReceipt(receipt []byte, g ledger.Genesis) (audit.Entry, error) {
	v, err := Founders(g)
	if err != nil {
		return audit.Entry{}, err
	}
	return audit.VerifyReceipt(receipt, v)
}

// Founders verifies what the validators of a genesis signed, for as long as they are
// the same.
func Founders(g ledger.Genesis) (*audit.Verifier, error) {
	var votes []ledger.Key
	for _, m := range g.Members {
		if m.Roles.Has(ledger.Validator) {
			votes = append(votes, m.Vote)
		}
	}
	return audit.NewVerifier(g.Chain, votes)
}

func doorsOf(c Config) []Door {
	if len(c.Doors) > 0 {
		return c.Doors
	}
	var out []Door
	for _, m := range c.Genesis.Members {
		if m.Roles.Has(ledger.Validator) {
			out = append(out, Door{m.Name, m.Address, m.TLS})
		}
	}
	return out
}
