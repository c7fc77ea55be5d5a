package tree

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
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
func put(tb testing.TB, tree *Tree, out ledger.Outcome) ledger.Digest {
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

func BenchmarkCommit(b *testing.B) {
	const txs, writes = 300, 4
	for _, keys := range []int{10_000, 100_000} {
		b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) {
			tree := open(b, b.TempDir())
			rng := rand.New(rand.NewPCG(1, 2))
			for n := 0; n < keys; n += 5000 {
				put(b, tree, block(rng, 0, n, 5000))
			}
			for b.Loop() {
				b.StopTimer()
				out := block(rng, txs, keys, 0)
				for len(out.Writes) < txs*writes {
					out = block(rng, txs, keys, txs*writes)
				}
				b.StartTimer()
				put(b, tree, out)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*txs), "µs/tx")
		})
	}
}

// block makes leaves of 300 bytes and n writes: half of them to any of the known
// keys, half new.
func block(rng *rand.Rand, leaves, known, n int) (out ledger.Outcome) {
	writes := map[uint64]bool{}
	for len(writes) < n {
		k := rng.Uint64()
		if known > 0 && len(writes)%2 == 0 {
			k = uint64(rng.IntN(known))
		}
		writes[k] = true
	}
	for _, k := range slices.Sorted(maps.Keys(writes)) {
		value := make([]byte, 100)
		for i := range value {
			value[i] = byte(rng.Uint32())
		}
		out.Writes = append(out.Writes, ledger.Write{Key: fmt.Appendf(nil, "key/%016x", k), Value: value})
	}
	for range leaves {
		leaf := make([]byte, 300)
		for i := range leaf {
			leaf[i] = byte(rng.Uint32())
		}
		out.Leaves = append(out.Leaves, leaf)
	}
	return out
}
