// Package tree keeps a ledger's state and its log of transactions on disk, under
// one root that anybody can be shown proofs against.
//
// The state is an IAVL tree (ICS-23 proofs of presence and of absence), the log an
// RFC 6962 tree (proofs of inclusion and of growth); the root is the Merkle map
// of the two, as CometBFT's ProofsFromMap computes it:
//
//	root = H(1 ‖ leaf("log", size ‖ log root) ‖ leaf("state", state root))
//
// A block goes in by [Tree.Stage], which tells the root and stores nothing, and
// [Tree.Commit], which stores it in one Badger transaction: whatever kills a
// process, its tree is that after some block. No height and no time enters the
// root: a block that changes nothing leaves it, so an idle chain makes no block.
//
// The state tree is in memory, without values that are large, and so are those of
// the last blocks, which share what is equal in them; on disk are the values, and
// what the tree is made of again when it is opened. The ledger's seen-set is a
// function of the log and in memory only. See docs/adr/0015.
//
// Badger runs with timestamps that we give, block h at h+1. A [Snapshot] is a
// timestamp, so reading never waits for writing, and the heights before the last
// need no copies: Badger keeps what they saw.
package tree

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"
	"github.com/transparency-dev/merkle/compact"

	"github.com/commonseal/commonseal/ledger"
)

// Recent is how many heights before the last [Tree.At] still has.
const Recent = 100

// MaxChanges is how many writes and leaves together a block may have. A block is
// one transaction, and of those Badger takes rows up to 15 % of a memtable, which
// a larger memtable would cost every process; TestBlockBound computes that this
// fits with 2^24 keys in the state. [ledger.MaxChanges] is below it.
const MaxChanges = 6500

const (
	maxKey   = 1 << 10  // bytes of a key of the state
	held     = 8        // blocks whose state trees are in memory; of others one is made when it is asked for
	memtable = 64 << 20 // bytes of a memtable
)

// A Tree is a ledger's state and log. Its methods are safe for concurrent use.
type Tree struct {
	db    *badger.DB
	limit int // of changes in a block
	reads reads
	held  atomic.Pointer[[]*commit] // the last blocks with their state trees, in order

	mu     sync.Mutex // guards what is below, and lets one block at a time in
	log    *compact.Range
	staged *staged
	broken error // why no block may follow until the tree is opened again

	failpoint func(name string) // tests crash here; nil outside them
}

// A staged block waits for its commit.
type staged struct {
	commit commit
	rows   []row // of the state and its tree
	leaves [][]byte
	log    *compact.Range
	nodes  []logNode
}

// Open opens the tree kept in a directory, which it makes if need be; "" is a
// tree in memory. Two processes cannot have one open: the second gets an error.
func Open(dir string) (*Tree, error) { return openSized(dir, memtable) }

func openSized(dir string, size int64) (*Tree, error) {
	db, err := badger.OpenManaged(options(dir, size))
	if err != nil {
		return nil, fmt.Errorf("open state in %q: %w", dir, err)
	}
	t := &Tree{db: db, limit: int(MaxChanges * size / memtable)}
	t.reads.pins = map[uint64]int{}
	err = dropUnfinished(db)
	if err == nil {
		err = t.load()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open state in %q: %w", dir, err), db.Close())
	}
	return t, nil
}

// options are Badger's for a directory.
//
// SyncWrites stays off. The operating system has what a killed process wrote; a
// power cut may take the last blocks, from the end. The tree may so fall behind
// the blocks but never be ahead of them, and both who feed it cope with that: a
// validator's CometBFT, which does sync, replays from [Tree.Height], and a
// follower follows from there.
func options(dir string, size int64) badger.Options {
	return badger.DefaultOptions(dir).
		WithInMemory(dir == "").
		WithLogger(nil).
		WithMetricsEnabled(false).
		WithSyncWrites(false).
		WithDetectConflicts(false). // one writer
		WithCompression(0).WithBlockCacheSize(0).
		WithNumMemtables(2).WithNumCompactors(2).
		WithValueLogFileSize(16 << 20). // no value is large enough to go there
		WithMemTableSize(size)
}

// load reads the last commit and what staging the next one needs.
func (t *Tree) load() error {
	last := commit{Height: -1, State: (*node)(nil).rootHash()}
	txn := t.db.NewTransactionAt(math.MaxUint64, false)
	defer txn.Discard()
	row, err := get(txn, commitRow)
	if err == nil && row != nil {
		last, err = parseCommit(row)
	}
	if err != nil {
		return err
	}
	if last.state, err = loadState(txn, last.State); err != nil {
		return err
	}
	if last.seen, err = loadSeen(txn, &last); err != nil {
		return err
	}
	if t.log, err = loadLog(txn, last.Log.Size); err != nil {
		return err
	}
	t.held.Store(&[]*commit{&last})
	return nil
}

// last is the last committed block.
func (t *Tree) last() *commit {
	blocks := *t.held.Load()
	return blocks[len(blocks)-1]
}

