package store

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
)

// reserve is what must be free on the disk beyond a write's own bytes. Badger
// writes through memory maps of sparse files: a write that finds the disk full
// is a bus error and ends the process, so it must never get that far. The reserve
// is room for the logs, tables and compactions of several processes.
const reserve = 128 << 20

// A guard decides whether a directory may be read and written. What a failed
// write left may be read but not be on disk: who finds it there must not take it
// for acknowledged. So after one, nothing is read any more either.
type guard struct {
	dir  string
	with settings

	mu     sync.Mutex // guards closed
	closed bool
	users  sync.WaitGroup // calls of use under way

	writing sync.Mutex                // held while writing
	failed  atomic.Pointer[DiskError] // the first failure
}

// use lets f read unless the directory is closed or failed.
func (g *guard) use(f func() error) error {
	if !g.enter() {
		return &DiskError{Op: "use " + g.dir, Cause: os.ErrClosed}
	}
	defer g.users.Done()
	if failed := g.failed.Load(); failed != nil {
		return failed
	}
	return f()
}

// enter begins a use, which may itself call use, even while closing waits.
func (g *guard) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.users.Add(1)
	return true
}

// change lets f write size bytes, one f at a time, if there is room for them. If
// f fails it is for good, unless only for want of room.
func (g *guard) change(size int, f func() error) error {
	return g.use(func() error {
		g.writing.Lock()
		defer g.writing.Unlock()
		if failed := g.failed.Load(); failed != nil {
			return failed
		}
		if err := g.room(uint64(size)); err != nil {
			return err
		}
		err := f()
		var full *FullError
		if err == nil || errors.As(err, &full) {
			return err
		}
		// What reached the disk is unknown, and so is what a second sync would say:
		// only opening again tells.
		g.failed.Store(&DiskError{Op: "write in " + g.dir, Cause: err})
		return g.failed.Load()
	})
}

// room refuses a write that may not fit.
func (g *guard) room(size uint64) error {
	free, err := g.with.free(g.dir)
	if err != nil {
		return &DiskError{Op: "measure " + g.dir, Cause: err}
	}
	if need := size + reserve; free < need {
		return &FullError{Dir: g.dir, Free: free, Need: need}
	}
	return nil
}

// fullError is a [*FullError] if a write of size bytes failed for want of room,
// and err if not.
func (g *guard) fullError(size int, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return &FullError{Dir: g.dir, Need: uint64(size)}
	}
	return err
}

// shut refuses what comes from now on, waits for what is under way and calls f,
// once.
func (g *guard) shut(f func() error) error {
	g.mu.Lock()
	was := g.closed
	g.closed = true
	g.mu.Unlock()
	if was {
		return nil
	}
	g.users.Wait()
	if err := f(); err != nil {
		return &DiskError{Op: "close " + g.dir, Cause: err}
	}
	return nil
}

// syncFile puts a file or a directory on disk.
func syncFile(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// sizeOf is the bytes of some writes.
func sizeOf(writes []write) int {
	size := 0
	for _, w := range writes {
		size += len(w.key) + len(w.value)
	}
	return size
}
