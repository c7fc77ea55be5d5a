package tree

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"github.com/commonseal/commonseal/ledger"
)

var errEncoding = errors.New("parse a proof: not one in its canonical encoding")

// Append appends the encoding: the head, the kind, and then the path or the one
// or two neighbours, each a key and a value with their lengths and a path.
func (p *StateProof) Append(b []byte) []byte {
	b = p.Log.append(b)
	b = append(b, byte(p.kind))
	if p.kind == present {
		return p.path.append(b)
	}
	if p.kind == absent || p.kind == absentLast {
		b = p.left.append(b)
	}
	if p.kind == absent || p.kind == absentFirst {
		b = p.right.append(b)
	}
	return b
}

// ParseStateProof is the inverse of Append.
func ParseStateProof(b []byte) (StateProof, error) {
	in := reader{b: b}
	p := StateProof{Log: in.head(), kind: proofKind(in.byte())}
	switch p.kind {
	case present:
		p.path = in.path()
	case absent:
		p.left, p.right = in.neighbour(), in.neighbour()
	case absentFirst:
		p.right = in.neighbour()
	case absentLast:
		p.left = in.neighbour()
	case absentInNone:
	default:
		in.failed = true
	}
	return p, in.end(b, p.Append)
}

// Append appends the encoding: the head and the state's root.
func (p *HeadProof) Append(b []byte) []byte { return append(p.Log.append(b), p.State[:]...) }

// ParseHeadProof is the inverse of Append.
func ParseHeadProof(b []byte) (HeadProof, error) {
	in := reader{b: b}
	p := HeadProof{Log: in.head(), State: in.digest()}
	return p, in.end(b, p.Append)
}

// Append appends the encoding: two numbers of 8 bytes and the path.
func (p *LeafProof) Append(b []byte) []byte { return appendLogProof(b, p.Index, p.Size, p.path) }

// ParseLeafProof is the inverse of Append.
func ParseLeafProof(b []byte) (LeafProof, error) {
	in := reader{b: b}
	p := LeafProof{Index: in.uint64(), Size: in.uint64(), path: in.digests()}
	return p, in.end(b, p.Append)
}

// Append appends the encoding: two numbers of 8 bytes and the path.
func (p *GrowthProof) Append(b []byte) []byte { return appendLogProof(b, p.From, p.To, p.path) }

// ParseGrowthProof is the inverse of Append.
func ParseGrowthProof(b []byte) (GrowthProof, error) {
	in := reader{b: b}
	p := GrowthProof{From: in.uint64(), To: in.uint64(), path: in.digests()}
	return p, in.end(b, p.Append)
}

func appendLogProof(b []byte, n, m uint64, path []ledger.Digest) []byte {
	b = binary.BigEndian.AppendUint64(b, n)
	b = binary.BigEndian.AppendUint64(b, m)
	for _, hash := range path {
		b = append(b, hash[:]...)
	}
	return b
}

func (n *neighbour) append(b []byte) []byte {
	b = append(binary.AppendUvarint(b, uint64(len(n.key))), n.key...)
	b = append(binary.AppendUvarint(b, uint64(len(n.value))), n.value...)
	return n.path.append(b)
}

func (p path) append(b []byte) []byte {
	b = binary.AppendVarint(b, p.version)
	b = binary.AppendUvarint(b, uint64(len(p.steps)))
	for _, s := range p.steps {
		b = appendVarints(b, s.height, s.size, s.version)
		side := byte(0)
		if s.otherIsLeft {
			side = 1
		}
		b = append(append(b, side), s.other[:]...)
	}
	return b
}

func appendVarints(b []byte, numbers ...int64) []byte {
	for _, n := range numbers {
		b = binary.AppendVarint(b, n)
	}
	return b
}

// A reader takes an encoding apart from the front. After a failure it yields
// zeros, and whoever uses it asks once, at the end.
type reader struct {
	b      []byte
	failed bool
}

// end returns an error if a read failed, anything is left, or the encoding is
// not the canonical one of what was read.
func (r *reader) end(whole []byte, canonical func([]byte) []byte) error {
	if r.failed || len(r.b) != 0 || !bytes.Equal(canonical(make([]byte, 0, len(whole))), whole) {
		return errEncoding
	}
	return nil
}

func (r *reader) bytes(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.failed = true
		r.b = nil
		return nil
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) byte() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if b := r.bytes(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (r *reader) digest() (d ledger.Digest) {
	copy(d[:], r.bytes(sha256.Size))
	return d
}

func (r *reader) head() Head { return Head{Size: r.uint64(), Root: r.digest()} }

// digests is the rest, a path in the log's tree, of at most 64 levels on either
// side.
func (r *reader) digests() (path []ledger.Digest) {
	if len(r.b) > 128*sha256.Size {
		r.failed = true
		return nil
	}
	for len(r.b) > 0 {
		path = append(path, r.digest())
	}
	return path
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	r.bytes(n)
	if n <= 0 {
		r.failed = true
		return 0
	}
	return v
}

// length is that of what follows.
func (r *reader) length() int {
	v, n := binary.Uvarint(r.b)
	r.bytes(n)
	if n <= 0 || v > uint64(len(r.b)) {
		r.failed = true
		return 0
	}
	return int(v)
}

func (r *reader) neighbour() neighbour {
	return neighbour{key: r.bytes(r.length()), value: r.bytes(r.length()), path: r.path()}
}

func (r *reader) path() path {
	p := path{version: r.varint()}
	for range r.length() {
		if r.failed {
			break
		}
		s := step{height: r.varint(), size: r.varint(), version: r.varint()}
		s.otherIsLeft = r.byte() == 1
		s.other = r.digest()
		p.steps = append(p.steps, s)
	}
	return p
}
