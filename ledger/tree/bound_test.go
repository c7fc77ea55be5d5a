package tree

import (
	"math"
	"testing"

	"github.com/dgraph-io/badger/v4"
)

// rowsOf is how many rows a block of so many writes and leaves writes at most to
// a state of so many keys: below the level with a node for each write, paths are
// apart, above it they share nodes; a write also has its own row; a leaf has
// two, and its nodes as many.
func rowsOf(writes, leaves int, keys float64) float64 {
	w := float64(writes)
	return w*(math.Log2(keys/w)+3.5) + w + 4*float64(leaves) + 100
}

// A block of MaxChanges fits in a transaction, with 2^24 keys in the state, if it
// writes as many rows as rowsOf says; and it writes no more than that.
func TestBlockBound(t *testing.T) {
	const writes, leaves = MaxChanges * 4 / 5, MaxChanges / 5
	tree, next := filled(t, 20_000)
	// Writes write the most rows, so none worse than all of them.
	if rows, limit := rowsOf(MaxChanges, 0, 1<<24), float64(tree.db.MaxBatchCount()); rows > limit {
		t.Errorf("a block of %d writes writes %.0f rows, Badger takes %.0f", MaxChanges, rows, limit)
	}
	for _, test := range []struct{ writes, leaves int }{{100, 0}, {1000, 250}, {writes, leaves}, {MaxChanges, 0}} {
		keys := math.Exp2(float64(tree.last().state.height))
		before := rows(t, tree)
		put(t, tree, next(test.leaves, test.writes))
		got, want := float64(rows(t, tree)-before), rowsOf(test.writes, test.leaves, keys)
		t.Logf("%d writes and %d leaves to %.0f keys: %.0f rows, at most %.0f", test.writes, test.leaves, keys, got, want)
		if got > want {
			t.Errorf("%d writes and %d leaves wrote %.0f rows, want at most %.0f", test.writes, test.leaves, got, want)
		}
	}
}

// rows counts the versions of rows, deletions aside.
func rows(tb testing.TB, tree *Tree) (n int) {
	tb.Helper()
	txn := tree.db.NewTransactionAt(math.MaxUint64, false)
	defer txn.Discard()
	it := txn.NewIterator(badger.IteratorOptions{AllVersions: true})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		if !it.Item().IsDeletedOrExpired() {
			n++
		}
	}
	return n
}

// A block of 1 MiB, as the chain allows it, is stored: few transactions of the
// largest size, and as many as a block may have.
func TestBlockOfAMebibyte(t *testing.T) {
	tree, next := filled(t, 1000)
	for _, txs := range []int{16, MaxChanges / 5} {
		out := next(0, 4*txs)
		for range txs {
			out.Leaves = append(out.Leaves, make([]byte, 1<<20/txs))
		}
		for i := range out.Writes {
			out.Writes[i].Value = make([]byte, 1<<20/len(out.Writes))
			out.Writes[i].Value[0] = 1
		}
		put(t, tree, out)
		if _, err := tree.ProveLeaf(tree.Leaves()-1, tree.Leaves()); err != nil {
			t.Error(err)
		}
	}
}

// A read of a key as a transaction makes it, of the flat rows and for comparison
// through the state tree's own nodes.
func BenchmarkGet(b *testing.B) {
	tree, _ := filled(b, 100_000)
	view := tree.View().(*Snapshot)
	var keys [][]byte
	view.Range(nil, func(key, _ []byte) bool {
		keys = append(keys, key)
		return true
	})
	for _, from := range []struct {
		name string
		get  func(key []byte) []byte
	}{
		{"rows", view.Get},
		{"nodes", func(key []byte) []byte {
			if tree.last().state.find(string(key)) == nil {
				return nil
			}
			return key
		}},
	} {
		b.Run("from="+from.name, func(b *testing.B) {
			i := 0
			for b.Loop() {
				i = (i + 7919) % len(keys)
				if from.get(keys[i]) == nil {
					b.Fatalf("key %q has no value", keys[i])
				}
			}
		})
	}
}

func BenchmarkRange(b *testing.B) {
	tree, _ := filled(b, 100_000)
	view := tree.View()
	for b.Loop() {
		n := 0
		view.Range([]byte("key/0"), func(_, _ []byte) bool {
			n++
			return true
		})
		b.ReportMetric(float64(n), "keys")
	}
}

// A proof as the ledger's door gives it.
func BenchmarkProve(b *testing.B) {
	tree, _ := filled(b, 100_000)
	var key []byte
	tree.View().Range([]byte("key/8"), func(k, _ []byte) bool {
		key = k
		return false
	})
	var proof []byte
	for b.Loop() {
		var err error
		if _, proof, err = tree.Prove(key); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(proof)), "B/proof")
}
