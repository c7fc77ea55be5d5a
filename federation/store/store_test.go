package store

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/commonseal/commonseal/ledger"
)

// A machine is where a store lives: again starts the process anew.
type machine struct {
	*Store
	again func()
}

// onBoth runs a test on disk and in memory.
func onBoth(t *testing.T, test func(t *testing.T, m *machine)) {
	t.Run("disk", func(t *testing.T) {
		dir := t.TempDir()
		m := &machine{Store: mustOpen(t, dir)}
		m.again = func() {
			if err := m.Close(); err != nil {
				t.Fatalf("Close: %v", err)
			}
			m.Store = mustOpen(t, dir)
		}
		defer func() {
			if err := m.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}()
		test(t, m)
	})
	t.Run("memory", func(t *testing.T) {
		mem := NewMem()
		m := &machine{Store: mem.Store}
		m.again = func() {
			mem = mem.Clone() // a process that ends in order loses nothing
			m.Store = mem.Store
		}
		test(t, m)
	})
}

// ample says that there is room, whatever the disk of the tests has.
func ample(string) (uint64, error) { return 1 << 40, nil }

func mustOpen(tb testing.TB, dir string) *Store {
	tb.Helper()
	s, err := open(dir, settings{free: ample})
	if err != nil {
		tb.Fatalf("Open: %v", err)
	}
	return s
}

func mustPut(tb testing.TB, j *Journal, key, value string) {
	tb.Helper()
	if err := j.Put(key, []byte(value)); err != nil {
		tb.Fatalf("Put(%q): %v", key, err)
	}
}

// isA says whether err is a *E.
func isA[E any, P interface {
	*E
	error
}](err error) bool {
	var p P
	return errors.As(err, &p)
}

// bytesOf is n bytes that no seed shares with another.
func bytesOf(seed uint64, n int) []byte {
	out := make([]byte, n)
	key := sha256.Sum256(fmt.Append(nil, seed, n))
	if _, err := rand.NewChaCha8(key).Read(out); err != nil {
		panic(err) // unreachable: it never fails
	}
	return out
}

func TestJournal(t *testing.T) {
	onBoth(t, func(t *testing.T, m *machine) {
		mustPut(t, m.Journal, "b/2", "two")
		mustPut(t, m.Journal, "b/1", "one")
		mustPut(t, m.Journal, "a", "")
		mustPut(t, m.Journal, "b/1", "one") // again: harmless
		err := m.Journal.Put("b/1", []byte("other"))
		var c *ConflictError
		if !errors.As(err, &c) || c.Have != sha256.Sum256([]byte("one")) || c.Given != sha256.Sum256([]byte("other")) {
			t.Errorf("another value: %v, want a conflict that names both digests", err)
		}
		for range 2 {
			if n := m.Journal.Count(); n != 3 {
				t.Errorf("%d records, want 3", n)
			}
			if got, err := m.Journal.Get("a"); err != nil || len(got) != 0 {
				t.Errorf("Get(a) = %q, %v", got, err)
			}
			if _, err := m.Journal.Get("c"); err != ErrNotFound {
				t.Errorf("Get(c): %v, want %v", err, ErrNotFound)
			}
			if got := list(t, m.Journal, "b/"); got != "b/1=one b/2=two" {
				t.Errorf("Range(b/): %s", got)
			}
			if got := list(t, m.Journal, ""); got != "a= b/1=one b/2=two" {
				t.Errorf("Range(): %s", got)
			}
			m.again()
		}
	})
}

func list(tb testing.TB, j *Journal, prefix string) string {
	tb.Helper()
	var out []string
	err := j.Range(prefix, func(k string, v []byte) bool { out = append(out, k+"="+string(v)); return true })
	if err != nil {
		tb.Fatalf("Range(%q): %v", prefix, err)
	}
	return strings.Join(out, " ")
}

// Claims of several c1s are recorded together or not at all.
func TestPutAll(t *testing.T) {
	onBoth(t, func(t *testing.T, m *machine) {
		mustPut(t, m.Journal, "c1/b", "ticket 1")
		err := m.Journal.PutAll([]Record{{"c1/a", []byte("ticket 2")}, {"c1/b", []byte("ticket 2")}})
		if !isA[ConflictError](err) {
			t.Errorf("one of two is taken: %v", err)
		}
		err = m.Journal.PutAll([]Record{{"c1/c", []byte("x")}, {"c1/c", []byte("y")}})
		if !isA[ConflictError](err) {
			t.Errorf("two values for one key: %v", err)
		}
		if got := list(t, m.Journal, ""); got != "c1/b=ticket 1" {
			t.Errorf("after refusals: %s", got)
		}
		both := []Record{{"c1/b", []byte("ticket 1")}, {"c1/d", []byte("ticket 3")}, {"c1/d", []byte("ticket 3")}}
		if err := m.Journal.PutAll(both); err != nil {
			t.Errorf("one new, one repeated: %v", err)
		}
		if got := list(t, m.Journal, ""); got != "c1/b=ticket 1 c1/d=ticket 3" || m.Journal.Count() != 2 {
			t.Errorf("afterwards: %s, %d records", got, m.Journal.Count())
		}
	})
}

