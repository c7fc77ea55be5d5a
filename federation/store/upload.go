package store

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"sync"

	"github.com/commonseal/commonseal/ledger"
)

// An Upload is a blob that arrives in chunks. [Blobs.Begin] makes one or, after
// a crash or a broken connection, finds it again.
type Upload struct {
	blobs  *Blobs
	id     uploadID
	digest ledger.Digest
	owner  string
	size   int64

	mu   sync.Mutex // taken before blobs.mu
	next int64      // bytes that are here
	gone bool       // finished, then next is size, or dropped, then it is 0
}

// Begin begins or resumes owner's upload of a blob of size bytes, and reserves
// them: a [*QuotaError] if all that owner has would exceed quota bytes. Go on at
// [Upload.Offset]. A blob that is here already has nothing left to append.
//
// An owner is any name, of 255 bytes at most; the empty one is the process
// itself. Another size than before drops what was uploaded and begins anew. Two owners
// may upload the same blob at the same time; each reserves its own.
func (b *Blobs) Begin(owner string, quota int64, d ledger.Digest, size int64) (*Upload, error) {
	if size < 1 || size > MaxBlob {
		return nil, &LimitError{What: "a blob", Size: size, Min: 1, Max: MaxBlob}
	}
	if len(owner) > maxOwner {
		return nil, &LimitError{What: "the name of an owner", Size: int64(len(owner)), Max: maxOwner}
	}
	id := uploadID{d, tagOf(owner)}
	if err := b.dropStale(id, size); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	h, err := b.head(d)
	if err == nil {
		return b.here(id, owner, h, size)
	}
	if err != ErrNotFound {
		return nil, err
	}
	if u := b.uploads[id]; u != nil {
		return u, nil
	}
	if used := b.used[owner]; size > quota-used {
		return nil, &QuotaError{Owner: owner, Used: used, Size: size, Quota: quota}
	}
	if err := b.kv.commit([]write{{uploadKey(id), head{size: size, owner: owner}.append(nil)}}, false); err != nil {
		return nil, err
	}
	u := &Upload{blobs: b, id: id, digest: d, owner: owner, size: size}
	b.uploads[id] = u
	b.used[owner] += size
	return u, nil
}

// here is an upload of a blob that needs none.
func (b *Blobs) here(id uploadID, owner string, h head, size int64) (*Upload, error) {
	if h.size != size {
		return nil, &LimitError{What: fmt.Sprintf("blob %x, which is here,", id.digest), Size: size, Min: h.size, Max: h.size}
	}
	return &Upload{blobs: b, id: id, digest: id.digest, owner: owner, size: size, next: size, gone: true}, nil
}

// dropStale drops an upload of another size, or of a blob that came otherwise.
func (b *Blobs) dropStale(id uploadID, size int64) error {
	b.mu.Lock()
	u := b.uploads[id]
	b.mu.Unlock()
	if u == nil {
		return nil
	}
	here, err := b.Has(id.digest)
	if err != nil || !here && u.size == size {
		return err
	}
	return u.Drop()
}

// Offset is how many bytes are here: where the next chunk begins.
func (u *Upload) Offset() int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.next
}

// Append stores the chunk at offset, a multiple of [ChunkSize]: ChunkSize bytes,
// or all that remain. A chunk beyond [Upload.Offset] is an [*OffsetError]; one
// before it is compared with what is here, and another is a [*ConflictError].
func (u *Upload) Append(offset int64, chunk []byte) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.gone && u.next == 0 {
		return ErrNotFound
	}
	if offset < 0 || offset > u.next || offset >= u.size || offset%ChunkSize != 0 {
		return &OffsetError{Want: u.next, Given: offset}
	}
	i := int(offset / ChunkSize)
	if want := chunkLen(u.size, i); int64(len(chunk)) != want {
		return &LimitError{What: fmt.Sprintf("the chunk at %d", offset), Size: int64(len(chunk)), Min: want, Max: want}
	}
	if offset < u.next {
		return u.repeated(i, chunk)
	}
	if err := u.blobs.kv.commit([]write{{chunkKey(u.id, i), chunk}}, false); err != nil {
		return err
	}
	u.next += int64(len(chunk))
	return nil
}

