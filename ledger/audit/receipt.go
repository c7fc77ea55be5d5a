package audit

import (
	"bytes"
	"fmt"

	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"

	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/tree"
)

// An Entry is what a receipt shows: a transaction, its place in the log, and the
// block that was signed after it was there.
type Entry struct {
	Tx     []byte
	Index  uint64
	Height int64 // of the signed block; the transaction is in one before it
	Time   int64 // of the signed block, Unix milliseconds
}

// VerifyReceipt returns what a receipt shows, if it does; see [ledger.Receipt].
// It asks nobody. Errors wrap one of those of this package.
func VerifyReceipt(receipt []byte, v *Verifier) (Entry, error) {
	r, err := ledger.ParseReceipt(receipt)
	if err != nil {
		return Entry{}, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	signed, err := v.commit(r.Commit)
	if err != nil {
		return Entry{}, err
	}
	h, err := parseHeader(r.Header)
	if err != nil {
		return Entry{}, err
	}
	root, err := v.header(&h, signed)
	if err != nil {
		return Entry{}, err
	}
	head, err := tree.ParseHeadProof(r.Head)
	if err != nil {
		return Entry{}, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	leaf, err := tree.ParseLeafProof(r.Leaf)
	if err != nil {
		return Entry{}, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	if err := head.Verify(root); err != nil {
		return Entry{}, fmt.Errorf("%w: %v", ErrMismatch, err)
	}
	if err := leaf.Verify(head.Log, r.Tx); err != nil {
		return Entry{}, fmt.Errorf("%w: %v", ErrMismatch, err)
	}
	return Entry{Tx: r.Tx, Index: leaf.Index, Height: h.Height, Time: h.Time.UnixMilli()}, nil
}

// parseHeader decodes a header in its one encoding.
func parseHeader(b []byte) (types.Header, error) {
	var p cmtproto.Header
	if err := p.Unmarshal(b); err != nil {
		return types.Header{}, fmt.Errorf("%w: header: %v", ErrMalformed, err)
	}
	if again, err := p.Marshal(); err != nil || !bytes.Equal(again, b) {
		return types.Header{}, fmt.Errorf("%w: header: not in its one encoding", ErrMalformed)
	}
	h, err := types.HeaderFromProto(&p)
	if err != nil {
		return types.Header{}, fmt.Errorf("%w: header: %v", ErrMalformed, err)
	}
	return h, nil
}
