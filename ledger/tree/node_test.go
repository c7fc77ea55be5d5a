package tree

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/cosmos/iavl"
	iavldb "github.com/cosmos/iavl/db"
	"pgregory.net/rapid"

	"github.com/commonseal/commonseal/ledger"
)

// The state tree is cosmos/iavl's: after any blocks of writes and deletions it
// has the same root, and the rows on disk make the same tree again, node by node.
func TestStateTreeIsIAVL(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		tree := open(t, "")
		twin := iavl.NewMutableTree(iavldb.NewMemDB(), 0, true, iavl.NewNopLogger())
		state := map[string]string{}
		space := rapid.SampledFrom([]int{3, 30, 300}).Draw(rt, "keys")
		for range rapid.IntRange(1, 30).Draw(rt, "blocks") {
			out := manyWrites(rt, space)
			put(rt, tree, out)
			for _, w := range out.Writes {
				old, there := state[string(w.Key)]
				if there && w.Value != nil && old == string(w.Value) {
					continue // no change to a Tree, a new version to a twin
				}
				var err error
				if w.Value == nil {
					_, _, err = twin.Remove(w.Key)
					delete(state, string(w.Key))
				} else {
					_, err = twin.Set(w.Key, w.Value)
					state[string(w.Key)] = string(w.Value)
				}
				if err != nil {
					rt.Fatal(err)
				}
			}
			root, _, err := twin.SaveVersion()
			if err != nil {
				rt.Fatal(err)
			}
			if got := tree.last().State; !bytes.Equal(got[:], root) {
				rt.Fatalf("block %d: the state tree has root %x, cosmos/iavl %x", tree.Height(), got, root)
			}
			sameShape(rt, tree)
		}
	})
}

// manyWrites is a block that sets and removes some of a number of keys.
func manyWrites(rt *rapid.T, space int) (out ledger.Outcome) {
	remove := rapid.IntRange(0, 10).Draw(rt, "removals of ten")
	writes := map[string]int{}
	for range rapid.IntRange(0, space).Draw(rt, "writes") {
		writes[fmt.Sprintf("%03d", rapid.IntRange(0, space-1).Draw(rt, "key"))] = rapid.IntRange(0, 9).Draw(rt, "value")
	}
	for _, key := range slices.Sorted(maps.Keys(writes)) {
		w := ledger.Write{Key: []byte(key)}
		if v := writes[key]; v >= remove {
			w.Value = fmt.Append(nil, v)
		}
		out.Writes = append(out.Writes, w)
	}
	return out
}

// sameShape holds that the rows make the tree that is in memory.
func sameShape(tb rapid.TB, tree *Tree) {
	tb.Helper()
	last := tree.last()
	txn := tree.db.NewTransactionAt(last.timestamp(), false)
	defer txn.Discard()
	again, err := loadState(txn, last.State)
	if err != nil {
		tb.Fatal(err)
	}
	var same func(a, b *node) bool
	same = func(a, b *node) bool {
		if a == nil || b == nil {
			return a == b
		}
		return a.key == b.key && a.version == b.version && a.size == b.size && a.height == b.height && a.hash == b.hash && same(a.left, b.left) && same(a.right, b.right)
	}
	if !same(last.state, again) {
		tb.Fatalf("block %d: the rows make another tree", last.Height)
	}
}
