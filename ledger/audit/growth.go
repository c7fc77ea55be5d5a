package audit

import (
	"fmt"
	"slices"

	"github.com/cometbft/cometbft/types"

	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/tree"
)

// A Grown is what a receipt of growth shows: that nothing was taken out of the log
// before one block, changed or put in between until another.
type Grown struct {
	Chain          string
	Earlier, Later Point
	From, To       uint64 // leaves: transactions that were recorded
}

// VerifyGrowthReceipt returns what a receipt of growth shows, if it does and both of
// its headers are believed; see [ledger.GrowthReceipt]. It asks nobody. Errors wrap
// one of those of this package.
func VerifyGrowthReceipt(receipt []byte, by Trust) (Grown, error) {
	r, err := ledger.ParseGrowthReceipt(receipt)
	if err != nil {
		return Grown{}, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	var logs [2]tree.Head
	var headers [2]*Trusted
	for i, x := range [2]struct{ checkpoint, head []byte }{{r.Earlier, r.EarlierHead}, {r.Later, r.LaterHead}} {
		if headers[i], err = parseCheckpoint(x.checkpoint); err != nil {
			return Grown{}, err
		}
		c, err := ledger.ParseCheckpoint(x.checkpoint)
		if err == nil {
			_, err = by.believe(c.Header, c.Commit)
		}
		if err != nil {
			return Grown{}, err
		}
		p, err := tree.ParseHeadProof(x.head)
		if err != nil {
			return Grown{}, fmt.Errorf("%w: %v", ErrMalformed, err)
		}
		if err := p.Verify(headers[i].Root()); err != nil {
			return Grown{}, fmt.Errorf("%w: %v", ErrMismatch, err)
		}
		logs[i] = p.Log
	}
	out := Grown{Chain: headers[0].Chain(), Earlier: headers[0].Point(), Later: headers[1].Point(), From: logs[0].Size, To: logs[1].Size}
	if headers[1].Chain() != out.Chain || out.Earlier.Height > out.Later.Height {
		return Grown{}, fmt.Errorf("%w: block %v of chain %s is not before block %v of chain %s", ErrMismatch, out.Earlier, out.Chain, out.Later, headers[1].Chain())
	}
	p, err := tree.ParseGrowthProof(r.Growth)
	if err != nil {
		return Grown{}, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	if err := p.Verify(logs[0], logs[1]); err != nil {
		return Grown{}, fmt.Errorf("%w: %v", ErrMismatch, err)
	}
	return out, nil
}

// Points are headers that somebody trusts, and no others.
type Points []Point

func (p Points) believe(header, _ []byte) (types.Header, error) {
	h, err := parseHeader(header)
	if err != nil {
		return h, err
	}
	if at := (Point{h.Height, ledger.Digest(h.Hash())}); !slices.Contains(p, at) {
		return h, fmt.Errorf("%w: block %v is none of those that are trusted", ErrUntrusted, at)
	}
	return h, nil
}

// PointOf is the point of a checkpoint, which anybody can make: it says what to
// look for, and not what to trust.
func PointOf(checkpoint []byte) (Point, error) {
	t, err := parseCheckpoint(checkpoint)
	if err != nil {
		return Point{}, err
	}
	return t.Point(), nil
}

// A growth is what a replay keeps for a receipt of growth.
type growth struct {
	earlier, later Point // later is zero: the last block
	log            tree.LeafHashes
	first, last    *grownMark
}

// A grownMark is a block of a replay, and the head of the log under it.
type grownMark struct {
	point Point
	block *types.Block
	by    *types.Commit
	who   []ledger.Power
	head  []byte
}

// Grow has the replay keep what [Replay.Growth] needs, before its first block. A
// zero later is the last block there is.
func (r *Replay) Grow(earlier, later Point) { r.growth = &growth{earlier: earlier, later: later} }

// mark notes a block that was checked, before it is executed.
func (r *Replay) mark(b *types.Block, signed *types.Commit) error {
	g, at := r.growth, Point{b.Height, ledger.Digest(b.Hash())}
	if g == nil || at != g.earlier && g.later != (Point{}) && at != g.later {
		return nil
	}
	who, err := r.signers(b.Height)
	if err != nil {
		return err
	}
	m := &grownMark{point: at, block: b, by: signed, who: who}
	if m.head, err = r.state.ProveHead(); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	if at == g.earlier {
		g.first = m
	}
	if at == g.later || g.later == (Point{}) {
		g.last = m
	}
	return nil
}

// checkpoint is of the block of a mark.
func (m *grownMark) checkpoint() ([]byte, error) {
	t, err := newTrusted(m.block.ChainID, &m.block.Header, m.by, m.who)
	if err != nil {
		return nil, err
	}
	return t.Checkpoint()
}

// Growth is the receipt, see [ledger.GrowthReceipt], that [Replay.Grow] asked for.
// The error wraps [ErrMismatch] if a header of the two is none of the blocks': then
// the ledger was written anew, or is another, or ends before.
func (r *Replay) Growth() ([]byte, error) {
	g := r.growth
	switch {
	case g != nil && g.first == nil && g.earlier.Height > r.sum.Point.Height:
		return nil, fmt.Errorf("%w: the blocks end at %d, before the earlier one, %d; fetch or export them again", ErrMismatch, r.sum.Point.Height, g.earlier.Height)
	case g == nil || g.first == nil:
		return nil, fmt.Errorf("%w: the earlier block is none of %d; this is another ledger, or it was written anew", ErrMismatch, r.sum.Blocks)
	case g.last == nil:
		return nil, fmt.Errorf("%w: no block %v among %d; this is another ledger, or its end is missing", ErrMismatch, g.later, r.sum.Blocks)
	}
	var out ledger.GrowthReceipt
	var sizes [2]uint64
	for i, m := range [2]*grownMark{g.first, g.last} {
		p, err := tree.ParseHeadProof(m.head)
		if err != nil {
			return nil, fmt.Errorf("audit: growth: %w", err)
		}
		sizes[i] = p.Log.Size
	}
	var err error
	out.EarlierHead, out.LaterHead = g.first.head, g.last.head
	if out.Earlier, err = g.first.checkpoint(); err != nil {
		return nil, err
	}
	if out.Later, err = g.last.checkpoint(); err != nil {
		return nil, err
	}
	if out.Growth, err = g.log.ProveGrowth(sizes[0], sizes[1]); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrMismatch, err)
	}
	return out.Append(nil), nil
}
