package replay

import (
	"errors"
	"fmt"

	"github.com/commonseal/commonseal/federation/wire"
	"github.com/commonseal/commonseal/he/multiparty"
	"github.com/commonseal/commonseal/ledger"
)

// Observe feeds an observer everything that was recorded of a ceremony that is
// over, stage by stage: all commitments, then all reveals. blob gives what is
// not in the ledger itself.
func Observe(v ledger.View, id ledger.Digest, o *multiparty.Observer, blob func(ledger.Digest) ([]byte, error)) error {
	y, err := over(v, id)
	if err != nil {
		return err
	}
	for stage := range y.Stages {
		for _, party := range y.Parties {
			m, ok := ledger.CommitOf(v, id, uint8(stage), party)
			if !ok {
				return errors.New("a commitment is missing") // unreachable: the ceremony is over
			}
			if err := o.Receive(party, m.Promise); err != nil {
				return err
			}
		}
		for _, party := range y.Parties {
			messages, err := Revealed(v, id, uint8(stage), party, blob)
			if err != nil {
				return err
			}
			for _, m := range messages {
				if err := o.Receive(party, m); err != nil {
					return err
				}
			}
		}
	}
	if !o.Done() || o.KeyDigest() != y.Keys {
		return fmt.Errorf("ceremony %x leads to keys %x here; the ledger has %x", id[:6], o.KeyDigest(), y.Keys)
	}
	return nil
}

// Revealed are the messages a party revealed in a stage, one a part.
func Revealed(v ledger.View, id ledger.Digest, stage uint8, party string, blob func(ledger.Digest) ([]byte, error)) ([][]byte, error) {
	r, ok := ledger.RevealOf(v, id, stage, party)
	if !ok {
		return nil, fmt.Errorf("%s has not revealed stage %d", party, stage)
	}
	if len(r.Inline) > 0 {
		return [][]byte{r.Inline}, nil
	}
	var out [][]byte
	for _, d := range r.Blobs {
		b, err := blob(d)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

// Ticketed is the ticket of a step and the record that a quorum agreed on.
func Ticketed(v ledger.View, job ledger.Digest, step uint16) (*ledger.Ticket, *ledger.StepRecord, error) {
	ticket, ok := ledger.TicketOf(v, job, step)
	if !ok {
		return nil, nil, fmt.Errorf("step %d of job %x has no ticket", step, job[:6])
	}
	for _, r := range ledger.Steps(v, job, step) {
		if r.Digest() == ticket.Record {
			return ticket, &r, nil
		}
	}
	return nil, nil, fmt.Errorf("the record of step %d of job %x is gone", step, job[:6]) // unreachable: nothing deletes what opened a ticket
}

// Contributions reads into ev what pooled companies contributed to a job.
func Contributions(v ledger.View, job *Job, ev *Evaluator, blob Blobs) error {
	for _, use := range []ledger.ContributionKind{ledger.Training, ledger.Validation} {
		if err := contributionsOf(v, job, ev, use, blob); err != nil {
			return err
		}
	}
	return nil
}

// contributionsOf reads those of one use.
func contributionsOf(v ledger.View, job *Job, ev *Evaluator, use ledger.ContributionKind, blob Blobs) error {
	for i, x := range job.Task.Consents {
		c, ok := ledger.ContributionOf(v, job.Task.ID, use, x.Company)
		if !ok || x.Local {
			continue
		}
		b, err := blob(c.Manifest)
		if err != nil {
			return err
		}
		m, err := wire.ParseManifest(b)
		if err != nil {
			return fmt.Errorf("%s: %w", x.Company, err)
		}
		if err := ev.Contribute(use, i, m.Blocks(), blob); err != nil {
			return fmt.Errorf("%s: %w", x.Company, err)
		}
	}
	return nil
}
