package store

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// A Mem is a [Store] in memory, for one process of a simulation, whose crash can
// be planned.
//
// A write, as it is counted, is a put of at least one new record, or the showing
// of a finished blob: what is durable once it returns. Chunks before that are
// not, and a crash loses them.
type Mem struct {
	*Store
	medium *medium
}

// NewMem is an empty store.
func NewMem() *Mem { return started(&medium{journal: map[string][]byte{}, blobs: map[string][]byte{}}) }

// started is a store over what a medium holds.
func started(m *medium) *Mem {
	j, err := newJournal(&memory{medium: m, data: m.journal, journal: true}, func(uint64) error { return nil })
	if err != nil {
		panic(fmt.Sprintf("store: a journal in memory: %v", err)) // unreachable: only this package writes to it
	}
	b, err := newBlobs(&memory{medium: m, data: m.blobs})
	if err != nil {
		panic(fmt.Sprintf("store: blobs in memory: %v", err)) // unreachable, as above
	}
	return &Mem{Store: &Store{Journal: j, Blobs: b, close: func() error { return nil }}, medium: m}
}

// A Side is of a write.
type Side int

const (
	Before Side = iota // the write is lost
	After              // the write is there, its caller never hears of it
)

// FailAt plans a crash at the n-th write from now, from 1: it and everything
// after it returns [ErrCrash], until [Mem.Restart]. 0 plans none.
func (m *Mem) FailAt(n int, side Side) {
	m.medium.mu.Lock()
	defer m.medium.mu.Unlock()
	m.medium.left, m.medium.side = n, side
}

// Crash crashes now, between two writes.
func (m *Mem) Crash() {
	m.medium.mu.Lock()
	defer m.medium.mu.Unlock()
	m.medium.crash()
}

// Crashed says whether it has crashed.
func (m *Mem) Crashed() bool {
	m.medium.mu.Lock()
	defer m.medium.mu.Unlock()
	return m.medium.crashed
}

// Writes is the number of writes so far, over all restarts: the crashes there
// are to plan.
func (m *Mem) Writes() int {
	m.medium.mu.Lock()
	defer m.medium.mu.Unlock()
	return m.medium.writes
}

// Restart is the store that a new process finds, crashed or not: all that was
// durable. The old one is not to be used any more.
func (m *Mem) Restart() *Mem {
	m.medium.mu.Lock()
	defer m.medium.mu.Unlock()
	m.medium.crash()
	return started(m.medium.copy())
}

// Clone is a copy with a life of its own, in which no crash is planned: what a
// restored backup is.
func (m *Mem) Clone() *Mem {
	m.medium.mu.Lock()
	defer m.medium.mu.Unlock()
	return started(m.medium.copy())
}

// A medium is what survives a crash, but for the blobs' undo.
type medium struct {
	mu             sync.Mutex
	journal, blobs map[string][]byte // values are never written to
	undo           []write           // of blobs' writes that are not durable yet, oldest first

	writes  int
	left    int // writes to the planned crash; 0 for none
	side    Side
	crashed bool
}

// crash loses what is not durable.
func (m *medium) crash() {
	for _, w := range slices.Backward(m.undo) {
		set(m.blobs, w)
	}
	m.undo, m.crashed = nil, true
}

// copy has what is there, as if it were durable.
func (m *medium) copy() *medium {
	return &medium{journal: maps.Clone(m.journal), blobs: maps.Clone(m.blobs), writes: m.writes}
}

// A memory is one of a medium's two databases.
type memory struct {
	medium  *medium
	data    map[string][]byte
	journal bool
}

func (m *memory) get(key string) ([]byte, error) {
	m.medium.mu.Lock()
	defer m.medium.mu.Unlock()
	if m.medium.crashed {
		return nil, ErrCrash
	}
	value, ok := m.data[key]
	if !ok {
		return nil, ErrNotFound
	}
	return slices.Clone(value), nil
}

func (m *memory) scan(prefix string, values bool, yield func(string, []byte) bool) error {
	found, err := m.snapshot(prefix)
	if err != nil {
		return err
	}
	for _, w := range found {
		if !values {
			w.value = nil
		}
		if !yield(w.key, slices.Clone(w.value)) {
			return nil
		}
	}
	return nil
}

// snapshot is what scan yields, so that yield may call the store.
func (m *memory) snapshot(prefix string) ([]write, error) {
	m.medium.mu.Lock()
	defer m.medium.mu.Unlock()
	if m.medium.crashed {
		return nil, ErrCrash
	}
	var found []write
	for k, v := range m.data {
		if strings.HasPrefix(k, prefix) {
			found = append(found, write{k, v})
		}
	}
	slices.SortFunc(found, func(a, b write) int { return strings.Compare(a.key, b.key) })
	return found, nil
}

func (m *memory) commit(writes []write, durable bool) error {
	m.medium.mu.Lock()
	defer m.medium.mu.Unlock()
	if m.medium.crashed {
		return ErrCrash
	}
	if !durable {
		m.apply(writes)
		return nil
	}
	if len(writes) == 0 { // a sync; the write it makes ready for is the one that counts
		m.medium.undo = nil
		return nil
	}
	m.medium.writes++
	m.medium.left--
	due := m.medium.left == 0
	if due && m.medium.side == Before {
		m.medium.crash()
		return ErrCrash
	}
	m.apply(writes)
	if !m.journal {
		m.medium.undo = nil
	}
	if due {
		m.medium.crash()
		return ErrCrash
	}
	return nil
}

// apply does writes and, for blobs, remembers how to undo them.
func (m *memory) apply(writes []write) {
	for _, w := range writes {
		if !m.journal {
			m.medium.undo = append(m.medium.undo, write{w.key, m.data[w.key]})
		}
		set(m.data, write{w.key, slices.Clone(w.value)})
	}
}

func set(data map[string][]byte, w write) {
	if w.value == nil {
		delete(data, w.key)
		return
	}
	data[w.key] = w.value
}
