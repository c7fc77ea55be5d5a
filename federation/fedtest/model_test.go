package fedtest

import (
	"context"
	"slices"
	"testing"

	"github.com/commonseal/commonseal/federation/replay"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/circuit"
	"github.com/commonseal/commonseal/he/hetest"
	"github.com/commonseal/commonseal/he/multiparty"
	"github.com/commonseal/commonseal/ledger"
)

// openComparing opens a job that compares companies.
func openComparing(t *testing.T, w *World) ledger.Digest {
	t.Helper()
	open := &ledger.OpenJob{Task: ledger.TaskID(w.Genesis.Chain, "churn"), Algorithm: ledger.Logistic, Steps: steps, LearningRate: replay.FixedRate(0.5), Valued: []uint16{1, 2}, Rounds: replay.CompareRounds, Nodes: nodes, Quorum: 2}
	must(t, w.Record(context.Background(), "peer", open))
	return ledger.JobID("peer", open)
}

func modelOf(w *World, job ledger.Digest) *ledger.Model {
	j, _ := ledger.JobOf(w.View(), job)
	m, _ := ledger.ModelOf(w.View(), j.Model)
	return m
}

// TestAttackColludingRecords has nodes of two owners, a quorum, agree on what no
// honest node records: values of their choice to open, other integers than were
// opened, a round of comparing, other copies than the bits say. Each gets its ticket, and as long as nobody checks the
// model is served, the values count and nobody pays. Checkers find the model's record
// whatever is sampled; a round is found if it is, or by whoever looks. Then it is
// challenged, the validators vote, the nodes pay and nothing of the model counts.
func TestAttackColludingRecords(t *testing.T) {
	money := game
	money.Sample = 1 // one step of 21, and the model's record
	w, err := New(Options{Profiles: hetest.Profiles(t), Policy: copying, Mode: ledger.Quorum, Money: money, Checkers: []string{"val-1", "val-2", "val-3"}})
	must(t, err)
	brought := bring(t, w)
	honest := branch(t, brought, 0, false)
	want := trained(t, honest, openComparing(t, honest))
	laterIsCopy(t, honest, want)
	const round, model, values = steps + replay.CompareRounds, steps + replay.CompareRounds + 1, steps + replay.CompareRounds + 2
	for name, attack := range map[string]struct {
		step  uint16
		forge func(*testing.T, *World, string, ledger.Body) ledger.Body
		done  func(*ledger.Model) bool // the attack worked
	}{
		"values": {model, twiceTheValues, func(m *ledger.Model) bool { return m.Opened[1] > want.Opened[1]*3/2 }},
		"opened": {values, otherIntegers, func(m *ledger.Model) bool { return m.Opened[1] > want.Opened[1]*3/2 }},
		"round":  {round, otherRound, func(m *ledger.Model) bool { return len(m.Opened) == len(want.Opened) }},
		"copies": {model, otherCopies, func(m *ledger.Model) bool { return m.Opened[0] > 0 && m.Opened[1]*m.Opened[2] == 0 }},
	} {
		t.Run(name, func(t *testing.T) {
			w := branch(t, brought, 0, false)
			for _, v := range w.Options.Checkers {
				w.Absent[v] = true
			}
			w.Forge = func(from string, b ledger.Body) ledger.Body { return attack.forge(t, w, from, b) }
			job := openComparing(t, w)
			must(t, w.Until(context.Background(), 16_000, func(ledger.View) bool {
				m := modelOf(w, job)
				return m != nil && m.Served() && len(m.Opened) > 0
			}))
			if m := modelOf(w, job); !attack.done(m) || account(w, "north").Stake != game.Bond {
				t.Fatalf("nobody checks, and the attack fails: copies %v, values %v; honest ones %v, %v", m.Copies, m.Opened, want.Copies, want.Opened)
			}
			seeds := uint64(3) // messages are lost and checkers crash in all but the first
			if testing.Short() {
				seeds = 1
			}
			for seed := range seeds {
				w := branch(t, w, seed, seed > 0)
				if attack.step == round {
					must(t, w.Record(context.Background(), "bob", &ledger.OpenChallenge{Job: job, Step: round}))
				}
				foundOut(t, w, job, attack.step)
			}
		})
	}
}

