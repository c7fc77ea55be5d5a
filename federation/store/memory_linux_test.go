package store

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
)

// A store at rest maps little of its directory into memory, whatever blobs went
// through it: a machine runs many processes.
func TestMemory(t *testing.T) {
	before := resident(t, "RssFile:")
	s := mustOpen(t, t.TempDir())
	defer s.Close()
	mustPut(t, s.Journal, "key", "value")
	t.Logf("opened: %d KiB of files, %d KiB in all", resident(t, "RssFile:"), resident(t, "VmRSS:"))
	for i := range uint64(8) {
		d, err := s.Blobs.Put(bytesOf(i, 16<<20))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Blobs.Get(d); err != nil {
			t.Fatal(err)
		}
	}
	used := resident(t, "RssFile:")
	t.Logf("after 128 MiB of blobs: %d KiB of files, %d KiB in all", used, resident(t, "VmRSS:"))
	const bound = 32 << 10
	if used-before > bound {
		t.Errorf("%d KiB more of files than before, want at most %d", used-before, bound)
	}
}

// resident is a line of the process's status in KiB, garbage returned.
func resident(t *testing.T, which string) int64 {
	t.Helper()
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, which); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib
		}
	}
	t.Fatalf("no %s", which)
	return 0
}
