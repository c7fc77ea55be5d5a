package chain

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	abci "github.com/cometbft/cometbft/abci/types"

	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/tree"
)

// An App is what a chain replicates: a state and the functions that change it.
// All of them are pure, and none panics on anything a transaction contains.
type App struct {
	Tree *tree.Tree // opened and, after [Node.Run], closed by the caller

	Genesis func(state []byte) ([]ledger.Write, error)
	Apply   func(ledger.View, ledger.Block) ledger.Outcome
	Check   func(view ledger.View, now int64, tx []byte) ledger.Result

	// Contacts are peers beside those of [Config]; nil: there are none.
	Contacts func(ledger.View) []ledger.Contact
	// Upgrade is by which version of the rules the block of a height is made, in
	// the state before it, and Known the last version that Apply knows; nil: there
	// is one version.
	Upgrade func(ledger.View, int64) ledger.Upgrade
	Known   uint64
}

// application is an App as CometBFT drives it (ABCI 2.0).
//
// It is called on several connections at once (the local client with one lock for
// all of them would let a slow CheckTx hold up consensus): what it shares is
// under mu, and what is checked is checked against a committed snapshot.
//
// Nothing here recovers from a panic and no block is refused with a code: an
// error from FinalizeBlock or Commit is a fault of this machine, and the node
// halts, as it must before its state differs from the others'.
type application struct {
	abci.BaseApplication // for vote extensions, which there are none of
	App
	Life

	door     *door
	peers    []string // of the configuration
	log      *slog.Logger
	shelf    *shelf      // nil: there are no snapshots
	headers  *headers    // nil: it does not begin with a snapshot
	faults   chan error  // what ends this validator
	fetching atomic.Bool // blocks are fetched, not made

	counts    counts
	restoring restoring // of the one goroutine that syncs

	mu        sync.Mutex
	view      ledger.View // committed
	height    int64       // of view
	now       int64       // header time of height, Unix milliseconds
	staged    int64       // time of the block finalized last
	executed  *execution  // on top of view
	committed chan struct{}

	failpoint func(name string) // tests crash here; nil outside them
}

func newApplication(a App, d *door, peers []string) *application {
	return &application{App: a, door: d, peers: peers, log: slog.New(slog.DiscardHandler), faults: make(chan error, 1),
		view: a.Tree.View(), height: a.Tree.Height(), committed: make(chan struct{})}
}

// resume sets the time of the block the state stands at, after a start.
func (a *application) resume(now int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.now = now
}

// Info is where this machine's state stands. CometBFT replays blocks from there,
// so the state may lag behind the stored blocks, by a crash, and never leads.
func (a *application) Info(context.Context, *abci.RequestInfo) (*abci.ResponseInfo, error) {
	a.door.enter()
	defer a.door.leave()
	height := a.Tree.Height()
	version := a.versionAt(a.Tree.View(), height+1)
	if height < 1 { // at height 0 it sends InitChain, again if need be
		return &abci.ResponseInfo{AppVersion: version}, nil
	}
	root := a.Tree.Root()
	return &abci.ResponseInfo{LastBlockHeight: height, LastBlockAppHash: root[:], AppVersion: version}, nil
}

// InitChain writes the genesis state. After a crash before block 1 it is called
// again, and answers with what is there.
func (a *application) InitChain(_ context.Context, req *abci.RequestInitChain) (*abci.ResponseInitChain, error) {
	a.door.enter()
	defer a.door.leave()
	if a.Tree.Height() < 0 {
		var state []byte
		if err := json.Unmarshal(req.AppStateBytes, &state); err != nil {
			return nil, fmt.Errorf("chain: the application state in the genesis file: %w; ask the founder for the file again", err)
		}
		writes, err := a.Genesis(state)
		if err != nil {
			return nil, fmt.Errorf("chain: the genesis state: %w", err)
		}
		if _, err := a.Tree.Stage(0, ledger.Outcome{Writes: writes}); err != nil {
			return nil, fmt.Errorf("chain: the genesis state: %w", err)
		}
		if err := a.Tree.Commit(); err != nil {
			return nil, fmt.Errorf("chain: the genesis state: %w", err)
		}
	}
	a.publish(req.Time.UnixMilli())
	root := a.Tree.Root()
	return &abci.ResponseInitChain{AppHash: root[:]}, nil
}

