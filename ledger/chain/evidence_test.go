package chain

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"testing"

	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"

	"github.com/commonseal/commonseal/ledger"
)

// A validator signs two blocks of one height. What shows it is gossiped, goes
// into a block that the others sign, and the chain goes on with one block a height.
func TestDoubleVoteIsEvidence(t *testing.T) {
	specs, _ := founded(t, 4)
	var nodes []*Node
	for _, spec := range specs {
		n, _ := run(t, spec)
		nodes = append(nodes, n)
	}
	together(t, nodes, []byte("a=1"))
	honest := nodes[0]
	at := honest.Height() - 1 // the application is ahead of what CometBFT has written down, by one at most
	atLeast(t, nodes[1], at+1)
	meta := honest.comet.BlockStore().LoadBlockMeta(at)
	seed := sha256.Sum256(fmt.Appendf(nil, "vote %d", 3)) // as founded made it
	cheat := ed25519.NewKeyFromSeed(seed[:])
	validators := validatorsOf(honest)
	index, cheater := int32(-1), (*types.Validator)(nil)
	for i, v := range validators.Validators {
		if string(v.PubKey.Bytes()) == string(cheat.Public().(ed25519.PublicKey)) {
			index, cheater = int32(i), v
		}
	}
	if cheater == nil {
		t.Fatal("the cheat is no validator")
	}
	vote := func(block string) *types.Vote {
		hash := sha256.Sum256([]byte(block))
		v := &types.Vote{Type: cmtproto.PrecommitType, Height: at, Timestamp: meta.Header.Time, ValidatorAddress: cheater.Address, ValidatorIndex: index,
			BlockID: types.BlockID{Hash: hash[:], PartSetHeader: types.PartSetHeader{Total: 1, Hash: hash[:]}}}
		v.Signature = ed25519.Sign(cheat, types.VoteSignBytes(testChain, v.ToProto()))
		return v
	}
	ev, err := types.NewDuplicateVoteEvidence(vote("one block"), vote("another"), meta.Header.Time, validators)
	if err != nil {
		t.Fatal(err)
	}
	if err := nodes[1].comet.EvidencePool().AddEvidence(ev); err != nil {
		t.Fatal(err)
	}
	for round := 0; ; round++ { // each block's proposer is another, and evidence needs a gossip to reach it
		together(t, nodes, fmt.Appendf(nil, "b=%d", round))
		for h := at + 1; h <= honest.Height(); h++ {
			if b := honest.comet.BlockStore().LoadBlock(h); len(b.Evidence.Evidence) == 1 {
				compareBlocks(t, nodes, h)
				return
			}
		}
		if round == 20 {
			t.Fatal("no block has the evidence")
		}
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

// compareBlocks holds all validators to one block of a height.
func compareBlocks(t *testing.T, nodes []*Node, height int64) {
	t.Helper()
	var first ledger.Digest
	for i, n := range nodes {
		atLeast(t, n, height)
		hash := ledger.Digest(n.comet.BlockStore().LoadBlockMeta(height).BlockID.Hash)
		if i > 0 && hash != first {
			t.Errorf("validator %d has block %x of height %d, the first %x", i, hash, height, first)
		}
		first = hash
	}
}
