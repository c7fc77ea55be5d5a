package checker

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/commonseal/commonseal/federation/replay"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/multiparty"
	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/tree"
)

// A Finding is what a fraud proof shows.
type Finding struct {
	Job     ledger.Digest
	Step    uint16
	Detail  string   // what differs
	Accused []string // the nodes that recorded it
	Height  int64    // of the block that signs the state shown
	Time    int64    // of it, Unix milliseconds
	Bytes   int64    // of the keys and ciphertexts it is shown with
}

// ErrNoProof says that a file does not show a wrong step.
var ErrNoProof = errors.New("this shows no wrong step")

// VerifyFraud says what a fraud proof of size bytes shows, if it does. It asks
// nobody: signed reads a block that more than two thirds of the chain's validators
// signed, and the root of the state before it. It holds what an evaluation does
// in memory, and of the file one blob at a time. Errors wrap [ErrNoProof].
func VerifyFraud(file io.ReaderAt, size int64, profiles he.Profiles, signed func(block, commit []byte) (ledger.Block, ledger.Digest, error)) (*Finding, error) {
	f, err := verifyFraud(file, size, profiles, signed, defences{})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoProof, err)
	}
	return f, nil
}

// defences are switched off by attack tests alone, one at a time.
type defences struct {
	proofs  bool // believe entries without their proofs
	digests bool // believe blobs without their digests
	lacking bool // take an entry that is not there for one that is absent
}

func verifyFraud(file io.ReaderAt, size int64, profiles he.Profiles, signed func(block, commit []byte) (ledger.Block, ledger.Digest, error), off defences) (*Finding, error) {
	head, at, err := readHead(file, size)
	if err != nil {
		return nil, err
	}
	block, root, err := signed(head.Block, head.Commit)
	if err != nil {
		return nil, err
	}
	p := &proven{entries: map[string]*record{}}
	for _, e := range head.Entries {
		if err := p.add(e, root, off); err != nil {
			return nil, err
		}
	}
	blobs, err := newBlobs(file, at, size, head.Blobs, off)
	if err != nil {
		return nil, err
	}
	c, err := replay.NewChecker(head.Job, replay.Sources{View: p, Profiles: profiles, Blob: blobs.get, Lists: &head.Lists})
	if err == nil {
		err = c.Check(head.Step)
	}
	recorders := accused(p, head.Job, head.Step)
	var wrong *replay.WrongError
	switch {
	case len(p.lacking) > 0 && !off.lacking:
		return nil, fmt.Errorf("the proof of %.32q is not in it", p.lacking)
	case err == nil:
		return nil, ErrRight
	case !errors.As(err, &wrong):
		return nil, err
	case p.unused() || blobs.unused() || !sameList(c.Recalled().Set, head.Lists.Set):
		return nil, errors.New("it has more than the check reads")
	}
	return &Finding{Job: head.Job, Step: head.Step, Detail: wrong.Detail, Accused: recorders,
		Height: block.Height, Time: block.Time, Bytes: size - at}, nil
}

// sameList says whether two lists of keys are the same.
func sameList(a, b multiparty.KeyList) bool {
	return a.CRS == b.CRS && slices.Equal(a.Parts, b.Parts)
}

// readHead decodes the head, and says where the blobs begin.
func readHead(file io.ReaderAt, size int64) (*Fraud, int64, error) {
	prefix := make([]byte, len(magic)+4)
	if int64(len(prefix)) > size {
		return nil, 0, errForm
	}
	if _, err := file.ReadAt(prefix, 0); err != nil {
		return nil, 0, err
	}
	n := binary.BigEndian.Uint32(prefix[len(magic):])
	at := int64(len(prefix)) + int64(n)
	if string(prefix[:len(magic)]) != magic || n > maxHead || at > size {
		return nil, 0, errForm
	}
	b := make([]byte, n)
	if _, err := file.ReadAt(b, int64(len(prefix))); err != nil && n > 0 {
		return nil, 0, err
	}
	head, err := ParseFraud(b)
	return head, at, err
}

// A proven is the part of a state that a proof shows. What it does not show it
// does not take for absent: that a contribution is not there would be one more way
// to forge a proof.
type proven struct {
	entries map[string]*record
	order   [][]byte
	lacking []byte // a key that was asked for and is not shown
}

type record struct {
	value []byte
	used  bool
}

// add takes in an entry, if it is under the root.
func (p *proven) add(e Entry, root ledger.Digest, off defences) error {
	if p.entries[string(e.Key)] != nil {
		return fmt.Errorf("key %.32q is there twice", e.Key)
	}
	proof, err := tree.ParseStateProof(e.Proof)
	if err == nil {
		err = proof.Verify(root, e.Key, e.Value)
	}
	if err != nil && !off.proofs {
		return err
	}
	p.entries[string(e.Key)] = &record{value: e.Value}
	p.order = append(p.order, e.Key)
	return nil
}

// Get implements [ledger.View].
func (p *proven) Get(key []byte) []byte {
	r := p.entries[string(key)]
	if r == nil {
		p.lacking = bytes.Clone(key)
		return nil
	}
	r.used = true
	return r.value
}

// Range implements [ledger.View], of what is shown.
func (p *proven) Range(prefix []byte, yield func(key, value []byte) bool) {
	for _, k := range p.order {
		r := p.entries[string(k)]
		if !bytes.HasPrefix(k, prefix) || r.value == nil {
			continue
		}
		r.used = true
		if !yield(k, r.value) {
			return
		}
	}
}

// unused says whether an entry was not asked for.
func (p *proven) unused() bool {
	for _, r := range p.entries {
		if !r.used {
			return true
		}
	}
	return false
}

// blobs are those of a file.
type blobs struct {
	file  io.ReaderAt
	spans map[ledger.Digest]span
	read  map[ledger.Digest]bool
	off   defences
}

// newBlobs holds the table of blobs to the size of the file.
func newBlobs(file io.ReaderAt, at, size int64, table []Blob, off defences) (*blobs, error) {
	b := &blobs{file: file, spans: map[ledger.Digest]span{}, read: map[ledger.Digest]bool{}, off: off}
	for _, x := range table {
		b.spans[x.Digest] = span{at, x.Size}
		at += int64(x.Size)
	}
	if at != size {
		return nil, fmt.Errorf("it has %d bytes; its head says %d", size, at)
	}
	return b, nil
}

// get is a blob that has its digest.
func (b *blobs) get(d ledger.Digest) ([]byte, error) {
	at, ok := b.spans[d]
	if !ok {
		return nil, fmt.Errorf("blob %x is not in it", d[:6])
	}
	out := make([]byte, at.size)
	if _, err := b.file.ReadAt(out, at.at); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if got := sha256.Sum256(out); got != d && !b.off.digests {
		return nil, fmt.Errorf("blob %x has the digest %x", d[:6], got[:6])
	}
	b.read[d] = true
	return out, nil
}

// unused says whether a blob was not asked for.
func (b *blobs) unused() bool { return len(b.read) < len(b.spans) }
