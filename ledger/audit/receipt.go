package audit

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/tree"
)

// A Receipt shows that a transaction is on the ledger, to who has the root of the
// state after one block. That root stands in the header of the next one, which
// more than two thirds of the validators signed; see [Verifier.Verify].
type Receipt struct {
	Height int64 // of the block after which the state has the root
	Head   tree.HeadProof
	Leaf   tree.LeafProof
}

const headProofBytes = 8 + 2*len(ledger.Digest{}) // size and root of the log, root of the state

var errReceipt = errors.New("parse a receipt: not one in its canonical encoding")

// Append adds the one encoding of r to b: the height in 8 bytes and the proofs.
func (r *Receipt) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(r.Height))
	return r.Leaf.Append(r.Head.Append(b))
}

// ParseReceipt is the inverse of Append.
func ParseReceipt(b []byte) (Receipt, error) {
	if len(b) < 8+headProofBytes {
		return Receipt{}, errReceipt
	}
	r := Receipt{Height: int64(binary.BigEndian.Uint64(b))}
	var err error
	if r.Head, err = tree.ParseHeadProof(b[8 : 8+headProofBytes]); err != nil {
		return Receipt{}, errReceipt
	}
	if r.Leaf, err = tree.ParseLeafProof(b[8+headProofBytes:]); err != nil || r.Height < 0 || !bytes.Equal(r.Append(nil), b) {
		return Receipt{}, errReceipt
	}
	return r, nil
}

// Verify returns an error unless tx is under root, that of the state after block
// r.Height.
func (r *Receipt) Verify(root ledger.Digest, tx []byte) error {
	if err := r.Head.Verify(root); err != nil {
		return fmt.Errorf("receipt for block %d: %w", r.Height, err)
	}
	if err := r.Leaf.Verify(r.Head.Log, tx); err != nil {
		return fmt.Errorf("receipt for block %d: %w", r.Height, err)
	}
	return nil
}
