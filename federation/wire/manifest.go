package wire

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/commonseal/commonseal/ledger"
)

// version is the first byte of every encoding.
const version = 1

// A Manifest lists the ciphertexts of a contribution: Vectors of each block,
// block by block.
type Manifest struct {
	Vectors int
	Digests []ledger.Digest
}

const (
	manifestHeader = 1 + 2 + 4
	maxVectors     = ledger.MaxColumns
	maxCiphertexts = 1 << 20
)

// Append adds the one encoding of m to dst.
func (m Manifest) Append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint16(append(dst, version), uint16(m.Vectors))
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(m.Digests)))
	for _, d := range m.Digests {
		dst = append(dst, d[:]...)
	}
	return dst
}

// Digest is SHA-256 of the encoding.
func (m Manifest) Digest() ledger.Digest { return sha256.Sum256(m.Append(nil)) }

// Blocks are the digests block by block.
func (m Manifest) Blocks() (out [][]ledger.Digest) {
	for at := 0; at < len(m.Digests); at += m.Vectors {
		out = append(out, m.Digests[at:at+m.Vectors])
	}
	return out
}

// ParseManifest decodes exactly one manifest, of whole blocks, one at least.
func ParseManifest(b []byte) (Manifest, error) {
	if len(b) < manifestHeader || b[0] != version {
		return Manifest{}, fmt.Errorf("manifest: %d bytes that do not begin as version %d does", len(b), version)
	}
	m := Manifest{Vectors: int(binary.BigEndian.Uint16(b[1:]))}
	n := uint64(binary.BigEndian.Uint32(b[3:]))
	b = b[manifestHeader:]
	switch {
	case m.Vectors < 1 || m.Vectors > maxVectors || n < 1 || n > maxCiphertexts || n%uint64(m.Vectors) != 0:
		return Manifest{}, fmt.Errorf("manifest: %d ciphertexts in blocks of %d", n, m.Vectors)
	case uint64(len(b)) != n*uint64(len(ledger.Digest{})):
		return Manifest{}, fmt.Errorf("manifest: %d bytes for %d digests", len(b), n)
	}
	for ; len(b) > 0; b = b[len(ledger.Digest{}):] {
		m.Digests = append(m.Digests, ledger.Digest(b))
	}
	return m, nil
}
