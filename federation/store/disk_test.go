package store

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// Case 37: bit rot is noticed, named, and the blob can be fetched again.
func TestBitRot(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	defer s.Close()
	blob := bytesOf(1, ChunkSize+40000)
	d, err := s.Blobs.Put(blob)
	if err != nil {
		t.Fatal(err)
	}
	rot(t, filepath.Join(dir, "blobs"), blob[ChunkSize+1000:][:16])
	if got, err := s.Blobs.Get(d); !isA[CorruptError](err) || !strings.Contains(err.Error(), fmt.Sprintf("%x", d)) {
		t.Errorf("Get: %d bytes, %v; want the blob named", len(got), err)
	}
	if _, err := s.Blobs.Get(d); err != ErrNotFound {
		t.Errorf("Get of what was dropped: %v", err)
	}
	if used := s.Blobs.Used(""); used != 0 {
		t.Errorf("%d bytes still used", used)
	}
	if again, err := s.Blobs.Put(blob); err != nil || again != d {
		t.Errorf("Put again: %v", err)
	}
	if got, err := s.Blobs.Get(d); err != nil || !bytes.Equal(got, blob) {
		t.Errorf("fetched again: %d bytes, %v", len(got), err)
	}
}

// rot flips a bit in every occurrence of some bytes in the files of dir.
func rot(t *testing.T, dir string, of []byte) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, entry := range files {
		name := filepath.Join(dir, entry.Name())
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		at := bytes.Index(data, of)
		if at < 0 {
			continue
		}
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.WriteAt([]byte{data[at] ^ 1}, int64(at))
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		found++
	}
	if found == 0 {
		t.Fatal("nothing to rot")
	}
}

// Case 37: what rotted while the store was closed.
func TestBitRotAtRest(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	blob := bytesOf(1, ChunkSize+1000)
	d, err := s.Blobs.Put(blob)
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	rot(t, filepath.Join(dir, "blobs"), blob[1000:][:16])
	s = mustOpen(t, dir)
	defer s.Close()
	if _, err := s.Blobs.Chunk(d, 0); !isA[CorruptError](err) {
		t.Errorf("Chunk: %v", err)
	}
	if has, err := s.Blobs.Has(d); has || err != nil {
		t.Errorf("Has: %v, %v", has, err)
	}
	if used := s.Blobs.Used(""); used != 0 {
		t.Errorf("%d bytes still used", used)
	}
	if again, err := s.Blobs.Put(blob); err != nil || again != d {
		t.Errorf("Put again: %v", err)
	}
}

// Case 35: a disk that is nearly full is refused before a byte is written, and
// the same store goes on once there is room.
func TestDiskFull(t *testing.T) {
	var free atomic.Uint64
	free.Store(math.MaxUint64)
	dir := t.TempDir()
	s, err := open(dir, settings{free: func(string) (uint64, error) { return free.Load(), nil }})
	if err != nil {
		t.Fatal(err)
	}
	mustPut(t, s.Journal, "before", "x")
	free.Store(reserve)
	blob := bytesOf(1, 2*ChunkSize)
	for range 2 {
		if err := s.Journal.Put("during", []byte("x")); !isA[FullError](err) {
			t.Errorf("Put: %v", err)
		}
		if _, err := s.Blobs.Put(blob); !isA[FullError](err) {
			t.Errorf("blob: %v", err)
		}
	}
	if got := list(t, s.Journal, ""); got != "before=x" {
		t.Errorf("reading meanwhile: %s", got)
	}
	free.Store(math.MaxUint64)
	mustPut(t, s.Journal, "after", "x")
	d, err := s.Blobs.Put(blob)
	if err != nil {
		t.Fatalf("with room: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	free.Store(reserve - 1)
	if _, err := open(dir, settings{free: func(string) (uint64, error) { return free.Load(), nil }}); !isA[FullError](err) {
		t.Errorf("Open: %v", err)
	}
	s = mustOpen(t, dir)
	defer s.Close()
	if got := list(t, s.Journal, ""); got != "after=x before=x" || s.Journal.Count() != 2 {
		t.Errorf("afterwards: %s", got)
	}
	if got, err := s.Blobs.Get(d); err != nil || !bytes.Equal(got, blob) {
		t.Errorf("the blob: %d bytes, %v", len(got), err)
	}
}

// Case 35: after a failed sync nothing is known, so nothing is acknowledged until
// the store is opened again; and then the same put is answered by what is there.
func TestFailedSync(t *testing.T) {
	broken := errors.New("input/output error")
	for _, which := range []string{"journal", "blobs"} {
		t.Run(which, func(t *testing.T) {
			var failing atomic.Bool
			dir := t.TempDir()
			s, err := open(dir, settings{free: ample, sync: func(dir string) error {
				if failing.Load() && filepath.Base(dir) == which {
					return broken
				}
				return nil
			}})
			if err != nil {
				t.Fatal(err)
			}
			blob := bytesOf(1, ChunkSize+1)
			write := func(s *Store) error {
				if which == "journal" {
					return s.Journal.Put("key", []byte("value"))
				}
				_, err := s.Blobs.Put(blob)
				return err
			}
			failing.Store(true)
			if err := write(s); !isA[DiskError](err) || !errors.Is(err, broken) {
				t.Errorf("with a failing disk: %v", err)
			}
			failing.Store(false)
			if err := write(s); !isA[DiskError](err) {
				t.Errorf("before it is opened again: %v", err)
			}
			if n := s.Journal.Count(); n != 0 {
				t.Errorf("%d records acknowledged", n)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = mustOpen(t, dir)
			defer s.Close()
			if err := write(s); err != nil {
				t.Errorf("opened again: %v", err)
			}
		})
	}
}

// A store that is closed, or whose directory cannot be made or is in use, says
// so.
func TestDiskErrors(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	mustPut(t, s.Journal, "key", "value")
	if _, err := open(dir, settings{free: ample}); !isA[DiskError](err) {
		t.Errorf("opened twice: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"Put":      s.Journal.Put("other", nil),
		"Range":    s.Journal.Range("", func(string, []byte) bool { return true }),
		"the same": s.Journal.Put("key", []byte("value")),
		"Delete":   s.Blobs.Delete([32]byte{}),
	} {
		if !isA[DiskError](err) || !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s after Close: %v", name, err)
		}
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := open(filepath.Join(file, "below"), settings{free: ample}); !isA[DiskError](err) {
		t.Errorf("below a file: %v", err)
	}
}
