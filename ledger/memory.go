package ledger

import (
	"bytes"
	"maps"
	"slices"
)

// A Memory is a state in memory, empty to begin with: a [View] to which writes
// are applied. It is used by one goroutine.
type Memory struct {
	keys   [][]byte // sorted
	values map[string][]byte
}

// Get implements [View].
func (m *Memory) Get(key []byte) []byte { return m.values[string(key)] }

// Range implements [View].
func (m *Memory) Range(prefix []byte, yield func(key, value []byte) bool) {
	at, _ := slices.BinarySearchFunc(m.keys, prefix, bytes.Compare)
	for _, k := range m.keys[at:] {
		if !bytes.HasPrefix(k, prefix) || !yield(k, m.values[string(k)]) {
			return
		}
	}
}

// Clone is a state of its own with what m holds now.
func (m *Memory) Clone() *Memory { return &Memory{slices.Clone(m.keys), maps.Clone(m.values)} }

// Write applies writes.
func (m *Memory) Write(writes []Write) {
	if m.values == nil {
		m.values = map[string][]byte{}
	}
	for _, w := range writes {
		at, found := slices.BinarySearchFunc(m.keys, w.Key, bytes.Compare)
		switch {
		case w.Value == nil && found:
			m.keys = slices.Delete(m.keys, at, at+1)
			delete(m.values, string(w.Key))
		case w.Value != nil:
			if !found {
				m.keys = slices.Insert(m.keys, at, bytes.Clone(w.Key))
			}
			m.values[string(w.Key)] = w.Value
		}
	}
}
