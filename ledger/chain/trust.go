package chain

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/commonseal/commonseal/ledger"
)

// A Trust is a block that somebody vouches for: the height and hash of its header.
// The zero value is none: then the genesis file's validators are trusted, for block 1.
type Trust struct {
	Height int64
	Hash   ledger.Digest
}

// String is the one text of t, HEIGHT:HASH.
func (t Trust) String() string { return fmt.Sprintf("%d:%x", t.Height, t.Hash) }

// ParseTrust is the inverse of String.
func ParseTrust(s string) (t Trust, err error) {
	height, hash, _ := strings.Cut(s, ":")
	if t.Height, err = strconv.ParseInt(height, 10, 64); err == nil {
		var b []byte
		if b, err = hex.DecodeString(hash); err == nil && len(b) == len(t.Hash) {
			t.Hash = ledger.Digest(b)
		}
	}
	if err != nil || t.Height < 1 || t.String() != s {
		return Trust{}, fmt.Errorf("%.100q is not HEIGHT:HASH with 64 hexadecimal digits, as a validator's status tells it", s)
	}
	return t, nil
}

// Tip is the last block that this node has stored; the zero value if there is none.
func (n *Node) Tip() (t Trust) {
	leave, err := n.enter()
	if err != nil {
		return t
	}
	defer leave()
	blocks := n.comet.BlockStore()
	if meta := blocks.LoadBlockMeta(blocks.Height()); meta != nil && len(meta.BlockID.Hash) == len(t.Hash) {
		t = Trust{Height: meta.Header.Height, Hash: ledger.Digest(meta.BlockID.Hash)}
	}
	return t
}
