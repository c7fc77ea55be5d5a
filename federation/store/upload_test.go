package store

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/commonseal/commonseal/ledger"
)

const plenty = 1 << 40 // a quota

func mustBegin(tb testing.TB, b *Blobs, owner string, d ledger.Digest, size int) *Upload {
	tb.Helper()
	u, err := b.Begin(owner, plenty, d, int64(size))
	if err != nil {
		tb.Fatalf("Begin: %v", err)
	}
	return u
}

// appendAll appends what is missing of blob, chunk by chunk.
func appendAll(u *Upload, blob []byte) error {
	for at := u.Offset(); at < int64(len(blob)); at += ChunkSize {
		if err := u.Append(at, chunkOf(blob, at)); err != nil {
			return err
		}
	}
	return nil
}

func chunkOf(blob []byte, at int64) []byte {
	return blob[at:min(at+ChunkSize, int64(len(blob)))]
}

// invisible fails if anything of a blob can be seen.
func invisible(t *testing.T, b *Blobs, d ledger.Digest) {
	t.Helper()
	if _, err := b.Get(d); err != ErrNotFound {
		t.Errorf("Get: %v, want %v", err, ErrNotFound)
	}
	if _, err := b.Chunk(d, 0); err != ErrNotFound {
		t.Errorf("Chunk: %v, want %v", err, ErrNotFound)
	}
	if has, err := b.Has(d); has || err != nil {
		t.Errorf("Has: %v, %v", has, err)
	}
}

// Case 21: chunks out of order, missing and repeated.
func TestUploadChunks(t *testing.T) {
	onBoth(t, func(t *testing.T, m *machine) {
		blob := bytesOf(1, 2*ChunkSize+9)
		d := ledger.Digest(sha256.Sum256(blob))
		u := mustBegin(t, m.Blobs, "ann", d, len(blob))
		refused := func(at int64, chunk []byte, want int64) {
			t.Helper()
			var o *OffsetError
			if err := u.Append(at, chunk); !errors.As(err, &o) || o.Want != want {
				t.Errorf("Append at %d: %v, want an offset of %d", at, err, want)
			}
		}
		refused(ChunkSize, chunkOf(blob, ChunkSize), 0)
		refused(-ChunkSize, chunkOf(blob, 0), 0)
		if err := u.Append(0, blob[:100]); !isA[LimitError](err) {
			t.Errorf("a short chunk: %v", err)
		}
		if err := u.Append(0, blob[:ChunkSize+1]); !isA[LimitError](err) {
			t.Errorf("a long chunk: %v", err)
		}
		var o *OffsetError
		if err := u.Finish(); !errors.As(err, &o) || o.Want != 0 {
			t.Errorf("Finish of nothing: %v", err)
		}
		if err := u.Append(0, chunkOf(blob, 0)); err != nil {
			t.Fatalf("Append: %v", err)
		}
		if err := u.Append(0, chunkOf(blob, 0)); err != nil {
			t.Errorf("the same again: %v", err)
		}
		if err := u.Append(0, bytesOf(2, ChunkSize)); !isA[ConflictError](err) {
			t.Errorf("another in its place: %v", err)
		}
		refused(2*ChunkSize, chunkOf(blob, 2*ChunkSize), ChunkSize)
		refused(1, chunkOf(blob, 1), ChunkSize)
		invisible(t, m.Blobs, d)

		m.again()
		u = mustBegin(t, m.Blobs, "ann", d, len(blob))
		if at := u.Offset(); at != ChunkSize {
			t.Fatalf("resumed at %d, want %d", at, ChunkSize)
		}
		if err := appendAll(u, blob); err != nil {
			t.Fatalf("the rest: %v", err)
		}
		refused(3*ChunkSize, []byte("more"), int64(len(blob)))
		invisible(t, m.Blobs, d)
		for range 2 {
			if err := u.Finish(); err != nil {
				t.Fatalf("Finish: %v", err)
			}
			if got, err := m.Blobs.Get(d); err != nil || !bytes.Equal(got, blob) {
				t.Errorf("Get: %d bytes, %v", len(got), err)
			}
			m.again()
			u = mustBegin(t, m.Blobs, "ann", d, len(blob))
			if at := u.Offset(); at != int64(len(blob)) {
				t.Errorf("an upload of what is here is at %d of %d", at, len(blob))
			}
			if err := u.Append(0, chunkOf(blob, 0)); err != nil {
				t.Errorf("a late repeat: %v", err)
			}
			if err := u.Append(0, bytesOf(2, ChunkSize)); !isA[ConflictError](err) {
				t.Errorf("a late difference: %v", err)
			}
		}
	})
}

