package tree

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/commonseal/commonseal/ledger"
)

// Whatever happened to the rows of the state, the tree of them has another root or
// is none, and is refused: no bit of a row can be another, no row missing, none too
// many.
func TestDamagedRows(t *testing.T) {
	tree := open(t, "")
	for h := range int64(30) {
		put(t, tree, blockOf(h))
	}
	put(t, tree, ledger.Outcome{Writes: []ledger.Write{{Key: []byte("large"), Value: make([]byte, 3*small)}}})
	sameShape(t, tree)
	rng := rand.New(rand.NewPCG(1, 2))
	kept := stored(t, tree)
	refused := func(what string, key, value, back []byte) {
		t.Helper()
		replace(t, tree, key, value)
		if err := reload(tree); !errors.Is(err, errShape) {
			t.Errorf("row %q: %s: %v, want %v", key, what, err, errShape)
		}
		replace(t, tree, key, back)
	}
	for _, r := range kept {
		refused("missing", r.key, nil, r.value)
		for range 5 {
			bit, flipped := rng.IntN(8*len(r.value)), bytes.Clone(r.value)
			flipped[bit/8] ^= 1 << (bit % 8)
			// A shape's stamp may be any that is no later than what is below.
			if r.key[0] != shapeRows || bit < 8 {
				refused("another bit", r.key, flipped, r.value)
			}
		}
		refused("cut", r.key, r.value[:1], r.value)
		refused("longer", r.key, append(bytes.Clone(r.value), 0), r.value)
		refused("one too many", append(bytes.Clone(r.key), 0), r.value, nil)
	}
	if err := reload(tree); err != nil {
		t.Error(err)
	}
}

func reload(tree *Tree) error {
	txn := tree.db.NewTransactionAt(tree.last().timestamp(), false)
	defer txn.Discard()
	_, err := loadState(txn, tree.last().State)
	return err
}

// stored are the rows of the state.
func stored(t *testing.T, tree *Tree) (out []row) {
	t.Helper()
	txn := tree.db.NewTransactionAt(tree.last().timestamp(), false)
	defer txn.Discard()
	for _, prefix := range []byte{stateRows, shapeRows} {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{prefix}})
		for it.Rewind(); it.Valid(); it.Next() {
			value, err := it.Item().ValueCopy(nil)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, row{it.Item().KeyCopy(nil), value})
		}
		it.Close()
	}
	return out
}

func replace(t *testing.T, tree *Tree, key, value []byte) {
	t.Helper()
	txn := tree.db.NewTransactionAt(tree.last().timestamp(), true)
	defer txn.Discard()
	err := set(txn, key, value)
	if err == nil {
		err = txn.CommitAt(tree.last().timestamp(), nil)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Values of any size come back from memory and from disk, at every height.
func TestLargeAndSmallValues(t *testing.T) {
	dir := t.TempDir()
	tree := open(t, dir)
	value := func(n int) []byte { return bytes.Repeat([]byte{7}, n) }
	sizes := []int{1, small - 1, small, small + 1, 5000}
	for h := range 2 * held {
		var out ledger.Outcome
		for i, n := range sizes {
			out.Writes = append(out.Writes, ledger.Write{Key: []byte{'k', byte(i)}, Value: value(n + h)})
		}
		put(t, tree, out)
	}
	check := func(tree *Tree) {
		t.Helper()
		for h := range 2 * held {
			s, err := tree.At(int64(h))
			if err != nil {
				t.Fatal(err)
			}
			i := 0
			s.Range([]byte("k"), func(key, got []byte) bool {
				if want := value(sizes[i] + h); !bytes.Equal(got, want) || !bytes.Equal(s.Get(key), want) {
					t.Errorf("block %d: key %q has %d and %d bytes, want %d", h, key, len(got), len(s.Get(key)), len(want))
				}
				got, proof, err := s.Prove(key)
				if err == nil {
					err = verifyState(s.Root(), key, got, proof)
				}
				if err != nil {
					t.Errorf("block %d: %v", h, err)
				}
				i++
				return true
			})
			if i != len(sizes) {
				t.Errorf("block %d: %d keys, want %d", h, i, len(sizes))
			}
		}
	}
	check(tree)
	if err := tree.Close(); err != nil {
		t.Fatal(err)
	}
	check(open(t, dir))
}
