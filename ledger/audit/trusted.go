package audit

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/cometbft/cometbft/types"

	"github.com/commonseal/commonseal/ledger"
)

// A Point is the height of a header and its hash: what one auditor tells another to
// trust, in a line.
type Point struct {
	Height int64
	Hash   ledger.Digest
}

// String is HEIGHT:HASH.
func (p Point) String() string { return fmt.Sprintf("%d:%x", p.Height, p.Hash) }

// ParsePoint is the inverse of String.
func ParsePoint(s string) (Point, error) {
	height, hash, _ := strings.Cut(s, ":")
	n, err := strconv.ParseInt(height, 10, 64)
	b, wrong := hex.DecodeString(hash)
	if err != nil || wrong != nil || n < 1 || len(b) != len(ledger.Digest{}) {
		return Point{}, fmt.Errorf("%.90q is not HEIGHT:HASH, a number and 64 hexadecimal digits", s)
	}
	return Point{Height: n, Hash: ledger.Digest(b)}, nil
}

// A Trusted is a header that is believed, and the validators that signed it. It
// believes every header that the same validators signed, without asking anybody:
// that more than two thirds of them are honest is what it is trusted for.
type Trusted struct {
	chain  string
	signed *types.SignedHeader
	by     *set
}

// OpenCheckpoint is the header of a checkpoint, if it is the one at a point that
// the caller trusts. The checkpoint's own signatures are verified too.
func OpenCheckpoint(checkpoint []byte, at Point) (*Trusted, error) {
	t, err := parseCheckpoint(checkpoint)
	if err != nil {
		return nil, err
	}
	if t.Point() != at {
		return nil, fmt.Errorf("%w: the checkpoint is %v, and %v is trusted", ErrMismatch, t.Point(), at)
	}
	return t, nil
}

// parseCheckpoint decodes a checkpoint and holds it to itself: its validators are
// those its header names, and signed it. Anybody can make one.
func parseCheckpoint(b []byte) (*Trusted, error) {
	c, err := ledger.ParseCheckpoint(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	h, err := parseHeader(c.Header)
	if err != nil {
		return nil, err
	}
	signed, err := parseCommit(c.Commit)
	if err != nil {
		return nil, err
	}
	return newTrusted(h.ChainID, &h, signed, c.Signers)
}

func newTrusted(chain string, h *types.Header, signed *types.Commit, signers []ledger.Power) (*Trusted, error) {
	if err := matches(chain, h, signed); err != nil {
		return nil, err
	}
	by, err := newSet(signers)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	if !bytes.Equal(h.ValidatorsHash, by.hash) {
		return nil, fmt.Errorf("%w: block %d names other validators than those it came with", ErrMismatch, h.Height)
	}
	if err := signedBy(chain, by, signed); err != nil {
		return nil, err
	}
	return &Trusted{chain: chain, signed: &types.SignedHeader{Header: h, Commit: signed}, by: by}, nil
}

// Chain is the name of the header's chain.
func (t *Trusted) Chain() string { return t.chain }

// Point is the header's.
func (t *Trusted) Point() Point {
	return Point{Height: t.signed.Height, Hash: ledger.Digest(t.signed.Header.Hash())}
}

// Root is the root of the state before the header's block.
func (t *Trusted) Root() ledger.Digest { return ledger.Digest(t.signed.AppHash) }

// Time is the header's, Unix milliseconds.
func (t *Trusted) Time() int64 { return t.signed.Time.UnixMilli() }

// Checkpoint is the encoding that [OpenCheckpoint] takes.
func (t *Trusted) Checkpoint() ([]byte, error) {
	var c ledger.Checkpoint
	var err error
	if c.Header, err = t.signed.Header.ToProto().Marshal(); err != nil {
		return nil, fmt.Errorf("audit: checkpoint: %w", err)
	}
	if c.Commit, err = t.signed.Commit.ToProto().Marshal(); err != nil {
		return nil, fmt.Errorf("audit: checkpoint: %w", err)
	}
	for _, p := range t.by.powers {
		c.Signers = append(c.Signers, ledger.Power{Vote: p.Vote, Power: p.Power})
	}
	return c.Append(nil), nil
}

// believe is a header that the same validators signed.
func (t *Trusted) believe(header, commit []byte) (types.Header, error) {
	signed, err := parseCommit(commit)
	if err != nil {
		return types.Header{}, err
	}
	h, err := parseHeader(header)
	if err != nil {
		return types.Header{}, err
	}
	if err := matches(t.chain, &h, signed); err != nil {
		return types.Header{}, err
	}
	if p := t.Point(); h.Height == p.Height && !bytes.Equal(h.Hash(), p.Hash[:]) {
		return types.Header{}, fmt.Errorf("%w: another header of block %d", ErrMismatch, h.Height)
	}
	if !bytes.Equal(h.ValidatorsHash, t.by.hash) {
		return types.Header{}, fmt.Errorf("%w: block %d was signed by other validators than block %d; take a checkpoint nearer to it, or a new receipt", ErrUntrusted, h.Height, t.signed.Height)
	}
	return h, signedBy(t.chain, t.by, signed)
}

var errNoSigners = errors.New("the validator names nobody who signs; it may be older than this program")
