package gate

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"google.golang.org/grpc"

	"github.com/commonseal/commonseal/ledger"
	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

const (
	txBytes  = 64 << 10
	keyBytes = 1 << 10
	// submitRate is what one peer may submit a second: a pool that is flooded
	// starves consensus.
	submitRate, submitBurst = 128, 512
)

// A Chain orders transactions and keeps the blocks. ledger/chain has the real
// one. Safe for concurrent use.
type Chain interface {
	// Submit has a transaction checked and waits for no block. One that is in
	// the pool already is [ledger.OK].
	Submit(ctx context.Context, tx []byte) (ledger.Result, error)
	// Block is a block and the commit for it, as the consensus engine encodes
	// them.
	Block(height int64) (block, commit []byte, err error)
	// Wait returns the height of the last block once it is above the given one.
	Wait(ctx context.Context, above int64) (int64, error)
}

// A Record answers for the committed state. Safe for concurrent use.
type Record interface {
	// Query is the value of a key, nil if there is none, and, if asked for, its
	// proof, in the state of a height.
	Query(key []byte, prove bool) (value, proof []byte, height int64, err error)
	// Receipt proves that the transaction of a hash is on the ledger; nil and
	// no error if it is not.
	Receipt(hash ledger.Digest) ([]byte, error)
	// Signers are the validators that sign the block of a height.
	Signers(height int64) ([]ledger.Power, error)
}

// A server is LedgerService.
type server struct {
	commonsealv1.UnimplementedLedgerServiceServer
	chain   Chain
	record  Record
	submits *rates
}

// Serve adds LedgerService, over a chain and its record, to a server that was
// made with the options of a [Door]. Such a server ends with Stop: Follow goes on
// for as long as its peer does, so GracefulStop would not return.
func Serve(s *grpc.Server, chain Chain, record Record) {
	commonsealv1.RegisterLedgerServiceServer(s, &server{chain: chain, record: record, submits: newRates(submitRate, submitBurst)})
}

// Submit checks what can be checked without the chain.
func (s *server) Submit(ctx context.Context, in *commonsealv1.SubmitRequest) (*commonsealv1.SubmitResponse, error) {
	if n := len(in.Tx); n == 0 || n > txBytes {
		return nil, Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_TOO_LARGE, "", "a transaction of %d bytes, not 1 to %d", n, txBytes)
	}
	p, _ := PeerOf(ctx)
	if !s.submits.take(p.Key, time.Now()) {
		return nil, Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_BUSY, "wait a second and submit less often", "more than %d transactions a second", submitRate)
	}
	r, err := s.chain.Submit(ctx, in.Tx)
	if err != nil {
		return nil, elsewhere(ctx, err)
	}
	hash := sha256.Sum256(in.Tx)
	return &commonsealv1.SubmitResponse{Code: commonsealv1.RefusalCode(r.Code), Detail: r.Detail, Hash: hash[:]}, nil
}

// Follow sends blocks as long as the peer takes them.
func (s *server) Follow(in *commonsealv1.FollowRequest, out grpc.ServerStreamingServer[commonsealv1.FollowResponse]) error {
	if in.From < 1 {
		return Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_MALFORMED, "begin at 1 or above", "blocks from height %d", in.From)
	}
	for height := in.From; ; {
		last, err := s.chain.Wait(out.Context(), height-1)
		if err != nil {
			return elsewhere(out.Context(), err)
		}
		for ; height <= last; height++ {
			block, commit, err := s.block(height)
			if err != nil {
				return err
			}
			if err := out.Send(&commonsealv1.FollowResponse{Height: height, Block: block, Commit: commit}); err != nil {
				return err
			}
		}
	}
}

// Commit is one block, and who signs it.
func (s *server) Commit(ctx context.Context, in *commonsealv1.CommitRequest) (*commonsealv1.CommitResponse, error) {
	height := in.Height
	if height == 0 {
		last, err := s.chain.Wait(ctx, -1)
		if err != nil {
			return nil, elsewhere(ctx, err)
		}
		height = last
	}
	block, commit, err := s.block(height)
	if err != nil {
		return nil, err
	}
	out := &commonsealv1.CommitResponse{Height: height, Block: block, Commit: commit}
	powers, err := s.record.Signers(height)
	if err != nil {
		return nil, elsewhere(ctx, err)
	}
	for _, p := range powers {
		out.Signers = append(out.Signers, &commonsealv1.Signer{Vote: p.Vote[:], Power: p.Power})
	}
	return out, nil
}

func (s *server) block(height int64) (block, commit []byte, err error) {
	block, commit, err = s.chain.Block(height)
	if err != nil {
		err = Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_NOT_FOUND, "ask another validator", "no block of height %d here: %v", height, err)
	}
	return block, commit, err
}

// elsewhere is an error of the chain as the peer shall see it: a validator that
// is busy, catching up or stopping has others that are not.
func elsewhere(ctx context.Context, err error) error {
	var r *Refusal
	if ctx.Err() != nil || errors.As(err, &r) {
		return err
	}
	return Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_NOT_READY, "ask another validator", "%v", err)
}

// Query reads the committed state.
func (s *server) Query(_ context.Context, in *commonsealv1.QueryRequest) (*commonsealv1.QueryResponse, error) {
	if n := len(in.Key); n == 0 || n > keyBytes {
		return nil, Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_MALFORMED, "", "a key of %d bytes, not 1 to %d", n, keyBytes)
	}
	value, proof, height, err := s.record.Query(in.Key, in.Prove)
	if err != nil {
		return nil, err
	}
	return &commonsealv1.QueryResponse{Value: value, Proof: proof, Height: height}, nil
}

// Receipt proves a transaction.
func (s *server) Receipt(_ context.Context, in *commonsealv1.ReceiptRequest) (*commonsealv1.ReceiptResponse, error) {
	if len(in.Hash) != len(ledger.Digest{}) {
		return nil, Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_MALFORMED, "", "a hash of %d bytes, not %d", len(in.Hash), len(ledger.Digest{}))
	}
	receipt, err := s.record.Receipt(ledger.Digest(in.Hash))
	if err != nil {
		return nil, err
	}
	if receipt == nil {
		return nil, Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_NOT_FOUND, "wait for the block after its own", "no transaction %x on the ledger", in.Hash[:6])
	}
	return &commonsealv1.ReceiptResponse{Receipt: receipt}, nil
}
