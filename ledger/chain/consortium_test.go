package chain

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/cometbft/cometbft/crypto"
	cmted "github.com/cometbft/cometbft/crypto/ed25519"

	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/audit"
)

// A consortium is a chain with the real ledger: companies ann and bob, node north,
// and validators v0, v1, …, each in this process once it runs.
type consortium struct {
	t      *testing.T
	doc    []byte
	specs  []childSpec // of v0, v1, …
	nodes  []*Node     // of those that run; nil: stopped
	stops  []func() error
	signed int64
	last   []byte // transaction that was recorded
}

// keyOf is a key of a member for a purpose.
func keyOf(purpose, name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(purpose + " " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func public(k ed25519.PrivateKey) ledger.Key { return ledger.Key(k.Public().(ed25519.PublicKey)) }

func memberOf(name string, roles ledger.Roles) ledger.Member {
	m := ledger.Member{Name: name, Owner: "Owner of " + name, Roles: roles, Signing: public(keyOf("signing", name)), TLS: public(keyOf("tls", name))}
	if roles.Has(ledger.Aggregator) || roles.Has(ledger.Validator) {
		m.Address = name + ".example:7000"
	}
	if roles.Has(ledger.Validator) {
		m.Vote = public(keyOf("vote", name))
	}
	return m
}

func validatorName(i int) string { return fmt.Sprint("v", i) }

// consort founds a consortium of n validators. More may be added to its specs: their
// homes are written, and they know the first n.
func consort(t *testing.T, n, more int) *consortium {
	t.Helper()
	g := ledger.Genesis{Chain: testChain, Mode: ledger.Strict, Quorum: 1,
		Members: []ledger.Member{memberOf("ann", ledger.Company), memberOf("bob", ledger.Company), memberOf("north", ledger.Aggregator)}}
	var votes []ledger.Key
	for i := range n {
		m := memberOf(validatorName(i), ledger.Validator)
		g.Members, votes = append(g.Members, m), append(votes, m.Vote)
	}
	doc, err := GenesisDoc(testChain, votes, g.Append(nil), time.Now().Add(-time.Second))
	if err != nil {
		t.Fatal(err)
	}
	c := &consortium{t: t, doc: doc, nodes: make([]*Node, n+more), stops: make([]func() error, n+more)}
	for range n + more {
		c.specs = append(c.specs, childSpec{Home: filepath.Join(t.TempDir(), "home"), Listen: freeAddress(t)})
	}
	for i := range c.specs {
		name := validatorName(i)
		if err := WriteHome(c.specs[i].Home, keyOf("vote", name), keyOf("peer", name), doc); err != nil {
			t.Fatal(err)
		}
		for j := range n {
			if i != j {
				c.specs[i].Peers = append(c.specs[i].Peers, PeerID(public(keyOf("peer", validatorName(j))))+"@"+c.specs[j].Listen)
			}
		}
	}
	return c
}

// ledgerApp is the real application.
func ledgerApp(a *App) {
	a.Genesis = func(state []byte) ([]ledger.Write, error) {
		g, err := ledger.ParseGenesis(state)
		if err != nil {
			return nil, err
		}
		return g.Writes()
	}
	a.Apply, a.Check, a.Contacts = ledger.Apply, ledger.Check, ledger.Contacts
	a.Upgrade, a.Known = ledger.UpgradeAt, ledger.Protocol
}

// start runs validators, as main does with the changes.
func (c *consortium) start(change func(*Config), which ...int) {
	c.t.Helper()
	for _, i := range which {
		c.nodes[i], c.stops[i] = runAs(c.t, c.specs[i], func(config *Config) {
			ledgerApp(&config.App)
			change(config)
		})
	}
}

func asIs(*Config) {}

// running are the nodes that run.
func (c *consortium) running() (out []*Node) {
	for _, n := range c.nodes {
		if n != nil {
			out = append(out, n)
		}
	}
	return out
}

// record has a transaction recorded, and waits until every running node has it.
func (c *consortium) record(from string, body ledger.Body) {
	c.t.Helper()
	nodes := c.running()
	c.signed++
	tx := ledger.SignTx(testChain, time.Now().UnixMilli()+60_000+c.signed, body, keyOf("signing", from))
	for _, n := range nodes {
		if err := n.Ready(c.t.Context()); err != nil {
			c.t.Fatal(err)
		}
	}
	if r, err := nodes[0].Submit(c.t.Context(), tx); err != nil || r.Code != ledger.OK {
		c.t.Fatalf("%s's %T: %v, %v", from, body, r, err)
	}
	for _, n := range nodes {
		awaitReceipt(c.t, n, string(tx))
	}
	c.last = tx
}

// admit has a validator of the specs admitted and announced.
func (c *consortium) admit(i int) {
	c.t.Helper()
	name := validatorName(i)
	join := &ledger.Join{Member: memberOf(name, ledger.Validator)}
	c.record(name, join)
	c.record("ann", &ledger.Approve{Join: join.Digest()})
	c.record("bob", &ledger.Approve{Join: join.Digest()})
	c.record(name, ledger.NewAnnounce(testChain, name, c.specs[i].Listen, keyOf("peer", name)))
}

// powers are the names of those that sign, by the state of a node.
func powers(n *Node) (out []string) {
	for _, p := range ledger.Powers(n.Tree().View()) {
		out = append(out, p.Name)
	}
	return out
}

// alike holds the running nodes to one root at the least height of them, and to
// the validators that header and state agree on.
func (c *consortium) alike() {
	c.t.Helper()
	nodes := c.running()
	height := nodes[0].Height()
	for _, n := range nodes {
		atLeast(c.t, n, height)
	}
	var first ledger.Digest
	for i, n := range nodes {
		s, err := n.Tree().At(height)
		if err != nil {
			c.t.Fatal(err)
		}
		if i > 0 && s.Root() != first {
			c.t.Errorf("node %d after block %d: root %x, the first %x", i, height, s.Root(), first)
		}
		first = s.Root()
	}
}

// verifier is an auditor's, of the genesis file's validators.
func verifier(t *testing.T, n *Node) *audit.Verifier {
	t.Helper()
	var votes []ledger.Key
	for _, v := range n.comet.GenesisDoc().Validators {
		votes = append(votes, ledger.Key(v.PubKey.Bytes()))
	}
	v, err := audit.NewVerifier(testChain, votes)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// audited is a block as an auditor has it, from its bytes.
func audited(t *testing.T, n *Node, height int64) ledger.Block {
	t.Helper()
	block, commit, err := n.Block(height)
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := verifier(t, n).Verify(block, commit)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var discard = slog.New(slog.DiscardHandler)

func pubKey(k ed25519.PrivateKey) crypto.PubKey { return cmted.PubKey(k.Public().(ed25519.PublicKey)) }

func sign(k ed25519.PrivateKey, b []byte) []byte { return ed25519.Sign(k, b) }
