package clients

import (
	"context"
	"errors"
	"fmt"

	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/gate"
	"github.com/commonseal/commonseal/ledger/tree"
	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

// Provable is the state after the last block, to prove records from, and the block
// after it with its commit: its header has the root of that state. It waits for
// that block.
func (c *Client) Provable(ctx context.Context) (state *tree.Snapshot, block, commit []byte, err error) {
	state, ok := c.View().(*tree.Snapshot)
	if !ok {
		return nil, nil, nil, errors.New("the replica proves nothing") // unreachable: it is a tree
	}
	if _, err := c.Wait(ctx, state.Height()); err != nil {
		return nil, nil, nil, err
	}
	errs := []error{fmt.Errorf("no validator has block %d", state.Height()+1)}
	for _, d := range c.doors {
		r, err := commonsealv1.NewLedgerServiceClient(d).Commit(ctx, &commonsealv1.CommitRequest{Height: state.Height() + 1})
		if err != nil {
			errs = append(errs, gate.FromStatus(err))
			continue
		}
		_, root, err := c.verifier.Verify(r.Block, r.Commit)
		if err == nil && root != state.Root() {
			err = fmt.Errorf("block %d has another root than the replica", state.Height()+1)
		}
		if err == nil {
			return state, r.Block, r.Commit, nil
		}
		errs = append(errs, err)
	}
	return nil, nil, nil, errors.Join(errs...)
}

// VerifyBlock reads a block offline, and the root of the state before it: more
// than two thirds of the genesis validators signed it.
func VerifyBlock(g ledger.Genesis) (func(block, commit []byte) (ledger.Block, ledger.Digest, error), error) {
	v, err := Founders(g)
	if err != nil {
		return nil, err
	}
	return v.Verify, nil
}
