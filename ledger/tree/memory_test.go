package tree

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/commonseal/commonseal/ledger"
)

// A Memory comes to the root of a Tree after every block, whatever is set and
// removed, and shows the same state.
func TestMemoryIsATree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		disk, err := openSized("", 8<<20)
		if err != nil {
			t.Fatal(err)
		}
		defer disk.Close()
		var m Memory
		if m.Height() != -1 || m.Leaves() != 0 || m.Root() != disk.Root() {
			t.Fatal("a Memory does not begin as a Tree does")
		}
		space := rapid.SampledFrom([]int{4, 60, 1000}).Draw(t, "space")
		for height := range int64(rapid.IntRange(1, 12).Draw(t, "blocks")) {
			var out ledger.Outcome
			at := map[string]bool{}
			for range rapid.IntRange(0, 80).Draw(t, "writes") {
				k := rapid.SampledFrom([]string{"", "", ledger.SeenKeys, "t"}).Draw(t, "prefix") + fmt.Sprint(rapid.IntRange(0, space).Draw(t, "key"))
				if at[k] {
					continue
				}
				at[k] = true
				w := ledger.Write{Key: []byte(k)}
				if v := rapid.IntRange(0, 3).Draw(t, "value"); v > 0 {
					w.Value = fmt.Append(nil, v)
				}
				if w.Value != nil && isSeen(k) {
					w.Value = []byte{1} // of every member
				}
				out.Writes = append(out.Writes, w)
			}
			slices.SortFunc(out.Writes, func(a, b ledger.Write) int { return bytes.Compare(a.Key, b.Key) })
			for i := range rapid.IntRange(0, 3).Draw(t, "leaves") {
				out.Leaves = append(out.Leaves, fmt.Appendf(nil, "leaf %d of %d", i, height))
			}
			if rapid.Bool().Draw(t, "twice") { // another outcome of that height is dropped
				if _, err := m.Stage(height, ledger.Outcome{Writes: []ledger.Write{{Key: []byte("5"), Value: []byte("dropped")}}}); err != nil {
					t.Fatal(err)
				}
			}
			before := m.View()
			had := all(before)
			want, err := disk.Stage(height, out)
			if err != nil {
				t.Fatal(err)
			}
			got, err := m.Stage(height, out)
			if err != nil || got != want {
				t.Fatalf("block %d: root %x, %v; a Tree has %x", height, got, err, want)
			}
			if err := disk.Commit(); err != nil {
				t.Fatal(err)
			}
			if err := m.Commit(); err != nil {
				t.Fatal(err)
			}
			if m.Root() != want || m.Height() != height || m.Leaves() != disk.Leaves() || all(m.View()) != all(disk.View()) {
				t.Fatalf("block %d: the states differ", height)
			}
			if all(before) != had {
				t.Fatalf("block %d changed a view before it", height)
			}
			for _, prefix := range []string{"1", "2", "59", "99", "x", "10"} {
				if a, b := some(m.View(), prefix, 3), some(disk.View(), prefix, 3); a != b {
					t.Fatalf("three that begin with %q: %s, a Tree has %s", prefix, a, b)
				}
			}
		}
	})
}

// all is every key and value, looked up by either way.
func all(v ledger.View) string {
	var out []byte
	v.Range(nil, func(k, value []byte) bool {
		out = fmt.Appendf(out, "%q=%q=%q ", k, value, v.Get(k))
		return true
	})
	return string(out)
}

// some are the first few keys that begin with a prefix.
func some(v ledger.View, prefix string, n int) string {
	var out []byte
	v.Range([]byte(prefix), func(k, _ []byte) bool {
		out = fmt.Appendf(out, "%q ", k)
		n--
		return n > 0
	})
	return string(out)
}

func TestMemoryRefuses(t *testing.T) {
	var m Memory
	if err := m.Commit(); err == nil {
		t.Error("a commit of nothing")
	}
	for _, test := range []struct {
		name   string
		height int64
		out    ledger.Outcome
	}{
		{"a block before genesis", 1, ledger.Outcome{}},
		{"no key", 0, ledger.Outcome{Writes: []ledger.Write{{Value: []byte("v")}}}},
		{"an empty value", 0, ledger.Outcome{Writes: []ledger.Write{{Key: []byte("k"), Value: []byte{}}}}},
		{"out of order", 0, ledger.Outcome{Writes: []ledger.Write{{Key: []byte("b"), Value: []byte("v")}, {Key: []byte("a"), Value: []byte("v")}}}},
		{"too much", 0, ledger.Outcome{Leaves: make([][]byte, MaxChanges+1)}},
	} {
		if _, err := m.Stage(test.height, test.out); err == nil {
			t.Errorf("%s was staged", test.name)
		}
	}
}

// BenchmarkMemory is a block of 1000 writes to a state of 100,000 keys.
func BenchmarkMemory(b *testing.B) {
	var m Memory
	var out ledger.Outcome
	for i := range 100_000 {
		out.Writes = append(out.Writes, ledger.Write{Key: fmt.Appendf(nil, "key %08d", i), Value: make([]byte, 100)})
		if len(out.Writes) == 5000 {
			stage(b, &m, out)
			out.Writes = nil
		}
	}
	next := 1
	for b.Loop() {
		var out ledger.Outcome
		for i := range 1000 {
			out.Writes = append(out.Writes, ledger.Write{Key: fmt.Appendf(nil, "key %08d", i*100+next%100), Value: fmt.Append(nil, next)})
		}
		next++
		stage(b, &m, out)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/write")
}

func stage(tb testing.TB, m *Memory, out ledger.Outcome) {
	tb.Helper()
	_, err := m.Stage(m.Height()+1, out)
	if err == nil {
		err = m.Commit()
	}
	if err != nil {
		tb.Fatal(err)
	}
}
