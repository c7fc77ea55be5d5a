// Package audit verifies what validators say without trusting any of them.
//
// A [Verifier] holds a block to the validators that sign it, from the genesis file
// or as the ledger has changed them since. A [Replay] goes through all blocks from
// genesis, executes each and compares every root: it needs an archive file and
// nobody's permission. A [Light] client follows headers alone, from one that is
// trusted, past changes of the validators, and compares what it is shown with
// witnesses. Receipts show a transaction, or what the state has at a key, under a
// header that any of these believes.
package audit

import (
	"bytes"
	"fmt"

	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"

	"github.com/commonseal/commonseal/ledger"
)

const (
	maxBlock      = 1 << 20
	maxValidators = 128 // what ledger.MaxSignatures has room for
	maxSignature  = 160 // bytes of one validator's part of a commit, in its encoding
)

// A Verifier knows who signs a chain's blocks. It is safe for concurrent use.
type Verifier struct {
	chain   string
	signers func(height int64) ([]ledger.Power, error)
	sets    *sets

	unsigned bool // tests only: believes every commit
	anySet   bool // tests only: does not hold headers to the validators
}

// NewVerifier is the verifier of a chain whose validators, of one vote each, are
// those of these keys for ever.
func NewVerifier(chain string, validators []ledger.Key) (*Verifier, error) {
	var powers []ledger.Power
	for _, key := range validators {
		powers = append(powers, ledger.Power{Vote: key, Power: 1})
	}
	v := NewFollowing(chain, func(int64) ([]ledger.Power, error) { return powers, nil })
	if _, err := v.sets.of(powers); err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	return v, nil
}

// NewFollowing is the verifier of a chain whose validators change: signers says who
// signs the block of a height, see [Signers].
func NewFollowing(chain string, signers func(height int64) ([]ledger.Power, error)) *Verifier {
	return &Verifier{chain: chain, signers: signers, sets: new(sets)}
}

// Verify returns what is in a block, and the root after the block before it, if
// commit holds valid signatures of more than two thirds of the validators for
// exactly these bytes. It does not say that the block was applied as it should
// be: its effect is the root in the next block.
//
// Nothing of the block is decoded before it is known to be signed. Errors wrap
// one of those of this package.
func (v *Verifier) Verify(block, commit []byte) (ledger.Block, ledger.Digest, error) {
	b, _, err := v.verify(block, commit)
	if err != nil {
		return ledger.Block{}, ledger.Digest{}, err
	}
	return content(b), ledger.Digest(b.AppHash), nil
}

// content is what the ledger has of a block.
func content(b *types.Block) ledger.Block {
	return ledger.Block{Height: b.Height, Time: b.Time.UnixMilli(), Txs: b.Txs.ToSliceOfBytes(),
		Misbehaved: misbehaved(b.Evidence.Evidence)}
}

// verify returns a block as the consensus engine has it, and its commit.
func (v *Verifier) verify(block, commit []byte) (*types.Block, *types.Commit, error) {
	signed, err := v.commit(commit)
	if err != nil {
		return nil, nil, err
	}
	b, err := signedBlock(block, signed)
	if err != nil {
		return nil, nil, err
	}
	return b, signed, v.holds(&b.Header, signed)
}

// signedBlock decodes the block that a commit is for.
func signedBlock(block []byte, signed *types.Commit) (*types.Block, error) {
	if len(block) > maxBlock {
		return nil, fmt.Errorf("%w: a block of %d bytes", ErrTooLarge, len(block))
	}
	// What is signed is a header's hash and the Merkle root of the block's bytes in
	// parts, so these bytes are those the validators had.
	parts := types.NewPartSetFromData(block, types.BlockPartSizeBytes)
	if !parts.HasHeader(signed.BlockID.PartSetHeader) {
		return nil, fmt.Errorf("%w: other bytes of block %d", ErrMismatch, signed.Height)
	}
	var p cmtproto.Block
	if err := p.Unmarshal(block); err != nil {
		return nil, fmt.Errorf("%w: block: %v", ErrMalformed, err)
	}
	b, err := types.BlockFromProto(&p) // and holds its hashes to its contents
	if err != nil {
		return nil, fmt.Errorf("%w: block: %v", ErrMalformed, err)
	}
	for _, tx := range b.Txs {
		if len(tx) > ledger.MaxTx {
			return nil, fmt.Errorf("%w: a transaction of %d bytes", ErrTooLarge, len(tx))
		}
	}
	return b, nil
}

// commit decodes and verifies a commit, every signature of it: a wrong one among
// enough right ones is refused too.
func (v *Verifier) commit(b []byte) (*types.Commit, error) {
	c, err := parseCommit(b)
	if err != nil || v.unsigned {
		return c, err
	}
	by, err := v.signersOf(c.Height)
	if err != nil {
		return nil, err
	}
	return c, signedBy(v.chain, by, c)
}

// signedBy verifies every signature of a commit.
func signedBy(chain string, by *set, c *types.Commit) error {
	if err := types.VerifyCommit(chain, by.ValidatorSet, c.BlockID, c.Height, c); err != nil {
		return fmt.Errorf("%w: block %d: %v", ErrUnsigned, c.Height, err)
	}
	return nil
}

// parseCommit decodes a commit in its one encoding.
func parseCommit(b []byte) (*types.Commit, error) {
	if len(b) > maxSignature*(1+maxValidators) {
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
	return c, nil
}

// signersOf are those of a height.
func (v *Verifier) signersOf(height int64) (*set, error) {
	powers, err := v.signers(height)
	if err != nil {
		return nil, err
	}
	out, err := v.sets.of(powers)
	if err != nil {
		return nil, fmt.Errorf("audit: who signs block %d: %w", height, err)
	}
	return out, nil
}

// holds holds a header to a verified commit and to the validators.
func (v *Verifier) holds(h *types.Header, signed *types.Commit) error {
	if err := matches(v.chain, h, signed); err != nil {
		return err
	}
	if v.anySet {
		return nil
	}
	by, err := v.signersOf(h.Height)
	if err != nil {
		return err
	}
	next, err := v.signersOf(h.Height + 1)
	if err != nil {
		return err
	}
	if !bytes.Equal(h.ValidatorsHash, by.hash) || !bytes.Equal(h.NextValidatorsHash, next.hash) {
		return fmt.Errorf("%w: block %d has other validators than the ledger", ErrOtherChain, h.Height)
	}
	return nil
}

// matches holds a header to the commit that is said to be for it.
func matches(chain string, h *types.Header, signed *types.Commit) error {
	switch {
	case h.ChainID != chain:
		return fmt.Errorf("%w: of %.50q, not %q", ErrOtherChain, h.ChainID, chain)
	case h.Height != signed.Height || !bytes.Equal(h.Hash(), signed.BlockID.Hash):
		return fmt.Errorf("%w: another header of block %d", ErrMismatch, signed.Height)
	case len(h.AppHash) != len(ledger.Digest{}):
		return fmt.Errorf("%w: a root of %d bytes", ErrMalformed, len(h.AppHash))
	}
	return nil
}

// believe is a header that the validators signed.
func (v *Verifier) believe(header, commit []byte) (types.Header, error) {
	signed, err := v.commit(commit)
	if err != nil {
		return types.Header{}, err
	}
	h, err := parseHeader(header)
	if err != nil {
		return types.Header{}, err
	}
	return h, v.holds(&h, signed)
}
