package tree

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/commonseal/commonseal/ledger"
)

// exported is a snapshot that travels.
func exported(tb testing.TB, s *Snapshot) (Manifest, [][]byte) {
	tb.Helper()
	var chunks [][]byte
	m, err := s.Export(func(chunk []byte) error {
		if len(chunk) > ChunkBytes {
			tb.Errorf("a chunk of %d bytes", len(chunk))
		}
		chunks = append(chunks, chunk)
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return m, chunks
}

func restore(tree *Tree, m Manifest, chunks [][]byte) error {
	r, err := tree.Restore(m)
	if err != nil {
		return err
	}
	for _, c := range chunks {
		if err := r.Add(c); err != nil {
			return errors.Join(err, r.Abandon())
		}
	}
	return r.Commit()
}

// A restored tree is the one it was taken of: it has its root, makes its blocks,
// and proves what is in its log and state.
func TestRestore(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		from, _ := grown(rt, t)
		put(rt, from, ledger.Outcome{Writes: []ledger.Write{{Key: []byte("k"), Value: []byte("v")}}, Leaves: [][]byte{[]byte("a leaf")}})
		m, chunks := exported(t, from.View().(*Snapshot))
		if parsed, err := ParseManifest(m.Append(nil)); err != nil || m.Root() != from.Root() || !slices.Equal(parsed.Chunks, m.Chunks) {
			rt.Fatalf("manifest %v, %v", parsed, err)
		}
		to, err := Open("")
		if err != nil {
			rt.Fatal(err)
		}
		defer to.Close()
		put(rt, to, ledger.Outcome{Writes: []ledger.Write{{Key: []byte("other"), Value: []byte("state")}}})
		if err := restore(to, m, chunks); err != nil {
			rt.Fatal(err)
		}
		if to.Root() != from.Root() || to.Height() != from.Height() {
			rt.Fatalf("root %x at %d, want %x at %d", to.Root(), to.Height(), from.Root(), from.Height())
		}
		_, again := exported(t, to.View().(*Snapshot))
		if !slices.EqualFunc(again, chunks, bytes.Equal) {
			rt.Fatal("its own snapshot is another")
		}
		for range 3 {
			out := outcomes().Draw(rt, "block")
			if put(rt, from, out) != put(rt, to, out) {
				rt.Fatal("the next block leads elsewhere")
			}
		}
		sameProofs(rt, from, to)
	})
}

