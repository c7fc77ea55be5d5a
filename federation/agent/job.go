package agent

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/commonseal/commonseal/federation"
	"github.com/commonseal/commonseal/federation/replay"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/multiparty"
	"github.com/commonseal/commonseal/ledger"
)

// A job is a training run that the company answers for, as far as it has worked
// on it.
type job struct {
	*replay.Job
	task    *ledger.Task
	keys    *epochKeys
	rounds  map[uint16]*multiparty.Round // the last two
	left    map[uint16][]*he.Ciphertext  // what a step's map left, for a witness: likewise
	rest    []*big.Int                   // the remainder that the last map left, likewise
	witness *replay.Evaluator
	local   *local
}

// vouches says whether a node said that it holds a contribution.
func vouches(m *ledger.Member, h ledger.Held, company string, said *ledger.Contribute) bool {
	return ed25519.Verify(m.Signing[:], ledger.HeldMessage(said.Task, company, said.Manifest, said.Bytes), h.Signature[:])
}

// approve consents to answer for a job that the policy allows.
func (a *Agent) approve(ctx context.Context, v ledger.View, d federation.Approve) (bool, error) {
	j, ok := ledger.JobOf(v, d.Job)
	if !ok {
		return false, fmt.Errorf("no job %x", d.Job[:6])
	}
	w, err := a.jobOf(ctx, v, j)
	if err != nil {
		return false, err
	}
	switch ok, err := a.takesOn(w.task, j.ID); {
	case err != nil:
		return false, err
	case !ok:
		return false, &RefusedError{ErrDeclined}
	}
	return a.submit(ctx, &ledger.ApproveJob{Job: j.ID})
}

// jobOf is the company's own derivation of a job that its policy allows.
func (a *Agent) jobOf(ctx context.Context, v ledger.View, j *ledger.Job) (*job, error) {
	t, ok := ledger.TaskOf(v, j.Task)
	if !ok {
		return nil, fmt.Errorf("no task %x", j.Task[:6])
	}
	if !a.policy.allows(t, j) {
		return nil, &RefusedError{ErrDeclined}
	}
	if w := a.jobs[j.ID]; w != nil {
		return w, nil
	}
	keys, err := a.epochOf(ctx, v, t.Epoch)
	if err != nil {
		return nil, err
	}
	derived, err := replay.NewJob(v, j, a.Profiles, keys.epoch.Roster)
	if err != nil {
		return nil, &RefusedError{err}
	}
	w := &job{Job: derived, task: t, keys: keys, rounds: map[uint16]*multiparty.Round{}, left: map[uint16][]*he.Ciphertext{}}
	a.jobs[j.ID] = w
	return w, nil
}

// ticketed is the ticket of a step, and the record that it was opened for.
func (a *Agent) ticketed(v ledger.View, id ledger.Digest, step uint16) (*ledger.Ticket, *ledger.StepRecord, error) {
	if records := ledger.Steps(v, id, step); a.off.ticket && len(records) > 0 {
		return &ledger.Ticket{Job: id, Step: step, Record: records[0].Digest(), C1s: records[0].C1s}, &records[0], nil
	}
	if _, ok := ledger.TicketOf(v, id, step); !ok {
		return nil, nil, &RefusedError{ErrNoTicket}
	}
	return replay.Ticketed(v, id, step)
}

// roundOf is the collective map of a step under its ticket.
func (a *Agent) roundOf(ctx context.Context, v ledger.View, w *job, step uint16) (*multiparty.Round, error) {
	if r := w.rounds[step]; r != nil {
		return r, nil
	}
	ticket, record, err := a.ticketed(v, w.ID, step)
	if err != nil {
		return nil, err
	}
	return a.apply(ctx, v, w, ticket, record)
}

// apply is the map of a ticket applied to the inputs of its record.
func (a *Agent) apply(ctx context.Context, v ledger.View, w *job, ticket *ledger.Ticket, record *ledger.StepRecord) (*multiparty.Round, error) {
	inputs := map[ledger.Digest][]byte{}
	for _, d := range record.Inputs {
		var err error
		if inputs[d], err = a.fetch(ctx, v, w.ID, d); err != nil {
			return nil, err
		}
	}
	r, err := w.Round(ticket, record, func(d ledger.Digest) ([]byte, error) { return inputs[d], nil })
	if err != nil {
		return nil, &RefusedError{err} // the blobs are what the record names: it is the record that is wrong
	}
	w.rounds[ticket.Step] = r
	if ticket.Step >= 2 {
		delete(w.rounds, ticket.Step-2)
	}
	return r, nil
}

