package fedtest

import (
	"context"
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/commonseal/commonseal/federation/replay"
	"github.com/commonseal/commonseal/federation/wire"
	"github.com/commonseal/commonseal/he/hetest"
	"github.com/commonseal/commonseal/he/multiparty"
	"github.com/commonseal/commonseal/ledger"
)

// openJob opens the job of [train] and returns its id.
func openJob(t *testing.T, w *World) ledger.Digest {
	t.Helper()
	open := &ledger.OpenJob{Task: ledger.TaskID(w.Genesis.Chain, "churn"), Algorithm: ledger.Logistic, Steps: steps, LearningRate: replay.FixedRate(0.5), Valued: []uint16{1, 2}, Nodes: nodes, Quorum: 2}
	must(t, w.Record(context.Background(), "peer", open))
	return ledger.JobID("peer", open)
}

func state(w *World, job ledger.Digest) ledger.JobState {
	j, _ := ledger.JobOf(w.View(), job)
	return j.State
}

// A company goes home in the middle of a job. At the deadline the job is paused,
// nobody's rows or shares are lost, and when it is back the job goes on to the
// model of the quiet world.
func TestAbsentCompany(t *testing.T) {
	ctx := context.Background()
	quiet, err := New(Options{Profiles: hetest.Profiles(t), Policy: policy, Mode: ledger.Quorum, Patience: 120_000})
	must(t, err)
	bring(t, quiet)
	want := train(t, branch(t, quiet, 0, false))

	w := branch(t, quiet, 1, false)
	job := openJob(t, w)
	must(t, w.Until(ctx, 4000, func(v ledger.View) bool { j, _ := ledger.JobOf(v, job); return j.Step == 2 }))
	w.Absent["bob"] = true
	must(t, w.Until(ctx, 40000, func(v ledger.View) bool { j, _ := ledger.JobOf(v, job); return j.State == ledger.JobPaused }))
	delete(w.Absent, "bob")
	must(t, w.Until(ctx, 4000, func(v ledger.View) bool {
		j, _ := ledger.JobOf(v, job)
		m, ok := ledger.ModelOf(v, j.Model)
		return ok && len(m.Opened) > 0
	}))
	must(t, w.Audit(job))
	j, _ := ledger.JobOf(w.View(), job)
	m, _ := ledger.ModelOf(w.View(), j.Model)
	if len(m.Opened) != len(want.Opened) || m.Opened[0] != want.Opened[0] {
		t.Errorf("values %v; the quiet world's are %v", m.Opened, want.Opened)
	}
}

// It never comes back: any other key holder ends the job, and rows stay where
// they are for the next.
func TestJobWithoutACompanyIsAborted(t *testing.T) {
	ctx := context.Background()
	w := bring(t, world(t, 3, false, ledger.Quorum))
	job := openJob(t, w)
	must(t, w.Until(ctx, 4000, func(v ledger.View) bool { j, _ := ledger.JobOf(v, job); return j.Step == 1 }))
	w.Absent["bob"] = true
	must(t, w.Record(ctx, "ann", &ledger.AbortJob{Job: job}))
	if got := state(w, job); got != ledger.JobAborted {
		t.Fatalf("the job is %v, want aborted", got)
	}
	delete(w.Absent, "bob")
	must(t, w.Settle(ctx))
	j, _ := ledger.JobOf(w.View(), job)
	if _, ok := ledger.TicketOf(w.View(), job, j.Step); ok || state(w, job) != ledger.JobAborted {
		t.Errorf("an aborted job went on to a ticket of step %d", j.Step)
	}
	again := &ledger.OpenJob{Task: ledger.TaskID(w.Genesis.Chain, "churn"), Algorithm: ledger.Logistic, Steps: steps, LearningRate: replay.FixedRate(0.5), Nodes: nodes, Quorum: 2, Salt: 1}
	must(t, w.Record(ctx, "peer", again))
	must(t, w.Until(ctx, 8000, func(v ledger.View) bool {
		j, _ := ledger.JobOf(v, ledger.JobID("peer", again))
		return j.State == ledger.JobDone
	}))
}

