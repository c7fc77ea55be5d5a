package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
)

// counterLen is what the file holds: a count and a CRC-32C of it. So few bytes at
// the beginning of a file are written whole or not at all.
const counterLen = 8 + 4

// A counter is a file with the number of records acknowledged. It is written
// after the record is on disk and is not synced: after a power failure it may be
// behind, never ahead, of the journal.
type counter struct {
	f    *os.File
	last uint64 // as read
	made bool   // now: there was none
}

// openCounter makes the file if there is none.
func openCounter(name string) (*counter, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, &DiskError{Op: "open " + name, Cause: err}
	}
	c := &counter{f: f}
	if err := c.load(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return c, nil
}

func (c *counter) load() error {
	var b [counterLen]byte
	n, err := c.f.ReadAt(b[:], 0)
	switch {
	case n == 0 && err == io.EOF:
		c.made = true
		return nil
	case err != nil && err != io.EOF:
		return &DiskError{Op: "read " + c.f.Name(), Cause: err}
	case n < counterLen || crc32.Checksum(b[:8], castagnoli) != binary.BigEndian.Uint32(b[8:]):
		return &CorruptError{What: c.f.Name(), Cause: fmt.Sprintf("%x is no count; restore the directory", b[:n])}
	}
	c.last = binary.BigEndian.Uint64(b[:])
	return nil
}

// check refuses a journal that has fewer records than were acknowledged, or
// records and no counter, and catches up with one that has more.
func (c *counter) check(records uint64) error {
	if c.made && records > 0 {
		return &CorruptError{What: c.f.Name(), Cause: fmt.Sprintf("there is none beside %d records; restore the directory", records)}
	}
	if records < c.last {
		return &RollbackError{Have: records, Acknowledged: c.last}
	}
	if err := c.write(records); err != nil || !c.made {
		return err
	}
	if err := firstError(c.f.Sync(), syncFile(filepath.Dir(c.f.Name()))); err != nil {
		return &DiskError{Op: "create " + c.f.Name(), Cause: err}
	}
	return nil
}

func (c *counter) write(n uint64) error {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, counterLen), n)
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	if _, err := c.f.WriteAt(b, 0); err != nil {
		return &DiskError{Op: "write " + c.f.Name(), Cause: err}
	}
	return nil
}

func (c *counter) close() error { return c.f.Close() }
