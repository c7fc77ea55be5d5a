package tree

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/dgraph-io/badger/v4"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/commonseal/commonseal/ledger"
)

// A logNode is a node of the log's tree that has all its leaves, so it never
// changes again.
type logNode struct {
	id   compact.NodeID
	hash []byte
}

// storedLevel is the lowest level of the log's tree whose nodes are stored. Those
// below are hashed again, of four leaves at most: they would be seven rows in
// eight.
const storedLevel = 3

// ranges makes the compact ranges that the log's root is computed from.
func ranges() *compact.RangeFactory {
	return &compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
}

// loadLog reads the compact range of a log of a size.
func loadLog(txn *badger.Txn, size uint64) (*compact.Range, error) {
	hashes, err := logHashes(txn, compact.RangeNodes(0, size, nil))
	if err != nil {
		return nil, err
	}
	return ranges().NewRange(0, size, hashes)
}

// logHashes reads nodes of the log's tree.
func logHashes(txn *badger.Txn, ids []compact.NodeID) ([][]byte, error) {
	hashes := make([][]byte, len(ids))
	for i, id := range ids {
		hash, err := logHash(txn, id)
		if err != nil {
			return nil, err
		}
		hashes[i] = hash
	}
	return hashes, nil
}

func logHash(txn *badger.Txn, id compact.NodeID) ([]byte, error) {
	damaged := fmt.Errorf("the log's node %d.%d is damaged; delete the directory and replay", id.Level, id.Index)
	if id.Level >= storedLevel {
		hash, err := get(txn, logNodeRow(id))
		if err == nil && len(hash) != sha256.Size {
			err = damaged
		}
		return hash, err
	}
	first, after := id.Coverage()
	below := ranges().NewEmptyRange(first)
	for index := first; index < after; index++ {
		leaf, err := get(txn, leafRow(index))
		if err == nil && leaf == nil {
			err = damaged
		}
		if err == nil {
			err = below.Append(rfc6962.DefaultHasher.HashLeaf(leaf), nil)
		}
		if err != nil {
			return nil, err
		}
	}
	return below.Hashes()[0], nil // the one of a whole tree
}

// appendLeaves returns the log after leaves, and the nodes to store that they
// complete.
func appendLeaves(log *compact.Range, leaves [][]byte) (*compact.Range, []logNode, error) {
	next, err := ranges().NewRange(0, log.End(), append([][]byte(nil), log.Hashes()...))
	if err != nil {
		return nil, nil, err
	}
	var done []logNode
	keep := func(id compact.NodeID, hash []byte) {
		if id.Level >= storedLevel {
			done = append(done, logNode{id, hash})
		}
	}
	for _, leaf := range leaves {
		if err := next.Append(rfc6962.DefaultHasher.HashLeaf(leaf), keep); err != nil {
			return nil, nil, err
		}
	}
	return next, done, nil
}

// headOf is the head of a log.
func headOf(log *compact.Range) (Head, error) {
	if log.End() == 0 {
		return Head{Root: ledger.Digest(rfc6962.DefaultHasher.EmptyRoot())}, nil
	}
	root, err := log.GetRootHash(nil)
	if err != nil {
		return Head{}, err
	}
	return Head{Size: log.End(), Root: ledger.Digest(root)}, nil
}

// writeLog writes the leaves of a staged block and the nodes to store.
func writeLog(txn *badger.Txn, next *staged) error {
	index := next.commit.Log.Size - uint64(len(next.leaves))
	for _, leaf := range next.leaves {
		row := leafRow(index)
		if err := txn.Set(row, leaf); err != nil {
			return err
		}
		if err := txn.Set(leafOfRow(sha256.Sum256(leaf)), row[1:]); err != nil {
			return err
		}
		index++
	}
	for _, node := range next.nodes {
		if err := txn.Set(logNodeRow(node.id), node.hash); err != nil {
			return err
		}
	}
	return nil
}

// Leaf is the leaf of an index of the committed log.
func (t *Tree) Leaf(index uint64) ([]byte, error) {
	var leaf []byte
	err := t.read(func(txn *badger.Txn, last *commit) (err error) {
		if index >= last.Log.Size {
			return fmt.Errorf("the log has %d leaves", last.Log.Size)
		}
		leaf, err = get(txn, leafRow(index))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("leaf %d: %w", index, err)
	}
	return leaf, nil
}

// LeafOf is the index of the leaf with a SHA-256 digest in the committed log,
// the last one if equal leaves were appended; false says that there is none.
func (t *Tree) LeafOf(digest ledger.Digest) (index uint64, found bool, err error) {
	err = t.read(func(txn *badger.Txn, _ *commit) error {
		row, err := get(txn, leafOfRow(digest))
		if err != nil || row == nil {
			return err
		}
		if len(row) != 8 {
			return fmt.Errorf("the index of leaf %x is damaged; delete the directory and replay", digest)
		}
		index, found = binary.BigEndian.Uint64(row), true
		return nil
	})
	return index, found, err
}

// ProveLeaf proves that the leaf of an index is in the log of a size; see
// [LeafProof].
func (t *Tree) ProveLeaf(index, size uint64) ([]byte, error) {
	p := LeafProof{Index: index, Size: size}
	nodes, err := proof.Inclusion(index, size)
	if err == nil {
		p.path, err = t.logPath(nodes, size)
	}
	if err != nil {
		return nil, fmt.Errorf("prove leaf %d of %d: %w", index, size, err)
	}
	return p.Append(nil), nil
}

// ProveGrowth proves that the log of a size begins with the log of an earlier
// size; see [GrowthProof].
func (t *Tree) ProveGrowth(from, to uint64) ([]byte, error) {
	p := GrowthProof{From: from, To: to}
	nodes, err := proof.Consistency(from, to)
	if err == nil {
		p.path, err = t.logPath(nodes, to)
	}
	if err != nil {
		return nil, fmt.Errorf("prove growth from %d to %d leaves: %w", from, to, err)
	}
	return p.Append(nil), nil
}

// logPath reads the hashes of a proof within the log of a size.
func (t *Tree) logPath(nodes proof.Nodes, size uint64) (path []ledger.Digest, err error) {
	err = t.read(func(txn *badger.Txn, last *commit) error {
		if size > last.Log.Size {
			return fmt.Errorf("the log has %d leaves", last.Log.Size)
		}
		hashes, err := logHashes(txn, nodes.IDs)
		if err != nil {
			return err
		}
		hashes, err = nodes.Rehash(hashes, rfc6962.DefaultHasher.HashChildren)
		for _, hash := range hashes {
			path = append(path, ledger.Digest(hash))
		}
		return err
	})
	return path, err
}
