package tree

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/commonseal/commonseal/ledger"
)

// Limits of a snapshot that travels.
const (
	ChunkBytes = 1 << 20 // of a chunk
	MaxChunks  = 1 << 14 // of a snapshot
)

// A Manifest is what a snapshot that travels says of itself: which block it is
// after, what leads to that block's root, and the SHA-256 of each of its chunks.
// Everybody who has the block makes the same snapshot of it.
type Manifest struct {
	Height int64
	Log    Head
	State  ledger.Digest // root of the state tree
	Chunks []ledger.Digest
}

// Root is the root that the snapshot leads to.
func (m *Manifest) Root() ledger.Digest { return underRoot(m.Log, m.State) }

// Append appends the encoding: height, head, state, and the chunks to the end.
func (m *Manifest) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(m.Height))
	b = append(m.Log.append(b), m.State[:]...)
	for _, c := range m.Chunks {
		b = append(b, c[:]...)
	}
	return b
}

// ParseManifest is the inverse of Append.
func ParseManifest(b []byte) (Manifest, error) {
	rest := len(b) - commitLen
	if rest < sha256.Size || rest%sha256.Size != 0 || rest > MaxChunks*sha256.Size {
		return Manifest{}, fmt.Errorf("a manifest of %d bytes; it has one for 1 to %d chunks", len(b), MaxChunks)
	}
	in := reader{b: b}
	m := Manifest{Height: int64(in.uint64()), Log: in.head(), State: in.digest()}
	for len(in.b) > 0 {
		m.Chunks = append(m.Chunks, in.digest())
	}
	if m.Height < 1 {
		return Manifest{}, fmt.Errorf("a manifest of block %d; snapshots are of blocks from 1 on", m.Height)
	}
	return m, in.end(b, m.Append)
}

// travelling are the rows of a snapshot, in its order: the leaves of the log, then
// the state tree's inner nodes and its leaves. Everything else follows from them.
var travelling = []byte{leafRows, shapeRows, stateRows}

var errChunk = errors.New("not a chunk in its canonical encoding")

const recordHead = 1 + 2 + 4 // of a row in a chunk: its kind, and the lengths of key and value

// appendRecord appends a row to a chunk.
func appendRecord(chunk []byte, r row) []byte {
	chunk = append(chunk, r.key[0])
	chunk = binary.BigEndian.AppendUint16(chunk, uint16(len(r.key)-1))
	chunk = append(chunk, r.key[1:]...)
	chunk = binary.BigEndian.AppendUint32(chunk, uint32(len(r.value)))
	return append(chunk, r.value...)
}

// parseChunk takes a chunk apart. What it returns is in b's memory but for keys.
func parseChunk(b []byte) (rows []row, err error) {
	if len(b) == 0 || len(b) > ChunkBytes {
		return nil, fmt.Errorf("a chunk of %d bytes; it has 1 to %d", len(b), ChunkBytes)
	}
	in := reader{b: b}
	for len(in.b) > 0 && !in.failed {
		kind := in.byte()
		key := in.bytes(int(in.uint16()))
		value := in.bytes(int(in.uint32()))
		if in.failed || bytes.IndexByte(travelling, kind) < 0 || len(key) == 0 || len(key) > maxKey || len(value) == 0 && kind != leafRows {
			return nil, errChunk
		}
		rows = append(rows, row{append([]byte{kind}, key...), value})
	}
	if in.failed {
		return nil, errChunk
	}
	return rows, nil
}

func (r *reader) uint16() uint16 {
	if b := r.bytes(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) uint32() uint32 {
	if b := r.bytes(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}
