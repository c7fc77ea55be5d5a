package agent

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/commonseal/commonseal/federation"
	"github.com/commonseal/commonseal/federation/store"
	"github.com/commonseal/commonseal/ledger"
)

// rankingRecord is where the journal has the ranking of an epoch, sealed: who
// reads it before it is revealed could copy it.
func rankingRecord(task ledger.Digest, epoch uint64) string {
	return fmt.Sprintf("ranking/%x/%d", task, epoch)
}

// rank commits to how the company weighs a task's models, by what they scored. The
// ranking is in the journal before: whatever is served meanwhile, the company
// reveals what it committed to. With nothing to say it commits to nothing.
func (a *Agent) rank(ctx context.Context, v ledger.View, d federation.Rank) (bool, error) {
	t, ok := ledger.TaskOf(v, d.Task)
	if !ok {
		return false, fmt.Errorf("no task %x", d.Task[:6])
	}
	if !a.ranks(t) {
		return false, &RefusedError{ErrDeclined}
	}
	r, err := a.ranking(d.Task, d.Epoch)
	if errors.Is(err, store.ErrNotFound) {
		r, err = a.newRanking(v, t, d.Epoch)
	}
	switch {
	case err != nil:
		return false, err
	case len(r.Weights) == 0:
		return true, a.Store.Journal.Put("done/"+d.Key(), []byte{1})
	}
	hash := ledger.RankingHash(ledger.GenesisOf(v).Chain, a.Name, r)
	return a.submit(ctx, &ledger.CommitRanking{Task: d.Task, Epoch: d.Epoch, Hash: hash})
}

// newRanking makes a ranking and writes it down.
func (a *Agent) newRanking(v ledger.View, t *ledger.Task, epoch uint64) (*ledger.RevealRanking, error) {
	weights, err := a.scored(federation.Ranked(v, t, a.Name))
	if err != nil {
		return nil, err
	}
	r := &ledger.RevealRanking{Task: t.ID, Epoch: epoch, Weights: weights,
		Salt: ledger.Digest(a.Seed.Derive("agent/ranking", t.ID[:], binary.BigEndian.AppendUint64(nil, epoch)))}
	var b []byte
	for _, w := range r.Weights {
		b = binary.BigEndian.AppendUint16(append(b, w.Model[:]...), w.Part)
	}
	name := rankingRecord(t.ID, epoch)
	return r, a.Store.Journal.Put(name, conceal(a.Seed, name, append(r.Salt[:], b...)))
}

// ranking is the one that the company wrote down for an epoch.
func (a *Agent) ranking(task ledger.Digest, epoch uint64) (*ledger.RevealRanking, error) {
	const weight = len(ledger.Digest{}) + 2
	name := rankingRecord(task, epoch)
	hidden, err := a.Store.Journal.Get(name)
	if err != nil {
		return nil, err
	}
	b, err := uncover(a.Seed, name, hidden)
	if err != nil {
		return nil, &RefusedError{err}
	}
	r := &ledger.RevealRanking{Task: task, Epoch: epoch}
	if len(b) < len(r.Salt) || (len(b)-len(r.Salt))%weight != 0 {
		return nil, never("the ranking of epoch %d is damaged; restore the journal", epoch)
	}
	b = b[copy(r.Salt[:], b):]
	for ; len(b) > 0; b = b[weight:] {
		r.Weights = append(r.Weights, ledger.Weight{Model: ledger.Digest(b[:weight-2]), Part: binary.BigEndian.Uint16(b[weight-2:])})
	}
	return r, nil
}

// unseal reveals the ranking that the company committed to.
func (a *Agent) unseal(ctx context.Context, d federation.Reveal) (bool, error) {
	r, err := a.ranking(d.Task, d.Epoch)
	if errors.Is(err, store.ErrNotFound) {
		return false, never("the journal lacks the ranking of epoch %d, which the ledger has a commitment to: it was rolled back", d.Epoch)
	}
	if err != nil {
		return false, err
	}
	return a.submit(ctx, r)
}
