package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// A Store is the journal and the blobs of one process. Only [Open] and [NewMem]
// make one.
type Store struct {
	Journal *Journal
	Blobs   *Blobs

	close func() error
}

// Open opens the store in dir, which it creates if need be. One process has it
// at a time.
//
// What a crash left of a journal record that was not acknowledged is gone, and
// so is what it left of a blob, but for uploads, which go on where they were. A
// journal with a record missing is a [*CorruptError] or a [*RollbackError].
func Open(dir string) (*Store, error) {
	return open(dir, settings{free: freeBytes})
}

// settings are what tests replace.
type settings struct {
	free func(dir string) (uint64, error) // bytes free on the disk of dir
	sync func(dir string) error           // called after each sync; nil for none
}

func open(dir string, with settings) (_ *Store, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, &DiskError{Op: "make " + dir, Cause: err}
	}
	var closers []func() error
	closeAll := func() error {
		var errs []error
		for _, c := range closers {
			errs = append(errs, c())
		}
		return errors.Join(errs...)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, closeAll())
		}
	}()
	records, err := openDisk(filepath.Join(dir, "journal"), with)
	if err != nil {
		return nil, err
	}
	closers = append(closers, records.close)
	count, err := openCounter(filepath.Join(dir, "journal.count"))
	if err != nil {
		return nil, err
	}
	closers = append(closers, count.close)
	journal, err := newJournal(records, count.write)
	if err != nil {
		return nil, err
	}
	if err := count.check(journal.Count()); err != nil {
		return nil, err
	}
	chunks, err := openFiles(filepath.Join(dir, "blobs"), with)
	if err != nil {
		return nil, err
	}
	closers = append(closers, chunks.close)
	blobs, err := newBlobs(chunks)
	if err != nil {
		return nil, fmt.Errorf("blobs: %w", err)
	}
	return &Store{Journal: journal, Blobs: blobs, close: closeAll}, nil
}

// Close waits for calls under way and closes both; later calls are refused.
// Close it once.
func (s *Store) Close() error { return s.close() }

// An engine is an ordered map from keys to values that are not empty.
type engine interface {
	// get is the value of key, the caller's to keep; [ErrNotFound] if none.
	get(key string) ([]byte, error)
	// scan yields every key that begins with prefix, in order, until yield
	// returns false. Without values, value is nil.
	scan(prefix string, values bool, yield func(key string, value []byte) bool) error
	// commit does all writes, in their order; Badger does all or none. What is
	// durable is so when it returns, with all that was committed before.
	commit(writes []write, durable bool) error
}

// A write sets key to value, or deletes it if value is nil.
type write struct {
	key   string
	value []byte
}
