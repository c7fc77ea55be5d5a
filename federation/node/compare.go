package node

import (
	"context"

	"github.com/commonseal/commonseal/federation/replay"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/ledger"
)

// left gives all that a step's map left.
func (n *Node) left(ctx context.Context, v ledger.View, w *work) replay.Left {
	return func(step uint16) ([]*he.Ciphertext, error) {
		out := make([]*he.Ciphertext, len(w.job.Map(step).Outputs))
		for i := range out {
			var err error
			if out[i], err = n.output(ctx, v, w, step, i); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
}

// copies adds up the shares of the release that ends comparing: the pairs of
// companies that are near-copies of one another.
func (n *Node) copies(ctx context.Context, v ledger.View, w *work) ([]ledger.Pair, error) {
	step := w.job.Steps + replay.CompareRounds
	ticket, record, err := replay.Ticketed(v, w.job.ID, step)
	if err != nil {
		return nil, err
	}
	release, err := w.job.Bits(ticket, record, n.blob(ctx, v))
	if err != nil {
		return nil, err
	}
	digests, err := n.said(v, w, ledger.PostShare, step)
	if err != nil {
		return nil, err
	}
	shares, err := n.shares(ctx, v, digests)
	if err != nil {
		return nil, err
	}
	return w.job.Copies(release, shares)
}
