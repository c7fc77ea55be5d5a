package ledger

import (
	"errors"
	"fmt"
)

// MaxKey and MaxStateProof limit a record's receipt, bytes.
const (
	MaxKey        = 1 << 10
	MaxStateProof = 32 << 10
	MaxValue      = 256 << 10
)

// recordTag tells a record's receipt from a transaction's, which goes on with the
// length of what is at most [MaxTx] bytes long.
const recordTag = 1

// A RecordReceipt shows what the state has at a key after a block, or that it has
// nothing there: one file, that whoever knows the chain's validators verifies
// without asking anybody (ledger/audit).
//
// Its encoding ends with a checksum. The proof that a key is absent proves that of
// every other key in the same gap too, so a damaged key would make another true
// statement, which nobody wrote.
type RecordReceipt struct {
	Key    []byte
	Value  []byte // nil: the state has none
	Proof  []byte // of the value, or of its absence, under a root
	Header []byte // the header that has the root
	Commit []byte // the signatures of the header
}

func (r *RecordReceipt) code(c *coder) {
	tag := uint8(recordTag)
	if c.u8(&tag); tag != recordTag {
		c.fail("a receipt of kind %d", tag)
	}
	c.bytes(&r.Key, MaxKey)
	c.bytes(&r.Value, MaxValue)
	c.bytes(&r.Proof, MaxStateProof)
	c.bytes(&r.Header, MaxHeader)
	c.bytes(&r.Commit, MaxSignatures)
}

// Append adds the encoding of r to dst.
func (r *RecordReceipt) Append(dst []byte) []byte {
	b := appendCoded(nil, r)
	sum := Hash("record receipt", b)
	return append(append(dst, b...), sum[:]...)
}

// IsRecordReceipt says whether bytes are the receipt of a record, and not of a
// transaction, if they are either.
func IsRecordReceipt(b []byte) bool { return len(b) > 1 && b[1] == recordTag }

// ParseRecordReceipt decodes exactly one record's receipt. It verifies nothing.
func ParseRecordReceipt(b []byte) (RecordReceipt, error) {
	at := len(b) - len(Digest{})
	if at < 0 {
		return RecordReceipt{}, fmt.Errorf("receipt of a record: %w", errShort)
	}
	var r RecordReceipt
	if err := parseCoded(b[:at], &r); err != nil {
		return RecordReceipt{}, fmt.Errorf("receipt of a record: %w", err)
	}
	if Hash("record receipt", b[:at]) != Digest(b[at:]) {
		return RecordReceipt{}, errors.New("receipt of a record: it was damaged, its checksum is another")
	}
	return r, nil
}

// A Checkpoint is a header, who signed it, and who they are: what a client that
// follows headers alone goes on from, and what a validator that signed two headers
// of one height is convicted by.
type Checkpoint struct {
	Header  []byte  // as CometBFT encodes it
	Commit  []byte  // the signatures of the header, likewise
	Signers []Power // of the header, without names
}

func (x *Checkpoint) code(c *coder) {
	c.bytes(&x.Header, MaxHeader)
	c.bytes(&x.Commit, MaxSignatures)
	list(c, &x.Signers, maxSigners, func(p *Power) {
		c.digest(&p.Vote)
		c.i64(&p.Power)
	})
}

const maxSigners = 128

// Append adds the encoding of x to dst.
func (x *Checkpoint) Append(dst []byte) []byte { return appendCoded(dst, x) }

// ParseCheckpoint decodes exactly one checkpoint. It verifies nothing.
func ParseCheckpoint(b []byte) (Checkpoint, error) {
	var x Checkpoint
	if err := parseCoded(b, &x); err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: %w", err)
	}
	return x, nil
}

// A GrowthReceipt shows that the log under one header begins with all of the log
// under an earlier one: one file, that whoever trusts both headers verifies without
// asking anybody (ledger/audit).
type GrowthReceipt struct {
	Earlier, Later         []byte // checkpoints
	EarlierHead, LaterHead []byte // proofs of the logs' heads under their roots
	Growth                 []byte // proof between the two
}

func (r *GrowthReceipt) code(c *coder) {
	for _, b := range []*[]byte{&r.Earlier, &r.Later} {
		c.bytes(b, MaxHeader+MaxSignatures+maxSigners*40+64)
	}
	c.bytes(&r.EarlierHead, MaxHeadProof)
	c.bytes(&r.LaterHead, MaxHeadProof)
	c.bytes(&r.Growth, MaxLeafProof)
}

// Append adds the encoding of r to dst.
func (r *GrowthReceipt) Append(dst []byte) []byte { return appendCoded(dst, r) }

// ParseGrowthReceipt decodes exactly one receipt of growth. It verifies nothing.
func ParseGrowthReceipt(b []byte) (GrowthReceipt, error) {
	var r GrowthReceipt
	if err := parseCoded(b, &r); err != nil {
		return GrowthReceipt{}, fmt.Errorf("receipt of growth: %w", err)
	}
	return r, nil
}
