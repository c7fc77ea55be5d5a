package chain

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/tree"
)

// ErrNotRecorded says that a transaction is in no block, or was refused in it.
var ErrNotRecorded = errors.New("chain: no such transaction in the log; submit it, or ask again after the next block")

// Receipt is the receipt of the recorded transaction whose bytes have the SHA-256
// tx; see [ledger.Receipt]. Of a transaction in the last block it waits for the
// next one, which has the root and so is made at once.
func (n *Node) Receipt(ctx context.Context, tx ledger.Digest) ([]byte, error) {
	t := n.app.Tree
	index, found, err := t.LeafOf(tx)
	switch {
	case err != nil:
		return nil, fmt.Errorf("chain: receipt: %w", err)
	case !found:
		return nil, ErrNotRecorded
	}
	state, ok := t.View().(*tree.Snapshot)
	if !ok {
		return nil, errors.New("chain: receipt: the tree's view is no snapshot")
	}
	var r ledger.Receipt
	if r.Tx, err = t.Leaf(index); err != nil {
		return nil, fmt.Errorf("chain: receipt: %w", err)
	}
	if r.Leaf, err = t.ProveLeaf(index, state.Log().Size); err != nil {
		return nil, fmt.Errorf("chain: receipt: %w", err)
	}
	r.Head = state.ProveHead()
	if err := n.signRoot(ctx, &r, state.Height(), state.Root()); err != nil {
		return nil, err
	}
	return r.Append(nil), nil
}

// signRoot adds the header that has the root after the block of a height, and its
// commit: the next one's, or that block's own, if it changed nothing.
func (n *Node) signRoot(ctx context.Context, r *ledger.Receipt, height int64, root ledger.Digest) error {
	for _, at := range []int64{height, height + 1} {
		if _, err := n.Wait(ctx, at-1); err != nil {
			return err
		}
		header, commit, err := n.header(at)
		if at == height && errors.Is(err, ErrNoBlock) {
			continue // that of the snapshot this validator began with
		}
		if err != nil {
			return err
		}
		if !bytes.Equal(header.AppHash, root[:]) {
			continue
		}
		if r.Header, err = header.ToProto().Marshal(); err != nil {
			return fmt.Errorf("chain: receipt: %w", err)
		}
		r.Commit = commit
		return nil
	}
	return fmt.Errorf("chain: receipt: the state after block %d is not what was signed", height)
}
