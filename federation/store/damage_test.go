package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A frozen is what a directory holds after a crash: files without their trailing
// zeros, and their sizes.
type frozen map[string]frozenFile

type frozenFile struct {
	data []byte
	size int64
}

func freeze(tb testing.TB, dir string) frozen {
	tb.Helper()
	out := frozen{}
	err := filepath.Walk(dir, func(name string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() || info.Name() == "LOCK" {
			return err
		}
		data, err := os.ReadFile(name)
		rel, _ := filepath.Rel(dir, name)
		out[rel] = frozenFile{bytes.TrimRight(data, "\x00"), info.Size()}
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// thaw writes the files into a new directory, sparse as Badger makes them.
func (f frozen) thaw(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp(tb.TempDir(), "")
	if err != nil {
		tb.Fatal(err)
	}
	for name, file := range f {
		full := filepath.Join(dir, name)
		err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o700), os.WriteFile(full, file.data, 0o600), os.Truncate(full, file.size))
		if err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

// with replaces one file.
func (f frozen) with(name string, data []byte, size int64) frozen {
	out := frozen{name: {data, size}}
	for k, v := range f {
		if k != name {
			out[k] = v
		}
	}
	return out
}

func (f frozen) without(match string) frozen {
	out := frozen{}
	for k, v := range f {
		if !strings.Contains(k, match) {
			out[k] = v
		}
	}
	return out
}

// counting has another number of records acknowledged.
func (f frozen) counting(n uint64) frozen {
	b := binary.BigEndian.AppendUint64(nil, n)
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	return f.with("journal.count", b, counterLen)
}

// log is the name of the journal's write-ahead log that holds records.
func (f frozen) log(tb testing.TB) string {
	tb.Helper()
	var name string
	for k, v := range f {
		if strings.HasPrefix(k, "journal/") && strings.HasSuffix(k, ".mem") && len(v.data) > 100 {
			if name != "" {
				tb.Fatalf("two logs: %s and %s", name, k)
			}
			name = k
		}
	}
	if name == "" {
		tb.Fatal("no log")
	}
	return name
}

const frozenRecords = 6

func frozenRecord(i int) (key, value string) {
	return fmt.Sprint("key ", i), strings.Repeat(fmt.Sprint(i), 10+40*(i%3))
}

// crashedJournal is a directory whose process ended after some puts, and where
// in the log each ended.
func crashedJournal(tb testing.TB) (frozen, []int) {
	tb.Helper()
	dir := tb.TempDir()
	s := mustOpen(tb, dir)
	defer s.Close()
	var ends []int
	var f frozen
	for i := range frozenRecords {
		key, value := frozenRecord(i)
		mustPut(tb, s.Journal, key, value)
		f = freeze(tb, dir)
		ends = append(ends, len(f[f.log(tb)].data))
	}
	return f, ends
}

// prefix opens a directory and says how many records it has: the first so many,
// or an error.
func prefix(tb testing.TB, dir string) (int, error) {
	tb.Helper()
	s, err := open(dir, settings{free: ample})
	if err != nil {
		return 0, err
	}
	defer s.Close()
	n := int(s.Journal.Count())
	for i := range frozenRecords {
		key, want := frozenRecord(i)
		got, err := s.Journal.Get(key)
		if i < n && (err != nil || string(got) != want) || i >= n && err != ErrNotFound {
			tb.Errorf("%d records, but record %d is %q, %v", n, i, got, err)
		}
	}
	mustPut(tb, s.Journal, "another", "value") // it goes on
	return n, nil
}

// Case 36: a log that ends anywhere has the records that are whole, in order.
// If one of those that are not was acknowledged, it is refused.
func TestTornLog(t *testing.T) {
	f, ends := crashedJournal(t)
	name := f.log(t)
	log := f[name]
	step := 29
	if testing.Short() {
		step = 131
	}
	for cut := 0; cut <= len(log.data); cut += step {
		whole := 0
		for whole < len(ends) && ends[whole] <= cut {
			whole++
		}
		torn := f.with(name, log.data[:cut], int64(cut))
		n, err := prefix(t, torn.counting(0).thaw(t))
		if err != nil || n != whole {
			t.Errorf("cut at %d of %d: %d records, %v; want %d", cut, len(log.data), n, err, whole)
		}
		n, err = prefix(t, torn.thaw(t))
		if whole < frozenRecords && !isA[RollbackError](err) || whole == frozenRecords && (err != nil || n != whole) {
			t.Errorf("cut at %d, of %d acknowledged %d are whole: %d records, %v", cut, frozenRecords, whole, n, err)
		}
	}
}

// Case 36: damage in the middle never takes a record out silently.
func TestDamagedLog(t *testing.T) {
	f, _ := crashedJournal(t)
	name := f.log(t)
	log := f[name]
	step := 29
	if testing.Short() {
		step = 131
	}
	for at := 0; at < len(log.data); at += step {
		data := bytes.Clone(log.data)
		data[at] ^= 0x10
		n, err := prefix(t, f.with(name, data, log.size).thaw(t))
		if err == nil && n != frozenRecords {
			t.Errorf("a flip at %d took %d records", at, frozenRecords-n)
		}
	}
}

// Case 36: the same for a journal that was closed in order and is a table: every
// damage is refused by name, none by a panic.
func TestDamagedTable(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	for i := range frozenRecords {
		key, value := frozenRecord(i)
		mustPut(t, s.Journal, key, value)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	f := freeze(t, dir)
	step := 7
	if testing.Short() {
		step = 131
	}
	tables := 0
	for name, file := range f {
		if !strings.HasPrefix(name, "journal/") || !strings.HasSuffix(name, ".sst") {
			continue
		}
		tables++
		for at := 0; at < len(file.data); at += step {
			flipped := bytes.Clone(file.data)
			flipped[at] ^= 0x10
			if n, err := prefix(t, f.with(name, flipped, file.size).thaw(t)); err == nil && n != frozenRecords {
				t.Errorf("a flip at %d of %s took %d records", at, name, frozenRecords-n)
			}
			if _, err := prefix(t, f.with(name, file.data[:at], int64(at)).thaw(t)); err == nil {
				t.Errorf("cut at %d, %s was opened", at, name)
			}
		}
		if _, err := prefix(t, f.without(name).thaw(t)); !isA[CorruptError](err) {
			t.Errorf("without %s: %v", name, err)
		}
	}
	if tables == 0 {
		t.Error("no table found")
	}
}

// A table that the manifest does not name was being made at a crash.
func TestUnfinishedTable(t *testing.T) {
	f, _ := crashedJournal(t)
	if n, err := prefix(t, f.with("journal/000001.sst", []byte("half"), 1<<20).thaw(t)); err != nil || n != frozenRecords {
		t.Errorf("%d records, %v", n, err)
	}
}

// A process that ends between making a log and giving it its size leaves one of
// no bytes.
func TestEmptyLogs(t *testing.T) {
	f, _ := crashedJournal(t)
	for _, name := range []string{"journal/00009.mem", "journal/000009.vlog"} {
		if n, err := prefix(t, f.with(name, nil, 0).thaw(t)); err != nil || n != frozenRecords {
			t.Errorf("with an empty %s: %d records, %v", name, n, err)
		}
	}
}

// Case 36: records that are missing before later ones are noticed without the
// counter.
func TestGapInJournal(t *testing.T) {
	f, _ := crashedJournal(t)
	dir := f.thaw(t)
	s := mustOpen(t, dir)
	if err := s.Close(); err != nil { // the first records are a table now
		t.Fatal(err)
	}
	s = mustOpen(t, dir)
	mustPut(t, s.Journal, "later", "value")
	f = freeze(t, dir)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	gap := f.without(".sst").without("MANIFEST").counting(0)
	if _, err := prefix(t, gap.thaw(t)); !isA[CorruptError](err) || !strings.Contains(err.Error(), "record 1 is missing") {
		t.Errorf("without the first records: %v", err)
	}
}

// The count of records acknowledged is refused when it is no count.
func TestDamagedCounter(t *testing.T) {
	f, _ := crashedJournal(t)
	for _, data := range [][]byte{[]byte("x"), bytes.Repeat([]byte{1}, counterLen), f["journal.count"].data[:counterLen-1]} {
		if _, err := prefix(t, f.with("journal.count", data, int64(len(data))).thaw(t)); !isA[CorruptError](err) {
			t.Errorf("%x: %v", data, err)
		}
	}
	dir := f.without("journal.count").thaw(t)
	for range 2 {
		if _, err := prefix(t, dir); !isA[CorruptError](err) {
			t.Errorf("without it: %v", err)
		}
	}
}

// Case 48: the database of yesterday beside the count of today.
func TestRolledBackJournal(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	mustPut(t, s.Journal, "c1", "share")
	yesterday := freeze(t, dir)
	mustPut(t, s.Journal, "c1'", "share")
	today := freeze(t, dir)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	mixed := yesterday.with("journal.count", today["journal.count"].data, today["journal.count"].size)
	var r *RollbackError
	if _, err := open(mixed.thaw(t), settings{free: ample}); !errors.As(err, &r) || r.Have != 1 || r.Acknowledged != 2 {
		t.Errorf("yesterday's journal: %v", err)
	}
}
