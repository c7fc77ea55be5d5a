package store

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/commonseal/commonseal/ledger"
)

// Every write can be crashed at, before it and after it; what was acknowledged
// is there, and what the crash swallowed is whole or absent.
func TestCrashAtEveryWrite(t *testing.T) {
	work := func(m *Mem) (acknowledged []string) {
		for i := range 3 {
			key := fmt.Sprint("record ", i)
			if m.Journal.PutAll([]Record{{key, []byte("x")}, {key + "'", []byte("y")}}) != nil {
				return acknowledged
			}
			acknowledged = append(acknowledged, key)
			if _, err := m.Blobs.Put(bytesOf(uint64(i), ChunkSize+1)); err != nil {
				return acknowledged
			}
			acknowledged = append(acknowledged, fmt.Sprint("blob ", i))
		}
		return acknowledged
	}
	dry := NewMem()
	all := work(dry)
	if dry.Writes() != len(all) {
		t.Fatalf("%d writes, want %d", dry.Writes(), len(all))
	}
	for n := 1; n <= dry.Writes(); n++ {
		for _, side := range []Side{Before, After} {
			m := NewMem()
			m.FailAt(n, side)
			acknowledged := work(m)
			if len(acknowledged) != n-1 || !m.Crashed() {
				t.Fatalf("crash at %d: %d acknowledged", n, len(acknowledged))
			}
			if _, err := m.Journal.Get("record 0"); err != ErrCrash {
				t.Errorf("a read after the crash: %v", err)
			}
			m = m.Restart()
			present := 0
			for i := range 3 {
				a, errA := m.Journal.Get(fmt.Sprint("record ", i))
				b, errB := m.Journal.Get(fmt.Sprint("record ", i, "'"))
				if (errA == nil) != (errB == nil) || errA == nil && (string(a) != "x" || string(b) != "y") {
					t.Errorf("crash at %d, %d: half of a put", n, side)
				}
				if errA == nil {
					present++
				}
				blob := bytesOf(uint64(i), ChunkSize+1)
				if got, err := m.Blobs.Get(sha256.Sum256(blob)); err == nil && bytes.Equal(got, blob) {
					present++
				}
			}
			if want := n - 1 + int(side); present != want {
				t.Errorf("crash at %d, side %d: %d there, want %d", n, side, present, want)
			}
			if again := work(m); len(again) != len(all) {
				t.Errorf("after the restart: %d done", len(again))
			}
		}
	}
}

// Chunks that were not made durable are lost in a crash, and the upload goes on
// from what is left.
func TestCrashDuringUpload(t *testing.T) {
	m := NewMem()
	blob := bytesOf(1, 3*ChunkSize)
	d := ledger.Digest(sha256.Sum256(blob))
	u := mustBegin(t, m.Blobs, "ann", d, len(blob))
	if err := u.Append(0, chunkOf(blob, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Blobs.Put([]byte("another")); err != nil { // syncs
		t.Fatal(err)
	}
	if err := u.Append(ChunkSize, chunkOf(blob, ChunkSize)); err != nil {
		t.Fatal(err)
	}
	m = m.Restart()
	u = mustBegin(t, m.Blobs, "ann", d, len(blob))
	if u.Offset() != ChunkSize {
		t.Errorf("resumed at %d, want %d", u.Offset(), ChunkSize)
	}
	if err := appendAll(u, blob); err != nil {
		t.Fatal(err)
	}
	m.FailAt(1, Before)
	if err := u.Finish(); err != ErrCrash {
		t.Errorf("Finish: %v", err)
	}
	m = m.Restart()
	invisible(t, m.Blobs, d)
	if u = mustBegin(t, m.Blobs, "ann", d, len(blob)); u.Offset() != int64(len(blob)) {
		t.Errorf("the chunks were made durable first: resumed at %d", u.Offset())
	}
	if err := u.Finish(); err != nil {
		t.Fatal(err)
	}
}

func TestCloneIsApart(t *testing.T) {
	m := NewMem()
	mustPut(t, m.Journal, "a", "1")
	backup := m.Clone()
	mustPut(t, m.Journal, "b", "2")
	mustPut(t, backup.Journal, "b", "3")
	if got := list(t, m.Journal, ""); got != "a=1 b=2" {
		t.Errorf("the store: %s", got)
	}
	if got := list(t, backup.Journal, ""); got != "a=1 b=3" {
		t.Errorf("the clone: %s", got)
	}
}

// Case 48: a backup is behind the count that was put on the ledger.
func TestBackupIsBehind(t *testing.T) {
	m := NewMem()
	mustPut(t, m.Journal, "share of c1", "bytes")
	backup := m.Clone()
	mustPut(t, m.Journal, "share of c2", "bytes")
	onLedger := m.Journal.Count()
	if n := backup.Journal.Count(); n >= onLedger {
		t.Errorf("the backup counts %d, the ledger %d", n, onLedger)
	}
	if n := m.Restart().Journal.Count(); n != onLedger {
		t.Errorf("a restart counts %d, the ledger %d", n, onLedger)
	}
}
