// Package chain is a validator of a consortium's ledger: the state and the
// functions that change it ([App]) as an ABCI application, and CometBFT v0.40.0
// in the same process.
//
// One process runs one validator. CometBFT ends the process, or stops taking part
// for good, when its disk fails or its state differs from what more than two
// thirds of the validators signed; nothing here recovers from that, because a
// validator that goes on has a state of its own. Its RPC listens nowhere: what
// the rest of the program may do is the methods of [Node], and what others may do
// is ledger/gate.
package chain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	cfg "github.com/cometbft/cometbft/config"
	"github.com/cometbft/cometbft/consensus"
	"github.com/cometbft/cometbft/libs/pubsub"
	"github.com/cometbft/cometbft/node"
	"github.com/cometbft/cometbft/proxy"
	sm "github.com/cometbft/cometbft/state"
	"github.com/cometbft/cometbft/types"

	"github.com/commonseal/commonseal/ledger/tree"
)

var (
	// ErrHalted says that consensus stopped in this validator: its state differs
	// from the others', or its disk failed. The log says which. Start it again
	// only with the program the others run, and a disk that works.
	ErrHalted = errors.New("chain: consensus halted in this validator")
	// ErrStopped says that the node does not run any more.
	ErrStopped = errors.New("chain: the node has stopped")
	// ErrCatchingUp says that a node fetches blocks it missed; see [Node.Ready], or
	// ask another one.
	ErrCatchingUp = errors.New("chain: the node is catching up; try again, or another validator")
	// ErrBusy says that a node's pool is full; ask again after the next block.
	ErrBusy = errors.New("chain: too many transactions wait; try again after the next block")
	// ErrNoBlock says that there is no block at a height yet.
	ErrNoBlock = errors.New("chain: no such block yet")
)

// A Node is a validator. Its methods may be called at the same time.
type Node struct {
	app        *application
	databases  *databases
	comet      *node.Node
	consensus  *consensus.State
	validators sm.Store // who signs which height
	log        *slog.Logger

	callers sync.RWMutex // held by who reads, so that nothing closes under them
	stopped bool
	stop    chan struct{} // closed with stopped
	ready   chan struct{} // closed when the node takes part
}

// Open opens the validator in c.Home and brings its state up to its stored
// blocks. [Node.Run] must follow; it alone closes what Open opened.
func Open(c Config) (*Node, error) { return open(c, nil) }

// open is Open for a test that crashes; see application.failpoint.
func open(c Config, failpoint func(name string)) (*Node, error) {
	config, err := c.comet()
	if err != nil {
		return nil, err
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	doc, err := loadGenesis(config)
	if err != nil {
		return nil, err
	}
	voter, err := loadVoter(config)
	if err != nil {
		return nil, err
	}
	peerKey, err := loadPeerKey(config)
	if err != nil {
		return nil, err
	}
	d := newDoor()
	dbs := &databases{door: d}
	app := newApplication(c.App, d, c.Peers)
	app.failpoint = failpoint
	app.Life, app.log = c.Life, c.Log
	if app.shelf, err = openShelf(filepath.Join(c.Home, "snapshots")); err != nil {
		return nil, err
	}
	var options []node.Option
	if len(c.Sources) > 0 {
		if app.headers, err = newHeaders(doc, c.Trust, c.Sources, logger{c.Log}); err != nil {
			return nil, err
		}
		config.StateSync.Enable = true // CometBFT does it once, when it has no blocks
		config.StateSync.DiscoveryTime = discover
		options = append(options, node.StateProvider(app.headers))
	}
	if err := app.supported(app.height + 1); err != nil {
		return nil, err
	}
	comet, err := node.NewNode(config, voter, peerKey,
		// A lock for each connection, not one for all: CheckTx must not hold up consensus.
		proxy.NewConnSyncLocalClientCreator(app),
		func() (*types.GenesisDoc, error) { return doc, nil },
		dbs.provide, node.DefaultMetricsProvider(config.Instrumentation), logger{c.Log}, options...)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("chain: open: %w", err), dbs.close())
	}
	n := &Node{app: app, databases: dbs, comet: comet, log: c.Log, stop: make(chan struct{}), ready: make(chan struct{})}
	// CometBFT says that consensus died to its log only; this is the way to wait
	// for it.
	env, err := comet.ConfigureRPC()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("chain: open: %w", err), dbs.close())
	}
	rounds, ok := env.ConsensusState.(*consensus.State)
	if !ok {
		return nil, errors.Join(errors.New("chain: open: not the CometBFT this is written for"), dbs.close())
	}
	n.consensus, n.validators = rounds, env.StateStore
	n.app.resume(n.lastTime(doc))
	return n, nil
}

