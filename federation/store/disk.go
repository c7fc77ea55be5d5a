package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// memtable is Badger's memtable, in bytes: 15 % of it is what one transaction may
// write, MaxRecord with its keys.
const memtable = 8 << 20

// A disk is a Badger database.
type disk struct {
	guard
	db *badger.DB
}

// openDisk opens a database whose values are all in the write-ahead log, never in
// the value log: Badger syncs both but only reports a failure of the former.
func openDisk(dir string, with settings) (*disk, error) {
	d := &disk{guard: guard{dir: dir, with: with}}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, &DiskError{Op: "make " + dir, Cause: err}
	}
	if err := d.room(0); err != nil {
		return nil, err
	}
	if err := removeEmptyLogs(dir); err != nil {
		return nil, &DiskError{Op: "open " + dir, Cause: err}
	}
	if err := checkTables(dir); err != nil {
		return nil, err
	}
	o := badger.DefaultOptions(dir).WithLogger(nil).WithMetricsEnabled(false).
		WithMemTableSize(memtable).WithNumMemtables(2).
		WithNumLevelZeroTables(2).WithNumLevelZeroTablesStall(6).WithNumCompactors(2).
		WithCompression(options.None).WithBlockCacheSize(0).
		WithNumGoroutines(1).WithDetectConflicts(false).
		WithSyncWrites(true).WithValueThreshold(1 << 20).WithValueLogFileSize(2 << 20).
		WithVerifyValueChecksum(true).WithChecksumVerificationMode(options.OnTableAndBlockRead)
	db, err := badger.Open(o)
	if err != nil {
		return nil, &DiskError{Op: "open " + dir, Cause: err}
	}
	d.db = db
	return d, nil
}

// removeEmptyLogs removes logs of no bytes, which a process leaves that ends
// between making one and giving it its size, and with which Badger does not open.
func removeEmptyLogs(dir string) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range files {
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if isLog(entry.Name()) && info.Size() == 0 {
			if err := os.Remove(filepath.Join(dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

func isLog(name string) bool {
	return strings.HasSuffix(name, ".mem") || strings.HasSuffix(name, ".vlog")
}

func (d *disk) close() error { return d.shut(d.db.Close) }

func (d *disk) get(key string) (value []byte, err error) {
	err = d.use(func() error {
		return d.db.View(func(txn *badger.Txn) error {
			item, err := txn.Get([]byte(key))
			if err == nil {
				value, err = item.ValueCopy(nil)
			}
			return err
		})
	})
	return value, d.readError(key, err)
}

func (d *disk) scan(prefix string, values bool, yield func(string, []byte) bool) error {
	return d.use(func() error {
		var at string
		err := d.db.View(func(txn *badger.Txn) error {
			it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte(prefix)})
			defer it.Close()
			for it.Rewind(); it.Valid(); it.Next() {
				at = string(it.Item().Key())
				var value []byte
				if values {
					var err error
					if value, err = it.Item().ValueCopy(nil); err != nil {
						return err
					}
				}
				if !yield(at, value) {
					return nil
				}
			}
			return nil
		})
		return d.readError(at, err)
	})
}

// readError names what could not be read.
func (d *disk) readError(key string, err error) error {
	var ours *DiskError
	switch {
	case err == nil, errors.As(err, &ours):
		return err
	case errors.Is(err, badger.ErrKeyNotFound):
		return ErrNotFound
	}
	return &CorruptError{What: fmt.Sprintf("%q in %s", key, d.dir), Cause: err.Error()}
}

func (d *disk) commit(writes []write, durable bool) error {
	size := sizeOf(writes)
	return d.change(size, func() error { return d.fullError(size, d.write(writes, durable)) })
}

func (d *disk) write(writes []write, durable bool) error {
	txn := d.db.NewTransaction(true)
	defer txn.Discard()
	for _, w := range writes {
		var err error
		if w.value == nil {
			err = txn.Delete([]byte(w.key))
		} else {
			err = txn.Set([]byte(w.key), w.value)
		}
		if err != nil {
			return err
		}
	}
	if err := txn.Commit(); err != nil || !durable {
		return err
	}
	return d.sync()
}

// sync puts all that was committed on disk. With SyncWrites Badger has synced the
// log before Commit returned, but not the directory, in which a new log would be
// missing after a power failure.
func (d *disk) sync() error {
	if err := syncFile(d.dir); err != nil {
		return err
	}
	if d.with.sync != nil {
		return d.with.sync(d.dir)
	}
	return nil
}
