package tree

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"

	"github.com/dgraph-io/badger/v4"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
)

// ErrSnapshot says that a snapshot does not lead to the root it is said to.
var ErrSnapshot = errors.New("the snapshot does not lead to its root; take another one, of somebody else")

// A Restore fills a tree from the chunks of a snapshot, in order. Until it commits
// the tree has no block; a tree in which one was interrupted opens empty. It is
// for one goroutine, and no block may be staged meanwhile.
type Restore struct {
	tree *Tree
	want Manifest
	next int    // chunk that is due
	last []byte // row
	log  *compact.Range
	rows *badger.WriteBatch

	blind bool // tests only: believes every log
}

// Restore begins to fill the tree from a snapshot whose root the caller trusts.
// Everything that is in the tree is deleted.
func (t *Tree) Restore(m Manifest) (*Restore, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.usable(); err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	r := &Restore{tree: t, want: m}
	if err := r.empty(); err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	c := commit{Height: m.Height}
	r.log, r.rows = ranges().NewEmptyRange(0), t.db.NewWriteBatchAt(c.timestamp())
	return r, nil
}

// empty makes the tree one without blocks.
func (r *Restore) empty() error {
	r.tree.staged = nil
	if err := r.tree.db.DropAll(); err != nil {
		return err
	}
	return r.tree.load()
}

// Add takes the next chunk, which must be the one in the manifest. The error is
// about the chunk, and leaves everything as it was, unless the chunk is that one:
// then the whole snapshot is of no use.
func (r *Restore) Add(chunk []byte) error {
	if r.next >= len(r.want.Chunks) || sha256.Sum256(chunk) != r.want.Chunks[r.next] {
		return fmt.Errorf("restore: chunk %d is not the one in the manifest", r.next)
	}
	rows, err := parseChunk(chunk)
	for i := 0; i < len(rows) && err == nil; i++ {
		err = r.put(rows[i])
	}
	if err != nil {
		return fmt.Errorf("restore: chunk %d: %w: %w", r.next, err, ErrSnapshot)
	}
	r.next++
	return nil
}

// put writes a row, and what follows from it.
func (r *Restore) put(x row) error {
	order := func(row []byte) int { return bytes.IndexByte(travelling, row[0]) }
	if r.last != nil && (order(x.key) < order(r.last) || order(x.key) == order(r.last) && bytes.Compare(x.key, r.last) <= 0) {
		return errors.New("rows out of order")
	}
	r.last = x.key
	if x.key[0] != leafRows {
		return r.rows.Set(x.key, x.value)
	}
	index := r.log.End()
	if !bytes.Equal(x.key, leafRow(index)) || index >= r.want.Log.Size {
		return fmt.Errorf("a leaf other than %d of %d", index, r.want.Log.Size)
	}
	err := errors.Join(r.rows.Set(x.key, x.value), r.rows.Set(leafOfRow(sha256.Sum256(x.value)), x.key[1:]))
	done := func(id compact.NodeID, hash []byte) { err = errors.Join(err, r.rows.Set(logNodeRow(id), hash)) }
	if e := r.log.Append(rfc6962.DefaultHasher.HashLeaf(x.value), done); e != nil {
		return e
	}
	return err
}

// Commit holds what was added to the root, and makes it the tree. After an error
// the tree is empty.
func (r *Restore) Commit() error {
	t := r.tree
	t.mu.Lock()
	defer t.mu.Unlock()
	err := r.finish()
	if err == nil {
		err = t.load()
	}
	if err != nil {
		return errors.Join(fmt.Errorf("restore the state after block %d: %w", r.want.Height, err), r.empty())
	}
	return nil
}

func (r *Restore) finish() error {
	head, err := headOf(r.log)
	switch {
	case err != nil:
		return err
	case r.next < len(r.want.Chunks):
		return fmt.Errorf("%d chunks of %d", r.next, len(r.want.Chunks))
	case head != r.want.Log && !r.blind:
		return fmt.Errorf("its log is another: %w", ErrSnapshot)
	}
	if err := r.rows.Flush(); err != nil {
		return err
	}
	c := commit{Height: r.want.Height, Log: head, State: r.want.State}
	txn := r.tree.db.NewTransactionAt(c.timestamp(), true)
	defer txn.Discard()
	if _, err := loadState(txn, c.State); err != nil {
		return fmt.Errorf("%w: %w", err, ErrSnapshot)
	}
	// The row of the block last, and only once what it is about is on disk.
	if err := r.tree.db.Sync(); err != nil {
		return err
	}
	if err := txn.Set(commitRow, c.append(nil)); err != nil {
		return err
	}
	r.tree.pass("restored")
	return txn.CommitAt(c.timestamp(), nil)
}

// Abandon ends a restore that will not commit; the tree is empty then.
func (r *Restore) Abandon() error {
	r.tree.mu.Lock()
	defer r.tree.mu.Unlock()
	r.rows.Cancel()
	return r.empty()
}

// dropUnfinished empties a database in which a restore was interrupted: there are
// rows, and none of a block.
func dropUnfinished(db *badger.DB) error {
	txn := db.NewTransactionAt(math.MaxUint64, false)
	defer txn.Discard()
	row, err := get(txn, commitRow)
	if err != nil || row != nil {
		return err
	}
	it := txn.NewIterator(badger.IteratorOptions{})
	it.Rewind()
	some := it.Valid()
	it.Close()
	if !some {
		return nil
	}
	return db.DropAll()
}
