package tree

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/commonseal/commonseal/ledger"
)

// A Memory is a [Tree] without a disk and without proofs of its state: the state after the last
// block, the size of the log, and their root, which is the one a Tree comes to. It
// is for who executes a chain once, from its genesis; a second implementation of
// the state tree, so that an auditor does not depend on the validators'. The zero
// value is before genesis. Views outlive later commits. It is used by one goroutine.
type Memory struct {
	begun  bool // has its genesis
	last   memoryState
	staged *memoryState
}

// A memoryState is a Memory after one block.
type memoryState struct {
	height int64
	root   *branch
	seen   *branch // the seen-set, which is in no root: a function of the log
	log    *compact.Range
	sum    ledger.Digest
}

// Height is the height of the last committed block: 0 after genesis, -1 before.
func (m *Memory) Height() int64 {
	if !m.begun {
		return -1
	}
	return m.last.height
}

// Root is the root after the last committed block, zero before genesis.
func (m *Memory) Root() ledger.Digest { return m.last.sum }

// Leaves is the size of the log after the last committed block.
func (m *Memory) Leaves() uint64 {
	if !m.begun {
		return 0
	}
	return m.last.log.End()
}

// ProveHead proves the head of the log under the root; see [HeadProof].
func (m *Memory) ProveHead() ([]byte, error) {
	if !m.begun {
		return nil, errors.New("prove the log's head: there is no genesis yet")
	}
	head, err := headOf(m.last.log)
	if err != nil {
		return nil, fmt.Errorf("prove the log's head: %w", err)
	}
	p := HeadProof{Log: head, State: m.last.root.digest()}
	return p.Append(nil), nil
}

// View is the state after the last committed block.
func (m *Memory) View() ledger.View { return memoryView{m.last.root, m.last.seen} }

// Stage computes the root that the block of a height leads to, which must be the
// one after the last committed. It keeps the bytes of the outcome.
func (m *Memory) Stage(height int64, out ledger.Outcome) (ledger.Digest, error) {
	m.staged = nil
	if height != m.Height()+1 {
		return ledger.Digest{}, fmt.Errorf("stage block %d: it does not follow block %d", height, m.Height())
	}
	if n := len(out.Writes) + len(out.Leaves); n > MaxChanges {
		return ledger.Digest{}, fmt.Errorf("stage block %d: it makes %d changes, at most %d fit", height, n, MaxChanges)
	}
	if err := checkWrites(out.Writes); err != nil {
		return ledger.Digest{}, fmt.Errorf("stage block %d: %w", height, err)
	}
	next := &memoryState{height: height, root: m.last.root, seen: m.last.seen}
	for _, w := range out.Writes {
		if isSeen(string(w.Key)) {
			next.seen = next.seen.written(w, height+1)
		} else {
			next.root = next.root.written(w, height+1)
		}
	}
	var err error
	if next.log, err = lengthened(m.last.log, out.Leaves); err != nil {
		return ledger.Digest{}, fmt.Errorf("stage block %d: %w", height, err)
	}
	head, err := headOf(next.log)
	if err != nil {
		return ledger.Digest{}, fmt.Errorf("stage block %d: %w", height, err)
	}
	next.sum = underRoot(head, next.root.digest())
	m.staged = next
	return next.sum, nil
}

// Commit makes the staged block the last.
func (m *Memory) Commit() error {
	if m.staged == nil {
		return errors.New("commit: no block is staged")
	}
	m.last, m.staged, m.begun = *m.staged, nil, true
	return nil
}

// lengthened is a log with leaves behind it; nil is one without any.
func lengthened(log *compact.Range, leaves [][]byte) (*compact.Range, error) {
	var size uint64
	var hashes [][]byte
	if log != nil {
		size, hashes = log.End(), append(hashes, log.Hashes()...)
	}
	next, err := ranges().NewRange(0, size, hashes)
	for _, leaf := range leaves {
		if err == nil {
			err = next.Append(rfc6962.DefaultHasher.HashLeaf(leaf), nil)
		}
	}
	return next, err
}

// A memoryView is the state under a branch, and the seen-set.
type memoryView struct{ root, seen *branch }

// Get implements [ledger.View].
func (v memoryView) Get(key []byte) []byte {
	if isSeen(string(key)) {
		return v.seen.get(key)
	}
	return v.root.get(key)
}

// Range implements [ledger.View].
func (v memoryView) Range(prefix []byte, yield func(key, value []byte) bool) {
	passed := false // the place of the seen-set
	whole := v.root.walk(prefix, func(key, value []byte) bool {
		if !passed && string(key) > ledger.SeenKeys {
			if passed = true; !v.seen.walk(prefix, yield) {
				return false
			}
		}
		return yield(key, value)
	})
	if whole && !passed {
		v.seen.walk(prefix, yield)
	}
}

// written is the tree after a write.
func (b *branch) written(w ledger.Write, version int64) *branch {
	if bytes.Equal(b.get(w.Key), w.Value) {
		return b
	}
	if w.Value == nil {
		b, _ = b.remove(w.Key, version)
		return b
	}
	return b.set(w.Key, w.Value, version)
}

