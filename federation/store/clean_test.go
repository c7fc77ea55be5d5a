package store

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/commonseal/commonseal/ledger"
)

// What a crash or damage left in parts is dropped on opening, and what is whole
// is not.
func TestClean(t *testing.T) {
	blob, other := bytesOf(1, 2*ChunkSize+9), bytesOf(2, ChunkSize+9)
	d, whole := ledger.Digest(sha256.Sum256(blob)), ledger.Digest(sha256.Sum256(other))
	ann := uploadID{d, tagOf("ann")}
	for _, test := range []struct {
		name string
		key  string
		to   func(file string) error
		left int64 // where ann's upload goes on
	}{
		{"nothing", headKey(d), func(string) error { return nil }, int64(len(blob))},
		{"no head", headKey(d), os.Remove, 0},
		{"an empty head", headKey(d), func(f string) error { return os.Truncate(f, 0) }, 0},
		{"a short head", headKey(d), func(f string) error { return os.Truncate(f, 12) }, 0},
		{"no first chunk", chunkKey(ann, 0), os.Remove, 0},
		{"no last chunk", chunkKey(ann, 2), os.Remove, 0},
		{"a chunk too many", chunkKey(ann, 3), func(f string) error { return os.WriteFile(f, []byte("x"), 0o600) }, 0},
		{"an upload beside the head", uploadKey(ann), func(f string) error {
			return os.WriteFile(f, head{size: int64(len(blob)), owner: "ann"}.append(nil), 0o600)
		}, int64(len(blob))},
		{"a torn upload", uploadKey(uploadID{whole, tagOf("bob")}), func(f string) error { return os.WriteFile(f, nil, 0o600) }, int64(len(blob))},
		{"a chunk of nobody", chunkKey(uploadID{whole, tagOf("bob")}, 0), func(f string) error { return os.WriteFile(f, []byte("x"), 0o600) }, int64(len(blob))},
		{"a file half written", chunkKeys, func(f string) error { return os.WriteFile(filepath.Join(filepath.Dir(f), newFile), []byte("x"), 0o600) }, int64(len(blob))},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			s := mustOpen(t, dir)
			u := mustBegin(t, s.Blobs, "ann", d, len(blob))
			if err := firstError(appendAll(u, blob), u.Finish()); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Blobs.Put(other); err != nil {
				t.Fatal(err)
			}
			if err := firstError(s.Close(), test.to(filepath.Join(dir, "blobs", name(test.key)))); err != nil {
				t.Fatal(err)
			}
			s = mustOpen(t, dir)
			defer s.Close()
			if got, err := s.Blobs.Get(whole); err != nil || !bytes.Equal(got, other) {
				t.Errorf("the other blob: %d bytes, %v", len(got), err)
			}
			if has, err := s.Blobs.Has(d); has != (test.left > 0) || err != nil {
				t.Errorf("Has: %v, %v", has, err)
			}
			if used := s.Blobs.Used("ann"); used != test.left {
				t.Errorf("ann uses %d, want %d", used, test.left)
			}
			checkFiles(t, s, dir)
			u = mustBegin(t, s.Blobs, "ann", d, len(blob))
			if u.Offset() != test.left {
				t.Errorf("resumed at %d, want %d", u.Offset(), test.left)
			}
			if err := firstError(appendAll(u, blob), u.Finish()); err != nil {
				t.Errorf("upload again: %v", err)
			}
		})
	}
}

// checkFiles fails if a chunk is there that nobody can see.
func checkFiles(t *testing.T, s *Store, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "blobs", name(chunkKeys)+"*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		raw := strings.TrimPrefix(filepath.Base(file), name(chunkKeys))
		found := false
		err := s.Blobs.kv.scan(headKeys, false, func(key string, _ []byte) bool {
			found = found || strings.HasPrefix(raw, name(key[len(headKeys):]))
			return !found
		})
		if err != nil || !found {
			t.Errorf("%s is nobody's, %v", filepath.Base(file), err)
		}
	}
}

// Whatever parseHead accepts, append gives back byte for byte.
func FuzzHead(f *testing.F) {
	f.Add([]byte{})
	f.Add(head{size: 1}.append(nil))
	f.Add(head{size: ChunkSize + 1, owner: "ann", sums: []uint32{1, 2}}.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHead(ledger.Digest{}, b)
		if err == nil && !bytes.Equal(h.append(nil), b) {
			t.Errorf("%x is read as %+v, which is %x", b, h, h.append(nil))
		}
	})
}

// A head of another version is refused by name, not dropped.
func TestLaterVersion(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	d, err := s.Blobs.Put([]byte("blob"))
	if err := firstError(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "blobs", name(headKey(d)))
	stored, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	stored[0]++
	if err := os.WriteFile(file, stored, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := open(dir, settings{free: ample}); !isA[CorruptError](err) || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("Open: %v", err)
	}
}
