package chain

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	abci "github.com/cometbft/cometbft/abci/types"

	"github.com/commonseal/commonseal/ledger/tree"
)

// snapshotFormat is that of [tree.Snapshot.Export].
const snapshotFormat = 1

// A restoring is the state of a validator that begins with a snapshot.
type restoring struct {
	rows *tree.Restore // nil: no snapshot is being restored
	next uint32        // chunk that is due
	all  uint32
}

// snapshot has a snapshot made of the committed state, when one is due. It is made
// beside consensus; the state of a block stays what it is.
func (a *application) snapshot() {
	height := a.Tree.Height()
	if a.shelf == nil || a.Every <= 0 || height%a.Every != 0 {
		return
	}
	state, err := a.Tree.At(height)
	if err != nil {
		a.log.Warn("no snapshot", "err", err)
		return
	}
	go func() {
		if err := a.shelf.take(state); err != nil {
			a.log.Warn("no snapshot", "err", err)
		}
	}()
}

// ListSnapshots offers what is on the shelf, once the two headers exist that who
// restores one needs.
func (a *application) ListSnapshots(context.Context, *abci.RequestListSnapshots) (*abci.ResponseListSnapshots, error) {
	a.door.enter()
	defer a.door.leave()
	out := &abci.ResponseListSnapshots{}
	if a.shelf == nil {
		return out, nil
	}
	_, height, _ := a.last()
	for _, m := range a.shelf.list(height - 2) {
		b := m.Append(nil)
		hash := sha256.Sum256(b)
		out.Snapshots = append(out.Snapshots, &abci.Snapshot{
			Height: uint64(m.Height), Format: snapshotFormat, Chunks: uint32(len(m.Chunks)), Hash: hash[:], Metadata: b,
		})
	}
	return out, nil
}

// LoadSnapshotChunk is a chunk on the shelf; none if it is not there.
func (a *application) LoadSnapshotChunk(_ context.Context, req *abci.RequestLoadSnapshotChunk) (*abci.ResponseLoadSnapshotChunk, error) {
	a.door.enter()
	defer a.door.leave()
	if a.shelf == nil || req.Format != snapshotFormat || req.Height > 1<<62 {
		return &abci.ResponseLoadSnapshotChunk{}, nil
	}
	return &abci.ResponseLoadSnapshotChunk{Chunk: a.shelf.chunk(int64(req.Height), req.Chunk)}, nil
}

// OfferSnapshot begins to restore a snapshot whose manifest leads to the root that
// the validators signed. CometBFT asks only a validator that has no blocks, so
// what is in its tree is of an attempt that was interrupted.
func (a *application) OfferSnapshot(_ context.Context, req *abci.RequestOfferSnapshot) (*abci.ResponseOfferSnapshot, error) {
	a.door.enter()
	defer a.door.leave()
	answer := func(r abci.ResponseOfferSnapshot_Result) (*abci.ResponseOfferSnapshot, error) {
		return &abci.ResponseOfferSnapshot{Result: r}, nil
	}
	switch {
	case a.headers == nil:
		return answer(abci.ResponseOfferSnapshot_ABORT)
	case req.Snapshot == nil:
		return answer(abci.ResponseOfferSnapshot_REJECT)
	case req.Snapshot.Format != snapshotFormat:
		return answer(abci.ResponseOfferSnapshot_REJECT_FORMAT)
	}
	m, err := tree.ParseManifest(req.Snapshot.Metadata)
	if err == nil {
		err = wrongOffer(req, &m)
	}
	if err != nil {
		a.log.Warn("a snapshot is refused, and whoever offers it", "height", req.Snapshot.Height, "err", err)
		return answer(abci.ResponseOfferSnapshot_REJECT_SENDER)
	}
	if err := a.abandon(); err != nil {
		return nil, err
	}
	rows, err := a.Tree.Restore(m)
	if err != nil {
		return nil, a.broken(err)
	}
	a.restoring = restoring{rows: rows, all: req.Snapshot.Chunks}
	return answer(abci.ResponseOfferSnapshot_ACCEPT)
}

// wrongOffer says what is wrong with a manifest for what is offered.
func wrongOffer(req *abci.RequestOfferSnapshot, m *tree.Manifest) error {
	hash, root := sha256.Sum256(req.Snapshot.Metadata), m.Root()
	switch {
	case string(req.Snapshot.Hash) != string(hash[:]):
		return errors.New("its hash is not of its manifest")
	case uint64(m.Height) != req.Snapshot.Height || len(m.Chunks) != int(req.Snapshot.Chunks):
		return fmt.Errorf("its manifest is of block %d with %d chunks", m.Height, len(m.Chunks))
	case string(req.AppHash) != string(root[:]):
		return fmt.Errorf("its manifest leads to the root %x, signed is %x", root[:6], req.AppHash)
	}
	return nil
}

// ApplySnapshotChunk takes the next chunk. A chunk that is not the one in the
// manifest is fetched again from somebody else; a snapshot whose chunks do not
// lead to the root is refused as a whole.
func (a *application) ApplySnapshotChunk(_ context.Context, req *abci.RequestApplySnapshotChunk) (*abci.ResponseApplySnapshotChunk, error) {
	a.door.enter()
	defer a.door.leave()
	r := &a.restoring
	if r.rows == nil {
		return &abci.ResponseApplySnapshotChunk{Result: abci.ResponseApplySnapshotChunk_REJECT_SNAPSHOT}, nil
	}
	err := fmt.Errorf("chunk %d, due is %d", req.Index, r.next)
	if req.Index == r.next {
		err = r.rows.Add(req.Chunk)
	}
	if err == nil {
		if r.next++; r.next < r.all {
			return &abci.ResponseApplySnapshotChunk{Result: abci.ResponseApplySnapshotChunk_ACCEPT}, nil
		}
		if err = r.rows.Commit(); err == nil {
			a.restoring = restoring{}
			a.publish(a.headers.timeOf(a.Tree.Height()))
			a.foresee()
			return &abci.ResponseApplySnapshotChunk{Result: abci.ResponseApplySnapshotChunk_ACCEPT}, nil
		}
		if !errors.Is(err, tree.ErrSnapshot) {
			return nil, a.broken(err)
		}
	}
	a.log.Warn("a chunk of a snapshot is refused", "sender", req.Sender, "err", err)
	out := &abci.ResponseApplySnapshotChunk{RejectSenders: []string{req.Sender}}
	if !errors.Is(err, tree.ErrSnapshot) {
		out.Result, out.RefetchChunks = abci.ResponseApplySnapshotChunk_RETRY, []uint32{req.Index}
		return out, nil
	}
	out.Result = abci.ResponseApplySnapshotChunk_REJECT_SNAPSHOT
	return out, a.abandon()
}

// abandon ends a restore that came to nothing.
func (a *application) abandon() error {
	rows := a.restoring.rows
	a.restoring = restoring{}
	if rows == nil {
		return nil
	}
	if err := rows.Abandon(); err != nil {
		return a.broken(err)
	}
	return nil
}

// broken ends this validator: its disk failed, and CometBFT would log that and wait.
func (a *application) broken(err error) error {
	err = fmt.Errorf("chain: %w", err)
	a.fail(err)
	return err
}
