package tree

import (
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/dgraph-io/badger/v4"

	"github.com/commonseal/commonseal/ledger"
)

var errClosed = errors.New("the tree is closed")

// A Snapshot is the state after one block, and stays so whatever is committed
// later: Badger keeps what a snapshot sees for as long as somebody holds it. It
// is safe for concurrent use.
type Snapshot struct {
	tree   *Tree
	commit *commit
	txn    *badger.Txn

	load func() (*node, error) // the state tree of a block that is not held, once
}

// View is the state after the last committed block; it is a [*Snapshot].
func (t *Tree) View() ledger.View { return t.snapshot(t.last()) }

// At is the state after the block of a height, one of the [Recent] before the
// last. The first proof or Range on one of the earlier ones reads the whole state,
// and they have no seen-set.
func (t *Tree) At(height int64) (*Snapshot, error) {
	blocks := *t.held.Load()
	last := blocks[len(blocks)-1]
	if height < 0 || height > last.Height || height < last.Height-Recent {
		return nil, fmt.Errorf("state of block %d: the last is %d and %d before it are kept", height, last.Height, Recent)
	}
	if back := int(last.Height - height); back < len(blocks) {
		return t.snapshot(blocks[len(blocks)-1-back]), nil
	}
	s := t.snapshot(&commit{Height: height})
	var row []byte
	err := s.use(func() (err error) {
		row, err = get(s.txn, commitRow)
		if err == nil && row == nil {
			err = errors.New("it is before the snapshot that this one was restored from")
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("state of block %d: %w", height, err)
	}
	c, err := parseCommit(row)
	if err != nil {
		return nil, fmt.Errorf("state of block %d: %w", height, err)
	}
	s.commit = &c
	s.load = sync.OnceValues(func() (*node, error) { return loadState(s.txn, c.State) })
	return s, nil
}

// snapshot pins a timestamp until nobody holds the snapshot. A commit between
// reading what the last is and pinning it does no harm: Badger keeps Recent more.
func (t *Tree) snapshot(c *commit) *Snapshot {
	at := c.timestamp()
	s := &Snapshot{tree: t, commit: c, txn: t.db.NewTransactionAt(at, false)}
	t.reads.pin(at)
	runtime.AddCleanup(s, t.reads.unpin, at)
	return s
}

// Height is the block's.
func (s *Snapshot) Height() int64 { return s.commit.Height }

// Root is the root after the block.
func (s *Snapshot) Root() ledger.Digest { return s.commit.Root() }

// Log is the head of the log after the block.
func (s *Snapshot) Log() Head { return s.commit.Log }

// Get implements [ledger.View]. A disk that cannot be read looks like an absent
// key, and so does a closed tree; either then refuses the block computed from it.
func (s *Snapshot) Get(key []byte) []byte {
	var value []byte
	err := s.use(func() (err error) {
		value, err = s.get(string(key))
		return err
	})
	s.tree.reads.fail(err)
	return value
}

// get looks a key up: in the tree, if that is in memory, and on disk if the tree
// has no answer.
func (s *Snapshot) get(key string) ([]byte, error) {
	if isSeen(key) || s.load == nil {
		n := s.commit.find(key)
		if n == nil {
			return nil, nil
		}
		if n.value != nil {
			return n.value, nil
		}
	}
	row, err := get(s.txn, stateRow(key))
	if row == nil {
		return nil, err
	}
	_, value, err := parseValue(row)
	return value, err
}

// Range implements [ledger.View]; on reading errors see [Snapshot.Get]. The keys
// are the trees': Badger would pass over everything that was deleted before them.
func (s *Snapshot) Range(prefix []byte, yield func(key, value []byte) bool) {
	s.tree.reads.fail(s.use(func() error {
		state, err := s.state()
		if err != nil {
			return err
		}
		walk(state, s.commit.seen, string(prefix), func(leaf *node) bool {
			value := leaf.value
			if value == nil {
				value, err = s.get(leaf.key)
			}
			return err == nil && yield([]byte(leaf.key), value)
		})
		return err
	}))
}

// use calls read while the database is open.
func (s *Snapshot) use(read func() error) error {
	defer runtime.KeepAlive(s)
	if !s.tree.reads.begin() {
		return errClosed
	}
	defer s.tree.reads.end()
	return read()
}

// state is the snapshot's state tree.
func (s *Snapshot) state() (*node, error) {
	if s.load != nil {
		return s.load()
	}
	return s.commit.state, nil
}

// read calls a function with a transaction on the last committed block.
func (t *Tree) read(f func(txn *badger.Txn, last *commit) error) error {
	s := t.snapshot(t.last())
	return s.use(func() error { return f(s.txn, s.commit) })
}

// reads knows who reads: how many are at it, for Close to wait for, and which
// timestamps snapshots hold, for Badger to keep.
type reads struct {
	mu     sync.Mutex
	active int
	idle   chan struct{} // set by close, closed when active is 0
	shut   bool
	pins   map[uint64]int // timestamp → snapshots
	err    error          // the first error of reading
}

func (r *reads) begin() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.shut {
		return false
	}
	r.active++
	return true
}

func (r *reads) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.active--
	if r.shut && r.active == 0 {
		close(r.idle)
	}
}

// close lets nobody begin and waits for those who have. It is false the second
// time.
func (r *reads) close() bool {
	r.mu.Lock()
	first := !r.shut
	if first {
		r.shut, r.idle = true, make(chan struct{})
		if r.active == 0 {
			close(r.idle)
		}
	}
	r.mu.Unlock()
	<-r.idle
	return first
}

func (r *reads) pin(at uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pins[at]++
}

func (r *reads) unpin(at uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pins[at]--; r.pins[at] == 0 {
		delete(r.pins, at)
	}
}

// oldest is the timestamp below which nobody reads once at is committed.
func (r *reads) oldest(at uint64) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	oldest := at - min(at, Recent)
	for pinned := range r.pins {
		oldest = min(oldest, pinned)
	}
	return oldest
}

// fail keeps the first error of reading, but that of a closed tree, which
// stages nothing any more.
func (r *reads) fail(err error) {
	if err == nil || errors.Is(err, errClosed) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = err
	}
}

func (r *reads) failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}