// Close waits for the reads that have begun and closes the tree. Snapshots read
// nothing afterwards; what was staged is forgotten. It must not be called from
// within a Range.
func (t *Tree) Close() error {
	if !t.reads.close() {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.staged, t.broken = nil, errClosed
	return t.db.Close()
}

// Height is the height of the last committed block: 0 after genesis, -1 before.
func (t *Tree) Height() int64 { return t.last().Height }

// Root is the root after the last committed block, zero before genesis.
func (t *Tree) Root() ledger.Digest { return t.last().Root() }

// Leaves is the size of the log after the last committed block.
func (t *Tree) Leaves() uint64 { return t.last().Log.Size }

// Stage computes the root that the block of a height leads to, which must be the
// one after the last committed. It stores nothing: another Stage of that height
// replaces it. The tree keeps the bytes of the outcome, so they must not change.
func (t *Tree) Stage(height int64, out ledger.Outcome) (ledger.Digest, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.usable(); err != nil {
		return ledger.Digest{}, fmt.Errorf("stage block %d: %w", height, err)
	}
	t.staged = nil
	next := &staged{commit: commit{Height: height}, leaves: out.Leaves}
	if err := t.stage(next, out); err != nil {
		return ledger.Digest{}, fmt.Errorf("stage block %d: %w", height, err)
	}
	t.staged = next
	return next.commit.Root(), nil
}

func (t *Tree) stage(next *staged, out ledger.Outcome) error {
	last := t.last()
	if next.commit.Height != last.Height+1 {
		return fmt.Errorf("it does not follow block %d", last.Height)
	}
	if n := len(out.Writes) + len(out.Leaves); n > t.limit {
		return fmt.Errorf("it makes %d changes, at most %d fit in a transaction; propose smaller blocks", n, t.limit)
	}
	if err := checkWrites(out.Writes); err != nil {
		return err
	}
	next.stageState(last, out.Writes)
	var err error
	if next.log, next.nodes, err = appendLeaves(t.log, out.Leaves); err != nil {
		return err
	}
	next.commit.Log, err = headOf(next.log)
	return err
}

// stageState makes the state tree after writes out of the one before.
func (s *staged) stageState(before *commit, writes []ledger.Write) {
	state, seen := edit{root: before.state}, edit{root: before.seen}
	state.begin(s.commit.timestamp())
	seen.begin(s.commit.timestamp())
	for _, w := range writes {
		key := string(w.Key)
		if isSeen(key) {
			seen.see(key, w.Value)
			continue
		}
		old := before.state.find(key)
		switch {
		// A leaf's hash has the height it was written at, so writing what is there
		// already would change the root.
		case old == nil && w.Value == nil, old != nil && w.Value != nil && old.is(w.Value):
			continue
		case w.Value == nil:
			state.remove(key)
			s.rows = append(s.rows, row{key: stateRow(key)})
		default:
			state.set(leaf(state.version, key, w.Value))
			s.rows = append(s.rows, row{stateRow(key), appendValue(nil, state.version, w.Value)})
		}
	}
	s.rows = append(s.rows, state.rows()...)
	s.commit.state, s.commit.State, s.commit.seen = state.root, state.root.rootHash(), seen.root
}

// checkWrites holds writes to what Outcome promises.
func checkWrites(writes []ledger.Write) error {
	for i, w := range writes {
		switch {
		case len(w.Key) == 0 || len(w.Key) > maxKey:
			return fmt.Errorf("write %d: a key of %d bytes, want 1 to %d", i, len(w.Key), maxKey)
		case w.Value != nil && len(w.Value) == 0:
			return fmt.Errorf("write %d: an empty value; delete the key instead", i)
		case i > 0 && bytes.Compare(writes[i-1].Key, w.Key) >= 0:
			return fmt.Errorf("write %d: its key does not come after the one before", i)
		}
	}
	return nil
}

// Commit stores the staged block, all of it or nothing. After an error the tree
// refuses further blocks until it is opened again, which finds the last block
// that was stored.
func (t *Tree) Commit() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.usable(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	next := t.staged
	if next == nil {
		return errors.New("commit: no block is staged")
	}
	if err := t.store(next); err != nil {
		t.broken = fmt.Errorf("commit block %d, then open the tree again: %w", next.commit.Height, err)
		return t.broken
	}
	t.staged, t.log = nil, next.log
	blocks := append(slices.Clone(*t.held.Load()), &next.commit)
	blocks = blocks[max(0, len(blocks)-held):]
	t.held.Store(&blocks)
	t.db.SetDiscardTs(t.reads.oldest(next.commit.timestamp()))
	return nil
}

// store writes a block in one transaction: what changed of the state, the log,
// and which block it was.
func (t *Tree) store(next *staged) error {
	at := next.commit.timestamp()
	txn := t.db.NewTransactionAt(at, true)
	defer txn.Discard()
	for _, r := range next.rows {
		if err := set(txn, r.key, r.value); err != nil {
			return err
		}
	}
	if err := writeLog(txn, next); err != nil {
		return err
	}
	if err := txn.Set(commitRow, next.commit.append(nil)); err != nil {
		return err
	}
	t.pass("written")
	defer t.pass("committed")
	return txn.CommitAt(at, nil)
}

// pass is a point at which a test may crash the process.
func (t *Tree) pass(point string) {
	if t.failpoint != nil {
		t.failpoint(point)
	}
}

// usable says why no block may follow.
func (t *Tree) usable() error {
	if t.broken == nil {
		t.broken = t.reads.failure()
	}
	return t.broken
}
