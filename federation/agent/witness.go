package agent

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/commonseal/commonseal/federation"
	"github.com/commonseal/commonseal/federation/replay"
	"github.com/commonseal/commonseal/federation/store"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/multiparty"
	"github.com/commonseal/commonseal/ledger"
)

// witness replays a recorded step from what the ledger names, and writes down
// that it comes to the same. A step that does not is never answered.
func (a *Agent) witness(ctx context.Context, v ledger.View, d federation.Witness) (bool, error) {
	j, ok := ledger.JobOf(v, d.Job)
	if !ok || !j.State.Works() {
		return false, &RefusedError{ErrNoTicket}
	}
	w, err := a.jobOf(ctx, v, j)
	if err != nil {
		return false, err
	}
	ticket, record, err := a.ticketed(v, d.Job, d.Step)
	if err != nil {
		return false, err
	}
	step, err := a.replay(ctx, v, w, record)
	if err != nil {
		return false, err
	}
	var mine ledger.StepRecord
	step.Record(&mine)
	if !slices.Equal(mine.Inputs, record.Inputs) || !slices.Equal(mine.C1s, record.C1s) || !slices.Equal(mine.Ops, record.Ops) ||
		mine.Level != record.Level || mine.LogScale != record.LogScale {
		return false, &RefusedError{&ProvenanceError{Job: j.ID, Step: d.Step, Detail: "replayed, its inputs have other digests"}}
	}
	return true, a.Store.Journal.Put("done/"+d.Key(), ticket.Record[:])
}

// witnessed says whether the company replayed the very record of a ticket.
func (a *Agent) witnessed(job ledger.Digest, step uint16, record ledger.Digest) error {
	b, err := a.Store.Journal.Get("done/" + federation.Witness{Job: job, Step: step}.Key())
	switch {
	case errors.Is(err, store.ErrNotFound) || err == nil && string(b) != string(record[:]):
		return never("step %d of job %x is not replayed by this company", step, job[:6])
	}
	return err
}

// replay evaluates a step again.
func (a *Agent) replay(ctx context.Context, v ledger.View, w *job, record *ledger.StepRecord) (replay.Step, error) {
	ev, err := a.evaluatorOf(ctx, v, w)
	if err != nil {
		return replay.Step{}, err
	}
	if record.Step == 0 {
		return ev.Start(), nil
	}
	if record.Step > w.Steps {
		return ev.Compare(record.Step, a.left(ctx, v, w, record.Step, record.Shares))
	}
	left, err := a.leftBy(ctx, v, w, record.Step-1, record.Shares)
	if err != nil {
		return replay.Step{}, err
	}
	updates := map[federation.Owed]*he.Ciphertext{}
	for _, b := range record.Updates {
		p, err := ledger.ParsePost(b)
		if err != nil {
			return replay.Step{}, &RefusedError{err}
		}
		name, _ := ledger.Signer(v, p.Sender)
		blob, err := a.fetch(ctx, v, w.ID, p.Blob)
		if err != nil {
			return replay.Step{}, err
		}
		if updates[federation.Owed{Company: name, Index: p.Index}], err = w.ParseUpdate(blob); err != nil {
			return replay.Step{}, &RefusedError{err}
		}
	}
	step, err := ev.Step(record.Step, left[0], left[1], updates)
	if err != nil {
		return replay.Step{}, &RefusedError{err}
	}
	return step, nil
}

// leftBy is what a step's map left: the sum of the shares that the next record
// names, this company's own among them.
func (a *Agent) leftBy(ctx context.Context, v ledger.View, w *job, step uint16, shares []ledger.Digest) ([]*he.Ciphertext, error) {
	if out := w.left[step]; out != nil {
		return out, nil
	}
	round, err := a.roundOf(ctx, v, w, step)
	if err != nil {
		return nil, err
	}
	mine, ok, err := a.wrote(ledger.Post{Scope: w.ID, Kind: ledger.PostShare, Step: step})
	if err != nil {
		return nil, err
	}
	self := w.keys.secrets.Index
	if !ok || len(shares) != w.Roster.N() || shares[self] != mine.Blob {
		return nil, &RefusedError{&ProvenanceError{Job: w.ID, Step: step, Detail: "the record does not name this company's share"}}
	}
	parsed, m := make([]*multiparty.MapShare, len(shares)), w.Map(step)
	for i, d := range shares {
		b, err := a.fetch(ctx, v, w.ID, d)
		if err != nil {
			return nil, err
		}
		if parsed[i], err = m.ParseShare(b); err != nil {
			return nil, &RefusedError{err}
		}
	}
	out, rest, err := round.Finish(parsed)
	if err != nil {
		return nil, &RefusedError{err}
	}
	w.left[step] = out
	if rest != nil {
		w.rest = rest
	}
	if step > 0 && !w.IsValued(step-1) { // others are valued in the end
		delete(w.left, step-1)
	}
	return out, nil
}

