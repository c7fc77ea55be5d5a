package checker

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/commonseal/commonseal/federation/replay"
	"github.com/commonseal/commonseal/ledger"
)

// A Fraud is the head of a fraud proof: everything that a check of one step reads
// before it finds the step wrong, each bound to what the validators signed. The
// blobs of Blobs follow it, one after another.
//
//	block, commit   a block that more than two thirds of the validators signed;
//	                its header has the root of the state before it
//	entries         records of that state with their proofs: the step's, its
//	                ticket's, the job's, the task's, its ceremonies', contributions
//	lists           of the keys' digests, which lead to the key digests in these
//	blobs           what records, manifests and lists name by digest: inputs and
//	                shares of the step before, updates, ciphertexts, keys
//
// Whoever verifies it runs the check again on these alone. What the check asks for
// and the file does not have, or the file has and the check does not ask for, is
// no proof.
type Fraud struct {
	Job           ledger.Digest
	Step          uint16
	Block, Commit []byte
	Lists         replay.Lists
	Entries       []Entry
	Blobs         []Blob
}

// An Entry is a key of the state, its value, nil if it has none, and the proof.
type Entry struct{ Key, Value, Proof []byte }

// A Blob is one of those that follow the head.
type Blob struct {
	Digest ledger.Digest
	Size   uint32
}

// What a head has at most.
const (
	maxHead    = 16 << 20
	maxBlock   = 1 << 20
	maxKey     = 1 << 10
	maxValue   = 1 << 20
	maxProof   = 64 << 10
	maxEntries = 1 << 10
	maxBlobs   = 1 << 20
	maxParts   = 1 << 12
)

// magic begins the file of a fraud proof; the last byte is its version.
const magic = "commonseal fraud\x01"

// Append adds the one encoding of the head to dst.
func (f *Fraud) Append(dst []byte) []byte {
	dst = append(dst, f.Job[:]...)
	dst = binary.BigEndian.AppendUint16(dst, f.Step)
	bytes := func(b []byte) { dst = append(binary.BigEndian.AppendUint32(dst, uint32(len(b))), b...) }
	bytes(f.Block)
	bytes(f.Commit)
	for _, l := range []*ledger.Digest{&f.Lists.Base.CRS, &f.Lists.Set.CRS} {
		dst = append(dst, l[:]...)
	}
	for _, parts := range [][]ledger.Digest{f.Lists.Base.Parts, f.Lists.Set.Parts} {
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(parts)))
		for _, d := range parts {
			dst = append(dst, d[:]...)
		}
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(f.Entries)))
	for _, e := range f.Entries {
		bytes(e.Key)
		if e.Value == nil {
			dst = append(dst, 0)
		} else {
			dst = append(dst, 1)
			bytes(e.Value)
		}
		bytes(e.Proof)
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(f.Blobs)))
	for _, b := range f.Blobs {
		dst = binary.BigEndian.AppendUint32(append(dst, b.Digest[:]...), b.Size)
	}
	return dst
}

// errForm says that bytes are no fraud proof.
var errForm = errors.New("not a fraud proof in its one encoding; is it whole, and of this version?")

// ParseFraud decodes exactly one head. It verifies nothing.
func ParseFraud(b []byte) (*Fraud, error) {
	in := reader{b: b}
	f := &Fraud{Job: in.digest(), Step: in.u16(), Block: in.bytes(maxBlock), Commit: in.bytes(ledger.MaxSignatures)}
	f.Lists.Base.CRS, f.Lists.Set.CRS = in.digest(), in.digest()
	f.Lists.Base.Parts, f.Lists.Set.Parts = in.digests(maxParts), in.digests(maxParts)
	for range in.count(maxEntries, 4+1+4) {
		e := Entry{Key: in.bytes(maxKey)}
		switch in.u8() {
		case 0:
		case 1:
			e.Value = append([]byte{}, in.bytes(maxValue)...) // not nil, if empty
		default:
			in.failed = true
		}
		e.Proof = in.bytes(maxProof)
		f.Entries = append(f.Entries, e)
	}
	for range in.count(maxBlobs, len(ledger.Digest{})+4) {
		f.Blobs = append(f.Blobs, Blob{in.digest(), in.u32()})
	}
	if in.failed || len(in.b) > 0 {
		return nil, errForm
	}
	seen := map[ledger.Digest]bool{}
	for _, x := range f.Blobs {
		if x.Size == 0 || x.Size > ledger.MaxBlob || seen[x.Digest] {
			return nil, fmt.Errorf("blob %x of %d bytes: %w", x.Digest[:6], x.Size, errForm)
		}
		seen[x.Digest] = true
	}
	return f, nil
}

// A reader takes fields off its input. It gives zeros after the first that is not
// there.
type reader struct {
	b      []byte
	failed bool
}

func (r *reader) take(n int) []byte {
	if r.failed || n > len(r.b) {
		r.failed = true
		return nil
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) u8() uint8 {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *reader) digest() (d ledger.Digest) {
	copy(d[:], r.take(len(d)))
	return d
}

// count is a number of things of so many bytes at least, for which there is room.
func (r *reader) count(limit, least int) int {
	n := r.u32()
	if uint64(n) > uint64(limit) || uint64(n)*uint64(least) > uint64(len(r.b)) {
		r.failed = true
	}
	if r.failed {
		return 0
	}
	return int(n)
}

// bytes are a length and so many bytes, nil if none.
func (r *reader) bytes(limit int) []byte {
	b := r.take(r.count(limit, 1))
	if len(b) == 0 {
		return nil
	}
	return b
}

func (r *reader) digests(limit int) (out []ledger.Digest) {
	for range r.count(limit, len(ledger.Digest{})) {
		out = append(out, r.digest())
	}
	return out
}
