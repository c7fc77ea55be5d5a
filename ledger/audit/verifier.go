// Package audit verifies what validators say without trusting any of them: that
// more than two thirds of those in the genesis file signed a block, and that a
// receipt leads to such a block.
package audit

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cometbft/cometbft/crypto/ed25519"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"

	"github.com/commonseal/commonseal/ledger"
)

// Why something was not believed.
var (
	// ErrTooLarge says that something is larger than any validator makes it.
	ErrTooLarge = errors.New("audit: too large")
	// ErrMalformed says that bytes are not what they are said to be, in its one
	// encoding.
	ErrMalformed = errors.New("audit: malformed")
	// ErrUnsigned says that no more than two thirds of the validators signed it, or
	// a signature is wrong.
	ErrUnsigned = errors.New("audit: not signed by more than two thirds of the validators")
	// ErrMismatch says that something else was signed.
	ErrMismatch = errors.New("audit: not what was signed")
	// ErrOtherChain says that a block is of another chain, or of other validators.
	ErrOtherChain = errors.New("audit: of another chain")
)

const (
	maxBlock      = 1 << 20
	maxValidators = 128 // what ledger.MaxSignatures has room for
	maxSignature  = 160 // bytes of one validator's part of a commit, in its encoding
)

// A Verifier knows a chain's validators. In this version they are those of the
// genesis file for ever, one vote each. It is safe for concurrent use.
type Verifier struct {
	chain      string
	validators *types.ValidatorSet

	unsigned bool // tests only: believes every commit
}

// NewVerifier is the verifier of a chain and its validators' keys.
func NewVerifier(chain string, validators []ledger.Key) (*Verifier, error) {
	if len(validators) == 0 || len(validators) > maxValidators {
		return nil, fmt.Errorf("audit: %d validators; a chain has 1 to %d", len(validators), maxValidators)
	}
	known := map[ledger.Key]bool{}
	var set []*types.Validator
	for _, key := range validators {
		if known[key] { // NewValidatorSet panics
			return nil, fmt.Errorf("audit: validator %x is there twice", key[:6])
		}
		known[key] = true
		set = append(set, types.NewValidator(ed25519.PubKey(key[:]), 1))
	}
	return &Verifier{chain: chain, validators: types.NewValidatorSet(set)}, nil
}

// Verify returns what is in a block, and the root after the block before it, if
// commit holds valid signatures of more than two thirds of the validators for
// exactly these bytes. It does not say that the block was applied as it should
// be: its effect is the root in the next block.
//
// Nothing of the block is decoded before it is known to be signed. Errors wrap
// one of those of this package.
func (v *Verifier) Verify(block, commit []byte) (ledger.Block, ledger.Digest, error) {
	b, root, err := v.verify(block, commit)
	if err != nil {
		return ledger.Block{}, ledger.Digest{}, err
	}
	return b, root, nil
}

func (v *Verifier) verify(block, commit []byte) (out ledger.Block, root ledger.Digest, err error) {
	if len(block) > maxBlock {
		return out, root, fmt.Errorf("%w: a block of %d bytes", ErrTooLarge, len(block))
	}
	signed, err := v.commit(commit)
	if err != nil {
		return out, root, err
	}
	// What is signed is a header's hash and the Merkle root of the block's bytes in
	// parts, so these bytes are those the validators had.
	parts := types.NewPartSetFromData(block, types.BlockPartSizeBytes)
	if !parts.HasHeader(signed.BlockID.PartSetHeader) {
		return out, root, fmt.Errorf("%w: other bytes of block %d", ErrMismatch, signed.Height)
	}
	var p cmtproto.Block
	if err := p.Unmarshal(block); err != nil {
		return out, root, fmt.Errorf("%w: block: %v", ErrMalformed, err)
	}
	b, err := types.BlockFromProto(&p) // and holds its hashes to its contents
	if err != nil {
		return out, root, fmt.Errorf("%w: block: %v", ErrMalformed, err)
	}
	if root, err = v.header(&b.Header, signed); err != nil {
		return out, root, err
	}
	out = ledger.Block{Height: b.Height, Time: b.Time.UnixMilli(), Misbehaved: misbehaved(b.Evidence.Evidence)}
	for _, tx := range b.Txs {
		if len(tx) > ledger.MaxTx {
			return out, root, fmt.Errorf("%w: a transaction of %d bytes", ErrTooLarge, len(tx))
		}
		out.Txs = append(out.Txs, tx)
	}
	return out, root, nil
}

// commit decodes and verifies a commit, every signature of it: a wrong one among
// enough right ones is refused too.
func (v *Verifier) commit(b []byte) (*types.Commit, error) {
	if len(b) > maxSignature*(1+v.validators.Size()) {
		return nil, fmt.Errorf("%w: a commit of %d bytes", ErrTooLarge, len(b))
	}
	var p cmtproto.Commit
	if err := p.Unmarshal(b); err != nil {
		return nil, fmt.Errorf("%w: commit: %v", ErrMalformed, err)
	}
	// Protobuf has many encodings of a message, with fields nobody knows.
	if again, err := p.Marshal(); err != nil || !bytes.Equal(again, b) {
		return nil, fmt.Errorf("%w: commit: not in its one encoding", ErrMalformed)
	}
	c, err := types.CommitFromProto(&p)
	if err != nil {
		return nil, fmt.Errorf("%w: commit: %v", ErrMalformed, err)
	}
	if v.unsigned {
		return c, nil
	}
	if err := types.VerifyCommit(v.chain, v.validators, c.BlockID, c.Height, c); err != nil {
		return nil, fmt.Errorf("%w: block %d: %v", ErrUnsigned, c.Height, err)
	}
	return c, nil
}

// header holds a header to a verified commit, and returns the root in it.
func (v *Verifier) header(h *types.Header, signed *types.Commit) (ledger.Digest, error) {
	validators := v.validators.Hash()
	switch {
	case h.ChainID != v.chain:
		return ledger.Digest{}, fmt.Errorf("%w: of %.50q, not %q", ErrOtherChain, h.ChainID, v.chain)
	case !bytes.Equal(h.ValidatorsHash, validators), !bytes.Equal(h.NextValidatorsHash, validators):
		return ledger.Digest{}, fmt.Errorf("%w: block %d has other validators than the genesis file", ErrOtherChain, h.Height)
	case h.Height != signed.Height || !bytes.Equal(h.Hash(), signed.BlockID.Hash):
		return ledger.Digest{}, fmt.Errorf("%w: another header of block %d", ErrMismatch, signed.Height)
	case len(h.AppHash) != len(ledger.Digest{}):
		return ledger.Digest{}, fmt.Errorf("%w: a root of %d bytes", ErrMalformed, len(h.AppHash))
	}
	return ledger.Digest(h.AppHash), nil
}
