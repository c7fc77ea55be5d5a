package tree

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/commonseal/commonseal/ledger"
)

// open opens a tree that is closed with the test.
func open(tb testing.TB, dir string) *Tree {
	tb.Helper()
	tree, err := Open(dir)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := tree.Close(); err != nil {
			tb.Error(err)
		}
	})
	return tree
}

// put stages and commits the block after the last.
func put(tb rapid.TB, tree *Tree, out ledger.Outcome) ledger.Digest {
	tb.Helper()
	root, err := tree.Stage(tree.Height()+1, out)
	if err == nil {
		err = tree.Commit()
	}
	if err != nil {
		tb.Fatal(err)
	}
	if got := tree.Root(); got != root {
		tb.Fatalf("root %x after a commit, %x when staged", got, root)
	}
	return root
}

// A model is what a tree should hold.
type model struct {
	state  map[string]string
	leaves [][]byte
}

func (m *model) apply(out ledger.Outcome) {
	for _, w := range out.Writes {
		if w.Value == nil {
			delete(m.state, string(w.Key))
		} else {
			m.state[string(w.Key)] = string(w.Value)
		}
	}
	m.leaves = append(m.leaves, out.Leaves...)
}

// check compares a view with the model, by every key and by prefixes.
func (m *model) check(tb rapid.TB, view ledger.View) {
	tb.Helper()
	for _, prefix := range []string{"", "a", "b", "ab", "c\xff"} {
		var want, got []string
		for _, key := range slices.Sorted(maps.Keys(m.state)) {
			if bytes.HasPrefix([]byte(key), []byte(prefix)) {
				want = append(want, key+"="+m.state[key])
			}
		}
		view.Range([]byte(prefix), func(key, value []byte) bool {
			got = append(got, string(key)+"="+string(value))
			return true
		})
		if !slices.Equal(got, want) {
			tb.Fatalf("Range(%q) = %q, want %q", prefix, got, want)
		}
	}
	for key, want := range m.state {
		if got := view.Get([]byte(key)); string(got) != want {
			tb.Fatalf("Get(%q) = %q, want %q", key, got, want)
		}
	}
	if got := view.Get([]byte("absent")); got != nil {
		tb.Fatalf("Get(absent) = %q", got)
	}
}

// outcomes generates what a block changes: few keys, so that they are often
// overwritten and deleted, and often nothing.
func outcomes() *rapid.Generator[ledger.Outcome] {
	key := rapid.StringMatching(`[abc][ab]?[a\xff]?`)
	return rapid.Custom(func(t *rapid.T) (out ledger.Outcome) {
		writes := rapid.MapOfN(key, rapid.StringN(0, 6, -1), 0, 12).Draw(t, "writes")
		for _, key := range slices.Sorted(maps.Keys(writes)) {
			w := ledger.Write{Key: []byte(key)}
			if v := writes[key]; v != "" {
				w.Value = []byte(v)
			}
			out.Writes = append(out.Writes, w)
		}
		for range rapid.IntRange(0, 5).Draw(t, "leaves") {
			out.Leaves = append(out.Leaves, []byte(rapid.StringN(0, 8, -1).Draw(t, "leaf")))
		}
		return out
	})
}

// What a tree answers is what a map and a list would, at every height, whatever
// was staged in between and however often it was opened again; and its root is
// that of any other tree with the same blocks.
func TestTreeIsAMapAndAList(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir := t.TempDir()
		tree, err := Open(dir)
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { tree.Close() }()
		twin := open(t, "")
		m := model{state: map[string]string{}}
		for range rapid.IntRange(1, 25).Draw(rt, "blocks") {
			out := outcomes().Draw(rt, "block")
			if rapid.Bool().Draw(rt, "stage another first") {
				if _, err := tree.Stage(tree.Height()+1, outcomes().Draw(rt, "other")); err != nil {
					rt.Fatal(err)
				}
			}
			if rapid.IntRange(0, 4).Draw(rt, "open again") == 0 {
				if err := tree.Close(); err != nil {
					rt.Fatal(err)
				}
				if tree, err = Open(dir); err != nil {
					rt.Fatal(err)
				}
			}
			if got, want := put(t, tree, out), put(t, twin, out); got != want {
				rt.Fatalf("block %d: root %x, the twin's is %x", tree.Height(), got, want)
			}
			m.apply(out)
			m.check(rt, tree.View())
			if got := tree.Leaves(); got != uint64(len(m.leaves)) {
				rt.Fatalf("%d leaves, want %d", got, len(m.leaves))
			}
		}
		for i, want := range m.leaves {
			if got, err := tree.Leaf(uint64(i)); err != nil || !bytes.Equal(got, want) {
				rt.Fatalf("Leaf(%d) = %q, %v, want %q", i, got, err, want)
			}
		}
	})
}

