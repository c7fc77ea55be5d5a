package fedtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/commonseal/commonseal/ledger"
)

// ErrLost is what a call gets whose request or response was lost.
var ErrLost = errors.New("lost on the way")

// A chain orders transactions, one a block. Every follower is somewhere behind.
type chain struct {
	random *rand.Rand
	lossy  bool
	now    int64
	blocks []ledger.Block
	tip    ledger.Memory
	late   [][]byte // transactions whose sender gave up, still on their way
	Codes  map[ledger.Code]int
}

// tick is the most that passes between two blocks, in milliseconds.
const tick = 500

func newChain(g ledger.Genesis, random *rand.Rand, lossy bool) (*chain, error) {
	writes, err := g.Writes()
	if err != nil {
		return nil, err
	}
	c := &chain{random: random, lossy: lossy, now: 1_000_000, Codes: map[ledger.Code]int{}}
	c.tip.Write(writes)
	return c, nil
}

// branch is a chain that goes on from here.
func (c *chain) branch(random *rand.Rand, lossy bool) *chain {
	return &chain{random: random, lossy: lossy, now: c.now, blocks: slices.Clone(c.blocks), tip: *c.tip.Clone(), Codes: map[ledger.Code]int{}}
}

// include puts a transaction in the next block.
func (c *chain) include(tx []byte) ledger.Result {
	c.now += 1 + c.random.Int64N(tick)
	b := ledger.Block{Height: int64(len(c.blocks)) + 1, Time: c.now, Txs: [][]byte{tx}}
	out := ledger.Apply(&c.tip, b)
	c.tip.Write(out.Writes)
	c.blocks = append(c.blocks, b)
	c.Codes[out.Results[0].Code]++
	return out.Results[0]
}

// pass lets time pass: a block without transactions.
func (c *chain) pass() {
	c.now += 1 + c.random.Int64N(tick)
	b := ledger.Block{Height: int64(len(c.blocks)) + 1, Time: c.now}
	c.tip.Write(ledger.Apply(&c.tip, b).Writes)
	c.blocks = append(c.blocks, b)
}

// stray includes a transaction whose sender thinks it lost, if there is one.
func (c *chain) stray() {
	if len(c.late) == 0 {
		return
	}
	i := c.random.IntN(len(c.late))
	tx := c.late[i]
	c.late = append(c.late[:i], c.late[i+1:]...)
	c.include(tx)
}

// A follower is one process's replica of the chain.
type follower struct {
	chain *chain
	state *ledger.Memory
	now   int64
	read  int // blocks
	// cutOff, if not nil, says whether the process does not reach the chain now.
	cutOff func() bool
	// forge, if not nil, is what the process submits instead of a transaction.
	forge func(tx []byte) []byte
}

func (c *chain) follower(g ledger.Genesis) (*follower, error) {
	writes, err := g.Writes()
	if err != nil {
		return nil, err
	}
	f := &follower{chain: c, state: &ledger.Memory{}, now: 1_000_000}
	f.state.Write(writes)
	return f, nil
}

// catchUp reads some blocks, or all.
func (f *follower) catchUp(all bool) {
	to := len(f.chain.blocks)
	if !all && to > f.read {
		to = f.read + f.chain.random.IntN(to-f.read+1)
	}
	if f.read < to {
		f.state = f.state.Clone() // views are snapshots
	}
	for ; f.read < to; f.read++ {
		b := f.chain.blocks[f.read]
		f.state.Write(ledger.Apply(f.state, b).Writes)
		f.now = b.Time
	}
}

// View, Now and Submit are what drivers ask of a ledger.
func (f *follower) View() ledger.View { return f.state }

func (f *follower) Now() int64 { return f.now }

func (f *follower) Submit(_ context.Context, tx []byte) (ledger.Result, error) {
	if f.cutOff != nil && f.cutOff() {
		return ledger.Result{}, fmt.Errorf("submit: %w", ErrLost)
	}
	if f.forge != nil {
		tx = f.forge(tx)
	}
	if f.chain.lossy {
		switch f.chain.random.IntN(12) {
		case 0:
			return ledger.Result{}, fmt.Errorf("submit: %w", ErrLost)
		case 1: // it arrives later
			f.chain.late = append(f.chain.late, tx)
			return ledger.Result{}, fmt.Errorf("submit: %w", ErrLost)
		case 2: // it arrived, and its sender never hears
			f.chain.include(tx)
			return ledger.Result{}, fmt.Errorf("submit: %w", ErrLost)
		}
	}
	r := f.chain.include(tx)
	f.catchUp(true)
	return r, nil
}