// twiceTheValues opens values of the nodes' choice: what companies earn is twice what
// it should be.
func twiceTheValues(t *testing.T, w *World, from string, b ledger.Body) ledger.Body {
	r, ok := b.(*ledger.ModelRecord)
	if !ok || !slices.Contains(nodes, from) {
		return b
	}
	blobs := w.Nodes[from].Store.Blobs
	kept, err := blobs.Get(r.Values)
	must(t, err)
	values, err := w.parseValues(kept)
	must(t, err)
	twice := he.Add(values, values)
	_, err = blobs.Put(twice.Append(nil))
	must(t, err)
	forged := *r
	forged.Values, forged.C1 = twice.Digest(), twice.C1Digest()
	return &forged
}

// otherIntegers records values that are twice those that open, with the companies'
// own shares.
func otherIntegers(_ *testing.T, _ *World, from string, b ledger.Body) ledger.Body {
	x, ok := b.(*ledger.Values)
	if !ok || !slices.Contains(nodes, from) {
		return b
	}
	forged := *x
	forged.Values = slices.Clone(x.Values)
	for i := range forged.Values {
		forged.Values[i] *= 2
	}
	return &forged
}

// otherRound alters the bits that the last round opens, by less than is seen.
func otherRound(t *testing.T, w *World, from string, b ledger.Body) ledger.Body {
	r, ok := b.(*ledger.StepRecord)
	if !ok || r.Step != steps+replay.CompareRounds || !slices.Contains(nodes, from) {
		return b
	}
	forged, err := w.AlterRecord(from, r)
	must(t, err)
	return forged
}

// otherCopies takes companies for copies whose rows differ, and has the values opened
// that would then be right.
func otherCopies(t *testing.T, w *World, from string, b ledger.Body) ledger.Body {
	r, ok := b.(*ledger.ModelRecord)
	if !ok || !slices.Contains(nodes, from) {
		return b
	}
	forged := *r
	forged.Copies = []ledger.Pair{{First: 1, Second: 2}}
	sum, ops, err := w.valuesWithout(r.Job, forged.Copies)
	must(t, err)
	_, err = w.Nodes[from].Store.Blobs.Put(sum.Append(nil))
	must(t, err)
	forged.Values, forged.C1, forged.Ops = sum.Digest(), sum.C1Digest(), nil
	for _, op := range ops {
		forged.Ops = append(forged.Ops, op.Digest())
	}
	return &forged
}

// valuesWithout are a job's values as they are to be opened if these companies are
// copies.
func (w *World) valuesWithout(job ledger.Digest, copies []ledger.Pair) (*he.Ciphertext, []circuit.Op, error) {
	v := w.View()
	j, _ := ledger.JobOf(v, job)
	task, _ := ledger.TaskOf(v, j.Task)
	keys, err := replay.TaskKeys(v, task, w.Profiles, w.blob)
	if err != nil {
		return nil, nil, err
	}
	derived, err := replay.NewJob(v, j, w.Profiles, keys.Roster)
	if err != nil {
		return nil, nil, err
	}
	ev, err := replay.NewEvaluator(derived, keys.Public, keys.Train, keys.Release)
	if err != nil {
		return nil, nil, err
	}
	return ev.Values(func(step uint16) ([]*he.Ciphertext, error) { return w.left(derived, step) }, copies)
}

// left is what a step's map left, by the shares that the next record names.
func (w *World) left(j *replay.Job, step uint16) ([]*he.Ciphertext, error) {
	ticket, record, err := replay.Ticketed(w.View(), j.ID, step)
	if err != nil {
		return nil, err
	}
	_, next, err := replay.Ticketed(w.View(), j.ID, step+1)
	if err != nil {
		return nil, err
	}
	round, err := j.Round(ticket, record, w.blob)
	if err != nil {
		return nil, err
	}
	shares := make([]*multiparty.MapShare, len(next.Shares))
	for i, d := range next.Shares {
		b, err := w.blob(d)
		if err != nil {
			return nil, err
		}
		if shares[i], err = j.Map(step).ParseShare(b); err != nil {
			return nil, err
		}
	}
	out, _, err := round.Finish(shares)
	return out, err
}
