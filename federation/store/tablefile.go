package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/table"
)

// checkTables refuses by name a table whose index is damaged: Badger, on opening
// one, panics in a goroutine of its own, from which nobody recovers. It checks
// the rest of a table itself, and removes those that its manifest does not name:
// a crash leaves them unfinished.
func checkTables(dir string) error {
	f, err := os.Open(filepath.Join(dir, badger.ManifestFilename))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return &DiskError{Op: "open " + dir, Cause: err}
	}
	defer f.Close() // read only: nothing to lose
	manifest, _, err := badger.ReplayManifestFile(f, 0, badger.DefaultOptions(dir))
	if err != nil {
		return &CorruptError{What: f.Name(), Cause: err.Error() + "; restore it"}
	}
	for id := range manifest.Tables {
		if err := checkTable(table.NewFilename(id, dir)); err != nil {
			return err
		}
	}
	return nil
}

// checkTable verifies the index of a table, which ends with
//
//	index, its length (4 bytes), checksum, its length (4 bytes)
//
// where the checksum is a message of which CRC-32C, the default, is left out and
// field 2 is the sum. Lengths are big-endian.
func checkTable(name string) error {
	f, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return &CorruptError{What: name, Cause: "it is missing; restore it"}
	}
	if err != nil {
		return &DiskError{Op: "open " + name, Cause: err}
	}
	defer f.Close() // read only: nothing to lose
	info, err := f.Stat()
	if err != nil {
		return &DiskError{Op: "open " + name, Cause: err}
	}
	end := info.Size()
	sum, ok := lastBlock(f, &end)
	if !ok {
		return &CorruptError{What: name, Cause: fmt.Sprintf("%d bytes do not end as a table does; restore it", info.Size())}
	}
	index, ok := lastBlock(f, &end)
	const crcTag = 2 << 3 // field 2, a varint
	if !ok || len(sum) < 2 || sum[0] != crcTag {
		return &CorruptError{What: name, Cause: "the index is cut off; restore it"}
	}
	if want, n := binary.Uvarint(sum[1:]); n != len(sum)-1 || want != uint64(crc32.Checksum(index, castagnoli)) {
		return &CorruptError{What: name, Cause: "the index has another checksum; restore it"}
	}
	return nil
}

// lastBlock reads the block that ends at *end, followed by its length, and moves
// *end before it.
func lastBlock(f *os.File, end *int64) ([]byte, bool) {
	var length [4]byte
	if *end -= int64(len(length)); *end < 0 {
		return nil, false
	}
	if _, err := f.ReadAt(length[:], *end); err != nil {
		return nil, false
	}
	n := int64(binary.BigEndian.Uint32(length[:]))
	if n > *end {
		return nil, false
	}
	*end -= n
	block := make([]byte, n)
	_, err := f.ReadAt(block, *end)
	return block, err == nil
}
