package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/gate"
	"github.com/commonseal/commonseal/ledger/tree"
	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

// FetchRecord asks a validator what the state has at a key, and makes the receipt,
// see [ledger.RecordReceipt], when the block is there that has the root. Whether the
// receipt is true [VerifyRecord] says.
func FetchRecord(ctx context.Context, e gate.Endpoint, key []byte) ([]byte, error) {
	q, err := e.Service.Query(ctx, &commonsealv1.QueryRequest{Key: key, Prove: true})
	if err != nil {
		return nil, gate.FromStatus(err)
	}
	proof, err := tree.ParseStateProof(q.Proof)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	r := ledger.RecordReceipt{Key: key, Proof: q.Proof}
	if len(q.Value) > 0 { // no value is empty
		r.Value = q.Value
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in, err := e.Service.Follow(ctx, &commonsealv1.FollowRequest{From: max(1, q.Height)})
	if err != nil {
		return nil, gate.FromStatus(err)
	}
	// The next block has the root, or this one, if it changed nothing.
	for range 2 {
		m, err := in.Recv()
		if err != nil {
			return nil, gate.FromStatus(err)
		}
		signed, err := parseCommit(m.Commit)
		if err != nil {
			return nil, err
		}
		b, err := signedBlock(m.Block, signed)
		if err != nil {
			return nil, err
		}
		if len(b.AppHash) != len(ledger.Digest{}) || proof.Verify(ledger.Digest(b.AppHash), r.Key, r.Value) != nil {
			continue
		}
		if r.Header, err = b.Header.ToProto().Marshal(); err != nil {
			return nil, fmt.Errorf("audit: receipt: %w", err)
		}
		r.Commit = m.Commit
		return r.Append(nil), nil
	}
	return nil, fmt.Errorf("%w: the proof leads to no root of block %d or the next", ErrMismatch, q.Height)
}

// Tip is how far a chain is: what the second of the validators says that answer, or
// the only one, so that one that lies cannot keep an auditor waiting.
func Tip(ctx context.Context, chain string, doors []gate.Endpoint) (int64, error) {
	var heights []int64
	errs := []error{errors.New("audit: no validator answers; check their addresses")}
	for _, e := range doors {
		t, err := FetchHeader(ctx, e, chain, 0)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", e.Name, err))
			continue
		}
		heights = append(heights, t.Point().Height)
	}
	if len(heights) == 0 {
		return 0, errors.Join(errs...)
	}
	slices.Sort(heights)
	return heights[max(0, len(heights)-2)], nil
}

// Fetch replays blocks from validators up to a height, and gives each that is
// verified to keep. Who sends what is wrong is left for the next. The error is a
// [*DifferenceError] if what validators signed is wrong, or the last one's.
func (r *Replay) Fetch(ctx context.Context, doors []gate.Endpoint, to int64, keep func(block, commit []byte) error) error {
	errs := []error{errors.New("audit: no validator has the blocks")}
	var ours error // the caller's, and no endpoint's
	kept := func(block, commit []byte) error {
		ours = keep(block, commit)
		return ours
	}
	for _, e := range doors {
		err := r.fetch(ctx, e, to, kept)
		var differs *DifferenceError
		if err == nil || ours != nil || errors.As(err, &differs) || ctx.Err() != nil {
			return err
		}
		errs = append(errs, fmt.Errorf("block %d from %s: %w", r.sum.Blocks+1, e.Name, err))
	}
	return errors.Join(errs...)
}

func (r *Replay) fetch(ctx context.Context, e gate.Endpoint, to int64, keep func(block, commit []byte) error) error {
	if r.sum.Blocks >= to {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in, err := e.Service.Follow(ctx, &commonsealv1.FollowRequest{From: r.sum.Blocks + 1})
	if err != nil {
		return gate.FromStatus(err)
	}
	for r.sum.Blocks < to {
		m, err := in.Recv()
		if err != nil {
			return gate.FromStatus(err)
		}
		if err := r.Block(m.Block, m.Commit); err != nil {
			return err
		}
		if err := keep(m.Block, m.Commit); err != nil {
			return err
		}
	}
	return nil
}