func TestRecordLimits(t *testing.T) {
	onBoth(t, func(t *testing.T, m *machine) {
		for _, r := range []Record{{"", []byte("x")}, {strings.Repeat("k", maxKey+1), nil}, {"k", make([]byte, MaxRecord)}} {
			if err := m.Journal.PutAll([]Record{r}); !isA[LimitError](err) {
				t.Errorf("a key of %d and a value of %d bytes: %v", len(r.Key), len(r.Value), err)
			}
		}
		largest := bytesOf(1, MaxRecord-1)
		if err := m.Journal.Put("k", largest); err != nil {
			t.Fatalf("the largest record: %v", err)
		}
		var many []Record
		for i := range MaxRecord / 1024 {
			many = append(many, Record{fmt.Sprintf("%04d", i), bytesOf(uint64(i), 1020)})
		}
		if err := m.Journal.PutAll(many); err != nil {
			t.Errorf("many records: %v", err)
		}
		m.again()
		if got, err := m.Journal.Get("k"); err != nil || !bytes.Equal(got, largest) {
			t.Errorf("the largest record: %d bytes, %v", len(got), err)
		}
		if n := m.Journal.Count(); n != uint64(1+len(many)) {
			t.Errorf("%d records, want %d", n, 1+len(many))
		}
	})
}

func TestBlobs(t *testing.T) {
	onBoth(t, func(t *testing.T, m *machine) {
		var digests []ledger.Digest
		sizes := []int{1, 31, 32 << 10, ChunkSize - 1, ChunkSize, ChunkSize + 1, 3*ChunkSize + 5}
		for i, n := range sizes {
			d, err := m.Blobs.Put(bytesOf(uint64(i), n))
			if err != nil || d != sha256.Sum256(bytesOf(uint64(i), n)) {
				t.Fatalf("Put of %d bytes: %x, %v", n, d, err)
			}
			if again, err := m.Blobs.Put(bytesOf(uint64(i), n)); err != nil || again != d {
				t.Errorf("Put again: %x, %v", again, err)
			}
			digests = append(digests, d)
		}
		m.again()
		for i, d := range digests {
			want := bytesOf(uint64(i), sizes[i])
			if got, err := m.Blobs.Get(d); err != nil || !bytes.Equal(got, want) {
				t.Errorf("Get of %d bytes: %d, %v", len(want), len(got), err)
			}
			if n, err := m.Blobs.Size(d); err != nil || n != int64(len(want)) {
				t.Errorf("Size = %d, %v, want %d", n, err, len(want))
			}
			var whole []byte
			for k := 0; ; k++ {
				chunk, err := m.Blobs.Chunk(d, k)
				if err == ErrNotFound {
					break
				}
				if err != nil {
					t.Fatalf("Chunk(%d): %v", k, err)
				}
				whole = append(whole, chunk...)
			}
			if !bytes.Equal(whole, want) {
				t.Errorf("the chunks of %d bytes are %d", len(want), len(whole))
			}
		}
		if err := m.Blobs.Delete(digests[6]); err != nil {
			t.Errorf("Delete: %v", err)
		}
		if has, err := m.Blobs.Has(digests[6]); has || err != nil {
			t.Errorf("Has after Delete: %v, %v", has, err)
		}
		if _, err := m.Blobs.Get(digests[6]); err != ErrNotFound {
			t.Errorf("Get after Delete: %v", err)
		}
		if err := m.Blobs.Delete(digests[6]); err != nil {
			t.Errorf("Delete again: %v", err)
		}
	})
}

// Case 19: the same a thousand times at once is one record and one blob.
func TestConcurrentRepeats(t *testing.T) {
	onBoth(t, func(t *testing.T, m *machine) {
		blob := bytesOf(1, ChunkSize+7)
		var wait sync.WaitGroup
		for w := range 8 {
			wait.Go(func() {
				for i := range 125 {
					if err := m.Journal.Put("same", []byte("value")); err != nil {
						t.Errorf("Put: %v", err)
					}
					if i%25 != 0 {
						continue
					}
					if _, err := m.Blobs.Put(blob); err != nil {
						t.Errorf("blob: %v", err)
					}
					mustPut(t, m.Journal, fmt.Sprint("of ", w, i), "x")
				}
			})
		}
		wait.Wait()
		if n := m.Journal.Count(); n != 1+8*5 {
			t.Errorf("%d records, want %d", n, 1+8*5)
		}
		if used := m.Blobs.Used(""); used != int64(len(blob)) {
			t.Errorf("%d bytes used, want %d", used, len(blob))
		}
	})
}

// One of two that race for a key wins, the other hears of it.
func TestConcurrentConflict(t *testing.T) {
	onBoth(t, func(t *testing.T, m *machine) {
		errs := make([]error, 8)
		var wait sync.WaitGroup
		for i := range errs {
			wait.Go(func() { errs[i] = m.Journal.Put("key", fmt.Append(nil, i)) })
		}
		wait.Wait()
		won := slices.Index(errs, nil)
		if got, err := m.Journal.Get("key"); err != nil || string(got) != fmt.Sprint(won) {
			t.Errorf("Get = %q, %v; Put %d succeeded", got, err, won)
		}
		for i, err := range errs {
			if i != won && !isA[ConflictError](err) {
				t.Errorf("Put %d: %v", i, err)
			}
		}
	})
}
