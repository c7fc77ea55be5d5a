package tree

import (
	"bytes"
	"errors"

	iavldb "github.com/cosmos/iavl/db"
	"github.com/dgraph-io/badger/v4"
)

// nodes is a database for the state tree: rows of ours at a timestamp. It writes
// nothing by itself; what the tree writes goes into the transaction of the block
// that is being stored.
type nodes struct {
	db  *badger.DB
	at  uint64
	txn *badger.Txn // of the block being stored, else nil
}

var errReadOnly = errors.New("the state tree wrote outside a commit")

func nodeRow(key []byte) []byte { return append([]byte{nodeRows}, key...) }

// reader is the transaction to read in, and what to do with it afterwards.
func (n *nodes) reader() (txn *badger.Txn, done func()) {
	if n.txn != nil {
		return n.txn, func() {}
	}
	txn = n.db.NewTransactionAt(n.at, false)
	return txn, txn.Discard
}

func (n *nodes) Get(key []byte) ([]byte, error) {
	txn, done := n.reader()
	defer done()
	return get(txn, nodeRow(key))
}

func (n *nodes) Has(key []byte) (bool, error) {
	value, err := n.Get(key)
	return value != nil, err
}

func (n *nodes) Iterator(start, end []byte) (iavldb.Iterator, error) {
	return n.iterate(start, end, false), nil
}

func (n *nodes) ReverseIterator(start, end []byte) (iavldb.Iterator, error) {
	return n.iterate(start, end, true), nil
}

// iterate walks the keys from start, inclusive, to end, exclusive; nil is without
// bound.
func (n *nodes) iterate(start, end []byte, reverse bool) *nodeIterator {
	txn, done := n.reader()
	opts := badger.IteratorOptions{Reverse: reverse, Prefix: []byte{nodeRows}}
	it := &nodeIterator{start: start, end: end, reverse: reverse, it: txn.NewIterator(opts), done: done}
	switch {
	case !reverse:
		it.it.Seek(nodeRow(start))
	case end == nil:
		it.it.Seek([]byte{nodeRows + 1})
	default:
		it.it.Seek(nodeRow(end))
		if it.it.Valid() && bytes.Equal(it.it.Item().Key(), nodeRow(end)) {
			it.it.Next()
		}
	}
	return it
}

func (n *nodes) Close() error                        { return nil }
func (n *nodes) NewBatch() iavldb.Batch              { return &nodeBatch{nodes: n} }
func (n *nodes) NewBatchWithSize(_ int) iavldb.Batch { return &nodeBatch{nodes: n} }

// A nodeIterator is over rows of the state tree.
type nodeIterator struct {
	start, end []byte
	reverse    bool
	it         *badger.Iterator
	done       func()
	err        error
}

func (i *nodeIterator) Domain() (start, end []byte) { return i.start, i.end }
func (i *nodeIterator) Next()                       { i.it.Next() }
func (i *nodeIterator) Key() []byte                 { return i.it.Item().KeyCopy(nil)[1:] }
func (i *nodeIterator) Error() error                { return i.err }

func (i *nodeIterator) Valid() bool {
	if i.err != nil || !i.it.Valid() {
		return false
	}
	key := i.it.Item().Key()[1:]
	if i.reverse {
		return i.start == nil || bytes.Compare(key, i.start) >= 0
	}
	return i.end == nil || bytes.Compare(key, i.end) < 0
}

func (i *nodeIterator) Value() []byte {
	value, err := i.it.Item().ValueCopy(nil)
	if err != nil {
		i.err = err
	}
	return value
}

func (i *nodeIterator) Close() error {
	i.it.Close()
	i.done()
	return nil
}

// A nodeBatch holds writes back until Write, which the tree calls once for a
// version it saves and once for those it deletes.
type nodeBatch struct {
	nodes *nodes
	rows  []nodeWrite
	bytes int
}

type nodeWrite struct{ row, value []byte }

func (b *nodeBatch) Set(key, value []byte) error {
	b.add(nodeWrite{nodeRow(key), value})
	return nil
}

func (b *nodeBatch) Delete(key []byte) error {
	b.add(nodeWrite{nodeRow(key), nil})
	return nil
}

func (b *nodeBatch) add(w nodeWrite) {
	b.rows = append(b.rows, w)
	b.bytes += len(w.row) + len(w.value)
}

func (b *nodeBatch) Write() error {
	if len(b.rows) > 0 && b.nodes.txn == nil {
		return errReadOnly
	}
	for _, w := range b.rows {
		if err := set(b.nodes.txn, w.row, w.value); err != nil {
			return err
		}
	}
	b.rows, b.bytes = nil, 0
	return nil
}

func (b *nodeBatch) WriteSync() error          { return b.Write() }
func (b *nodeBatch) Close() error              { return nil }
func (b *nodeBatch) GetByteSize() (int, error) { return b.bytes, nil }
