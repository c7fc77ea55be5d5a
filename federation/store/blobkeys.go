package store

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/commonseal/commonseal/ledger"
)

// Keys of the blobs. Chunks are kept apart by who uploads them, so that nobody
// can spoil another's upload of the same digest.
const (
	headKeys   = "h" // + digest → head; written last
	uploadKeys = "u" // + digest, tag of the owner → head without sums
	chunkKeys  = "c" // + digest, tag of the owner, index (4 bytes, big-endian) → bytes

	headVersion = 1
	digestLen   = 32
	idLen       = digestLen + tagLen
	tagLen      = 8
	maxOwner    = 255 // bytes
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A tag stands for an owner in keys.
type tag [tagLen]byte

// An uploadID is whose upload of which blob.
type uploadID struct {
	digest ledger.Digest
	tag    tag
}

func tagOf(owner string) tag {
	sum := sha256.Sum256([]byte(owner))
	return tag(sum[:tagLen])
}

func (id uploadID) String() string { return string(id.digest[:]) + string(id.tag[:]) }

func headKey(d ledger.Digest) string { return headKeys + string(d[:]) }
func uploadKey(id uploadID) string   { return uploadKeys + id.String() }
func chunkKey(id uploadID, i int) string {
	return chunkKeys + string(binary.BigEndian.AppendUint32([]byte(id.String()), uint32(i)))
}

// parseID reads digest and tag from a key without its first byte.
func parseID(key string) (uploadID, bool) {
	if len(key) < idLen {
		return uploadID{}, false
	}
	return uploadID{ledger.Digest([]byte(key[:digestLen])), tag([]byte(key[digestLen:idLen]))}, true
}

// chunks is how many chunks a blob has.
func chunks(size int64) int { return int((size + ChunkSize - 1) / ChunkSize) }

// chunkLen is the length of chunk i.
func chunkLen(size int64, i int) int64 { return min(ChunkSize, size-int64(i)*ChunkSize) }

// A head describes a blob or, without sums, an upload.
type head struct {
	size  int64
	owner string
	sums  []uint32 // CRC-32C of each chunk
}

// append gives version, size (8 bytes), length of the owner (1), owner, sums (4
// each).
func (h head) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, headVersion), uint64(h.size))
	dst = append(append(dst, byte(len(h.owner))), h.owner...)
	for _, s := range h.sums {
		dst = binary.BigEndian.AppendUint32(dst, s)
	}
	return dst
}

func parseHead(d ledger.Digest, b []byte) (head, error) {
	refuse := func(cause string) (head, error) {
		return head{}, &CorruptError{What: fmt.Sprintf("the head of blob %x", d), Cause: cause}
	}
	const fixed = 1 + 8 + 1
	if len(b) < fixed || len(b) < fixed+int(b[fixed-1]) {
		return refuse(fmt.Sprintf("%d bytes", len(b)))
	}
	if b[0] != headVersion {
		return refuse(fmt.Sprintf("version %d; this program reads %d", b[0], headVersion))
	}
	size := binary.BigEndian.Uint64(b[1:])
	if size == 0 || size > MaxBlob {
		return refuse(fmt.Sprintf("a size of %d", size))
	}
	owner, rest := b[fixed:fixed+int(b[fixed-1])], b[fixed+int(b[fixed-1]):]
	h := head{size: int64(size), owner: string(owner)}
	if len(rest) != 0 && len(rest) != 4*chunks(h.size) {
		return refuse(fmt.Sprintf("%d bytes of checksums", len(rest)))
	}
	for ; len(rest) > 0; rest = rest[4:] {
		h.sums = append(h.sums, binary.BigEndian.Uint32(rest))
	}
	return h, nil
}

func isCorrupt(err error) bool {
	var c *CorruptError
	return errors.As(err, &c)
}
