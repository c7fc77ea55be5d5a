package chain

import (
	"maps"
	"sync"
	"time"

	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/tree"
)

// Stats are what there is to measure of a validator. Counts are since it started.
type Stats struct {
	Height int64 // of the committed state
	Round  int64 // of the block that is being made; above 0 a proposer failed
	Peers  int   // other validators it is connected to
	Pool   int   // transactions that wait
	Keys   int64 // of the state
	Leaves uint64

	Recorded uint64                 // transactions that blocks accepted
	Refused  map[ledger.Code]uint64 // transactions that the pool or a block refused
	Blocks   uint64                 // that were committed
	Applying time.Duration          // spent on them, from FinalizeBlock to the end of Commit
}

// Stats are those of now.
func (n *Node) Stats() Stats {
	s := n.app.counts.stats()
	s.Height, s.Peers, s.Leaves = n.Height(), n.Peers(), n.app.Tree.Leaves()
	if state, ok := n.app.Tree.View().(*tree.Snapshot); ok {
		s.Keys = state.Keys()
	}
	leave, err := n.enter()
	if err != nil {
		return s
	}
	defer leave()
	s.Round, s.Pool = int64(n.consensus.GetRoundState().Round), n.comet.Mempool().Size()
	return s
}

// counts are kept as blocks are made.
type counts struct {
	mu    sync.Mutex
	s     Stats
	began time.Time // of the block that is being applied
}

// begin notes that a block is being applied.
func (c *counts) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.began = time.Now()
}

// results counts what became of transactions. Of those that only the pool saw the
// accepted ones are not counted: they may never be in a block.
func (c *counts) results(inBlock bool, results ...ledger.Result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range results {
		switch {
		case r.Code != ledger.OK:
			if c.s.Refused == nil {
				c.s.Refused = map[ledger.Code]uint64{}
			}
			c.s.Refused[r.Code]++
		case inBlock:
			c.s.Recorded++
		}
	}
}

// committed counts the block.
func (c *counts) committed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.s.Blocks++
	c.s.Applying += time.Since(c.began)
}

func (c *counts) stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.s
	s.Refused = maps.Clone(s.Refused)
	return s
}