// A restored tree is on disk, and opens again.
func TestRestoreOpensAgain(t *testing.T) {
	from := large(t)
	m, chunks := exported(t, from.View().(*Snapshot))
	dir := t.TempDir()
	to, err := Open(dir)
	if err == nil {
		err = errors.Join(restore(to, m, chunks), to.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	to = open(t, dir)
	out := ledger.Outcome{Writes: []ledger.Write{{Key: []byte("k"), Value: []byte("v")}}, Leaves: [][]byte{[]byte("a leaf")}}
	if put(t, from, out) != put(t, to, out) {
		t.Fatal("the next block leads elsewhere")
	}
	sameProofs(t, from, to)
}

// sameProofs holds two trees to the same proofs of everything in their logs.
func sameProofs(tb rapid.TB, one, two *Tree) {
	tb.Helper()
	for i := range one.Leaves() {
		a, err := one.ProveLeaf(i, one.Leaves())
		b, err2 := two.ProveLeaf(i, one.Leaves())
		if err != nil || err2 != nil || !bytes.Equal(a, b) {
			tb.Fatalf("leaf %d: %x, %v; %x, %v", i, a, err, b, err2)
		}
		leaf, err := two.Leaf(i)
		if err != nil {
			tb.Fatal(err)
		}
		was, found, err := one.LeafOf(sha256.Sum256(leaf))
		is, found2, err2 := two.LeafOf(sha256.Sum256(leaf))
		if was != is || !found || !found2 || err != nil || err2 != nil {
			tb.Fatalf("leaf %d is at %d, %v, %v; %d, %v, %v", i, was, found, err, is, found2, err2)
		}
	}
	_, a, err := one.Prove([]byte("k"))
	_, b, err2 := two.Prove([]byte("k"))
	if err != nil || err2 != nil || !bytes.Equal(a, b) {
		tb.Fatalf("proof of a key: %x, %v; %x, %v", a, err, b, err2)
	}
}

// large is a tree whose snapshot has several chunks.
func large(tb testing.TB) *Tree {
	tb.Helper()
	tree := open(tb, "")
	for h := range int64(6) {
		out := ledger.Outcome{}
		for i := range int64(40) {
			out.Writes = append(out.Writes, ledger.Write{Key: fmt.Appendf(nil, "key %03d", i), Value: bytes.Repeat([]byte{byte(h), byte(i)}, 4000)})
			out.Leaves = append(out.Leaves, bytes.Repeat(fmt.Appendf(nil, "%d %d", h, i), 4000))
		}
		put(tb.(rapid.TB), tree, out)
	}
	return tree
}

// A snapshot of an earlier block is the same as it was then.
func TestExportLater(t *testing.T) {
	tree := large(t)
	s, err := tree.At(3)
	if err != nil {
		t.Fatal(err)
	}
	m, chunks := exported(t, s)
	if len(chunks) < 2 || m.Height != 3 || m.Root() != s.Root() {
		t.Fatalf("%d chunks after block %d", len(chunks), m.Height)
	}
	to := open(t, "")
	if err := restore(to, m, chunks); err != nil || to.Height() != 3 {
		t.Fatal(err, to.Height())
	}
	if _, err := to.At(2); err == nil {
		t.Error("it has a state before the one it was restored from")
	}
}

// Whoever makes a snapshot with something else in it is found out, whatever its
// manifest says, and the tree is empty and of use afterwards.
func TestAttackForgedSnapshot(t *testing.T) {
	tree := large(t)
	m, chunks := exported(t, tree.View().(*Snapshot))
	forge := func(change func(m *Manifest, rows [][]row) [][]row) (Manifest, [][]byte) {
		var all [][]row
		for _, c := range chunks {
			rows, err := parseChunk(slices.Clone(c))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, rows)
		}
		f := m
		all, f.Chunks = change(&f, all), nil
		var out [][]byte
		for _, rows := range all {
			var c []byte
			for _, r := range rows {
				c = appendRecord(c, r)
			}
			out, f.Chunks = append(out, c), append(f.Chunks, sha256.Sum256(c))
		}
		return f, out
	}
	last := func(rows [][]row) *row { return &rows[len(rows)-1][len(rows[len(rows)-1])-1] }
	to := open(t, "")
	// Somebody who believed it would have it.
	f, forged := forge(func(_ *Manifest, rows [][]row) [][]row { rows[0][7].value[0] ^= 1; return rows })
	believer, err := to.Restore(f)
	if err != nil {
		t.Fatal(err)
	}
	believer.blind = true
	for _, c := range forged {
		if err := believer.Add(c); err != nil {
			t.Fatal(err)
		}
	}
	if err := believer.Commit(); err != nil || to.Height() != tree.Height() || to.Root() == tree.Root() {
		t.Fatalf("who believes it is at block %d: %v", to.Height(), err)
	}
	for name, change := range map[string]func(m *Manifest, rows [][]row) [][]row{
		"a value":          func(_ *Manifest, rows [][]row) [][]row { last(rows).value[9] ^= 1; return rows },
		"a key":            func(_ *Manifest, rows [][]row) [][]row { last(rows).key[4] ^= 1; return rows },
		"a version":        func(_ *Manifest, rows [][]row) [][]row { last(rows).value[0] ^= 1; return rows },
		"a leaf":           func(_ *Manifest, rows [][]row) [][]row { rows[0][7].value[0] ^= 1; return rows },
		"a leaf less":      func(_ *Manifest, rows [][]row) [][]row { rows[0] = rows[0][1:]; return rows },
		"a leaf twice":     func(_ *Manifest, rows [][]row) [][]row { rows[0] = slices.Insert(rows[0], 0, rows[0][0]); return rows },
		"a chunk less":     func(_ *Manifest, rows [][]row) [][]row { return rows[:len(rows)-1] },
		"a chunk twice":    func(_ *Manifest, rows [][]row) [][]row { return append(rows, rows[len(rows)-1]) },
		"chunks in turn":   func(_ *Manifest, rows [][]row) [][]row { rows[0], rows[1] = rows[1], rows[0]; return rows },
		"another log root": func(m *Manifest, rows [][]row) [][]row { m.Log.Root[0] ^= 1; return rows },
		"a larger log":     func(m *Manifest, rows [][]row) [][]row { m.Log.Size++; return rows },
		"another state":    func(m *Manifest, rows [][]row) [][]row { m.State[0] ^= 1; return rows },
		"a shape":          func(_ *Manifest, rows [][]row) [][]row { return changeShape(rows) },
	} {
		f, forged := forge(change)
		if err := restore(to, f, forged); !errors.Is(err, ErrSnapshot) && !errors.Is(err, errShape) {
			t.Errorf("%s: %v, want %v", name, err, ErrSnapshot)
		}
		if to.Height() != -1 || to.Leaves() != 0 {
			t.Fatalf("%s: the tree is at block %d with %d leaves", name, to.Height(), to.Leaves())
		}
	}
	// Another chunk than the manifest says is not taken, and costs nothing.
	r, err := to.Restore(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Add(chunks[1]); err == nil || errors.Is(err, ErrSnapshot) {
		t.Errorf("another chunk: %v", err)
	}
	if err := r.Commit(); err == nil {
		t.Error("a snapshot without chunks is taken")
	}
	if err := restore(to, m, chunks); err != nil || to.Root() != tree.Root() {
		t.Errorf("the true one: %v", err)
	}
}

func changeShape(rows [][]row) [][]row {
	for _, chunk := range rows {
		for i := range chunk {
			if chunk[i].key[0] == shapeRows {
				chunk[i].value[0]++
				return rows
			}
		}
	}
	return rows
}

// A process that ends within a restore opens an empty tree.
func TestRestoreInterrupted(t *testing.T) {
	from := large(t)
	m, chunks := exported(t, from.View().(*Snapshot))
	dir := t.TempDir()
	to, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	to.failpoint = func(point string) {
		if point == "restored" {
			panic(point)
		}
	}
	func() {
		defer func() {
			if p := recover(); p != "restored" {
				t.Fatalf("recovered %v", p)
			}
		}()
		if err := restore(to, m, chunks); err != nil {
			t.Fatal(err)
		}
	}()
	if err := to.db.Close(); err != nil {
		t.Fatal(err)
	}
	to = open(t, dir)
	if to.Height() != -1 || to.Leaves() != 0 {
		t.Fatalf("opened at block %d with %d leaves", to.Height(), to.Leaves())
	}
	if err := restore(to, m, chunks); err != nil || to.Root() != from.Root() {
		t.Error(err)
	}
}

// Whatever is taken apart is put together again, byte for byte.
func FuzzParseChunk(f *testing.F) {
	tree := open(f, "")
	put(f, tree, ledger.Outcome{Writes: []ledger.Write{{Key: []byte("a"), Value: []byte("b")}, {Key: []byte("c"), Value: []byte("d")}}, Leaves: [][]byte{[]byte("leaf")}})
	put(f, tree, ledger.Outcome{})
	m, chunks := exported(f, tree.View().(*Snapshot))
	f.Add(chunks[0])
	f.Add(m.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := ParseManifest(b); err == nil && !bytes.Equal(m.Append(nil), b) {
			t.Errorf("manifest %x comes back as another", b)
		}
		rows, err := parseChunk(b)
		if err != nil {
			return
		}
		var again []byte
		for _, r := range rows {
			again = appendRecord(again, r)
		}
		if !bytes.Equal(again, b) {
			t.Errorf("%x comes back as %x", b, again)
		}
		// And no chunk of somebody's makes a tree of another root.
		to := open(t, "")
		forged := m
		forged.Chunks = []ledger.Digest{sha256.Sum256(b)}
		if err := restore(to, forged, [][]byte{b}); err == nil && !bytes.Equal(b, chunks[0]) {
			t.Errorf("%x is taken for the snapshot", b)
		}
	})
}