// Case 21: a wrong final digest drops it all and gives the room back.
func TestUploadWrongDigest(t *testing.T) {
	onBoth(t, func(t *testing.T, m *machine) {
		blob := bytesOf(1, ChunkSize+9)
		d := ledger.Digest(sha256.Sum256(blob))
		wrong := slices.Clone(blob)
		wrong[len(wrong)-1] ^= 1
		u := mustBegin(t, m.Blobs, "ann", d, len(blob))
		if err := appendAll(u, wrong); err != nil {
			t.Fatal(err)
		}
		var e *DigestError
		if err := u.Finish(); !errors.As(err, &e) || e.Declared != d || e.Got != sha256.Sum256(wrong) {
			t.Errorf("Finish: %v, want both digests", err)
		}
		invisible(t, m.Blobs, d)
		if used := m.Blobs.Used("ann"); used != 0 {
			t.Errorf("%d bytes still reserved", used)
		}
		if err := u.Append(0, chunkOf(blob, 0)); err != ErrNotFound {
			t.Errorf("Append to what was dropped: %v", err)
		}
		m.again()
		u = mustBegin(t, m.Blobs, "ann", d, len(blob))
		if err := errors.Join(appendAll(u, blob), u.Finish()); err != nil {
			t.Errorf("the right bytes afterwards: %v", err)
		}
	})
}

// Case 11: what is declared is reserved at once, over restarts too.
func TestQuota(t *testing.T) {
	onBoth(t, func(t *testing.T, m *machine) {
		const quota = 3 * ChunkSize
		begin := func(owner string, seed uint64, n int64) (*Upload, error) {
			blob := bytesOf(seed, int(min(n, 2*ChunkSize)))
			return m.Blobs.Begin(owner, quota, sha256.Sum256(blob), n)
		}
		for _, n := range []int64{0, -1, MaxBlob + 1, 10 << 30} {
			if _, err := begin("ann", 1, max(n, 0)); !isA[LimitError](err) {
				t.Errorf("a blob of %d bytes: %v", n, err)
			}
		}
		first, err := begin("ann", 1, 2*ChunkSize)
		if err != nil {
			t.Fatal(err)
		}
		m.again()
		var q *QuotaError
		if _, err := begin("ann", 2, 2*ChunkSize); !errors.As(err, &q) || q.Used != 2*ChunkSize || q.Quota != quota {
			t.Errorf("more than the quota: %v", err)
		}
		if _, err := begin("bob", 2, 2*ChunkSize); err != nil {
			t.Errorf("another owner: %v", err)
		}
		first = mustBegin(t, m.Blobs, "ann", first.digest, int(first.size))
		if err := errors.Join(appendAll(first, bytesOf(1, 2*ChunkSize)), first.Finish()); err != nil {
			t.Fatal(err)
		}
		m.again()
		if used := m.Blobs.Used("ann"); used != 2*ChunkSize {
			t.Errorf("ann uses %d", used)
		}
		if _, err := begin("ann", 3, ChunkSize); err != nil {
			t.Errorf("what still fits: %v", err)
		}
		if _, err := begin("ann", 3, ChunkSize); err != nil {
			t.Errorf("the same again reserves once: %v", err)
		}
		if err := m.Blobs.Delete(first.digest); err != nil {
			t.Fatal(err)
		}
		if _, err := begin("ann", 2, 2*ChunkSize); err != nil {
			t.Errorf("after a deletion: %v", err)
		}
		if err := m.Blobs.DropUploads("ann"); err != nil || m.Blobs.Used("ann") != 0 || m.Blobs.Used("bob") != 2*ChunkSize {
			t.Errorf("DropUploads: %v, ann uses %d, bob %d", err, m.Blobs.Used("ann"), m.Blobs.Used("bob"))
		}
	})
}

