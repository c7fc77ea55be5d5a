package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// memtable is Badger's memtable, in bytes. Each database allocates one, and 15 %
// of it is what one transaction may write: a chunk or MaxRecord, with its keys.
const memtable = 8 << 20

// reserve is what must be free on the disk beyond a write's own bytes. Badger
// writes through memory maps of sparse files: a write that finds the disk full
// is a bus error and ends the process, so it must never get that far. The reserve
// is room for the logs, tables and compactions of several processes.
const reserve = 128 << 20

// A disk is a Badger database.
type disk struct {
	dir  string
	db   *badger.DB
	with settings

	mu     sync.RWMutex // held for writing while closing
	closed bool

	writing sync.Mutex                // held while committing
	failed  atomic.Pointer[DiskError] // of the first commit that failed
}

// forJournal keeps every value in the write-ahead log, never in the value log:
// Badger syncs both but only reports a failure of the former.
func forJournal(o badger.Options) badger.Options {
	return o.WithSyncWrites(true).WithValueThreshold(1 << 20).WithValueLogFileSize(2 << 20)
}

// forBlobs syncs when told to: see [disk.sync].
func forBlobs(o badger.Options) badger.Options {
	return o.WithSyncWrites(false).WithValueThreshold(32 << 10).WithValueLogFileSize(64 << 20)
}

func openDisk(dir string, as func(badger.Options) badger.Options, with settings) (*disk, error) {
	d := &disk{dir: dir, with: with}
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
		WithVerifyValueChecksum(true).WithChecksumVerificationMode(options.OnTableAndBlockRead)
	db, err := badger.Open(as(o))
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

func (d *disk) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	if err := d.db.Close(); err != nil {
		return &DiskError{Op: "close " + d.dir, Cause: err}
	}
	return nil
}

// use lets f use the database unless it is closed or failed. What a failed commit
// wrote may be read but not be on disk: who finds it there must not take it for
// acknowledged, so nothing is read any more either.
func (d *disk) use(op string, f func() error) error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return &DiskError{Op: op + " in " + d.dir, Cause: os.ErrClosed}
	}
	if failed := d.failed.Load(); failed != nil {
		return failed
	}
	return f()
}

func (d *disk) get(key string) (value []byte, err error) {
	err = d.use("read", func() error {
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
	return d.use("read", func() error {
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
	return d.use("write", func() error {
		d.writing.Lock()
		defer d.writing.Unlock()
		if failed := d.failed.Load(); failed != nil {
			return failed
		}
		size := 0
		for _, w := range writes {
			size += len(w.key) + len(w.value)
		}
		if err := d.room(uint64(size)); err != nil {
			return err
		}
		if err := d.write(writes, durable); err != nil {
			// What reached the disk is unknown, and so is what a second sync would
			// say: only opening again tells.
			d.failed.Store(&DiskError{Op: "write in " + d.dir, Cause: err})
			return d.failed.Load()
		}
		return nil
	})
}

// room refuses a write that may not fit.
func (d *disk) room(size uint64) error {
	free, err := d.with.free(d.dir)
	if err != nil {
		return &DiskError{Op: "measure " + d.dir, Cause: err}
	}
	if need := size + reserve; free < need {
		return &FullError{Dir: d.dir, Free: free, Need: need}
	}
	return nil
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

// sync puts all that was committed on disk. Badger's own Sync covers the logs it
// writes to now; it leaves out the log of a memtable that is full and not yet a
// table, and the directory, in which a new log would be missing after a power
// failure.
func (d *disk) sync() error {
	if err := d.db.Sync(); err != nil {
		return err
	}
	logs, err := os.ReadDir(d.dir)
	if err != nil {
		return err
	}
	for _, entry := range logs {
		if !strings.HasSuffix(entry.Name(), ".mem") {
			continue
		}
		// One that is gone has become a table, which Badger synced.
		if err := syncFile(filepath.Join(d.dir, entry.Name())); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if err := syncFile(d.dir); err != nil {
		return err
	}
	if d.with.sync != nil {
		return d.with.sync(d.dir)
	}
	return nil
}

func syncFile(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
