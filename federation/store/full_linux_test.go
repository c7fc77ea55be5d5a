package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// smallDisk is a disk of its own of some bytes.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Skipf("mounting a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// Case 35, on a disk that is full in truth. Without the reserve the process dies
// of a bus error in Badger's memory map; with it writes are refused while the
// disk is full and go on when it is not.
func TestAttackFullDisk(t *testing.T) {
	t.Run("without the reserve", func(t *testing.T) {
		c := exec.Command(os.Args[0], "-test.run=^$")
		c.Env = append(os.Environ(), victim+"="+smallDisk(t, 16<<20), victimSeed+"="+recordsOnly)
		out, err := c.CombinedOutput()
		if err == nil || !bytes.Contains(out, []byte("fault")) {
			t.Errorf("it ended with %v: %.300s", err, out[max(0, len(out)-300):])
		}
	})
	t.Run("with it", func(t *testing.T) {
		dir := smallDisk(t, reserve+2*ballastLen)
		s, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		ballast := fill(t, s, dir)
		records := s.Journal.Count()
		if err := s.Journal.Put("more", bytesOf(1, 100_000)); !isA[FullError](err) {
			t.Errorf("Put on a full disk: %v", err)
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		mustPut(t, s.Journal, "more", "")
		if n := s.Journal.Count(); n != records+1 {
			t.Errorf("%d records, want %d", n, records+1)
		}
	})
}

// ballastLen is more than a memtable, which Badger may be writing as a table.
const ballastLen = 4 * memtable

// fill puts records until there is no room, and leaves a file of another's whose
// removal gives some back.
func fill(t *testing.T, s *Store, dir string) string {
	t.Helper()
	ballast := dir + "/ballast"
	if err := os.WriteFile(ballast, bytesOf(1, ballastLen), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		err := s.Journal.Put(fmt.Sprint(i), bytesOf(uint64(i), 100_000))
		if isA[FullError](err) && i > 0 {
			return ballast
		}
		if err != nil {
			t.Fatalf("record %d: %v", i, err)
		}
	}
	t.Fatal("the disk never filled")
	return ""
}

// A blob that finds the disk full in spite of the reserve, because others write
// too, is refused the same way.
func TestBlobFindsDiskFull(t *testing.T) {
	s, err := open(smallDisk(t, 4<<20), settings{free: ample})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	first := bytesOf(1, ChunkSize)
	d, err := s.Blobs.Put(first)
	if err != nil {
		t.Fatal(err)
	}
	large := bytesOf(2, 5*ChunkSize)
	if _, err = s.Blobs.Put(large); !isA[FullError](err) {
		t.Errorf("a blob larger than the disk: %v", err)
	}
	if got, err := s.Blobs.Get(d); err != nil || !bytes.Equal(got, first) {
		t.Errorf("the first blob: %d bytes, %v", len(got), err)
	}
}

// Case 35: a directory that cannot be written to is refused by name, also when it
// becomes so under an open store.
func TestReadOnlyDisk(t *testing.T) {
	dir := smallDisk(t, 64<<20)
	s, err := open(dir, settings{free: ample})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Blobs.Put([]byte("before")); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("none", dir, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Skipf("remounting: %v", err)
	}
	var e *DiskError
	if _, err := open(dir, settings{free: ample}); !errors.As(err, &e) || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("Open: %v", err)
	}
	if err := syscall.Mount("none", dir, "tmpfs", syscall.MS_REMOUNT, ""); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, dir)
	defer s.Close()
	if _, err := s.Blobs.Put([]byte("after")); err != nil {
		t.Errorf("writable again: %v", err)
	}
}
