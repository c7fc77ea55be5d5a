package agent

import (
	"context"
	"slices"

	"github.com/commonseal/commonseal/federation/replay"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/multiparty"
	"github.com/commonseal/commonseal/ledger"
)

// bitsOf is the release of a bit a pair under its ticket.
func (a *Agent) bitsOf(ctx context.Context, v ledger.View, w *job, ticket *ledger.Ticket, record *ledger.StepRecord) (*multiparty.Release, error) {
	blobs := map[ledger.Digest][]byte{}
	for _, d := range record.Inputs {
		var err error
		if blobs[d], err = a.fetch(ctx, v, w.ID, d); err != nil {
			return nil, err
		}
	}
	release, err := w.Bits(ticket, record, func(d ledger.Digest) ([]byte, error) { return blobs[d], nil })
	if err != nil {
		return nil, &RefusedError{err}
	}
	return release, nil
}

// openBits answers the ticket that ends comparing.
func (a *Agent) openBits(ctx context.Context, v ledger.View, w *job, ticket *ledger.Ticket, record *ledger.StepRecord) (bool, error) {
	release, err := a.bitsOf(ctx, v, w, ticket, record)
	if err != nil {
		return false, err
	}
	share, err := release.GenShare(w.keys.secrets, a.claims(w.keys))
	if err != nil {
		return false, used(err)
	}
	_, err = a.write(v, ledger.Post{Epoch: w.keys.number, Profile: a.Profiles.Release.Digest(), Scope: w.ID, Kind: ledger.PostShare,
		Step: ticket.Step, Previous: ticket.Record}, share.Append(nil))
	return err == nil, err
}

// left gives what a step's map left, by the shares that the record after it
// names. next is the record that is being looked at.
func (a *Agent) left(ctx context.Context, v ledger.View, w *job, next uint16, shares []ledger.Digest) replay.Left {
	return func(step uint16) ([]*he.Ciphertext, error) {
		if step+1 != next {
			_, record, err := a.ticketed(v, w.ID, step+1)
			if err != nil {
				return nil, err
			}
			return a.leftBy(ctx, v, w, step, record.Shares)
		}
		return a.leftBy(ctx, v, w, step, shares)
	}
}

// witnessCopies opens the bits again, from the shares that the model's record
// names.
func (a *Agent) witnessCopies(ctx context.Context, v ledger.View, w *job, record *ledger.ModelRecord) error {
	step := w.Steps + replay.CompareRounds
	ticket, last, err := a.ticketed(v, w.ID, step)
	if err != nil {
		return err
	}
	release, err := a.bitsOf(ctx, v, w, ticket, last)
	if err != nil {
		return err
	}
	var shares [][]byte
	for _, d := range record.Shares {
		b, err := a.fetch(ctx, v, w.ID, d)
		if err != nil {
			return err
		}
		shares = append(shares, b)
	}
	copies, err := w.Copies(release, shares)
	if err != nil {
		return &RefusedError{err}
	}
	if !slices.Equal(copies, record.Copies) {
		return &RefusedError{&ProvenanceError{Job: w.ID, Step: step, Detail: "opened again, other companies are copies"}}
	}
	return nil
}