// Another size for a digest begins anew: one of the two cannot be right.
func TestUploadAnotherSize(t *testing.T) {
	onBoth(t, func(t *testing.T, m *machine) {
		blob := bytesOf(1, 2*ChunkSize)
		d := ledger.Digest(sha256.Sum256(blob))
		old := mustBegin(t, m.Blobs, "ann", d, len(blob)+1)
		if err := old.Append(0, chunkOf(blob, 0)); err != nil {
			t.Fatal(err)
		}
		u := mustBegin(t, m.Blobs, "ann", d, len(blob))
		if u.Offset() != 0 || m.Blobs.Used("ann") != int64(len(blob)) {
			t.Errorf("begun anew at %d with %d bytes reserved", u.Offset(), m.Blobs.Used("ann"))
		}
		if err := old.Append(ChunkSize, chunkOf(blob, ChunkSize)); err != ErrNotFound {
			t.Errorf("the old upload: %v", err)
		}
		if err := errors.Join(appendAll(u, blob), u.Finish()); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Blobs.Begin("bob", plenty, d, 7); !isA[LimitError](err) {
			t.Errorf("a wrong size for a blob that is here: %v", err)
		}
	})
}

// Nobody can spoil another's upload, and the second to finish gets its room
// back.
func TestTwoOwnersOneBlob(t *testing.T) {
	onBoth(t, func(t *testing.T, m *machine) {
		blob := bytesOf(1, ChunkSize+1)
		d := ledger.Digest(sha256.Sum256(blob))
		mallory := mustBegin(t, m.Blobs, "mallory", d, len(blob))
		if err := appendAll(mallory, bytesOf(2, len(blob))); err != nil {
			t.Fatal(err)
		}
		ann, bob := mustBegin(t, m.Blobs, "ann", d, len(blob)), mustBegin(t, m.Blobs, "bob", d, len(blob))
		if err := errors.Join(appendAll(ann, blob), appendAll(bob, blob)); err != nil {
			t.Fatal(err)
		}
		if err := ann.Finish(); err != nil {
			t.Fatal(err)
		}
		if err := mallory.Finish(); !isA[DigestError](err) {
			t.Errorf("other bytes: %v", err)
		}
		if err := bob.Finish(); err != nil {
			t.Errorf("second: %v", err)
		}
		for owner, want := range map[string]int64{"ann": int64(len(blob)), "bob": 0, "mallory": 0} {
			if used := m.Blobs.Used(owner); used != want {
				t.Errorf("%s uses %d, want %d", owner, used, want)
			}
		}
		if got, err := m.Blobs.Get(d); err != nil || !bytes.Equal(got, blob) {
			t.Errorf("Get: %d bytes, %v", len(got), err)
		}
	})
}

// Two streams of one upload take turns.
func TestUploadTwice(t *testing.T) {
	onBoth(t, func(t *testing.T, m *machine) {
		blob := bytesOf(1, 5*ChunkSize+1)
		d := ledger.Digest(sha256.Sum256(blob))
		var wait sync.WaitGroup
		for range 4 {
			wait.Go(func() {
				u, err := m.Blobs.Begin("ann", plenty, d, int64(len(blob)))
				if err == nil {
					err = errors.Join(appendAll(u, blob), u.Finish())
				}
				if err != nil {
					t.Errorf("upload: %v", err)
				}
			})
		}
		wait.Wait()
		if got, err := m.Blobs.Get(d); err != nil || !bytes.Equal(got, blob) {
			t.Errorf("Get: %d bytes, %v", len(got), err)
		}
		if used := m.Blobs.Used("ann"); used != int64(len(blob)) {
			t.Errorf("%d bytes used", used)
		}
	})
}
