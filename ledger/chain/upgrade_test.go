package chain

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/commonseal/commonseal/ledger"
)

// newRules is a program whose Apply writes something more from version 2 on.
func newRules(c *Config) {
	inner := c.App.Apply
	c.App.Apply = func(v ledger.View, b ledger.Block) ledger.Outcome {
		out := inner(v, b)
		if ledger.UpgradeAt(v, b.Height).Version >= 2 && v.Get([]byte("~by new rules")) == nil {
			out.Writes = append(out.Writes, ledger.Write{Key: []byte("~by new rules"), Value: []byte{1}})
		}
		return out
	}
	c.App.Known = 2
}

// A majority upgrades at a height. Three validators have the program that knows it
// and go on; the one that has not stops before it, and says what to install.
func TestUpgradeAtHeight(t *testing.T) {
	if testing.Short() {
		t.Skip("four validators, thirty blocks")
	}
	c := consort(t, 4, 0)
	c.start(newRules, 0, 1, 2)
	c.start(asIs, 3)
	at := c.nodes[0].Height() + 15
	up := &ledger.Upgrade{Version: 2, Height: at, Release: "commonseal v2.0.0"}
	c.record("ann", up)
	c.record("bob", up)
	old := c.nodes[3]
	c.nodes[3] = nil
	for n := 0; c.nodes[0].Height() <= at+1; n++ {
		c.record("ann", &ledger.Renew{TLS: public(keyOf("tls", "ann")), Address: freshAddress(n)})
	}
	if _, err := old.Wait(t.Context(), at); !errors.Is(err, ErrStopped) {
		t.Fatalf("the old program at block %d: %v", at, err)
	}
	var outdated *ledger.OutdatedError
	if err := c.stops[3](); !errors.As(err, &outdated) || !strings.Contains(err.Error(), "install commonseal v2.0.0") {
		t.Fatalf("the old program stopped with %v", err)
	}
	if got := old.Height(); got != at-1 {
		t.Errorf("the old program stopped after block %d, the upgrade is at %d", got, at)
	}
	for height, want := range map[int64]uint64{at - 1: 1, at: 2} {
		if got := c.nodes[0].comet.BlockStore().LoadBlockMeta(height).Header.Version.App; got != want {
			t.Errorf("block %d is of version %d, want %d", height, got, want)
		}
	}
	// Started again it says so before it opens anything; the new one catches up.
	spec := c.specs[3]
	if err := openOnly(t, spec, func(config *Config) { ledgerApp(&config.App) }); !errors.As(err, &outdated) {
		t.Errorf("the old program again: %v", err)
	}
	c.start(newRules, 3)
	c.record("ann", &ledger.Renew{TLS: public(keyOf("tls", "ann")), Address: "after.example:1"})
	c.alike()
	if got := c.nodes[3].Tree().View().Get([]byte("~by new rules")); !slices.Equal(got, []byte{1}) {
		t.Errorf("the new rules wrote %x", got)
	}
}
