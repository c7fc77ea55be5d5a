package tree

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/commonseal/commonseal/ledger"
)

// A Head is a size of the log and the root it had then.
type Head struct {
	Size uint64
	Root ledger.Digest
}

// underRoot is the Merkle map of the two roots by name: an RFC 6962 tree of two
// leaves, each a name and the SHA-256 of a value, both with their lengths.
func underRoot(log Head, state ledger.Digest) ledger.Digest {
	h := rfc6962.DefaultHasher
	left := h.HashLeaf(named("log", log.append(nil)))
	right := h.HashLeaf(named("state", state[:]))
	return ledger.Digest(h.HashChildren(left, right))
}

// named is a leaf of the map.
func named(name string, value []byte) []byte {
	digest := sha256.Sum256(value)
	leaf := append([]byte{byte(len(name))}, name...)
	leaf = append(leaf, byte(len(digest)))
	return append(leaf, digest[:]...)
}

const headLen = 8 + 32

func (h Head) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, h.Size)
	return append(b, h.Root[:]...)
}

func parseHead(b []byte) Head {
	return Head{Size: binary.BigEndian.Uint64(b), Root: ledger.Digest(b[8:headLen])}
}

// A commit is what is to be known of a block that was stored.
type commit struct {
	Height int64
	Log    Head
	State  ledger.Digest

	state *node // not on disk
}

const commitLen = 8 + headLen + 32

// Root is the root after the block.
func (c *commit) Root() ledger.Digest {
	if c.Height < 0 {
		return ledger.Digest{}
	}
	return underRoot(c.Log, c.State)
}

// timestamp is Badger's for the block, and the version of the state tree: 0 is
// before genesis.
func (c *commit) timestamp() uint64 { return uint64(c.Height + 1) }

func (c *commit) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(c.Height))
	b = c.Log.append(b)
	return append(b, c.State[:]...)
}

func parseCommit(b []byte) (commit, error) {
	if len(b) != commitLen {
		return commit{}, errors.New("the row of the last block is damaged; delete the directory and replay")
	}
	return commit{
		Height: int64(binary.BigEndian.Uint64(b)),
		Log:    parseHead(b[8:]),
		State:  ledger.Digest(b[8+headLen:]),
	}, nil
}
