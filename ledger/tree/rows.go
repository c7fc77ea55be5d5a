package tree

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"github.com/dgraph-io/badger/v4"
	"github.com/transparency-dev/merkle/compact"
)

// The rows, by the first byte of their keys.
const (
	stateRows   = 's' // key → version and value: the leaves of the state tree
	shapeRows   = 'h' // key → inner node of the state tree before it
	leafRows    = 'l' // index → leaf
	leafOfRows  = 'd' // SHA-256 of a leaf → its index
	logNodeRows = 'n' // level, index → hash in the log's tree
)

// commitRow has the last block's commit.
var commitRow = []byte("c")

// A row is to be set, or deleted if value is nil.
type row struct{ key, value []byte }

func stateRow(key string) []byte { return append([]byte{stateRows}, key...) }

func shapeRow(key string) []byte { return append([]byte{shapeRows}, key...) }

func leafRow(index uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{leafRows}, index)
}

func leafOfRow(digest [sha256.Size]byte) []byte {
	return append([]byte{leafOfRows}, digest[:]...)
}

func logNodeRow(id compact.NodeID) []byte {
	return binary.BigEndian.AppendUint64([]byte{logNodeRows, byte(id.Level)}, id.Index)
}

// get is the value of a row, nil if there is none.
func get(txn *badger.Txn, row []byte) ([]byte, error) {
	item, err := txn.Get(row)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	value, err := item.ValueCopy(nil)
	if value == nil {
		value = []byte{} // Badger returns nil for what is there and empty
	}
	return value, err
}

// set sets a row, or deletes it if value is nil.
func set(txn *badger.Txn, row, value []byte) error {
	if value == nil {
		return txn.Delete(row)
	}
	return txn.Set(row, value)
}
