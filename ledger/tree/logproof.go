package tree

import (
	"errors"
	"fmt"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/commonseal/commonseal/ledger"
)

// A HeadProof shows the head of the log under a root.
type HeadProof struct {
	Log   Head
	State ledger.Digest // root of the state tree
}

// A LeafProof shows that a leaf is in the log of a size. Who has the head of
// another size needs a [GrowthProof] between the two.
type LeafProof struct {
	Index, Size uint64

	path []ledger.Digest
}

// A GrowthProof shows that a log of To leaves begins with the log of From leaves:
// that nothing was taken out, changed or put in between.
type GrowthProof struct {
	From, To uint64

	path []ledger.Digest
}

// ProveHead proves the head of the log; see [HeadProof].
func (s *Snapshot) ProveHead() []byte {
	p := HeadProof{Log: s.commit.Log, State: s.commit.State}
	return p.Append(nil)
}

// Verify returns an error unless the head is under the root.
func (p *HeadProof) Verify(root ledger.Digest) error {
	if underRoot(p.Log, p.State) != root {
		return errors.New("verify the log's head: it leads to another root")
	}
	return nil
}

// Verify returns an error unless the leaf has the proof's index in the log of
// that head.
func (p *LeafProof) Verify(log Head, leaf []byte) error {
	if p.Size != log.Size {
		return fmt.Errorf("verify leaf %d: the proof is for %d leaves, the head for %d", p.Index, p.Size, log.Size)
	}
	h := rfc6962.DefaultHasher
	if err := proof.VerifyInclusion(h, p.Index, p.Size, h.HashLeaf(leaf), hashes(p.path), log.Root[:]); err != nil {
		return fmt.Errorf("verify leaf %d: %w", p.Index, short(err))
	}
	return nil
}

// Verify returns an error unless the log of one head begins with that of the
// other.
func (p *GrowthProof) Verify(from, to Head) error {
	if p.From != from.Size || p.To != to.Size {
		return fmt.Errorf("verify growth: the proof is from %d to %d leaves, the heads from %d to %d", p.From, p.To, from.Size, to.Size)
	}
	h := rfc6962.DefaultHasher
	if p.From == 0 && from.Root != ledger.Digest(h.EmptyRoot()) {
		return errors.New("verify growth: no leaves, and yet a root")
	}
	if err := proof.VerifyConsistency(h, p.From, p.To, hashes(p.path), from.Root[:], to.Root[:]); err != nil {
		return fmt.Errorf("verify growth from %d to %d leaves: %w", p.From, p.To, short(err))
	}
	return nil
}

// A LeafHashes is the hashes of all leaves of a log: 32 bytes a leaf, for who has
// executed a chain and no [Tree].
type LeafHashes struct{ all [][]byte }

// Append adds leaves behind the others.
func (l *LeafHashes) Append(leaves [][]byte) {
	for _, leaf := range leaves {
		l.all = append(l.all, rfc6962.DefaultHasher.HashLeaf(leaf))
	}
}

// ProveGrowth is as [Tree.ProveGrowth].
func (l *LeafHashes) ProveGrowth(from, to uint64) ([]byte, error) {
	p := GrowthProof{From: from, To: to}
	nodes, err := proof.Consistency(from, to)
	if err == nil && to > uint64(len(l.all)) {
		err = fmt.Errorf("the log has %d leaves", len(l.all))
	}
	var path [][]byte
	for _, id := range nodes.IDs {
		if err == nil {
			var hash []byte
			hash, err = l.node(id)
			path = append(path, hash)
		}
	}
	if err == nil {
		path, err = nodes.Rehash(path, rfc6962.DefaultHasher.HashChildren)
	}
	if err != nil {
		return nil, fmt.Errorf("prove growth from %d to %d leaves: %w", from, to, err)
	}
	for _, hash := range path {
		p.path = append(p.path, ledger.Digest(hash))
	}
	return p.Append(nil), nil
}

// node is the hash of a whole tree of leaves.
func (l *LeafHashes) node(id compact.NodeID) ([]byte, error) {
	first, after := id.Coverage()
	below := ranges().NewEmptyRange(0)
	for _, hash := range l.all[first:after] {
		if err := below.Append(hash, nil); err != nil {
			return nil, err
		}
	}
	return below.GetRootHash(nil)
}

// short leaves out the two roots, which the error prints as lists of bytes.
func short(err error) error {
	if errors.As(err, new(proof.RootMismatchError)) {
		return errors.New("it leads to another root")
	}
	return err
}

func hashes(path []ledger.Digest) [][]byte {
	out := make([][]byte, len(path))
	for i := range path {
		out[i] = path[i][:]
	}
	return out
}
