package tree

import (
	"strings"

	"github.com/dgraph-io/badger/v4"

	"github.com/commonseal/commonseal/ledger"
)

// The ledger's seen-set is in no root and in no row: the log has every accepted
// transaction, and the log is under the root. In memory it is a tree like the
// state's, without hashes, so that a snapshot has the set of its block; when a
// Tree is opened, it is made of the end of the log. See docs/adr/0015.

func isSeen(key string) bool { return strings.HasPrefix(key, ledger.SeenKeys) }

// see adds a key to the seen-set, or drops it if value is nil.
func (e *edit) see(key string, value []byte) {
	switch there := e.root.find(key) != nil; {
	case value == nil && there:
		e.remove(key)
	case value != nil && !there:
		e.set(&node{key: key, version: e.version, size: 1, value: value})
	}
}

// find is the leaf of a key of the state or the seen-set.
func (c *commit) find(key string) *node {
	if isSeen(key) {
		return c.seen.find(key)
	}
	return c.state.find(key)
}

// walk yields the leaves below a prefix of the state and the seen-set, in order of
// their keys, until yield returns false.
func walk(state, seen *node, prefix string, yield func(leaf *node) bool) {
	passed := false // the place of the seen-set
	below := func(leaf *node) bool { return strings.HasPrefix(leaf.key, prefix) && yield(leaf) }
	if !state.walk(prefix, func(leaf *node) bool {
		if !passed && leaf.key > ledger.SeenKeys {
			if passed = true; !seen.walk(prefix, below) && strings.HasPrefix(ledger.SeenKeys, prefix) {
				return false
			}
		}
		return below(leaf)
	}) {
		return
	}
	if !passed {
		seen.walk(prefix, below)
	}
}

// loadSeen makes the seen-set of the end of the log.
//
// Blocks are in order of their times, and a transaction expires after its block's
// and at most MaxExpiry after. So one that expired MaxExpiry before the last block,
// or earlier, has none before it that is alive; and the last block's time is at
// least any expiry less MaxExpiry.
func loadSeen(txn *badger.Txn, last *commit) (*node, error) {
	e, latest := edit{}, int64(0)
	e.begin(last.timestamp())
	for index := last.Log.Size; index > 0; index-- {
		leaf, err := get(txn, leafRow(index-1))
		if err != nil {
			return nil, err
		}
		w, expiry, ok := ledger.Seen(leaf)
		if !ok {
			continue
		}
		latest = max(latest, expiry)
		if expiry <= latest-2*ledger.MaxExpiry {
			break
		}
		e.see(string(w.Key), w.Value)
	}
	return e.root, nil
}
