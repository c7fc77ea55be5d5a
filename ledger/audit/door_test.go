package audit

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"

	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/gate"
	"github.com/commonseal/commonseal/ledger/tree"
	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

// A door answers for a fabric as a validator's does, without a network. What it
// lies about is its caller's wish.
type door struct {
	commonsealv1.LedgerServiceClient
	f     *fabric
	last  int64 // the height it shows, if not the chain's
	asked []int64
	lie   func(*commonsealv1.CommitResponse)
	query func(*commonsealv1.QueryResponse)
}

// door is a validator's, who has the fabric's chain.
func (f *fabric) door(name string) gate.Endpoint {
	return gate.Endpoint{Name: name, Service: &door{f: f}}
}

func (d *door) tip() int64 {
	switch {
	case d.last > 0:
		return d.last
	case d.f.live != nil:
		return d.f.live.node.Height()
	}
	return d.f.height()
}

func (d *door) Commit(_ context.Context, in *commonsealv1.CommitRequest, _ ...grpc.CallOption) (*commonsealv1.CommitResponse, error) {
	height := in.Height
	if height == 0 {
		height = d.tip()
	}
	if height > d.tip() {
		return nil, fmt.Errorf("no block %d", height)
	}
	d.asked = append(d.asked, height)
	out := &commonsealv1.CommitResponse{Height: height}
	var by []ledger.Power
	if d.f.live != nil {
		var err error
		if out.Block, out.Commit, err = d.f.live.node.Block(height); err != nil {
			return nil, err
		}
		if by, err = d.f.live.node.Signers(height); err != nil {
			return nil, err
		}
	} else {
		b := d.f.blocks[height-1]
		out.Block, out.Commit, by = b.block, b.commit, d.f.signedBy(height)
	}
	for _, p := range by {
		out.Signers = append(out.Signers, &commonsealv1.Signer{Vote: p.Vote[:], Power: p.Power})
	}
	if d.lie != nil {
		d.lie(out)
	}
	return out, nil
}

func (d *door) Query(_ context.Context, in *commonsealv1.QueryRequest, _ ...grpc.CallOption) (*commonsealv1.QueryResponse, error) {
	if d.f.live == nil {
		return nil, errors.New("this door has no proofs")
	}
	s, ok := d.f.live.node.Tree().View().(*tree.Snapshot)
	if !ok {
		return nil, errors.New("no snapshot")
	}
	value, proof, err := s.Prove(in.Key)
	if err != nil {
		return nil, err
	}
	out := &commonsealv1.QueryResponse{Value: value, Proof: proof, Height: s.Height()}
	if d.query != nil {
		d.query(out)
	}
	return out, nil
}

func (d *door) Follow(ctx context.Context, in *commonsealv1.FollowRequest, _ ...grpc.CallOption) (grpc.ServerStreamingClient[commonsealv1.FollowResponse], error) {
	return &stream{ctx: ctx, d: d, next: in.From}, nil
}

// A stream is what Follow gives. Of a fabric it ends where its chain does, of a
// validator that runs it waits.
type stream struct {
	grpc.ClientStream
	ctx  context.Context
	d    *door
	next int64
}

func (s *stream) Recv() (*commonsealv1.FollowResponse, error) {
	if s.d.f.live != nil {
		if _, err := s.d.f.live.node.Wait(s.ctx, s.next-1); err != nil {
			return nil, err
		}
	} else if s.next > s.d.tip() {
		return nil, io.EOF
	}
	c, err := s.d.Commit(s.ctx, &commonsealv1.CommitRequest{Height: s.next})
	if err != nil {
		return nil, err
	}
	s.next++
	return &commonsealv1.FollowResponse{Height: c.Height, Block: c.Block, Commit: c.Commit}, nil
}
