package store

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
)

// A store open at rest, and all the blobs that went through it, take less memory
// than one large blob does: a machine runs many processes.
func TestMemory(t *testing.T) {
	before := resident(t)
	s := mustOpen(t, t.TempDir())
	defer s.Close()
	mustPut(t, s.Journal, "key", "value")
	opened := resident(t)
	for i := range uint64(8) {
		d, err := s.Blobs.Put(bytesOf(i, 16<<20))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Blobs.Get(d); err != nil {
			t.Fatal(err)
		}
	}
	used := resident(t)
	t.Logf("resident: %d KiB before, %d opened, %d after 128 MiB of blobs", before>>10, opened>>10, used>>10)
	const bound = 48 << 20
	if opened-before > bound || used-before > bound {
		t.Errorf("more than %d KiB", bound>>10)
	}
}

// resident is the process's resident set in bytes, garbage returned.
func resident(t *testing.T) int64 {
	t.Helper()
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatal("no resident set")
	return 0
}
