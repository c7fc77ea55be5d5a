package checker

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/commonseal/commonseal/federation/replay"
	"github.com/commonseal/commonseal/he/multiparty"
	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/tree"
)

// A Signed is a block that the validators signed, whose header has the root of a
// state.
type Signed struct{ Block, Commit []byte }

// ErrRight says that a step is as it was recorded: there is no fraud to prove.
var ErrRight = errors.New("the step is right; there is nothing to prove")

// Collect writes the fraud proof of a step to out: it evaluates the step once
// more and keeps what that reads. state is the one to prove from, block signs it.
// Blobs pass through a file of dir, one at a time; the keys are in memory twice,
// as they are added up and as circuits take them.
func Collect(state *tree.Snapshot, block Signed, job ledger.Digest, step uint16, from replay.Sources, dir string, out io.Writer) error {
	lists, parts, err := listsOf(state, job, from)
	if err != nil {
		return err
	}
	spool, err := os.CreateTemp(dir, ".fraud-*")
	if err != nil {
		return err
	}
	defer func() {
		_ = spool.Close()
		_ = os.Remove(spool.Name())
	}()
	seen := &recorder{state: state, blob: from.Blob, parts: parts, spool: spool, blobs: map[ledger.Digest]span{}, keys: map[string]bool{}}
	from.View, from.Blob, from.Lists = seen, seen.Blob, lists
	checker, err := replay.NewChecker(job, from)
	if err == nil {
		err = checker.Check(step)
	}
	switch {
	case err == nil:
		return ErrRight
	case !replay.IsWrong(err):
		return err
	}
	accused(seen, job, step) // which the proof shows too
	head := Fraud{Job: job, Step: step, Block: block.Block, Commit: block.Commit, Lists: checker.Recalled(), Blobs: seen.list}
	if head.Entries, err = seen.entries(); err != nil {
		return err
	}
	return write(out, &head, spool)
}

// write writes head and blobs.
func write(out io.Writer, head *Fraud, blobs io.ReadSeeker) error {
	encoded := head.Append(nil)
	if _, err := ParseFraud(encoded); err != nil || len(encoded) > maxHead {
		return fmt.Errorf("a head of %d bytes: %w", len(encoded), errors.Join(err, errForm))
	}
	prefix := binary.BigEndian.AppendUint32([]byte(magic), uint32(len(encoded)))
	if _, err := out.Write(append(prefix, encoded...)); err != nil {
		return err
	}
	if _, err := blobs.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err := io.Copy(out, blobs)
	return err
}

// A part is a key of a ceremony.
type part struct {
	of    *multiparty.Observer
	index int
}

// listsOf observes the ceremonies of a job's task.
func listsOf(v ledger.View, job ledger.Digest, from replay.Sources) (*replay.Lists, map[ledger.Digest]part, error) {
	j, ok := ledger.JobOf(v, job)
	if !ok {
		return nil, nil, fmt.Errorf("no job %x", job[:6])
	}
	t, ok := ledger.TaskOf(v, j.Task)
	if !ok {
		return nil, nil, fmt.Errorf("no task %x", j.Task[:6])
	}
	base, set, err := replay.Observers(v, t, from.Profiles, from.Blob)
	if err != nil {
		return nil, nil, err
	}
	lists, parts := &replay.Lists{Base: base.List(), Set: set.List()}, map[ledger.Digest]part{}
	for i, d := range lists.Base.Parts {
		parts[d] = part{base, i}
	}
	for i, d := range lists.Set.Parts {
		parts[d] = part{set, i}
	}
	return lists, parts, nil
}

// A recorder is a view and a source of blobs that notes what is read.
type recorder struct {
	state *tree.Snapshot
	blob  replay.Blobs
	parts map[ledger.Digest]part

	keys  map[string]bool
	order [][]byte // of keys, as they were read
	spool *os.File
	size  int64
	blobs map[ledger.Digest]span
	list  []Blob
}

// A span is where a blob is in a file.
type span struct {
	at   int64
	size uint32
}

// Get implements [ledger.View].
func (r *recorder) Get(key []byte) []byte {
	r.note(key)
	return r.state.Get(key)
}

// Range implements [ledger.View]. What it yields is proved, and not that it is
// all: replay ranges to find one record of many.
func (r *recorder) Range(prefix []byte, yield func(key, value []byte) bool) {
	r.state.Range(prefix, func(k, v []byte) bool {
		r.note(k)
		return yield(k, v)
	})
}

func (r *recorder) note(key []byte) {
	if !r.keys[string(key)] {
		r.keys[string(key)] = true
		r.order = append(r.order, bytes.Clone(key))
	}
}

// Blob is a blob, which goes into the proof.
func (r *recorder) Blob(d ledger.Digest) ([]byte, error) {
	if at, ok := r.blobs[d]; ok {
		b := make([]byte, at.size)
		_, err := r.spool.ReadAt(b, at.at)
		return b, err
	}
	var b []byte
	var err error
	if p, ok := r.parts[d]; ok {
		b = p.of.Part(p.index)
	} else if b, err = r.blob(d); err != nil {
		return nil, err
	}
	if _, err := r.spool.Write(b); err != nil {
		return nil, err
	}
	r.blobs[d] = span{r.size, uint32(len(b))}
	r.size += int64(len(b))
	r.list = append(r.list, Blob{d, uint32(len(b))})
	return b, nil
}

// entries are what was read of the state, proved.
func (r *recorder) entries() ([]Entry, error) {
	var out []Entry
	for _, k := range r.order {
		value, proof, err := r.state.Prove(k)
		if err != nil {
			return nil, err
		}
		out = append(out, Entry{Key: k, Value: value, Proof: proof})
	}
	return out, nil
}