// A company that is cut off from the ledger says nothing for a ticket that it
// has not seen, whatever nodes hold; when it is back it answers.
func TestCutOffCompanyIsSilent(t *testing.T) {
	ctx := context.Background()
	w := bring(t, world(t, 4, false, ledger.Quorum))
	job := openJob(t, w)
	must(t, w.Until(ctx, 4000, func(ledger.View) bool { return said(w, job, "ann", 0) }))
	w.CutOff["ann"] = true
	// Everybody else does what can be done, and ann what she thinks is due.
	const at = 1
	must(t, w.Until(ctx, 4000, func(v ledger.View) bool { _, ok := ledger.TicketOf(v, job, at); return ok }))
	for range 200 {
		must(t, w.Turn(ctx))
	}
	if said(w, job, "ann", at) {
		t.Errorf("ann answered the ticket of step %d, which she cannot have seen", at)
	}
	delete(w.CutOff, "ann")
	must(t, w.Until(ctx, 8000, func(v ledger.View) bool { return state(w, job) == ledger.JobDone }))
	if !said(w, job, "ann", at) {
		t.Errorf("ann never answered the ticket of step %d", at)
	}
}

// A node has lost a ciphertext that it vouched for: it takes it from its peer
// again, and the job ends as in a quiet world.
func TestLostCiphertextIsFetchedAgain(t *testing.T) {
	brought := bring(t, world(t, 0, false, ledger.Quorum))
	want := train(t, branch(t, brought, 0, false))
	w := branch(t, brought, 0, false)
	c, ok := ledger.ContributionOf(w.View(), ledger.TaskID(w.Genesis.Chain, "churn"), ledger.Training, "ann")
	if !ok {
		t.Fatal("ann contributed nothing")
	}
	b, err := w.Nodes["north"].Store.Blobs.Get(c.Manifest)
	must(t, err)
	m, err := wire.ParseManifest(b)
	must(t, err)
	must(t, w.Nodes["north"].Store.Blobs.Delete(m.Digests[0]))
	compare(t, train(t, w), want, w) // whose audit finds it at every node again
}

// From the ledger alone: between the tickets of two steps stand the records of
// two nodes and nothing else, so a step waits for one block after the first.
func TestStepIsTwoTransactions(t *testing.T) {
	w := bring(t, world(t, 0, false, ledger.Quorum))
	train(t, w)
	at := map[uint16][]int{} // where the records of a step are, among all transactions
	n := 0
	for _, b := range w.chain.blocks {
		for _, tx := range b.Txs {
			parsed, err := ledger.ParseTx(tx)
			must(t, err)
			if r, ok := parsed.Body.(*ledger.StepRecord); ok {
				at[r.Step] = append(at[r.Step], n)
			}
			n++
		}
	}
	for s := range uint16(steps + 1) {
		if len(at[s]) != 2 {
			t.Fatalf("step %d has %d transactions, want 2", s, len(at[s]))
		}
		if s > 0 && (at[s][0] != at[s-1][1]+1 || at[s][1] != at[s][0]+1) {
			t.Errorf("step %d's transactions are at %v, after those of the step before at %v: something came between", s, at[s], at[s-1])
		}
	}
}

// A company sends a share of the right form and another content, the copy of
// another company's. The nodes find that the shares do not add up, say so, and
// record nothing: no model comes of it.
func TestGarbageShareStopsTheJob(t *testing.T) {
	ctx := context.Background()
	w := bring(t, world(t, 5, false, ledger.Quorum))
	job := openJob(t, w)
	var bobs []byte
	tampered := false
	w.Tamper = func(from string, p ledger.Post, blob []byte) (ledger.Post, []byte) {
		switch {
		case p.Kind != ledger.PostShare || p.Step != 1:
			return p, blob
		case from == "bob":
			bobs = blob
		case from == "ann":
			tampered = true
			p.Blob = sha256.Sum256(bobs)
			return p.Sign(w.Private("ann")), bobs
		}
		return p, blob
	}
	must(t, w.Until(ctx, 4000, func(v ledger.View) bool { j, _ := ledger.JobOf(v, job); return j.Step == 1 && said(w, job, "ann", 0) }))
	w.Absent["ann"] = true
	must(t, w.Until(ctx, 4000, func(ledger.View) bool { return bobs != nil }))
	delete(w.Absent, "ann")
	var garbled *multiparty.GarbledError
	err := w.Until(ctx, 4000, func(v ledger.View) bool { j, _ := ledger.JobOf(v, job); return j.Step > 2 || j.State == ledger.JobDone })
	if !tampered || !errors.As(err, &garbled) {
		t.Fatalf("the job went on to %v, or stopped for another reason: %v", state(w, job), err)
	}
	if j, _ := ledger.JobOf(w.View(), job); j.Step > 2 {
		t.Errorf("step %d was recorded on a wrong share", j.Step-1)
	}
}

// said says whether a company has put its share of a step.
func said(w *World, job ledger.Digest, company string, step uint16) bool {
	_, ok := w.said[string(ledger.Post{Scope: job, Kind: ledger.PostShare, Step: step, Sender: w.Public(company)}.Key())]
	return ok
}
