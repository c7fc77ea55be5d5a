package audit

import (
	"bytes"
	"fmt"

	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"

	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/tree"
)

// Trust decides which headers are believed: a [*Verifier] those that the validators
// it knows signed, a [*Trusted] those of its own validators.
type Trust interface {
	believe(header, commit []byte) (types.Header, error)
}

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
func VerifyReceipt(receipt []byte, by Trust) (Entry, error) {
	r, err := ledger.ParseReceipt(receipt)
	if err != nil {
		return Entry{}, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	h, err := by.believe(r.Header, r.Commit)
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
	if err := head.Verify(ledger.Digest(h.AppHash)); err != nil {
		return Entry{}, fmt.Errorf("%w: %v", ErrMismatch, err)
	}
	if err := leaf.Verify(head.Log, r.Tx); err != nil {
		return Entry{}, fmt.Errorf("%w: %v", ErrMismatch, err)
	}
	return Entry{Tx: r.Tx, Index: leaf.Index, Height: h.Height, Time: h.Time.UnixMilli()}, nil
}

// A Record is what a record's receipt shows: what the state had at a key before
// the block that was signed.
type Record struct {
	Key    []byte
	Value  []byte // nil: nothing
	Height int64  // of the signed block; the state is that after the block before it
	Time   int64  // of the signed block, Unix milliseconds
}

// VerifyRecord returns what a record's receipt shows, if it does; see
// [ledger.RecordReceipt]. It asks nobody. Errors wrap one of those of this package.
func VerifyRecord(receipt []byte, by Trust) (Record, error) {
	r, err := ledger.ParseRecordReceipt(receipt)
	if err != nil {
		return Record{}, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	h, err := by.believe(r.Header, r.Commit)
	if err != nil {
		return Record{}, err
	}
	proof, err := tree.ParseStateProof(r.Proof)
	if err != nil {
		return Record{}, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	if err := proof.Verify(ledger.Digest(h.AppHash), r.Key, r.Value); err != nil {
		return Record{}, fmt.Errorf("%w: %v", ErrMismatch, err)
	}
	return Record{Key: r.Key, Value: r.Value, Height: h.Height, Time: h.Time.UnixMilli()}, nil
}

// VerifyGrowth says whether the log of a later receipt begins with all of the log
// of an earlier one, by a proof of [tree.Tree.ProveGrowth]: that nothing was taken
// out of it, changed or put in between.
func VerifyGrowth(earlier, later, growth []byte, by Trust) error {
	var heads [2]tree.Head
	for i, receipt := range [][]byte{earlier, later} {
		if _, err := VerifyReceipt(receipt, by); err != nil {
			return err
		}
		r, err := ledger.ParseReceipt(receipt)
		if err != nil {
			return fmt.Errorf("%w: %v", ErrMalformed, err)
		}
		head, err := tree.ParseHeadProof(r.Head)
		if err != nil {
			return fmt.Errorf("%w: %v", ErrMalformed, err)
		}
		heads[i] = head.Log
	}
	p, err := tree.ParseGrowthProof(growth)
	if err != nil {
		return fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	if err := p.Verify(heads[0], heads[1]); err != nil {
		return fmt.Errorf("%w: %v", ErrMismatch, err)
	}
	return nil
}

// HeightOf is the height of the header that a receipt, of a transaction or of a
// record, comes with. It verifies nothing.
func HeightOf(receipt []byte) (int64, error) {
	var header []byte
	if ledger.IsRecordReceipt(receipt) {
		r, err := ledger.ParseRecordReceipt(receipt)
		if err != nil {
			return 0, fmt.Errorf("%w: %v", ErrMalformed, err)
		}
		header = r.Header
	} else {
		r, err := ledger.ParseReceipt(receipt)
		if err != nil {
			return 0, fmt.Errorf("%w: %v", ErrMalformed, err)
		}
		header = r.Header
	}
	h, err := parseHeader(header)
	return h.Height, err
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