// loadGenesis reads the genesis file. CometBFT would sleep until a genesis time
// that is to come, deaf to a stop.
func loadGenesis(c *cfg.Config) (*types.GenesisDoc, error) {
	doc, err := types.GenesisDocFromFile(c.GenesisFile())
	if err != nil {
		return nil, fmt.Errorf("chain: %w", err)
	}
	if wait := time.Until(doc.GenesisTime); wait > 0 {
		return nil, fmt.Errorf("chain: the chain starts in %v, at %v; start then, or set the clock", wait.Round(time.Second), doc.GenesisTime)
	}
	return doc, nil
}

// lastTime is the time of the block the state stands at, in Unix milliseconds. Of
// the block of a snapshot there is only what CometBFT noted.
func (n *Node) lastTime(doc *types.GenesisDoc) int64 {
	if s, err := n.validators.Load(); err == nil && s.LastBlockHeight == n.app.Tree.Height() && s.LastBlockHeight > 0 {
		return s.LastBlockTime.UnixMilli()
	}
	if meta := n.comet.BlockStore().LoadBlockMeta(n.app.Tree.Height()); meta != nil {
		return meta.Header.Time.UnixMilli()
	}
	return doc.GenesisTime.UnixMilli()
}

// Run takes part until ctx ends, and returns nil, or until consensus halts, and
// returns [ErrHalted]. When it returns, nothing of the node runs and its
// databases are closed; the tree is the caller's to close.
func (n *Node) Run(ctx context.Context) error {
	// One event of room: when there are more, the subscription ends, and the bus
	// does not wait for a slow reader, which would hold up consensus.
	begins, err := n.comet.EventBus().Subscribe(context.Background(), "chain", types.EventQueryNewRound, 1)
	if err != nil {
		return errors.Join(fmt.Errorf("chain: start: %w", err), n.close())
	}
	n.app.fetching.Store(true)
	if err := n.comet.Start(); err != nil {
		return errors.Join(fmt.Errorf("chain: start: %w", err), n.close())
	}
	halted := make(chan struct{})
	go n.attend(begins, halted)
	err = n.watch(ctx, halted)
	if e := n.comet.Stop(); e != nil {
		err = errors.Join(err, fmt.Errorf("chain: stop: %w", e))
	}
	n.comet.Wait()
	return errors.Join(err, n.close())
}

// attend closes n.ready when the node has caught up and takes part, and halted
// when it takes part no more.
func (n *Node) attend(begins types.Subscription, halted chan<- struct{}) {
	select {
	case <-begins.Out():
	case <-begins.Canceled():
		if !errors.Is(begins.Err(), pubsub.ErrOutOfCapacity) {
			return // the node stopped before
		}
	}
	n.app.fetching.Store(false)
	close(n.ready)
	n.consensus.Wait()
	close(halted)
}

// Ready returns when the node has fetched the blocks it missed and takes part:
// from then on it takes transactions.
func (n *Node) Ready(ctx context.Context) error {
	select {
	case <-n.stop: // whether it was ready or not
		return ErrStopped
	default:
	}
	select {
	case <-n.ready:
		return nil
	case <-n.stop:
		return ErrStopped
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// watch returns when ctx ends or consensus halts. Meanwhile it keeps connections.
func (n *Node) watch(ctx context.Context, halted <-chan struct{}) error {
	tick := time.NewTicker(redial)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-n.app.faults:
			return err
		case <-halted:
			select {
			case err := <-n.app.faults: // the cause
				return err
			default:
				return ErrHalted
			}
		case <-tick.C:
			n.meet()
		}
	}
}

// close turns callers away, then the goroutines CometBFT left, then closes.
func (n *Node) close() error {
	n.callers.Lock()
	if !n.stopped {
		n.stopped = true
		close(n.stop)
	}
	n.callers.Unlock()
	n.app.shelf.close()
	return n.databases.close()
}

// enter is for callers from outside: none is inside when the door shuts, which
// would end their goroutine. They call leave unless there is an error.
func (n *Node) enter() (leave func(), err error) {
	n.callers.RLock()
	if n.stopped {
		n.callers.RUnlock()
		return nil, ErrStopped
	}
	return n.callers.RUnlock, nil
}

// Tree is the replicated state.
func (n *Node) Tree() *tree.Tree { return n.app.Tree }
