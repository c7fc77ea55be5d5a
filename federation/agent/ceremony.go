package agent

import (
	"context"
	"errors"
	"fmt"

	"github.com/commonseal/commonseal/federation"
	"github.com/commonseal/commonseal/he/multiparty"
	"github.com/commonseal/commonseal/ledger"
)

// openRoster begins a key epoch of all companies.
func (a *Agent) openRoster(ctx context.Context, d federation.OpenRoster) (bool, error) {
	if a.aborted.until > a.round {
		return false, nil
	}
	return a.submit(ctx, &ledger.OpenRoster{Epoch: d.Epoch, Parties: d.Parties, Stages: sizes(a.basePlan().Stages())})
}

// advance drives a ceremony, and aborts one that went wrong.
func (a *Agent) advance(ctx context.Context, v ledger.View, id ledger.Digest) (*ledger.Ceremony, *making, error) {
	y, ok := ledger.CeremonyOf(v, id)
	if !ok || y.Over() {
		return nil, nil, fmt.Errorf("ceremony %x is over", id[:6])
	}
	m, err := a.drive(ctx, v, y)
	var abort *multiparty.Abort
	if !errors.As(err, &abort) {
		return y, m, err
	}
	const longest = 400 // of a cause on the ledger, bytes
	cause := abort.Cause.String() + ": " + abort.Detail
	a.Log.Warn("a ceremony is aborted", "ceremony", fmt.Sprintf("%x", id[:6]), "cause", cause)
	delete(a.making, id)
	a.aborted = a.aborted.later(a.round)
	if _, err := a.submit(ctx, &ledger.AbortCeremony{Ceremony: id, Culprits: abort.Culprits, Cause: cause[:min(len(cause), longest)]}); err != nil {
		return nil, nil, err
	}
	return nil, nil, abort
}

// commit promises the parts of a stage.
func (a *Agent) commit(ctx context.Context, v ledger.View, d federation.CommitStage) (bool, error) {
	_, m, err := a.advance(ctx, v, d.Ceremony)
	if err != nil {
		return false, err
	}
	return a.submit(ctx, &ledger.Commit{Ceremony: d.Ceremony, Stage: d.Stage, Promise: m.promise})
}

// reveal says the parts of a stage: a small one on the ledger, all others to
// nodes, and on the ledger once each is with one.
func (a *Agent) reveal(ctx context.Context, v ledger.View, d federation.RevealStage) (bool, error) {
	_, m, err := a.advance(ctx, v, d.Ceremony)
	if err != nil {
		return false, err
	}
	said := &ledger.Reveal{Ceremony: d.Ceremony, Stage: d.Stage, Inline: m.inline}
	for _, l := range m.letters {
		if l.sent == 0 {
			if err := a.send(ctx, v, l); err != nil {
				return false, err
			}
		}
		said.Blobs = append(said.Blobs, l.post.Blob)
	}
	return a.submit(ctx, said)
}

// acknowledge says which keys a ceremony ended with, after what the company
// keeps of them is on disk.
func (a *Agent) acknowledge(ctx context.Context, v ledger.View, d federation.Acknowledge) (bool, error) {
	keys, ok, err := a.sealed(d.Ceremony)
	if err != nil {
		return false, err
	}
	if !ok {
		y, m, err := a.advance(ctx, v, d.Ceremony)
		if err != nil {
			return false, err
		}
		if !m.machine.Done() {
			return false, fmt.Errorf("ceremony %x is at its end without keys", y.ID[:6])
		}
		if keys, err = a.seal(y, m.machine); err != nil {
			return false, err
		}
		if a.wantsKeys(v) {
			a.made[y.ID] = m.machine
		}
		delete(a.making, y.ID)
		a.aborted = wait{}
	}
	return a.submit(ctx, &ledger.KeyAck{Ceremony: d.Ceremony, Keys: keys})
}
