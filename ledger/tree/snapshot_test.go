package tree

import (
	"bytes"
	"fmt"
	"maps"
	"runtime"
	"sync"
	"testing"

	"github.com/commonseal/commonseal/ledger"
)

// A snapshot reads and proves the same whatever is committed after it, also when
// Badger has thrown away what nobody holds.
func TestSnapshotsStay(t *testing.T) {
	tree, err := openSized(t.TempDir(), 8<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	m := model{state: map[string]string{}}
	held := largeBlock(0)
	put(t, tree, held)
	m.apply(held)
	old, root := tree.View().(*Snapshot), tree.Root()
	blocks := func(n int) {
		for range n {
			put(t, tree, largeBlock(tree.Height()+1))
		}
		if err := tree.db.Flatten(2); err != nil {
			t.Fatal(err)
		}
	}
	blocks(Recent + 200)
	m.check(t, old)
	if old.Height() != 0 || old.Root() != root {
		t.Errorf("the snapshot of block 0, root %x, is of block %d, root %x", root, old.Height(), old.Root())
	}
	for key, want := range m.state {
		value, proof, err := old.Prove([]byte(key))
		if err == nil {
			err = verifyState(root, []byte(key), []byte(want), proof)
		}
		if err != nil || string(value) != want {
			t.Errorf("Prove(%q) = %d bytes, %v, want %d", key, len(value), err, len(want))
		}
	}
	runtime.KeepAlive(old)

	old = nil
	for tries := 0; tries < 1000 && len(pins(tree)) > 0; tries++ {
		runtime.GC()
	}
	blocks(600)
	if got := tree.snapshot(&commit{Height: 0}).Get(held.Writes[0].Key); got != nil {
		t.Error("what nobody holds is kept for ever")
	}
}

// largeBlock overwrites ten keys with values of 10,000 bytes.
func largeBlock(height int64) (out ledger.Outcome) {
	for k := range byte(10) {
		value := bytes.Repeat(fmt.Append(nil, height%10), 10_000)
		value[0] = k
		out.Writes = append(out.Writes, ledger.Write{Key: []byte{'k', k}, Value: value})
	}
	return out
}

// The last heights can be read and proved from, others are refused.
func TestRecentHeights(t *testing.T) {
	dir := t.TempDir()
	var roots []ledger.Digest
	tree := open(t, dir)
	for h := range int64(Recent + 20) {
		roots = append(roots, put(t, tree, blockOf(h)))
	}
	for h := int64(-1); h <= tree.Height()+1; h++ {
		s, err := tree.At(h)
		if ok := h >= tree.Height()-Recent && h <= tree.Height(); ok != (err == nil) {
			t.Fatalf("At(%d) of %d: %v", h, tree.Height(), err)
		}
		if err != nil {
			continue
		}
		if s.Height() != h || s.Root() != roots[h] {
			t.Fatalf("At(%d) is of block %d, root %x, want %x", h, s.Height(), s.Root(), roots[h])
		}
		value, proof, err := s.Prove([]byte{'k', 1})
		if err == nil {
			err = verifyState(roots[h], []byte{'k', 1}, value, proof)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Nobody who lets a snapshot go keeps Badger from cleaning up.
func TestSnapshotsAreLetGo(t *testing.T) {
	tree := open(t, "")
	put(t, tree, blockOf(0))
	for range 10 {
		tree.View().Get([]byte("k"))
	}
	for tries := 0; len(pins(tree)) > 0; tries++ {
		if tries == 1000 {
			t.Fatalf("still held: %v", pins(tree))
		}
		runtime.GC()
	}
}

func pins(tree *Tree) map[uint64]int {
	tree.reads.mu.Lock()
	defer tree.reads.mu.Unlock()
	return maps.Clone(tree.reads.pins)
}

// Readers see one block or the other, never a mixture, while blocks are staged
// and committed.
func TestReadersWhileWriting(t *testing.T) {
	tree := open(t, t.TempDir())
	all := func(n int64) (out ledger.Outcome) {
		for k := range byte(20) {
			out.Writes = append(out.Writes, ledger.Write{Key: []byte{'k', k}, Value: fmt.Append(nil, n)})
		}
		return out
	}
	put(t, tree, all(0))
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				view := tree.View().(*Snapshot)
				want, seen := fmt.Sprint(view.Height()), 0
				view.Range([]byte("k"), func(key, value []byte) bool {
					if string(value) != want || string(view.Get(key)) != want {
						t.Errorf("key %q has %q among those of block %s", key, value, want)
					}
					seen++
					return true
				})
				value, proof, err := view.Prove([]byte{'k', 7})
				if err == nil {
					err = verifyState(view.Root(), []byte{'k', 7}, value, proof)
				}
				if err != nil || seen != 20 {
					t.Errorf("block %s: %d keys, %v, want 20", want, seen, err)
				}
			}
		})
	}
	for n := int64(1); n <= 60; n++ {
		put(t, tree, all(n))
	}
	close(done)
	readers.Wait()
}

// A tree closes under its readers, who see nothing from then on.
func TestCloseUnderReaders(t *testing.T) {
	for range 5 {
		tree, err := Open("")
		if err != nil {
			t.Fatal(err)
		}
		put(t, tree, blockOf(0))
		var started, readers sync.WaitGroup
		started.Add(3)
		for range 3 {
			readers.Go(func() {
				begun := sync.OnceFunc(started.Done)
				for err := error(nil); err == nil; {
					view := tree.View().(*Snapshot)
					view.Range(nil, func(key, _ []byte) bool { return true })
					begun()
					_, _, err = view.Prove([]byte{'k', 1})
				}
			})
		}
		started.Wait()
		if err := tree.Close(); err != nil {
			t.Error(err)
		}
		readers.Wait()
	}
}

// After Close everything is refused, or empty, and nothing is left running.
func TestClosed(t *testing.T) {
	before := runtime.NumGoroutine()
	tree, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tree.Stage(0, blockOf(0)); err != nil {
		t.Fatal(err)
	}
	if err := tree.Commit(); err != nil {
		t.Fatal(err)
	}
	view := tree.View()
	for range 2 {
		if err := tree.Close(); err != nil {
			t.Fatal(err)
		}
	}
	view.Range(nil, func(key, _ []byte) bool {
		t.Errorf("a closed tree has key %q", key)
		return true
	})
	if view.Get([]byte{'k', 0}) != nil {
		t.Error("a closed tree has a value")
	}
	if _, _, err := tree.Prove([]byte("k")); err == nil {
		t.Error("a closed tree proves")
	}
	if _, err := tree.Stage(1, blockOf(1)); err == nil {
		t.Error("a closed tree stages")
	}
	if err := tree.Commit(); err == nil {
		t.Error("a closed tree commits")
	}
	for tries := 0; runtime.NumGoroutine() > before; tries++ {
		if tries == 1_000_000 {
			buf := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
		runtime.Gosched()
	}
}

// Two processes cannot have one directory open.
func TestOpenTwice(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	if tree, err := Open(dir); err == nil {
		tree.Close()
		t.Error("a directory was opened twice")
	}
}