// CheckTx decides whether a transaction may wait in the mempool: against the
// last committed state at its block's time.
func (a *application) CheckTx(_ context.Context, req *abci.RequestCheckTx) (*abci.ResponseCheckTx, error) {
	a.door.enter()
	defer a.door.leave()
	if len(req.Tx) > ledger.MaxTx {
		return &abci.ResponseCheckTx{Code: uint32(tooLarge.Code), Log: tooLarge.Detail}, nil
	}
	view, _, now := a.last()
	r := a.Check(view, now, req.Tx)
	if req.Type == abci.CheckTxType_New {
		a.counts.results(false, r)
	}
	return &abci.ResponseCheckTx{Code: uint32(r.Code), Log: r.Detail}, nil
}

// FinalizeBlock applies a decided block and stages what it changes. A refused
// transaction is a result code. The votes of the last commit have no consequences,
// so a replay needs the blocks alone.
func (a *application) FinalizeBlock(_ context.Context, req *abci.RequestFinalizeBlock) (*abci.ResponseFinalizeBlock, error) {
	a.door.enter()
	defer a.door.leave()
	a.counts.begin()
	block := blockOf(req)
	if err := a.refuse(req.Height); err != nil {
		return nil, err
	}
	out := a.execute(block)
	if len(out.Results) != len(req.Txs) {
		return nil, fmt.Errorf("chain: block %d: %d results for %d transactions: a fault in this program", req.Height, len(out.Results), len(req.Txs))
	}
	root, err := a.Tree.Stage(req.Height, out)
	if err != nil {
		return nil, fmt.Errorf("chain: block %d: %w", req.Height, err)
	}
	a.mu.Lock()
	a.staged = block.Time
	a.mu.Unlock()
	a.counts.results(true, out.Results...)
	results := make([]*abci.ExecTxResult, len(out.Results))
	for i, r := range out.Results {
		// CometBFT hashes the code into the next header; the detail is for people.
		results[i] = &abci.ExecTxResult{Code: uint32(r.Code), Log: r.Detail}
	}
	a.pass("finalized")
	return &abci.ResponseFinalizeBlock{TxResults: results, AppHash: root[:],
		ValidatorUpdates: updates(out.Powers), ConsensusParamUpdates: a.upgrade(req.Height)}, nil
}

// Commit makes the staged block durable, and says from which height on CometBFT
// keeps blocks.
func (a *application) Commit(context.Context, *abci.RequestCommit) (*abci.ResponseCommit, error) {
	a.door.enter()
	defer a.door.leave()
	a.pass("committing")
	if err := a.Tree.Commit(); err != nil {
		return nil, fmt.Errorf("chain: commit: %w", err)
	}
	a.pass("committed")
	a.mu.Lock()
	now := a.staged
	a.mu.Unlock()
	a.counts.committed()
	a.publish(now)
	a.snapshot()
	a.foresee()
	return &abci.ResponseCommit{RetainHeight: a.retain()}, nil
}

// pass is a point at which a test may crash the process.
func (a *application) pass(point string) {
	if a.failpoint != nil {
		a.failpoint(point)
	}
}

// publish makes the tree's last commit, of a block with time now, what is
// checked against, and wakes those who wait for it.
func (a *application) publish(now int64) {
	view, height := a.Tree.View(), a.Tree.Height()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.view, a.height, a.now, a.executed = view, height, now, nil
	close(a.committed)
	a.committed = make(chan struct{})
}

// last is the last committed state, its height and its block's time.
func (a *application) last() (ledger.View, int64, int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.view, a.height, a.now
}

// wait returns the height of the committed state once it is above.
func (a *application) wait(ctx context.Context, stop <-chan struct{}, above int64) (int64, error) {
	for {
		a.mu.Lock()
		height, committed := a.height, a.committed
		a.mu.Unlock()
		if height > above {
			return height, nil
		}
		select {
		case <-committed:
		case <-stop:
			return height, ErrStopped
		case <-ctx.Done():
			return height, context.Cause(ctx)
		}
	}
}