// The vectors are CometBFT v0.40.0's: crypto/merkle.ProofsFromByteSlices over the
// two leaves, confirmed by its ValueOp for either.
func TestRootIsCometBFTsMap(t *testing.T) {
	for _, test := range []struct {
		size       uint64
		log, state byte
		want       string
	}{
		{0, 0x11, 0xaa, "964f1c50992250289b08286910d7ca5037d9d7e2dbff6c13ddf050126ba1c587"},
		{258, 0x22, 0xab, "20e53231da2b340d0c860d8d713af5bf11322421effeb3d0899f17c08246bedc"},
	} {
		log := Head{test.size, ledger.Digest(bytes.Repeat([]byte{test.log}, 32))}
		state := ledger.Digest(bytes.Repeat([]byte{test.state}, 32))
		if got := fmt.Sprintf("%x", underRoot(log, state)); got != test.want {
			t.Errorf("root over a log of %d = %s, want %s", test.size, got, test.want)
		}
	}
}

// A block that changes nothing leaves the root, whatever its height, so that
// CometBFT makes no block to prove a new one.
func TestIdleBlocksLeaveTheRoot(t *testing.T) {
	tree := open(t, "")
	if tree.Height() != -1 || tree.Root() != (ledger.Digest{}) {
		t.Errorf("a new tree has height %d and root %x", tree.Height(), tree.Root())
	}
	writes := []ledger.Write{{Key: []byte("a"), Value: []byte("1")}, {Key: []byte("b"), Value: []byte("2")}}
	for _, genesis := range []ledger.Outcome{{}, {Writes: writes}} {
		root := put(t, tree, genesis)
		for range 3 {
			if got := put(t, tree, ledger.Outcome{}); got != root {
				t.Errorf("an empty block made root %x out of %x", got, root)
			}
		}
		same := append([]ledger.Write{{Key: []byte("A")}}, genesis.Writes...)
		if got := put(t, tree, ledger.Outcome{Writes: same}); got != root {
			t.Errorf("a block that wrote what was there made root %x out of %x", got, root)
		}
	}
}

func TestStageRefuses(t *testing.T) {
	tree := open(t, "")
	put(t, tree, ledger.Outcome{})
	write := func(key, value string) ledger.Write { return ledger.Write{Key: []byte(key), Value: []byte(value)} }
	for _, test := range []struct {
		name   string
		height int64
		writes []ledger.Write
		want   string
	}{
		{"the same height again", 0, nil, "does not follow block 0"},
		{"a height too many", 2, nil, "does not follow block 0"},
		{"writes out of order", 1, []ledger.Write{write("b", "1"), write("a", "1")}, "does not come after"},
		{"a key twice", 1, []ledger.Write{write("a", "1"), write("a", "2")}, "does not come after"},
		{"an empty value", 1, []ledger.Write{write("a", "")}, "an empty value"},
		{"no key", 1, []ledger.Write{write("", "1")}, "a key of 0 bytes"},
		{"a long key", 1, []ledger.Write{write(strings.Repeat("k", maxKey+1), "1")}, "a key of 1025 bytes"},
		{"too many writes", 1, make([]ledger.Write, MaxChanges+1), "propose smaller blocks"},
	} {
		_, err := tree.Stage(test.height, ledger.Outcome{Writes: test.writes})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
		if err := tree.Commit(); err == nil {
			t.Errorf("%s: something was committed", test.name)
		}
	}
	put(t, tree, ledger.Outcome{Writes: []ledger.Write{write("a", "1")}})
}

// Blocks of 300 transactions of 300 bytes with 4 writes each, half of them to
// keys that are there.
func BenchmarkCommit(b *testing.B) {
	const txs, writes = 300, 4
	for _, keys := range []int{10_000, 100_000} {
		b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) {
			tree, next := filled(b, keys)
			for b.Loop() {
				b.StopTimer()
				out := next(txs, txs*writes)
				b.StartTimer()
				put(b, tree, out)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*txs), "µs/tx")
		})
	}
}

// filled makes a tree on disk with a number of keys, and a source of blocks with
// so many leaves and writes, half of them to known keys.
func filled(tb testing.TB, keys int) (*Tree, func(leaves, writes int) ledger.Outcome) {
	tree := open(tb, tb.TempDir())
	rng := rand.New(rand.NewPCG(1, 2))
	var known []uint64
	random := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return b
	}
	next := func(leaves, writes int) (out ledger.Outcome) {
		block := map[uint64]bool{}
		for n := 0; len(block) < writes; n++ {
			k := rng.Uint64()
			if len(known) >= keys && n%2 == 0 {
				k = known[rng.IntN(len(known))]
			}
			block[k] = true
		}
		for _, k := range slices.Sorted(maps.Keys(block)) {
			out.Writes = append(out.Writes, ledger.Write{Key: fmt.Appendf(nil, "key/%016x", k), Value: random(100)})
			if len(known) < keys {
				known = append(known, k)
			}
		}
		for range leaves {
			out.Leaves = append(out.Leaves, random(300))
		}
		return out
	}
	for len(known) < keys {
		put(tb, tree, next(0, min(5000, keys)))
	}
	return tree, next
}
