package store

import (
	"encoding/hex"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
)

// newFile is a file that is being written; what a crash leaves of it is nobody's.
const newFile = "new"

// A files is a directory with a file for each key, named by the key in hex.
//
// Blobs are kept so, not in Badger: it maps its value log into memory, and every
// page ever written or read stays in the process's resident set.
//
// A key is set by renaming a file that is written, so it has its old value or
// the new one, whole. Several writes are done in their order and a crash may
// come between them.
type files struct {
	guard
	dirty map[string]bool // names set since the last sync; guarded by guard.writing
}

func openFiles(dir string, with settings) (*files, error) {
	f := &files{guard: guard{dir: dir, with: with}, dirty: map[string]bool{}}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, &DiskError{Op: "make " + dir, Cause: err}
	}
	if err := syncFile(filepath.Dir(dir)); err != nil {
		return nil, &DiskError{Op: "make " + dir, Cause: err}
	}
	if err := f.room(0); err != nil {
		return nil, err
	}
	// What was renamed before a crash may not be on disk yet: the next sync makes
	// sure of it.
	err := f.scan("", false, func(key string, _ []byte) bool {
		f.dirty[name(key)] = true
		return true
	})
	return f, err
}

func (f *files) close() error { return f.shut(func() error { return nil }) }

func name(key string) string { return hex.EncodeToString([]byte(key)) }

func (f *files) get(key string) (value []byte, err error) {
	err = f.use(func() error {
		value, err = os.ReadFile(filepath.Join(f.dir, name(key)))
		return f.readError(key, err)
	})
	return value, err
}

func (f *files) scan(prefix string, values bool, yield func(string, []byte) bool) error {
	return f.use(func() error {
		entries, err := os.ReadDir(f.dir) // sorted
		if err != nil {
			return &DiskError{Op: "read " + f.dir, Cause: err}
		}
		for _, entry := range entries {
			raw, err := hex.DecodeString(entry.Name())
			key := string(raw)
			if err != nil || !strings.HasPrefix(key, prefix) {
				continue
			}
			var value []byte
			if values {
				value, err = os.ReadFile(filepath.Join(f.dir, entry.Name()))
				if errors.Is(err, os.ErrNotExist) { // deleted meanwhile
					continue
				}
				if err != nil {
					return f.readError(key, err)
				}
			}
			if !yield(key, value) {
				return nil
			}
		}
		return nil
	})
}

func (f *files) readError(key string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrNotExist):
		return ErrNotFound
	}
	return &CorruptError{What: filepath.Join(f.dir, name(key)), Cause: err.Error()}
}

func (f *files) commit(writes []write, durable bool) error {
	size := sizeOf(writes)
	return f.change(size, func() error {
		for _, w := range writes {
			if err := f.write(w, durable); err != nil {
				return f.fullError(size, err)
			}
		}
		if !durable {
			return nil
		}
		return f.sync()
	})
}

// write sets or deletes one key. What is durable is on disk before it has its
// name.
func (f *files) write(w write, durable bool) error {
	full := filepath.Join(f.dir, name(w.key))
	if w.value == nil {
		if err := os.Remove(full); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		delete(f.dirty, name(w.key))
		return nil
	}
	fresh := filepath.Join(f.dir, newFile)
	out, err := os.OpenFile(fresh, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = out.Write(w.value)
	if err == nil && durable {
		err = out.Sync()
	}
	if err := errors.Join(err, out.Close()); err != nil {
		return errors.Join(err, os.Remove(fresh))
	}
	if !durable {
		f.dirty[name(w.key)] = true
	}
	return os.Rename(fresh, full)
}

// sync puts all that was written on disk.
func (f *files) sync() error {
	for name := range maps.Keys(f.dirty) {
		if err := syncFile(filepath.Join(f.dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if err := syncFile(f.dir); err != nil {
		return err
	}
	clear(f.dirty)
	if f.with.sync != nil {
		return f.with.sync(f.dir)
	}
	return nil
}
