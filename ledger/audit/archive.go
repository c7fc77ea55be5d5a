package audit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/commonseal/commonseal/ledger"
)

// An archive is one file with which anybody re-derives a ledger: a line that says
// what it is, the genesis, and every block with its commit, each behind its length
// of four bytes, big-endian.
const (
	archiveMagic = "commonseal archive 1\n"
	maxGenesis   = 1 << 20
)

// An ArchiveWriter writes an archive.
type ArchiveWriter struct{ to io.Writer }

// NewArchiveWriter begins an archive of the chain of a genesis.
func NewArchiveWriter(to io.Writer, g ledger.Genesis) (*ArchiveWriter, error) {
	w := &ArchiveWriter{to: to}
	if _, err := io.WriteString(to, archiveMagic); err != nil {
		return nil, err
	}
	return w, w.write(g.Append(nil))
}

// Block adds the next block and its commit.
func (w *ArchiveWriter) Block(block, commit []byte) error {
	if err := w.write(block); err != nil {
		return err
	}
	return w.write(commit)
}

func (w *ArchiveWriter) write(part []byte) error {
	if _, err := w.to.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part)))); err != nil {
		return err
	}
	_, err := w.to.Write(part)
	return err
}

// An Archive reads an archive, block by block.
type Archive struct {
	Genesis ledger.Genesis
	from    io.Reader
}

// OpenArchive reads the beginning of an archive.
func OpenArchive(from io.Reader) (*Archive, error) {
	a := &Archive{from: from}
	magic := make([]byte, len(archiveMagic))
	if _, err := io.ReadFull(from, magic); err != nil || string(magic) != archiveMagic {
		return nil, fmt.Errorf("%w: not an archive of a ledger", ErrMalformed)
	}
	b, err := a.read(maxGenesis)
	if err != nil {
		return nil, whole(err)
	}
	if a.Genesis, err = ledger.ParseGenesis(b); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	return a, nil
}

// Next is the next block and its commit, [io.EOF] after the last. It verifies
// nothing.
func (a *Archive) Next() (block, commit []byte, err error) {
	if block, err = a.read(maxBlock); err != nil {
		return nil, nil, err
	}
	commit, err = a.read(maxSignature * (1 + maxValidators))
	return block, commit, whole(err)
}

// read is the next part; the error is io.EOF if there is none.
func (a *Archive) read(limit uint32) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(a.from, length[:]); err == io.EOF {
		return nil, err
	} else if err != nil {
		return nil, whole(err)
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > limit {
		return nil, fmt.Errorf("%w: a part of %d bytes in the archive", ErrTooLarge, n)
	}
	b := make([]byte, n)
	_, err := io.ReadFull(a.from, b)
	return b, whole(err)
}

// whole is the error of an archive that ends within a part.
func whole(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: the archive ends within a part", ErrMalformed)
	}
	return err
}

// Archive replays the rest of an archive. See [Replay.Block] for its errors; each is
// of the block after those of the summary.
func (r *Replay) Archive(a *Archive) error {
	for {
		block, commit, err := a.Next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = r.Block(block, commit)
		}
		if err != nil {
			return err
		}
	}
}
