package audit

import (
	"bytes"
	"fmt"
	"strings"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/types"

	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/tree"
)

// A Replay re-executes a chain from its genesis: it holds every block to the
// validators that the state before names, to the block before it, and what comes
// out to what the next block has signed. It believes nobody and keeps the last
// state alone, in memory. It is used by one goroutine.
type Replay struct {
	genesis  ledger.Genesis
	verifier *Verifier
	state    tree.Memory
	flat     map[string][]byte // the state again, to look keys up at once
	powers   [3][]ledger.Power // after the last three blocks, by height modulo 3

	last    *types.BlockID // of the last block
	results []byte         // hash of the last block's results
	in      ledger.Block   // the last
	out     ledger.Outcome // of it
	sum     Summary
	expect  *Point // a block that somebody trusts, until it came
	growth  *growth
}

// A Summary is what a replay has seen.
type Summary struct {
	Blocks       int64 // also the height of the last
	Transactions int64 // in blocks
	Recorded     int64 // of these, accepted: leaves of the log
	Signatures   int64 // of validators, verified
	Start, End   int64 // times of the first and the last block, Unix milliseconds
	// Root is the state's after the last block. What was compared with what
	// validators signed are the roots before it: its own is in the next block.
	Root ledger.Digest
	// Point is the last block's: what somebody else may trust.
	Point Point
}

// NewReplay begins with a genesis.
func NewReplay(g ledger.Genesis) (*Replay, error) {
	writes, err := g.Writes()
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	r := &Replay{genesis: g, flat: map[string][]byte{}}
	if _, err := r.state.Stage(0, ledger.Outcome{Writes: writes}); err != nil {
		return nil, fmt.Errorf("audit: genesis: %w", err)
	}
	if err := r.state.Commit(); err != nil {
		return nil, fmt.Errorf("audit: genesis: %w", err)
	}
	r.write(writes)
	r.powers[0] = ledger.Powers(r.state.View())
	r.verifier = NewFollowing(g.Chain, r.signers)
	r.sum.Root = r.state.Root()
	return r, nil
}

// signers are who signs the block of a height, up to two after the last.
func (r *Replay) signers(height int64) ([]ledger.Power, error) {
	at, last := max(0, height-2), r.state.Height()
	if at > last {
		return nil, fmt.Errorf("%w: block %d, after block %d", ErrAhead, height, last)
	}
	if at < last-2 {
		return nil, fmt.Errorf("%w: block %d, after block %d", ErrMismatch, height, last)
	}
	return r.powers[at%3], nil
}

// View is the state after the last block.
func (r *Replay) View() ledger.View { return r.state.View() }

// Expect names a block that the caller trusts. Blocks of another history, or whose
// end was cut off before it, are in order by themselves: [Replay.Missing] tells.
func (r *Replay) Expect(p Point) { r.expect = &p }

// Missing is an error until the expected block came.
func (r *Replay) Missing() error {
	if r.expect == nil {
		return nil
	}
	return fmt.Errorf("%w: no block %v among %d; the blocks are of another history, or their end is missing", ErrMismatch, *r.expect, r.sum.Blocks)
}

// Summary is what was seen so far.
func (r *Replay) Summary() Summary { return r.sum }

// Block verifies and executes the next block. The error is a [*DifferenceError] if
// what the validators signed is not what the blocks before lead to, or wraps one of
// those of this package, and then the replay is as it was: somebody else may have the
// right block.
func (r *Replay) Block(block, commit []byte) error {
	b, signed, err := r.check(block, commit)
	if err != nil {
		return err
	}
	if err := ledger.Supported(r.state.View(), b.Height, ledger.Protocol); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	if err := r.mark(b, signed); err != nil {
		return err
	}
	in := content(b)
	out := ledger.Apply(flatView{r.flat, r.state.View()}, in)
	root, err := r.state.Stage(b.Height, out)
	if err == nil {
		err = r.state.Commit()
	}
	if err != nil {
		return fmt.Errorf("audit: block %d: %w", b.Height, err)
	}
	if r.growth != nil {
		r.growth.log.Append(out.Leaves)
	}
	r.write(out.Writes)
	r.powers[b.Height%3] = ledger.Powers(r.state.View())
	r.last, r.results, r.in, r.out = &signed.BlockID, resultsHash(out.Results), in, out
	if b.Height == 1 {
		r.sum.Start = in.Time
	}
	r.sum.Blocks, r.sum.End, r.sum.Root = b.Height, in.Time, root
	r.sum.Transactions += int64(len(in.Txs))
	r.sum.Recorded += int64(len(out.Leaves))
	for _, s := range signed.Signatures {
		if s.BlockIDFlag != types.BlockIDFlagAbsent {
			r.sum.Signatures++
		}
	}
	r.sum.Point = Point{Height: b.Height, Hash: ledger.Digest(signed.BlockID.Hash)}
	if r.expect != nil && *r.expect == r.sum.Point {
		r.expect = nil
	}
	return nil
}

// A flatView is a state whose keys are looked up without its tree.
type flatView struct {
	flat map[string][]byte
	ledger.View
}

// Get implements [ledger.View].
func (v flatView) Get(key []byte) []byte { return v.flat[string(key)] }

func (r *Replay) write(writes []ledger.Write) {
	for _, w := range writes {
		if w.Value == nil {
			delete(r.flat, string(w.Key))
			continue
		}
		r.flat[string(w.Key)] = w.Value
	}
}

// check holds a block to its signatures and to what came before it.
func (r *Replay) check(block, commit []byte) (*types.Block, *types.Commit, error) {
	b, signed, err := r.verifier.verify(block, commit)
	if err != nil {
		return nil, nil, err
	}
	last := r.state.Height()
	switch {
	case b.Height != last+1:
		return nil, nil, fmt.Errorf("%w: block %d after block %d", ErrMismatch, b.Height, last)
	case r.last != nil && !b.LastBlockID.Equals(*r.last):
		return nil, nil, fmt.Errorf("%w: block %d does not follow the block %d that came before it", ErrMismatch, b.Height, last)
	}
	if ours := r.state.Root(); !bytes.Equal(ours[:], b.AppHash) {
		return nil, nil, &DifferenceError{Height: last, What: "root", Ours: ours[:], Signed: b.AppHash, Detail: r.did()}
	}
	if r.results != nil && !bytes.Equal(r.results, b.LastResultsHash) {
		return nil, nil, &DifferenceError{Height: last, What: "hash of results", Ours: r.results, Signed: b.LastResultsHash, Detail: r.did()}
	}
	return b, signed, nil
}

// resultsHash is the hash of a block's results as the next header has it.
func resultsHash(results []ledger.Result) []byte {
	out := make([]*abci.ExecTxResult, len(results))
	for i, r := range results {
		out[i] = &abci.ExecTxResult{Code: uint32(r.Code)}
	}
	return types.NewResults(out).Hash()
}

// did says what the last block did, for who must find out what differs.
func (r *Replay) did() string {
	b, out := r.in, r.out
	if b.Height == 0 {
		return "it is the genesis; compare its fingerprint"
	}
	const shown = 12
	codes := map[ledger.Code]int{}
	for _, r := range out.Results {
		codes[r.Code]++
	}
	var keys []string
	for _, w := range out.Writes[:min(shown, len(out.Writes))] {
		keys = append(keys, fmt.Sprintf("%.40q", w.Key))
	}
	if len(out.Writes) > shown {
		keys = append(keys, "…")
	}
	return fmt.Sprintf("of its %d transactions %d are accepted here, and write %d keys: %s",
		len(b.Txs), codes[ledger.OK], len(out.Writes), strings.Join(keys, ", "))
}
