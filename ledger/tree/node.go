package tree

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/commonseal/commonseal/ledger"
)

// A node is one of the state tree, which is an IAVL tree: balanced, with the
// values in its leaves, and hashed as cosmos/iavl v1.2.8 hashes it. A nil node is
// a tree without keys.
//
// A node that was hashed never changes again, so versions share what is equal in
// them, and reading needs no lock.
type node struct {
	key         string // of a leaf; of an inner node, the first one on its right
	version     int64  // of the block that made it, see commit.timestamp
	size        int64  // leaves
	height      int8   // 0 of a leaf
	left, right *node
	hash        ledger.Digest
	kept        shape // what its row says of an inner node, zero if it has none
}

// leaf is a new leaf.
func leaf(version int64, key string, value []byte) *node {
	return &node{key: key, version: version, size: 1, hash: hashLeaf(version, key, value)}
}

func hashLeaf(version int64, key string, value []byte) ledger.Digest {
	digest := sha256.Sum256(value)
	b := appendVarints(make([]byte, 0, 128), 0, 1, version)
	b = append(binary.AppendUvarint(b, uint64(len(key))), key...)
	return sha256.Sum256(append(append(b, hashPrefix), digest[:]...))
}

// is says whether a leaf has a value.
func (n *node) is(value []byte) bool { return n.hash == hashLeaf(n.version, n.key, value) }

// fit sets the height and size of an inner node from its children's.
func (n *node) fit() {
	n.height = max(n.left.height, n.right.height) + 1
	n.size = n.left.size + n.right.size
}

// tilt is how much higher the left side is.
func (n *node) tilt() int { return int(n.left.height) - int(n.right.height) }

// seal hashes an inner node whose children are hashed.
func (n *node) seal() {
	var room [128]byte
	b := appendVarints(room[:0], int64(n.height), n.size, n.version)
	b = append(append(b, hashPrefix), n.left.hash[:]...)
	n.hash = sha256.Sum256(append(append(b, hashPrefix), n.right.hash[:]...))
}

// rootHash is the root of the state tree.
func (n *node) rootHash() ledger.Digest {
	if n == nil {
		return sha256.Sum256(nil)
	}
	return n.hash
}

// find is the leaf of a key, nil if there is none.
func (n *node) find(key string) *node {
	if n == nil {
		return nil
	}
	for n.height > 0 {
		n = n.toward(key)
	}
	if n.key != key {
		return nil
	}
	return n
}

// toward is the child on whose side a key is.
func (n *node) toward(key string) *node {
	if key < n.key {
		return n.left
	}
	return n.right
}

// around are the leaves before and after a key that has none, nil at the ends.
func (n *node) around(key string) (before, after *node) {
	for n.height > 0 {
		if key < n.key {
			after, n = n.right, n.left
		} else {
			before, n = n.left, n.right
		}
	}
	if n.key < key {
		before = n
	} else {
		after = n
	}
	for before != nil && before.height > 0 {
		before = before.right
	}
	for after != nil && after.height > 0 {
		after = after.left
	}
	return before, after
}

// walk yields the leaves from a key on, in order, until yield returns false.
func (n *node) walk(from string, yield func(leaf *node) bool) bool {
	switch {
	case n == nil:
		return true
	case n.height == 0:
		return n.key < from || yield(n)
	}
	return (from >= n.key || n.left.walk(from, yield)) && n.right.walk(from, yield)
}

// An edit makes the state tree of one version out of the one before it. Nodes of
// its own version are its own; of others it makes copies.
type edit struct {
	version int64
	root    *node
	dropped map[string]bool // keys of which an inner node went away, or another took its place
}

func (e *edit) set(key string, value []byte) {
	e.root = e.with(e.root, leaf(e.version, key, value))
}

func (e *edit) with(n, new *node) *node {
	switch {
	case n == nil || n.height == 0 && n.key == new.key:
		return new
	case n.height == 0 && new.key < n.key:
		return e.inner(n.key, new, n)
	case n.height == 0:
		return e.inner(new.key, n, new)
	}
	n = e.own(n)
	if new.key < n.key {
		n.left = e.with(n.left, new)
	} else {
		n.right = e.with(n.right, new)
	}
	return e.balance(n)
}

func (e *edit) inner(key string, left, right *node) *node {
	n := &node{key: key, version: e.version, left: left, right: right}
	n.fit()
	return n
}

// remove removes a key that is there.
func (e *edit) remove(key string) {
	e.dropped[key] = true
	e.root, _ = e.without(e.root, key)
}

// without is n without a key, and n's first key if it is now another one and
// somebody above is called by it.
func (e *edit) without(n *node, key string) (rest *node, first string) {
	if n.height == 0 {
		return nil, ""
	}
	if key < n.key {
		left, first := e.without(n.left, key)
		if left == nil {
			e.dropped[n.key] = true
			return n.right, n.key
		}
		n = e.own(n)
		n.left = left
		return e.balance(n), first
	}
	right, first := e.without(n.right, key)
	if right == nil {
		e.dropped[n.key] = true
		return n.left, ""
	}
	n = e.own(n)
	n.right = right
	if first != "" {
		n.key, n.kept = first, shape{}
	}
	return e.balance(n), ""
}

// own is n to be changed.
func (e *edit) own(n *node) *node {
	if n.version == e.version {
		return n
	}
	mine := *n
	mine.version = e.version
	return &mine
}

// balance fits n, which is the edit's own, and turns it if one side is two
// higher.
func (e *edit) balance(n *node) *node {
	n.fit()
	switch tilt := n.tilt(); {
	case tilt > 1:
		if n.left.tilt() < 0 {
			n.left = e.turnLeft(e.own(n.left))
		}
		return e.turnRight(n)
	case tilt < -1:
		if n.right.tilt() > 0 {
			n.right = e.turnRight(e.own(n.right))
		}
		return e.turnLeft(n)
	}
	return n
}

func (e *edit) turnRight(n *node) *node {
	top := e.own(n.left)
	n.left, top.right = top.right, n
	n.fit()
	top.fit()
	return top
}

func (e *edit) turnLeft(n *node) *node {
	top := e.own(n.right)
	n.right, top.left = top.left, n
	n.fit()
	top.fit()
	return top
}

// seal hashes what is new below n, and yields the new inner nodes.
func (e *edit) seal(n *node, yield func(*node)) {
	if n == nil || n.version != e.version || n.height == 0 {
		return
	}
	e.seal(n.left, yield)
	e.seal(n.right, yield)
	n.seal()
	yield(n)
}
