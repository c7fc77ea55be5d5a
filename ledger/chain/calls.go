package chain

import (
	"context"
	"errors"
	"fmt"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/mempool"
	"github.com/cometbft/cometbft/p2p"
	protomem "github.com/cometbft/cometbft/proto/tendermint/mempool"
	"github.com/cometbft/cometbft/types"

	"github.com/commonseal/commonseal/ledger"
)

// Submit offers a transaction, and returns what Check says of it now: accepted
// means that it waits in the pool of this validator and is passed on to the
// others, not that it is in a block, and a restart forgets it. Submit again until
// it is seen in a block; the same bytes again are accepted and passed on again.
//
// Errors are [ErrBusy], [ErrCatchingUp] and [ErrStopped].
func (n *Node) Submit(ctx context.Context, tx []byte) (ledger.Result, error) {
	leave, err := n.enter()
	if err != nil {
		return ledger.Result{}, err
	}
	defer leave()
	if r, ok := n.comet.MempoolReactor().(interface{ WaitSync() bool }); ok && r.WaitSync() {
		return ledger.Result{}, ErrCatchingUp
	}
	answer := make(chan ledger.Result, 1)
	err = n.comet.Mempool().CheckTx(tx, func(r *abci.ResponseCheckTx) {
		answer <- ledger.Result{Code: ledger.Code(r.Code), Detail: r.Log}
	}, mempool.TxInfo{})
	var large mempool.ErrTxTooLarge
	var full mempool.ErrMempoolIsFull
	switch {
	case errors.Is(err, mempool.ErrTxInCache):
		// It waits, or is in a block, or was; it was not refused, or it would not be
		// in the cache (KeepInvalidTxsInCache). CometBFT passes a transaction on once,
		// and a validator that catches up drops it: it would wait here until this node
		// proposes, some heartbeats later.
		n.comet.Switch().TryBroadcast(p2p.Envelope{ChannelID: mempool.MempoolChannel, Message: &protomem.Txs{Txs: [][]byte{tx}}})
		return ledger.Result{}, nil
	case errors.As(err, &large):
		return tooLarge, nil
	case errors.As(err, &full), errors.Is(err, mempool.ErrRecheckFull):
		return ledger.Result{}, ErrBusy
	case err != nil:
		return ledger.Result{}, fmt.Errorf("chain: submit: %w", err)
	}
	select {
	case r := <-answer:
		return r, nil
	case <-ctx.Done():
		return ledger.Result{}, context.Cause(ctx)
	}
}

// Height is the height of the committed state, 0 after genesis and -1 before.
func (n *Node) Height() int64 {
	_, height, _ := n.app.last()
	return height
}

// Peers is how many other validators it is connected to.
func (n *Node) Peers() int { return n.comet.Switch().Peers().Size() }

// Wait returns the height of the committed state once it is above.
func (n *Node) Wait(ctx context.Context, above int64) (int64, error) {
	return n.app.wait(ctx, n.stop, above)
}

// Block is the block at height and the commit that signed it, both as CometBFT
// encodes them. The commit is the one in the next block, if there is one: that
// everybody has; or else the one this node saw, which may hold other
// signatures than another's.
//
// The error is [ErrNoBlock] or [ErrStopped].
func (n *Node) Block(height int64) (block, commit []byte, err error) {
	leave, err := n.enter()
	if err != nil {
		return nil, nil, err
	}
	defer leave()
	meta, commit, err := n.signed(height)
	if err != nil {
		return nil, nil, err
	}
	// The parts as they were signed, not an encoding of what they decode to.
	for i := range int(meta.BlockID.PartSetHeader.Total) {
		part := n.comet.BlockStore().LoadBlockPart(height, i)
		if part == nil {
			return nil, nil, fmt.Errorf("%w: height %d", ErrNoBlock, height)
		}
		block = append(block, part.Bytes...)
	}
	return block, commit, nil
}

// header is the header at height and the commit that signed it.
func (n *Node) header(height int64) (*types.Header, []byte, error) {
	leave, err := n.enter()
	if err != nil {
		return nil, nil, err
	}
	defer leave()
	meta, commit, err := n.signed(height)
	if err != nil {
		return nil, nil, err
	}
	return &meta.Header, commit, nil
}

// signed is what is stored of the block at height beside its parts.
func (n *Node) signed(height int64) (*types.BlockMeta, []byte, error) {
	blocks := n.comet.BlockStore()
	meta := blocks.LoadBlockMeta(height)
	seen := blocks.LoadBlockCommit(height)
	if seen == nil {
		seen = blocks.LoadSeenCommit(height)
	}
	if meta == nil || seen == nil {
		return nil, nil, fmt.Errorf("%w: height %d", ErrNoBlock, height)
	}
	commit, err := seen.ToProto().Marshal()
	if err != nil {
		return nil, nil, fmt.Errorf("chain: block %d: %w", height, err)
	}
	return meta, commit, nil
}
