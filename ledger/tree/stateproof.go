package tree

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	ics23 "github.com/cosmos/ics23/go"

	"github.com/commonseal/commonseal/ledger"
)

// A StateProof shows what a key's value is under a root, or that it has none. It
// also shows the head of the log under that root.
//
// It is an ICS-23 proof for an IAVL tree, in an encoding of our own that has room
// for nothing else: lengths and prefixes that ICS-23 leaves to the prover follow
// from the tree here.
type StateProof struct {
	Log Head

	kind        proofKind
	path        path      // of the key, if present
	left, right neighbour // the keys next to it, if absent
}

type proofKind byte

const (
	present      proofKind = 1
	absent       proofKind = 2 // between two keys
	absentFirst  proofKind = 3 // before the first key
	absentLast   proofKind = 4 // after the last key
	absentInNone proofKind = 5 // from a state without keys
)

// A neighbour is a key and value that are there.
type neighbour struct {
	key, value []byte
	path       path
}

// A path leads from a leaf of the state tree to the root.
type path struct {
	version int64 // of the leaf
	steps   []step
}

// A step is an inner node on a path, and its other child.
type step struct {
	height, size, version int64
	otherIsLeft           bool
	other                 ledger.Digest
}

// Prove proves what the value of a key is in the last committed state, nil if
// there is none; see [StateProof].
func (t *Tree) Prove(key []byte) (value, proof []byte, err error) {
	return t.snapshot(t.last()).Prove(key)
}

// Prove proves what the value of a key is in the snapshot, nil if there is none;
// see [StateProof].
func (s *Snapshot) Prove(key []byte) (value, proof []byte, err error) {
	p := StateProof{Log: s.commit.Log}
	err = s.use(func() error {
		state, err := s.state()
		if err != nil {
			return err
		}
		if state.find(string(key)) == nil {
			return s.absence(&p, state, string(key))
		}
		p.kind, p.path = present, pathTo(state, string(key))
		value, err = s.get(string(key))
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("prove %q at block %d: %w", key, s.commit.Height, err)
	}
	return value, p.Append(nil), nil
}

// absence makes p the proof that a key is not there.
func (s *Snapshot) absence(p *StateProof, state *node, key string) error {
	if state == nil {
		p.kind = absentInNone
		return nil
	}
	left, right := state.around(key)
	switch {
	case left == nil:
		p.kind = absentFirst
	case right == nil:
		p.kind = absentLast
	default:
		p.kind = absent
	}
	for _, side := range []struct {
		from *node
		to   *neighbour
	}{{left, &p.left}, {right, &p.right}} {
		if side.from == nil {
			continue
		}
		value, err := s.get(side.from.key)
		if err != nil {
			return err
		}
		*side.to = neighbour{[]byte(side.from.key), value, pathTo(state, side.from.key)}
	}
	return nil
}

// pathTo is the path of a key that is there.
func pathTo(n *node, key string) (p path) {
	for n.height > 0 {
		next := n.toward(key)
		s := step{height: int64(n.height), size: n.size, version: n.version, otherIsLeft: next == n.right, other: n.left.hash}
		if !s.otherIsLeft {
			s.other = n.right.hash
		}
		p.steps = append(p.steps, s)
		n = next
	}
	slices.Reverse(p.steps)
	p.version = n.version
	return p
}

// Verify returns an error unless the key has the value under the root, or none
// if value is nil.
func (p *StateProof) Verify(root ledger.Digest, key, value []byte) error {
	state, err := p.state(key, value)
	if err != nil {
		return fmt.Errorf("verify the proof of key %q: %w", key, err)
	}
	if underRoot(p.Log, state) != root {
		return fmt.Errorf("verify the proof of key %q: it leads to another root", key)
	}
	return nil
}

// state is the root of the state tree that the proof is about, if it shows what
// it should.
func (p *StateProof) state(key, value []byte) (ledger.Digest, error) {
	if (p.kind == present) != (value != nil) {
		return ledger.Digest{}, errors.New("it shows presence where absence was claimed, or the other way about")
	}
	if p.kind == absentInNone {
		return sha256.Sum256(nil), nil
	}
	var first *ics23.ExistenceProof
	var none ics23.NonExistenceProof
	switch p.kind {
	case present:
		first = p.path.ics23(key, value)
	case absent, absentFirst, absentLast:
		none.Key = key
		if p.kind != absentFirst {
			none.Left = p.left.path.ics23(p.left.key, p.left.value)
			first = none.Left
		}
		if p.kind != absentLast {
			none.Right = p.right.path.ics23(p.right.key, p.right.value)
			first = none.Right
		}
	default:
		return ledger.Digest{}, errors.New("it was not parsed")
	}
	root, err := first.Calculate()
	if err != nil {
		return ledger.Digest{}, err
	}
	if p.kind == present {
		err = first.Verify(ics23.IavlSpec, root, key, value)
	} else {
		// It calculates both sides, so their roots are equal afterwards.
		err = none.Verify(ics23.IavlSpec, root, key)
	}
	if err != nil {
		return ledger.Digest{}, err
	}
	return ledger.Digest(root), nil
}

// The hashed form of a node starts with its height, size and version as signed
// varints; each hash in it has its length before it.
const hashPrefix = 32

// ics23 is the path in ICS-23's form.
func (p path) ics23(key, value []byte) *ics23.ExistenceProof {
	leaf := ics23.LeafOp{
		Hash: ics23.HashOp_SHA256, PrehashValue: ics23.HashOp_SHA256, Length: ics23.LengthOp_VAR_PROTO,
		Prefix: appendVarints(nil, 0, 1, p.version),
	}
	proof := &ics23.ExistenceProof{Key: key, Value: value, Leaf: &leaf}
	for _, s := range p.steps {
		op := ics23.InnerOp{Hash: ics23.HashOp_SHA256, Prefix: appendVarints(nil, s.height, s.size, s.version)}
		if s.otherIsLeft {
			op.Prefix = append(append(op.Prefix, hashPrefix), s.other[:]...)
			op.Prefix = append(op.Prefix, hashPrefix)
		} else {
			op.Prefix = append(op.Prefix, hashPrefix)
			op.Suffix = append([]byte{hashPrefix}, s.other[:]...)
		}
		proof.Path = append(proof.Path, &op)
	}
	return proof
}
