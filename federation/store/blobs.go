package store

import (
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"math"
	"sync"

	"github.com/commonseal/commonseal/ledger"
)

// Sizes of blobs.
const (
	MaxBlob   = 64 << 20 // bytes of a blob
	ChunkSize = 1 << 20  // bytes of every chunk of a blob but the last
)

// Blobs are byte strings named by their SHA-256.
type Blobs struct {
	kv engine

	mu      sync.Mutex // guards what follows and the writes that go with it
	uploads map[uploadID]*Upload
	used    map[string]int64 // bytes of each owner: finished blobs and uploads at their declared sizes

	// showing is held for writing, after mu, until a new head is on disk: Badger
	// shows it earlier.
	showing sync.RWMutex
}

// newBlobs drops what a crash left in parts: heads without all their chunks, and
// chunks of no head and no upload.
func newBlobs(kv engine) (*Blobs, error) {
	b := &Blobs{kv: kv, uploads: map[uploadID]*Upload{}, used: map[string]int64{}}
	return b, b.clean()
}

// Put stores bytes of the process's own, which count against no quota, and
// returns their digest. They are on disk when it returns.
func (b *Blobs) Put(bytes []byte) (ledger.Digest, error) {
	d := ledger.Digest(sha256.Sum256(bytes))
	u, err := b.Begin("", math.MaxInt64, d, int64(len(bytes)))
	if err != nil {
		return d, err
	}
	for at := u.Offset(); at < u.size; at += ChunkSize {
		if err := u.Append(at, bytes[at:min(at+ChunkSize, u.size)]); err != nil {
			return d, err
		}
	}
	return d, u.Finish()
}

// Get is a blob, or [ErrNotFound]. One that is not what its digest says is
// dropped, and the error is a [*CorruptError].
func (b *Blobs) Get(d ledger.Digest) ([]byte, error) {
	h, err := b.head(d)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, h.size)
	for i := range h.sums {
		chunk, err := b.chunk(d, h, i)
		if err != nil {
			return nil, err
		}
		out = append(out, chunk...)
	}
	if sha256.Sum256(out) != d {
		return nil, b.corrupt(d, h, "its digest is another")
	}
	return out, nil
}

// Chunk is chunk i of a blob, from 0: [ChunkSize] bytes, the last what remains,
// and none beyond it. Each is verified by a checksum made when the blob was
// finished; the digest is the receiver's to verify.
func (b *Blobs) Chunk(d ledger.Digest, i int) ([]byte, error) {
	h, err := b.head(d)
	if err != nil {
		return nil, err
	}
	if i < 0 || i >= len(h.sums) {
		return nil, ErrNotFound
	}
	return b.chunk(d, h, i)
}

// Has says whether a blob is there.
func (b *Blobs) Has(d ledger.Digest) (bool, error) {
	_, err := b.head(d)
	if err == ErrNotFound {
		return false, nil
	}
	return err == nil, err
}

// Size is the bytes of a blob, or [ErrNotFound].
func (b *Blobs) Size(d ledger.Digest) (int64, error) {
	h, err := b.head(d)
	return h.size, err
}

// Delete forgets a blob and gives its owner the room back. A blob that is not
// there is not an error.
func (b *Blobs) Delete(d ledger.Digest) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	h, err := b.head(d)
	if err == ErrNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	return b.drop(d, h)
}

// Used is the bytes that count against an owner's quota: its blobs, and its
// uploads at their declared sizes.
func (b *Blobs) Used(owner string) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used[owner]
}

func (b *Blobs) head(d ledger.Digest) (head, error) {
	b.showing.RLock()
	defer b.showing.RUnlock()
	stored, err := b.kv.get(headKey(d))
	if err != nil {
		return head{}, err
	}
	return parseHead(d, stored)
}

// chunk reads and verifies a chunk.
func (b *Blobs) chunk(d ledger.Digest, h head, i int) ([]byte, error) {
	chunk, err := b.kv.get(chunkKey(uploadID{d, tagOf(h.owner)}, i))
	switch {
	case err == ErrNotFound:
		return nil, b.corrupt(d, h, fmt.Sprintf("chunk %d is missing", i))
	case isCorrupt(err):
		return nil, b.corrupt(d, h, err.Error())
	case err != nil:
		return nil, err
	case int64(len(chunk)) != chunkLen(h.size, i) || crc32.Checksum(chunk, castagnoli) != h.sums[i]:
		return nil, b.corrupt(d, h, fmt.Sprintf("chunk %d has another checksum", i))
	}
	return chunk, nil
}

// corrupt drops a blob and says why. If another call dropped it before, or it
// was deleted while it was read, it is merely not found.
func (b *Blobs) corrupt(d ledger.Digest, h head, cause string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, err := b.head(d); err == ErrNotFound {
		return ErrNotFound
	}
	if err := b.drop(d, h); err != nil {
		return err
	}
	return &CorruptError{What: fmt.Sprintf("blob %x", d), Cause: cause + "; it was dropped: fetch it again"}
}

// drop deletes a blob. b.mu is held.
func (b *Blobs) drop(d ledger.Digest, h head) error {
	writes := []write{{key: headKey(d)}}
	for i := range h.sums {
		writes = append(writes, write{key: chunkKey(uploadID{d, tagOf(h.owner)}, i)})
	}
	if err := b.kv.commit(writes, false); err != nil {
		return err
	}
	b.free(h.owner, h.size)
	return nil
}

func (b *Blobs) free(owner string, size int64) {
	if b.used[owner] -= size; b.used[owner] == 0 {
		delete(b.used, owner)
	}
}
