package ledger

import "fmt"

// Limits of the parts of a receipt, bytes.
const (
	MaxLeafProof  = 16 + 64*32
	MaxHeadProof  = 72
	MaxHeader     = 1 << 10
	MaxSignatures = 32 << 10
)

// A Receipt is what a member keeps to show that its transaction was recorded:
// one file, that whoever knows the chain's validators verifies without asking
// anybody (ledger/audit).
//
// A transaction is a leaf of the log, the log's head is under the root after a
// block, and the header of the block after that has the root and was signed by
// more than two thirds of the validators. The proofs are as ledger/tree encodes
// them, header and commit as CometBFT does.
type Receipt struct {
	Tx     []byte
	Leaf   []byte // proof that Tx is in the log
	Head   []byte // proof that the log is under the root
	Header []byte // the header that has the root
	Commit []byte // the signatures of the header
}

func (r *Receipt) code(c *coder) {
	c.bytes(&r.Tx, MaxTx)
	c.bytes(&r.Leaf, MaxLeafProof)
	c.bytes(&r.Head, MaxHeadProof)
	c.bytes(&r.Header, MaxHeader)
	c.bytes(&r.Commit, MaxSignatures)
}

// Append adds the encoding of r to dst.
func (r *Receipt) Append(dst []byte) []byte { return appendCoded(dst, r) }

// ParseReceipt decodes exactly one receipt. It verifies nothing.
func ParseReceipt(b []byte) (Receipt, error) {
	var r Receipt
	if err := parseCoded(b, &r); err != nil {
		return Receipt{}, fmt.Errorf("receipt: %w", err)
	}
	return r, nil
}
