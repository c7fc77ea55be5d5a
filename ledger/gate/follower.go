package gate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/commonseal/commonseal/ledger"
	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

// An Endpoint is a validator's LedgerService.
type Endpoint struct {
	Name    string // in logs and errors
	Service commonsealv1.LedgerServiceClient
}

// A Replica is the state that a [Follower] keeps; ledger/tree has the real one.
// View's results outlive later commits.
type Replica interface {
	Height() int64
	Root() ledger.Digest
	View() ledger.View
	Stager
}

// A Stager takes blocks: Stage says what root an outcome leads to, Commit keeps
// what was staged.
type Stager interface {
	Stage(height int64, out ledger.Outcome) (ledger.Digest, error)
	Commit() error
}

// ErrReplica says that the replica cannot be read. It must not be used any more.
var ErrReplica = errors.New("gate: the replica cannot be read; check its disk, or delete it and follow again")

// Rules are what a [Follower] holds blocks to.
type Rules struct {
	// Verify reads a block, if more than two thirds of the validators that sign its
	// height signed it, and the root of the state before it, from its header. Who they
	// are the state says that the follower keeps: it is asked about the block after the
	// last, or the last itself. An error that wraps [ErrReplica] is not the endpoint's.
	Verify func(block, commit []byte) (ledger.Block, ledger.Digest, error)
	// Apply is [ledger.Apply].
	Apply func(ledger.View, ledger.Block) ledger.Outcome
	// Check is [ledger.Check].
	Check func(v ledger.View, now int64, tx []byte) ledger.Result
}

// A RootError says that the validators signed another root than the replica
// came to. One of them runs another version, or a disk is bad: the replica must
// not be used, and following again will not help.
type RootError struct {
	Height       int64 // after whose block they differ
	Ours, Signed ledger.Digest
}

// Error says what to do as well.
func (e *RootError) Error() string {
	return fmt.Sprintf("the state after block %d has root %x here and %x in what the validators signed; compare versions, then delete the replica and follow again",
		e.Height, e.Ours[:6], e.Signed[:6])
}

// A Follower keeps a replica of the ledger. All endpoints stream to it at once
// and the first valid block of a height counts, so that one that lies, stalls
// or leaves costs no time. Safe for concurrent use.
type Follower struct {
	endpoints []Endpoint
	replica   Replica
	rules     Rules
	log       *slog.Logger

	mu      sync.Mutex // guards what follows, which Run writes after each block
	view    ledger.View
	height  int64
	now     int64 // block time, Unix milliseconds; 0 until the first block
	arrived time.Time
	changed chan struct{}
	waiting map[ledger.Digest][]chan ledger.Result // Submit's, by SHA-256
}

// NewFollower is a follower whose replica has at least its genesis. A nil log
// writes nothing.
func NewFollower(endpoints []Endpoint, replica Replica, rules Rules, log *slog.Logger) (*Follower, error) {
	if len(endpoints) < 2 {
		return nil, fmt.Errorf("gate: %d endpoints to follow; name at least two validators, so that one cannot hide blocks", len(endpoints))
	}
	if replica.Height() < 0 {
		return nil, errors.New("gate: the replica has no genesis; write it first")
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Follower{
		endpoints: endpoints, replica: replica, rules: rules, log: log,
		view: replica.View(), height: replica.Height(),
		changed: make(chan struct{}),
		waiting: map[ledger.Digest][]chan ledger.Result{},
	}, nil
}

// View is the state after the last block.
func (f *Follower) View() ledger.View {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.view
}

// Height is the height of the last block.
func (f *Follower) Height() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.height
}

// Now is the time of the last block in Unix milliseconds, 0 before the first
// since the start, when no deadline can be judged.
func (f *Follower) Now() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// Age is how long ago the last block arrived, ages before the first. A chain
// makes a block at least every minute: whoever opens anything on the word of the
// ledger refuses when the word is old.
func (f *Follower) Age() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return time.Since(f.arrived)
}

// Changed returns a channel that the next block closes. Take it before reading
// the state.
func (f *Follower) Changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed
}

// Wait returns the height of the last block once it is above the given one.
func (f *Follower) Wait(ctx context.Context, above int64) (int64, error) {
	for {
		next := f.Changed()
		if height := f.Height(); height > above {
			return height, nil
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-next:
		}
	}
}

