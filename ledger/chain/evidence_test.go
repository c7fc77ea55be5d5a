package chain

import (
	"crypto/ed25519"
	"crypto/sha256"
	"slices"
	"testing"

	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"

	"github.com/commonseal/commonseal/ledger"
)

// A validator signs two blocks of one height. The evidence costs it its power on
// all of them alike, and an auditor has the same from the blocks.
func TestDoubleVoterIsRemoved(t *testing.T) {
	c := consort(t, 4, 0)
	c.start(asIs, 0, 1, 2, 3)
	c.record("ann", &ledger.Renew{TLS: public(keyOf("tls", "ann")), Address: "ann.example:1"})
	n := c.nodes[0]
	at := n.Height() - 1 // the application is ahead of what CometBFT has written down, by one at most
	atLeast(t, c.nodes[1], at+1)
	cheat := keyOf("vote", "v3")
	meta := n.comet.BlockStore().LoadBlockMeta(at)
	validators := validatorsOf(n)
	address := ledger.AddressOf(public(cheat))
	index, _ := validators.GetByAddress(address[:])
	vote := func(block string) *types.Vote {
		hash := sha256.Sum256([]byte(block))
		v := &types.Vote{Type: cmtproto.PrecommitType, Height: at, Timestamp: meta.Header.Time, ValidatorAddress: address[:], ValidatorIndex: index,
			BlockID: types.BlockID{Hash: hash[:], PartSetHeader: types.PartSetHeader{Total: 1, Hash: hash[:]}}}
		v.Signature = ed25519.Sign(cheat, types.VoteSignBytes(testChain, v.ToProto()))
		return v
	}
	ev, err := types.NewDuplicateVoteEvidence(vote("one block"), vote("another"), meta.Header.Time, validators)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.nodes[1].comet.EvidencePool().AddEvidence(ev); err != nil {
		t.Fatal(err)
	}
	want := []string{"v0", "v1", "v2"}
	for round := 0; !slices.Equal(powers(n), want); round++ {
		if round == 20 {
			t.Fatal("the double voter still signs")
		}
		c.record("ann", &ledger.Renew{TLS: public(keyOf("tls", "ann")), Address: freshAddress(round)})
	}
	c.alike()
	for i, n := range c.nodes {
		m, ok := ledger.MisbehaviourOf(n.Tree().View(), public(cheat))
		if !ok || m.Height != at || m.Kind != ledger.DoubleVote || !slices.Equal(powers(n), want) {
			t.Errorf("validator %d recorded %v, %v; %q sign", i, m, ok, powers(n))
		}
	}
	// What an auditor makes of the block that has the evidence.
	for height := at + 1; ; height++ {
		if height > n.Height() {
			t.Fatal("no block has the evidence")
		}
		b := n.comet.BlockStore().LoadBlock(height)
		if b == nil || len(b.Evidence.Evidence) == 0 {
			continue
		}
		before, err := n.Tree().At(height - 1)
		if err != nil {
			t.Fatal(err)
		}
		out := ledger.Apply(before, audited(t, n, height))
		if len(out.Powers) != 1 || out.Powers[0].Name != "v3" || out.Powers[0].Power != 0 {
			t.Errorf("an auditor has %v changed by block %d", out.Powers, height)
		}
		return
	}
}

// validatorsOf are the validators of the genesis, which do not change.
func validatorsOf(n *Node) *types.ValidatorSet {
	var out []*types.Validator
	for _, v := range n.comet.GenesisDoc().Validators {
		out = append(out, types.NewValidator(v.PubKey, v.Power))
	}
	return types.NewValidatorSet(out)
}