// repeated compares a chunk with the one that is here.
func (u *Upload) repeated(i int, chunk []byte) error {
	var have []byte
	var err error
	if u.gone {
		have, err = u.blobs.Chunk(u.digest, i)
	} else {
		have, err = u.blobs.kv.get(chunkKey(u.id, i))
	}
	if err != nil {
		return err
	}
	if !bytes.Equal(have, chunk) {
		return &ConflictError{Key: fmt.Sprintf("%x, chunk %d", u.digest, i), Have: sha256.Sum256(have), Given: sha256.Sum256(chunk)}
	}
	return nil
}

// Finish makes the blob visible and returns when it is on disk. Finishing again
// is not an error. An upload that is not complete is an [*OffsetError] and stays;
// one with another digest than declared is a [*DigestError] and is dropped.
func (u *Upload) Finish() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.gone {
		_, err := u.blobs.head(u.digest)
		return err
	}
	if u.next < u.size {
		return &OffsetError{Want: u.next, Given: u.size}
	}
	sum, sums, err := u.read()
	if err != nil && !isCorrupt(err) && err != ErrNotFound {
		return err
	}
	if err != nil || sum != u.digest {
		if err := u.drop(); err != nil {
			return err
		}
		return &DigestError{Declared: u.digest, Got: sum}
	}
	return u.show(sums)
}

// read gives digest and checksums of what was stored, which is what matters, not
// of what was sent.
func (u *Upload) read() (ledger.Digest, []uint32, error) {
	digest := sha256.New()
	sums := make([]uint32, chunks(u.size))
	for i := range sums {
		chunk, err := u.blobs.kv.get(chunkKey(u.id, i))
		if err != nil {
			return ledger.Digest{}, nil, err
		}
		digest.Write(chunk)
		sums[i] = crc32.Checksum(chunk, castagnoli)
	}
	return ledger.Digest(digest.Sum(nil)), sums, nil
}

// show writes the head, once every chunk is on disk. u.mu is held.
func (u *Upload) show(sums []uint32) error {
	b := u.blobs
	if err := b.kv.commit(nil, true); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch _, err := b.head(u.digest); {
	case err == nil: // another owner was first
		err := u.dropLocked()
		u.next = u.size
		return err
	case err != ErrNotFound:
		return err
	}
	shown := []write{
		{headKey(u.digest), head{size: u.size, owner: u.owner, sums: sums}.append(nil)},
		{key: uploadKey(u.id)},
	}
	b.showing.Lock()
	defer b.showing.Unlock()
	if err := b.kv.commit(shown, true); err != nil {
		return err
	}
	delete(b.uploads, u.id)
	u.gone = true
	return nil
}

// Drop forgets the upload and gives its owner the room back. A finished blob
// stays.
func (u *Upload) Drop() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.gone {
		return nil
	}
	return u.drop()
}

// DropUploads forgets all that owner has not finished.
func (b *Blobs) DropUploads(owner string) error {
	b.mu.Lock()
	var all []*Upload
	for _, u := range b.uploads {
		if u.owner == owner {
			all = append(all, u)
		}
	}
	b.mu.Unlock()
	for _, u := range all {
		if err := u.Drop(); err != nil {
			return err
		}
	}
	return nil
}

func (u *Upload) drop() error {
	u.blobs.mu.Lock()
	defer u.blobs.mu.Unlock()
	return u.dropLocked()
}

// dropLocked deletes the upload. u.mu and blobs.mu are held.
func (u *Upload) dropLocked() error {
	writes := []write{{key: uploadKey(u.id)}}
	for i := range chunks(u.size) {
		writes = append(writes, write{key: chunkKey(u.id, i)})
	}
	if err := u.blobs.kv.commit(writes, false); err != nil {
		return err
	}
	delete(u.blobs.uploads, u.id)
	u.blobs.free(u.owner, u.size)
	u.gone, u.next = true, 0
	return nil
}