// named refuses what goes on from another share of a step than the one that this
// company wrote. Shares are added up: who puts another in the place of one moves
// what comes out as it likes, and evaluates everything after it honestly. As
// every company looks for its own, none is exchanged unseen. That a company has
// forgotten its own share intact finds.
func (a *Agent) named(keys *epochKeys, job ledger.Digest, step uint16, shares []ledger.Digest) error {
	mine, ok, err := a.wrote(ledger.Post{Scope: job, Kind: ledger.PostShare, Step: step})
	if err != nil || !ok || a.off.named {
		return err
	}
	if self := keys.secrets.Index; self >= len(shares) || shares[self] != mine.Blob {
		return &RefusedError{&ProvenanceError{Job: job, Step: step, Detail: "the record after it does not name this company's share"}}
	}
	return nil
}

// evaluatorOf holds all contributions of a job, as the ledger names them.
func (a *Agent) evaluatorOf(ctx context.Context, v ledger.View, w *job) (*replay.Evaluator, error) {
	if w.witness != nil {
		return w.witness, nil
	}
	keys, err := a.taskKeys(ctx, v, w.task)
	if err != nil {
		return nil, err
	}
	ev, err := replay.NewEvaluator(w.Job, w.keys.epoch.Train, keys.train, keys.release)
	if err != nil {
		return nil, &RefusedError{err}
	}
	if err := replay.Contributions(v, w.Job, ev, func(d ledger.Digest) ([]byte, error) { return a.fetch(ctx, v, w.ID, d) }); err != nil {
		return nil, err
	}
	w.witness = ev
	return ev, nil
}

// witnessValues replays what is to be opened.
func (a *Agent) witnessValues(ctx context.Context, v ledger.View, w *job, record *ledger.ModelRecord) error {
	ev, err := a.evaluatorOf(ctx, v, w)
	if err != nil {
		return err
	}
	if w.Opens(w.End()) {
		if err := a.witnessCopies(ctx, v, w, record); err != nil {
			return err
		}
	}
	sum, _, err := ev.Values(a.left(ctx, v, w, w.End()+1, record.Shares), record.Copies)
	if err != nil {
		return err
	}
	if sum == nil || sum.Digest() != record.Values {
		return &RefusedError{&ProvenanceError{Job: w.ID, Step: w.Steps + 1, Detail: "replayed, the values have another digest"}}
	}
	return nil
}

// witnessModel replays what the last map left: the weights that a model is named
// after, and its public remainder.
func (a *Agent) witnessModel(ctx context.Context, v ledger.View, m *ledger.Model) error {
	j, ok := ledger.JobOf(v, m.Job)
	if !ok {
		return fmt.Errorf("no job %x", m.Job[:6])
	}
	w, err := a.jobOf(ctx, v, j)
	if err != nil {
		return err
	}
	record := concluded(v, j)
	if record == nil || record.Model() != m.ID {
		return never("model %x is not what job %x ended with", m.ID[:6], j.ID[:6])
	}
	left, err := a.left(ctx, v, w, w.End()+1, record.Shares)(w.Steps)
	if err != nil {
		return err
	}
	rest, err := multiparty.NewModelShare(a.Profiles.Serve, w.rest)
	if err != nil {
		return &RefusedError{err}
	}
	if left[1].Digest() != record.State || sha256.Sum256(rest.Append(nil)) != record.Remainder {
		return &RefusedError{&ProvenanceError{Job: j.ID, Step: w.Steps + 1, Detail: "replayed, the model has other digests"}}
	}
	return nil
}
