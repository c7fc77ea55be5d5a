package fedtest

import (
	"fmt"

	"github.com/commonseal/commonseal/federation/replay"
	"github.com/commonseal/commonseal/federation/wire"
	"github.com/commonseal/commonseal/he/circuit"
	"github.com/commonseal/commonseal/ledger"
)

// Audit re-reads a finished world as somebody who trusts nobody: every node's
// records of a job's steps are equal, every recorded operation gives the recorded
// digests again, and no accepted contribution is lost.
func (w *World) Audit(job ledger.Digest) error {
	v := w.View()
	j, ok := ledger.JobOf(v, job)
	if !ok {
		return fmt.Errorf("no job %x", job[:6])
	}
	t, _ := ledger.TaskOf(v, j.Task)
	keys, err := replay.TaskKeys(v, t, w.Profiles, w.blob)
	if err != nil {
		return err
	}
	derived, err := replay.NewJob(v, j, w.Profiles, keys.Roster)
	if err != nil {
		return err
	}
	ev, err := replay.NewEvaluator(derived, keys.Public, keys.Train, keys.Release)
	if err != nil {
		return err
	}
	if err := w.contributions(t); err != nil {
		return err
	}
	again := ev.Replayer(w.blob)
	for s := range j.End() + 1 {
		records := ledger.Steps(v, job, s)
		if len(records) != len(nodes) || records[0].Digest() != records[len(records)-1].Digest() {
			return fmt.Errorf("step %d: %d records that are not equal, of %d nodes", s, len(records), len(nodes))
		}
		if err := w.replay(again, records[0].Ops); err != nil {
			return fmt.Errorf("step %d: %w", s, err)
		}
	}
	model, ok := ledger.ModelRecordOf(v, job, nodes[0])
	if !ok {
		return fmt.Errorf("%s recorded no model", nodes[0])
	}
	return w.replay(again, model.Ops)
}

// replay does recorded operations again.
func (w *World) replay(again *circuit.Replayer, digests []ledger.Digest) error {
	var ops []circuit.Op
	for _, d := range digests {
		b, err := w.blob(d)
		if err != nil {
			return err
		}
		op, err := circuit.ParseOp(b)
		if err != nil {
			return err
		}
		ops = append(ops, op)
	}
	return again.ReplayAll(ops)
}

// contributions checks that nodes still hold all that they said they hold.
func (w *World) contributions(t *ledger.Task) error {
	for _, x := range t.Consents {
		for _, use := range []ledger.ContributionKind{ledger.Training, ledger.Validation} {
			c, ok := ledger.ContributionOf(w.View(), t.ID, use, x.Company)
			if !ok || x.Local {
				continue
			}
			for _, h := range c.Held {
				b, err := w.Nodes[h.Node].Store.Blobs.Get(c.Manifest)
				if err != nil {
					return fmt.Errorf("%s lost the manifest of %s: %w", h.Node, x.Company, err)
				}
				m, err := wire.ParseManifest(b)
				if err != nil {
					return err
				}
				for _, d := range m.Digests {
					if _, err := w.Nodes[h.Node].Store.Blobs.Get(d); err != nil {
						return fmt.Errorf("%s lost a ciphertext of %s: %w", h.Node, x.Company, err)
					}
				}
			}
		}
	}
	return nil
}

// blob is a blob that any node has.
func (w *World) blob(d ledger.Digest) ([]byte, error) {
	var err error
	for _, n := range nodes {
		var b []byte
		if b, err = w.Nodes[n].Store.Blobs.Get(d); err == nil {
			return b, nil
		}
	}
	return nil, err
}