// share answers a ticket with the company's share of the map, once and for ever
// (laws L2 and L3).
func (a *Agent) share(ctx context.Context, v ledger.View, d federation.Share) (bool, error) {
	j, ok := ledger.JobOf(v, d.Job)
	if !ok || !j.State.Works() || !slices.Contains(j.Approvals, a.Name) || j.Step > d.Step+1 {
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
	if isStrict(v) {
		if err := a.witnessed(d.Job, d.Step, ticket.Record); err != nil {
			return false, err
		}
	}
	return a.answer(ctx, v, w, ticket, record)
}

// answer makes the share of a ticketed map and writes it down before it leaves.
func (a *Agent) answer(ctx context.Context, v ledger.View, w *job, ticket *ledger.Ticket, record *ledger.StepRecord) (bool, error) {
	if err := a.intact(v, w.keys); err != nil {
		return false, err
	}
	if ticket.Step > 0 {
		if err := a.named(w.keys, w.ID, ticket.Step-1, record.Shares); err != nil {
			return false, err
		}
	}
	if w.Opens(ticket.Step) {
		return a.openBits(ctx, v, w, ticket, record)
	}
	round, err := a.apply(ctx, v, w, ticket, record)
	if err != nil {
		return false, err
	}
	share, err := round.GenShare(w.keys.secrets, a.claims(w.keys))
	if err != nil {
		return false, used(err)
	}
	if ticket.Step == w.Steps {
		if err := a.keepModel(w, round); err != nil {
			return false, err
		}
	}
	_, err = a.write(v, ledger.Post{Epoch: w.keys.number, Profile: a.Profiles.Train.Digest(), Scope: w.ID, Kind: ledger.PostShare,
		Step: ticket.Step, Previous: ticket.Record}, share.Append(nil))
	return err == nil, err
}

// claims is the epoch's journal of what was answered.
func (a *Agent) claims(k *epochKeys) multiparty.Journal {
	if a.off.journal {
		return &multiparty.UsedSet{}
	}
	return k.claims
}

// used makes the final refusals of a share journal final.
func used(err error) error {
	var twice *multiparty.UsedError
	var spent *multiparty.SpentError
	if errors.As(err, &twice) || errors.As(err, &spent) {
		return &RefusedError{err}
	}
	return err
}

// opening answers the ticket of a job's values.
func (a *Agent) opening(ctx context.Context, v ledger.View, d federation.Opening) (bool, error) {
	j, ok := ledger.JobOf(v, d.Job)
	if !ok || j.State != ledger.JobDone || over(v, j) {
		return false, &RefusedError{ErrNoTicket}
	}
	w, err := a.jobOf(ctx, v, j)
	if err != nil {
		return false, err
	}
	ticket, ok := ledger.TicketOf(v, j.ID, j.Step)
	record := concluded(v, j)
	if !ok || record == nil || record.Digest() != ticket.Record {
		return false, &RefusedError{ErrNoTicket}
	}
	if err := a.intact(v, w.keys); err != nil {
		return false, err
	}
	if err := a.named(w.keys, j.ID, j.End(), record.Shares); err != nil {
		return false, err
	}
	if isStrict(v) {
		if err := a.witnessValues(ctx, v, w, record); err != nil {
			return false, err
		}
	}
	b, err := a.fetch(ctx, v, j.ID, record.Values)
	if err != nil {
		return false, err
	}
	values, err := w.ParseValues(b)
	if err != nil {
		return false, &RefusedError{err}
	}
	release, err := w.Release(ticket, values, record.Copies)
	if err != nil {
		return false, &RefusedError{err}
	}
	share, err := release.GenShare(w.keys.secrets, a.claims(w.keys))
	if err != nil {
		return false, used(err)
	}
	_, err = a.write(v, ledger.Post{Epoch: w.keys.number, Profile: a.Profiles.Release.Digest(), Scope: j.ID, Kind: ledger.PostOpening,
		Step: j.Step, Previous: ticket.Record}, share.Append(nil))
	return err == nil, err
}

// concluded is the record that a job ended with, nil if it has not.
func concluded(v ledger.View, j *ledger.Job) *ledger.ModelRecord {
	for _, m := range ledger.Members(v) {
		if r, ok := ledger.ModelRecordOf(v, j.ID, m.Name); ok && r.Digest() == j.Last {
			return r
		}
	}
	return nil
}