// A branch is a node of the state tree: a leaf if it has no left side. It does not
// change once its version is committed; nil is a tree of nothing.
//
// The tree is IAVL's: an AVL tree whose inner nodes have the least key on their
// right side, and whose nodes are hashed with the version that made them.
type branch struct {
	key, value  []byte
	left, right *branch
	version     int64
	size        int64
	height      int8
	hashed      bool
	hash        ledger.Digest
}

func (b *branch) get(key []byte) []byte {
	if b == nil {
		return nil
	}
	for b.left != nil {
		if bytes.Compare(key, b.key) < 0 {
			b = b.left
		} else {
			b = b.right
		}
	}
	if !bytes.Equal(b.key, key) {
		return nil
	}
	return b.value
}

// walk yields what begins with prefix, in order, and is false when told to stop.
func (b *branch) walk(prefix []byte, yield func(key, value []byte) bool) bool {
	switch {
	case b == nil:
		return true
	case b.left == nil:
		return !bytes.HasPrefix(b.key, prefix) || yield(b.key, b.value)
	}
	// The left side has keys below b.key alone, the right side no others.
	if bytes.Compare(prefix, b.key) < 0 && !b.left.walk(prefix, yield) {
		return false
	}
	if bytes.Compare(b.key, prefix) > 0 && !bytes.HasPrefix(b.key, prefix) {
		return true
	}
	return b.right.walk(prefix, yield)
}

func newLeaf(key, value []byte, version int64) *branch {
	return &branch{key: key, value: value, version: version, size: 1}
}

// own is b, to be changed in a version: a copy unless that version made it.
func (b *branch) own(version int64) *branch {
	if b.version == version && !b.hashed {
		return b
	}
	out := *b
	out.version, out.hashed = version, false
	return &out
}

// set is the tree with a key set, which had another value or none.
func (b *branch) set(key, value []byte, version int64) *branch {
	if b == nil {
		return newLeaf(key, value, version)
	}
	if b.left == nil {
		return b.split(key, value, version)
	}
	b = b.own(version)
	if bytes.Compare(key, b.key) < 0 {
		b.left = b.left.set(key, value, version)
	} else {
		b.right = b.right.set(key, value, version)
	}
	return b.balance(version)
}

// split is what a leaf becomes when a key is set at it.
func (b *branch) split(key, value []byte, version int64) *branch {
	leaf := newLeaf(key, value, version)
	switch c := bytes.Compare(key, b.key); {
	case c < 0:
		return &branch{key: b.key, left: leaf, right: b, version: version, height: 1, size: 2}
	case c > 0:
		return &branch{key: key, left: b, right: leaf, version: version, height: 1, size: 2}
	}
	return leaf
}

// remove is the tree without a key that it has, and the least key of the tree if
// that is another one now, else nil.
func (b *branch) remove(key []byte, version int64) (_ *branch, least []byte) {
	if b.left == nil {
		return nil, nil
	}
	if bytes.Compare(key, b.key) < 0 {
		left, least := b.left.remove(key, version)
		if left == nil {
			return b.right, b.key
		}
		b = b.own(version)
		b.left = left
		return b.balance(version), least
	}
	right, least := b.right.remove(key, version)
	if right == nil {
		return b.left, nil
	}
	b = b.own(version)
	b.right = right
	if least != nil {
		b.key = least
	}
	return b.balance(version), nil
}

// measure sets what follows from the sides.
func (b *branch) measure() {
	b.height = 1 + max(b.left.height, b.right.height)
	b.size = b.left.size + b.right.size
}

func (b *branch) lean() int8 { return b.left.height - b.right.height }

// balance rotates b, which its version made, until neither side is more than one
// higher.
func (b *branch) balance(version int64) *branch {
	b.measure()
	switch lean := b.lean(); {
	case lean > 1:
		if b.left.lean() < 0 {
			b.left = b.left.own(version).turnLeft(version)
		}
		return b.turnRight(version)
	case lean < -1:
		if b.right.lean() > 0 {
			b.right = b.right.own(version).turnRight(version)
		}
		return b.turnLeft(version)
	}
	return b
}

func (b *branch) turnRight(version int64) *branch {
	top := b.left.own(version)
	b.left, top.right = top.right, b
	b.measure()
	top.measure()
	return top
}

func (b *branch) turnLeft(version int64) *branch {
	top := b.right.own(version)
	b.right, top.left = top.left, b
	b.measure()
	top.measure()
	return top
}

// digest is the root of the tree.
func (b *branch) digest() ledger.Digest {
	if b == nil {
		return sha256.Sum256(nil)
	}
	if b.hashed {
		return b.hash
	}
	var room [192]byte
	text := appendVarints(room[:0], int64(b.height), b.size, b.version)
	if b.left == nil {
		value := sha256.Sum256(b.value)
		text = append(binary.AppendUvarint(text, uint64(len(b.key))), b.key...)
		text = append(append(text, hashPrefix), value[:]...)
	} else {
		left, right := b.left.digest(), b.right.digest()
		text = append(append(text, hashPrefix), left[:]...)
		text = append(append(text, hashPrefix), right[:]...)
	}
	b.hash, b.hashed = sha256.Sum256(text), true
	return b.hash
}