// Run follows until ctx ends, or the replica cannot go on: with a [RootError],
// or when it cannot be written. It returns when all its goroutines have.
func (f *Follower) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	offers := make(chan offer)
	var streams sync.WaitGroup
	for _, e := range f.endpoints {
		streams.Go(func() { f.listen(ctx, e, offers) })
	}
	err := f.judge(ctx, offers)
	cancel()
	streams.Wait()
	return err
}

// An offer is a block that an endpoint sent, and where the verdict goes.
type offer struct {
	height        int64
	block, commit []byte
	verdict       chan<- error // buffered
}

// judge takes what endpoints offer, one block at a time.
func (f *Follower) judge(ctx context.Context, offers <-chan offer) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case o := <-offers:
			lie, fault := f.take(o)
			o.verdict <- lie
			if fault != nil {
				return fault
			}
		}
	}
}

// take applies an offered block, if it is the next. A lie is the endpoint's
// doing, a fault is ours.
func (f *Follower) take(o offer) (lie, fault error) {
	height := f.Height()
	first := o.height == height && f.Now() == 0 // the last before the start, for its time
	if o.height <= height && !first {
		return nil, nil // another endpoint was faster
	}
	block, before, err := f.rules.Verify(o.block, o.commit)
	switch {
	case errors.Is(err, ErrReplica):
		return nil, fmt.Errorf("gate: block %d: %w", o.height, err)
	case err != nil:
		return fmt.Errorf("block %d: %w", o.height, err), nil
	case block.Height != o.height:
		return fmt.Errorf("block %d in the place of %d", block.Height, o.height), nil
	case first:
		f.publish(block, ledger.Outcome{})
		return nil, nil
	case o.height != height+1:
		return fmt.Errorf("block %d after %d", o.height, height), nil
	}
	if ours := f.replica.Root(); ours != before {
		return nil, &RootError{Height: height, Ours: ours, Signed: before}
	}
	if err := ledger.Supported(f.View(), block.Height, ledger.Protocol); err != nil {
		return nil, fmt.Errorf("gate: %w", err)
	}
	out := f.rules.Apply(f.View(), block)
	if _, err := f.replica.Stage(block.Height, out); err != nil {
		return nil, fmt.Errorf("gate: block %d: %w", block.Height, err)
	}
	if err := f.replica.Commit(); err != nil {
		return nil, fmt.Errorf("gate: block %d: %w", block.Height, err)
	}
	f.publish(block, out)
	return nil, nil
}

// publish tells everybody of a committed block.
func (f *Follower) publish(block ledger.Block, out ledger.Outcome) {
	view := f.replica.View()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.view, f.height, f.now, f.arrived = view, block.Height, block.Time, time.Now()
	f.answer(block, out)
	close(f.changed)
	f.changed = make(chan struct{})
}

// listen streams from one endpoint until ctx ends.
func (f *Follower) listen(ctx context.Context, e Endpoint, offers chan<- offer) {
	wait := backoffLeast
	for ctx.Err() == nil {
		blocks, lie, err := f.stream(ctx, e, offers)
		switch {
		case lie != nil:
			f.log.Warn("a validator sent what it should not", "endpoint", e.Name, "cause", lie.Error())
			wait = backoffMost
		case blocks > 0:
			wait = backoffLeast
		}
		if err != nil && ctx.Err() == nil {
			f.log.Debug("a stream of blocks ended", "endpoint", e.Name, "cause", err.Error())
		}
		// Spread, so that followers do not come back all at once.
		if !pause(ctx, wait/2+rand.N(wait/2)) {
			return
		}
		wait = min(2*wait, backoffMost)
	}
}

// stream offers what one stream brings, until it breaks or brings a lie.
func (f *Follower) stream(ctx context.Context, e Endpoint, offers chan<- offer) (blocks int, lie, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	next := f.Height() + 1
	if next > 1 && f.Now() == 0 {
		next--
	}
	in, err := e.Service.Follow(ctx, &commonsealv1.FollowRequest{From: next})
	if err != nil {
		return 0, nil, FromStatus(err)
	}
	for ; ; next++ {
		m, err := in.Recv()
		if err != nil {
			return blocks, nil, FromStatus(err)
		}
		if m.Height != next {
			return blocks, fmt.Errorf("block %d when %d was due", m.Height, next), nil
		}
		verdict := make(chan error, 1)
		select {
		case <-ctx.Done():
			return blocks, nil, ctx.Err()
		case offers <- offer{m.Height, m.Block, m.Commit, verdict}:
		}
		if lie := <-verdict; lie != nil {
			return blocks, lie, nil
		}
		blocks++
	}
}

// pause waits, and is false if ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
