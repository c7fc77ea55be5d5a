package chain

import (
	"fmt"
	"slices"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/types"

	"github.com/commonseal/commonseal/ledger"
)

// signs waits for a block that a validator signed.
func (c *consortium) signs(i int) {
	c.t.Helper()
	n := c.nodes[0]
	address := ledger.AddressOf(public(keyOf("vote", validatorName(i))))
	for height, tries := n.Height(), 0; tries < 60; height, tries = height+1, tries+1 {
		c.record("ann", &ledger.Renew{TLS: public(keyOf("tls", "ann")), Address: freshAddress(int(c.signed))})
		atLeast(c.t, n, height+1)
		commit := n.comet.BlockStore().LoadSeenCommit(height)
		if commit != nil && slices.ContainsFunc(commit.Signatures, func(s types.CommitSig) bool { return ledger.VoteAddress(s.ValidatorAddress) == address }) {
			return
		}
	}
	c.t.Fatalf("%s signs no block", validatorName(i))
}

func freshAddress(n int) string { return fmt.Sprintf("ann%d.example:1", n) }

// Four validators admit a fifth, which fetches the blocks it missed, signs, and is
// shut out again; the header of each block has the hash of the powers two blocks before.
func TestValidatorsChange(t *testing.T) {
	if testing.Short() {
		t.Skip("five validators")
	}
	c := consort(t, 4, 1)
	c.start(asIs, 0, 1, 2, 3)
	c.admit(4)
	if got := powers(c.nodes[0]); len(got) != 4 {
		t.Fatalf("%q sign before the fifth attends", got)
	}
	c.start(asIs, 4)
	c.record("v4", &ledger.Attend{On: true})
	c.signs(4)
	c.record("ann", &ledger.Revoke{Name: "v1"})
	c.record("bob", &ledger.Revoke{Name: "v1"})
	want := []string{"v0", "v2", "v3", "v4"}
	for i, n := range c.nodes {
		if got := powers(n); !slices.Equal(got, want) {
			t.Errorf("on validator %d %q sign, want %q", i, got, want)
		}
	}
	c.alike()
	headersHavePowers(t, c.nodes[4])
}

// headersHavePowers holds the headers of a node to its states.
func headersHavePowers(t *testing.T, n *Node) {
	t.Helper()
	compared := 0
	for height := n.Height(); height > 2 && compared < 50; height-- {
		s, err := n.Tree().At(height - 2)
		if err != nil {
			break
		}
		var set []*types.Validator
		for _, u := range updates(ledger.Powers(s)) {
			key, err := types.PB2TM.ValidatorUpdates([]abci.ValidatorUpdate{u})
			if err != nil {
				t.Fatal(err)
			}
			set = append(set, key...)
		}
		meta := n.comet.BlockStore().LoadBlockMeta(height)
		if want := types.NewValidatorSet(set).Hash(); meta != nil && string(meta.Header.ValidatorsHash) != string(want) {
			t.Errorf("block %d: validators %x in the header, %x in the state two blocks before", height, meta.Header.ValidatorsHash, want)
		}
		compared++
	}
	if compared < 3 {
		t.Errorf("%d headers compared", compared)
	}
}
