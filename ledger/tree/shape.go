package tree

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"github.com/commonseal/commonseal/ledger"
)

// On disk, the state tree is two kinds of rows, and none of them is a hash.
//
// Every leaf has the row of its key and value, with its version. Every key but
// the first is also that of one inner node, which stands between its leaf and
// the one before. Its row has the node's height: no node is as high as one below
// it, so the heights in order of the keys are the tree. Its version is the latest
// of what is below it, but of nodes that were left above what was removed or
// turned: those have a stamp, and the version is the latest of it and of those
// below. So the row changes only when the shape does, and a block that overwrites
// values writes nothing but these values.

// A shape is what an inner node's row has.
type shape struct {
	stamp  int64
	height int8
}

func (s shape) append(b []byte) []byte {
	return binary.AppendUvarint(append(b, byte(s.height)), uint64(s.stamp))
}

var errShape = errors.New("the state tree's rows are damaged; delete the directory and replay")

func parseShape(b []byte) (shape, error) {
	if len(b) < 2 || b[0] == 0 || b[0] > 127 {
		return shape{}, errShape
	}
	stamp, n := binary.Uvarint(b[1:])
	if n != len(b)-1 || stamp > 1<<62 {
		return shape{}, errShape
	}
	return shape{int64(stamp), int8(b[0])}, nil
}

// appendValue appends the row of a leaf.
func appendValue(b []byte, version int64, value []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(version)), value...)
}

// parseValue is the version and value in the row of a leaf.
func parseValue(row []byte) (version int64, value []byte, err error) {
	v, n := binary.Uvarint(row)
	if n <= 0 || n == len(row) || v > 1<<62 {
		return 0, nil, errShape
	}
	return int64(v), row[n:len(row):len(row)], nil
}

// rows hashes what the edit changed, and returns the rows of inner nodes that are
// not as they were.
func (e *edit) rows() (out []row) {
	shapes := map[string]shape{}
	e.seal(e.root, func(n *node) {
		now := shape{height: n.height}
		if max(n.left.version, n.right.version) < n.version {
			now.stamp = n.version
		}
		if n.kept.height == now.height && now.stamp == 0 && !e.dropped[n.key] {
			return // an old stamp is no later than what is below now
		}
		n.kept = now
		shapes[n.key] = now
	})
	for key := range e.dropped {
		if _, ok := shapes[key]; !ok {
			out = append(out, row{key: shapeRow(key)})
		}
	}
	for key, s := range shapes {
		out = append(out, row{shapeRow(key), s.append(nil)})
	}
	slices.SortFunc(out, func(a, b row) int { return bytes.Compare(a.key, b.key) })
	return out
}

// loadState reads the state tree that a transaction sees, which must have a root.
func loadState(txn *badger.Txn, root ledger.Digest) (*node, error) {
	leaves := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{stateRows}, PrefetchValues: true, PrefetchSize: 100})
	defer leaves.Close()
	shapes := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{shapeRows}, PrefetchValues: true, PrefetchSize: 100})
	defer shapes.Close()
	shapes.Rewind()
	var b builder
	for leaves.Rewind(); leaves.Valid(); leaves.Next() {
		n, err := leafOf(leaves.Item())
		if err != nil {
			return nil, err
		}
		if b.last != nil { // the first has no inner node
			if !shapes.Valid() || string(shapes.Item().Key()[1:]) != n.key {
				return nil, errShape
			}
			if err := b.between(shapes.Item(), n.key); err != nil {
				return nil, err
			}
			shapes.Next()
		}
		b.last = n
	}
	if shapes.Valid() {
		return nil, errShape
	}
	n, err := b.root()
	if err == nil && n.rootHash() != root {
		return nil, errShape
	}
	return n, err
}

// leafOf makes a leaf of its row.
func leafOf(item *badger.Item) (n *node, err error) {
	key := string(item.Key()[1:])
	err = item.Value(func(row []byte) error {
		version, value, err := parseValue(row)
		if err != nil {
			return fmt.Errorf("key %q: %w", key, err)
		}
		n = leaf(version, key, value)
		return nil
	})
	return n, err
}

// A builder puts a tree together from its leaves and inner nodes in order.
type builder struct {
	last *node   // what is whole at the right end
	open []*node // inner nodes without their right child, each lower than the one before
}

// between puts an inner node behind what is there.
func (b *builder) between(item *badger.Item, key string) error {
	n := &node{key: key}
	err := item.Value(func(row []byte) (err error) {
		n.kept, err = parseShape(row)
		return err
	})
	if err != nil {
		return fmt.Errorf("key %q: %w", key, err)
	}
	if err := b.close(n.kept.height); err != nil {
		return err
	}
	n.left = b.last
	b.open, b.last = append(b.open, n), nil
	return nil
}

// close finishes the open nodes that are lower than a height.
func (b *builder) close(height int8) error {
	for len(b.open) > 0 && b.open[len(b.open)-1].kept.height < height {
		n := b.open[len(b.open)-1]
		b.open = b.open[:len(b.open)-1]
		n.right = b.last
		n.fit()
		if n.height != n.kept.height || n.tilt() > 1 || n.tilt() < -1 {
			return fmt.Errorf("key %q: %w", n.key, errShape)
		}
		n.version = max(n.kept.stamp, n.left.version, n.right.version)
		n.seal()
		b.last = n
	}
	return nil
}

func (b *builder) root() (*node, error) {
	if err := b.close(127); err != nil {
		return nil, err
	}
	if len(b.open) > 0 {
		return nil, errShape
	}
	return b.last, nil
}
