package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/commonseal/commonseal/ledger"
)

// Verify finds a flip in any file of a blob, a file that is gone, and nothing else;
// it leaves an upload under way alone, and the folder as it was.
func TestVerify(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	large := bytes.Repeat([]byte("blob"), ChunkSize/4+1)
	for _, blob := range [][]byte{[]byte("small"), large} {
		if _, err := s.Blobs.Put(blob); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Blobs.Begin("ann", 1<<20, ledger.Digest{1}, 1000); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(dir, "blobs")
	verify := func() (blobs, bad int, size int64) {
		t.Helper()
		err := Verify(folder, func(_ ledger.Digest, n int64, err error) {
			blobs, size = blobs+1, size+n
			var corrupt *CorruptError
			if errors.As(err, &corrupt) {
				bad++
			} else if err != nil {
				t.Error(err)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		return blobs, bad, size
	}
	if blobs, bad, size := verify(); blobs != 2 || bad != 0 || size != int64(5+len(large)) {
		t.Fatalf("%d blobs of %d bytes, %d bad", blobs, size, bad)
	}
	files, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	damaged := 0
	for _, file := range files {
		if file.Name()[:2] == name(uploadKeys) {
			continue
		}
		full := filepath.Join(folder, file.Name())
		b, err := os.ReadFile(full)
		if err != nil {
			t.Fatal(err)
		}
		flipped := bytes.Clone(b)
		flipped[len(b)/2] ^= 4
		if err := os.WriteFile(full, flipped, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, bad, _ := verify(); bad != 1 {
			t.Errorf("a flip in %s: %d bad blobs", file.Name(), bad)
		}
		if err := os.WriteFile(full, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if file.Name()[:2] == name(chunkKeys) {
			if err := os.Rename(full, full+".away"); err != nil {
				t.Fatal(err)
			}
			if _, bad, _ := verify(); bad != 1 {
				t.Errorf("%s is gone: %d bad blobs", file.Name(), bad)
			}
			if err := os.Rename(full+".away", full); err != nil {
				t.Fatal(err)
			}
		}
		damaged++
	}
	if damaged != 5 { // two heads, three chunks
		t.Errorf("%d files were damaged", damaged)
	}
	if _, bad, _ := verify(); bad != 0 {
		t.Error("it changed the folder")
	}
	if err := Verify(filepath.Join(dir, "absent"), func(ledger.Digest, int64, error) {}); err == nil {
		t.Error("a folder that is not there")
	}
}
