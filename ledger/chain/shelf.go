package chain

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"

	"github.com/commonseal/commonseal/ledger/tree"
)

const (
	keptSnapshots = 2 // the last ones: who fetches one that goes begins again with the next
	manifestFile  = "manifest"
)

var errShelfClosed = errors.New("the validator stops")

// A shelf is a folder of snapshots for others to fetch. Each is a folder by its
// height, of a manifest and of chunks by their numbers, and there whole or not at
// all.
type shelf struct {
	dir string

	mu     sync.Mutex
	kept   map[int64]tree.Manifest
	busy   bool
	closed bool
	idle   sync.Cond // on mu: not busy
}

// openShelf opens a shelf, which is made when the first snapshot is.
func openShelf(dir string) (*shelf, error) {
	s := &shelf{dir: dir, kept: map[int64]tree.Manifest{}}
	s.idle.L = &s.mu
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("chain: snapshots: %w", err)
	}
	for _, e := range entries {
		height, err := strconv.ParseInt(e.Name(), 10, 64)
		if err == nil {
			var m tree.Manifest
			if m, err = readManifest(s.folder(height)); err == nil && m.Height == height {
				s.kept[height] = m
				continue
			}
		}
		// Of a process that ended while it wrote or deleted.
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return nil, fmt.Errorf("chain: snapshots: %w", err)
		}
	}
	return s, nil
}

func readManifest(dir string) (tree.Manifest, error) {
	b, err := os.ReadFile(filepath.Join(dir, manifestFile))
	if err != nil {
		return tree.Manifest{}, err
	}
	return tree.ParseManifest(b)
}

func (s *shelf) folder(height int64) string {
	return filepath.Join(s.dir, strconv.FormatInt(height, 10))
}

// take makes a snapshot and drops the oldest. It does nothing while another call
// is at it: that one's state is nearly as new.
func (s *shelf) take(state *tree.Snapshot) error {
	s.mu.Lock()
	if s.busy || s.closed {
		s.mu.Unlock()
		return nil
	}
	s.busy = true
	s.mu.Unlock()
	m, err := s.write(state)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy = false
	s.idle.Broadcast()
	if err != nil {
		if errors.Is(err, errShelfClosed) {
			return nil
		}
		return fmt.Errorf("chain: snapshot of block %d: %w", state.Height(), err)
	}
	s.kept[m.Height] = m
	for _, height := range s.heights()[min(keptSnapshots, len(s.kept)):] {
		delete(s.kept, height)
		// The manifest first: without it the rest is nothing.
		dir := s.folder(height)
		if err := errors.Join(os.Remove(filepath.Join(dir, manifestFile)), os.RemoveAll(dir)); err != nil {
			return fmt.Errorf("chain: drop the snapshot of block %d: %w", height, err)
		}
	}
	return nil
}

// write writes a snapshot under a name that is none, and renames it.
func (s *shelf) write(state *tree.Snapshot) (tree.Manifest, error) {
	made := filepath.Join(s.dir, "new")
	if err := errors.Join(os.RemoveAll(made), os.RemoveAll(s.folder(state.Height())), os.MkdirAll(made, 0o700)); err != nil {
		return tree.Manifest{}, err
	}
	n := 0
	m, err := state.Export(func(chunk []byte) error {
		s.mu.Lock()
		closed := s.closed
		s.mu.Unlock()
		if closed {
			return errShelfClosed
		}
		n++
		return os.WriteFile(filepath.Join(made, strconv.Itoa(n-1)), chunk, 0o600)
	})
	if err == nil {
		err = os.WriteFile(filepath.Join(made, manifestFile), m.Append(nil), 0o600)
	}
	if err == nil {
		err = os.Rename(made, s.folder(m.Height))
	}
	return m, err
}

// heights are those of the kept snapshots, the last first. s.mu is held.
func (s *shelf) heights() (out []int64) {
	for height := range s.kept {
		out = append(out, height)
	}
	slices.Sort(out)
	slices.Reverse(out)
	return out
}

// list are the kept snapshots up to a height, the last first.
func (s *shelf) list(most int64) (out []tree.Manifest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, height := range s.heights() {
		if height <= most {
			out = append(out, s.kept[height])
		}
	}
	return out
}

// chunk is a chunk of a kept snapshot, nil if it is not there.
func (s *shelf) chunk(height int64, index uint32) []byte {
	s.mu.Lock()
	m, ok := s.kept[height]
	s.mu.Unlock()
	if !ok || int64(index) >= int64(len(m.Chunks)) {
		return nil
	}
	b, err := os.ReadFile(filepath.Join(s.folder(height), strconv.FormatUint(uint64(index), 10)))
	if err != nil || sha256.Sum256(b) != m.Chunks[index] {
		return nil // it went meanwhile, or the disk is bad: another validator has it
	}
	return b
}

// close lets no snapshot begin, and returns when none is being made.
func (s *shelf) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.closed = true; s.busy; {
		s.idle.Wait()
	}
}
