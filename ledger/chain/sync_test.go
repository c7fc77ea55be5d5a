package chain

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/audit"
)

// direct asks a node in this process.
type direct struct{ node *Node }

func (d direct) LightBlock(_ context.Context, height int64) ([]byte, error) {
	return d.node.LightBlock(height)
}

// A fifth validator joins four that have thrown their first blocks away. It begins
// with a snapshot, signs, proves what was recorded before it came, and is as the
// others are.
func TestBeginWithSnapshot(t *testing.T) {
	if testing.Short() {
		t.Skip("CometBFT waits five seconds for snapshots")
	}
	c := consort(t, 4, 1)
	short := func(config *Config) { config.Life = Life{Keep: 8, Every: 4} }
	c.start(short, 0, 1, 2, 3)
	c.record("ann", &ledger.Renew{TLS: public(keyOf("tls", "ann")), Address: "first.example:1"})
	first := c.last
	c.admit(4)
	for n := 0; ; n++ { // until block 1 is gone everywhere
		c.record("ann", &ledger.Renew{TLS: public(keyOf("tls", "ann")), Address: freshAddress(n)})
		if !slices.ContainsFunc(c.nodes[:4], func(n *Node) bool { _, _, err := n.Block(1); return err == nil }) {
			break
		}
	}
	if err := openOnly(t, c.specs[4], func(config *Config) { config.Sources = []Source{direct{c.nodes[0]}} }); err == nil {
		t.Error("it begins with one source")
	}
	c.start(func(config *Config) {
		short(config)
		config.Sources = []Source{direct{c.nodes[0]}, direct{c.nodes[1]}, direct{c.nodes[2]}}
	}, 4)
	late := c.nodes[4]
	if err := late.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, n := range c.nodes { // the first ones have no block of it any more
		entry, err := audit.VerifyReceipt(awaitReceipt(t, n, string(first)), verifier(t, n))
		if err != nil || string(entry.Tx) != string(first) || entry.Index != 0 {
			t.Errorf("validator %d proves entry %d, %v", i, entry.Index, err)
		}
	}
	c.record("v4", &ledger.Attend{On: true})
	c.signs(4)
	c.alike()
	// A restart finds what it has, and asks nobody.
	if err := c.stops[4](); err != nil {
		t.Fatal(err)
	}
	c.start(func(config *Config) {
		short(config)
		config.Sources = []Source{direct{late}, direct{late}}
	}, 4)
	late = c.nodes[4]
	c.record("ann", &ledger.Renew{TLS: public(keyOf("tls", "ann")), Address: "last.example:1"})
	c.alike()
	if base := late.comet.BlockStore().Base(); base < 4 {
		t.Errorf("its first block is %d: it fetched them all", base)
	}
	trusted(t, c)
}

// trusted begins with a block that somebody vouches for.
func trusted(t *testing.T, c *consortium) {
	t.Helper()
	n := c.nodes[0]
	sources := []Source{direct{n}, direct{c.nodes[1]}}
	tip := n.Tip()
	if again, err := ParseTrust(tip.String()); err != nil || again != tip || tip.Height < n.Height()-1 {
		t.Fatalf("the tip of block %d is %v, %v", n.Height(), again, err)
	}
	follow := func(trust Trust) ([]byte, error) {
		h, err := newHeaders(n.comet.GenesisDoc(), trust, sources, logger{discard})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := h.begin(ctx); err != nil {
			return nil, err
		}
		return h.AppHash(ctx, uint64(tip.Height-3))
	}
	root, err := follow(tip)
	if want := n.comet.BlockStore().LoadBlockMeta(tip.Height - 2).Header.AppHash; err != nil || !bytes.Equal(root, want) {
		t.Errorf("from block %d: root %x, %v, want %x", tip.Height, root, err, want)
	}
	tip.Hash[0] ^= 1
	if root, err := follow(tip); err == nil {
		t.Errorf("from a block that is not there: root %x", root)
	}
}

func TestParseTrust(t *testing.T) {
	for _, bad := range []string{"", ":", "12", "12:", "12:ab", "-1:" + Trust{}.String()[2:], Trust{}.String(), "012:" + Trust{}.String()[2:], Trust{Height: 1}.String() + "0", "1:" + strings.Repeat("A", 64)} {
		if got, err := ParseTrust(bad); err == nil {
			t.Errorf("%q is %v", bad, got)
		}
	}
}
