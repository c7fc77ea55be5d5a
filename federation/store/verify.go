package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"

	"github.com/commonseal/commonseal/ledger"
)

// Verify reads the folder of a store's blobs, which another process may have open,
// and calls each with every blob whose upload is finished, in the order of their
// digests: its size, and an error that names it if its bytes, or what is noted
// beside them, are not what they should be. It writes nothing and drops nothing.
func Verify(dir string, each func(d ledger.Digest, size int64, err error)) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return &DiskError{Op: "read " + dir, Cause: err}
	}
	for _, entry := range entries {
		raw, err := hex.DecodeString(entry.Name())
		digest, isHead := strings.CutPrefix(string(raw), headKeys)
		if err != nil || !isHead || len(digest) != digestLen {
			continue
		}
		d := ledger.Digest([]byte(digest))
		size, err := verifyBlob(dir, d)
		if errors.Is(err, os.ErrNotExist) {
			if _, gone := os.Stat(filepath.Join(dir, entry.Name())); errors.Is(gone, os.ErrNotExist) {
				continue // deleted meanwhile
			}
			err = &CorruptError{What: fmt.Sprintf("blob %x", d), Cause: err.Error()}
		}
		each(d, size, err)
	}
	return nil
}

// verifyBlob reads a blob and its head and hashes the blob.
func verifyBlob(dir string, d ledger.Digest) (size int64, err error) {
	stored, err := os.ReadFile(filepath.Join(dir, name(headKey(d))))
	if err != nil {
		return 0, err
	}
	h, err := parseHead(d, stored)
	if err != nil {
		return 0, err
	}
	corrupt := func(cause string) error { return &CorruptError{What: fmt.Sprintf("blob %x", d), Cause: cause} }
	if len(h.sums) != chunks(h.size) {
		return 0, corrupt("its head has no checksums")
	}
	whole := sha256.New()
	for i, sum := range h.sums {
		chunk, err := os.ReadFile(filepath.Join(dir, name(chunkKey(uploadID{d, tagOf(h.owner)}, i))))
		if err != nil {
			return h.size, err
		}
		if int64(len(chunk)) != chunkLen(h.size, i) || crc32.Checksum(chunk, castagnoli) != sum {
			return h.size, corrupt(fmt.Sprintf("chunk %d has another checksum", i))
		}
		whole.Write(chunk)
	}
	if ledger.Digest(whole.Sum(nil)) != d {
		return h.size, corrupt("its digest is another")
	}
	return h.size, nil
}
