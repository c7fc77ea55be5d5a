package agent

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/commonseal/commonseal/federation"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/multiparty"
	"github.com/commonseal/commonseal/ledger"
)

// shares are how many shares of maps a company has put, of a step of a job.
func (w *world) shares(company string, job ledger.Digest, step uint16) (n int) {
	m, _ := ledger.MemberOf(w.tip, company)
	for _, p := range w.puts {
		if p.Kind == ledger.PostShare && p.Sender == m.Signing && p.Scope == job && p.Step == step {
			n++
		}
	}
	return n
}

// twin is an agent on a copy of a company's store, with a defence off: what the
// company would do without it.
func (w *world) twin(c string, off defences) *Agent {
	w.t.Helper()
	kept := w.stores[c]
	defer func() { w.stores[c] = kept }()
	w.stores[c] = kept.Clone()
	agent := w.agents[c]
	defer func() { w.agents[c] = agent }()
	a := w.start(c)
	a.off = off
	a.reconsider()
	return a
}

// written is how many letters an agent has for a job.
func (a *Agent) written(job ledger.Digest) (n int) {
	for _, l := range a.outbox {
		if l.post.Scope == job {
			n++
		}
	}
	return n
}

// approved is a world with a job that waits for its first record.
func approved(t *testing.T, mode ledger.Mode, policy func(string) Policy, steps uint16) (*world, ledger.Digest) {
	t.Helper()
	w := ready(t, mode, policy)
	id := w.openJob(steps)
	for _, c := range companies {
		w.work(c)
	}
	if w.job(id).State != ledger.JobApproved {
		t.Fatalf("the job is in state %d", w.job(id).State)
	}
	return w, id
}

// reached works until a job's next step is the given one, and nobody has
// answered for the one before.
func (w *world) reached(id ledger.Digest, step uint16) {
	w.t.Helper()
	for range 40 {
		for range 2 { // what one has the other copies
			for _, n := range nodeNames {
				_, _ = w.nodes[n].Work(context.Background()) // what is missing comes
				if w.job(id).Step == step {
					return
				}
			}
		}
		for _, c := range companies {
			w.work(c)
		}
	}
	w.t.Fatalf("the job is at step %d, want %d", w.job(id).Step, step)
}

// TestAttackNoTicket asks for a share on the word of one node.
func TestAttackNoTicket(t *testing.T) {
	w, id := approved(t, ledger.Quorum, pooled, 1)
	_, _ = w.nodes["north"].Work(context.Background())
	if len(ledger.Steps(w.tip, id, 0)) != 1 || w.job(id).Step != 0 {
		t.Fatal("it is not one node that recorded step 0")
	}
	ctx, asked := context.Background(), federation.Share{Job: id, Step: 0}
	careless := w.twin("ann", defences{ticket: true})
	if did, err := careless.share(ctx, w.tip, asked); !did || err != nil || careless.written(id) != 1 {
		t.Errorf("undefended, ann does not answer: %v %v", did, err)
	}
	ann := w.twin("ann", defences{})
	if _, err := ann.share(ctx, w.tip, asked); !errors.Is(err, ErrNoTicket) || ann.written(id) != 0 {
		t.Errorf("ann answers one node: %v, %d letters", err, ann.written(id))
	}
	w.work("ann")
	if n := w.shares("ann", id, 0); n != 0 {
		t.Errorf("%d shares left without a ticket", n)
	}
}

// TestForeignInputsAreRefused opens tickets whose records are not of what they
// say.
func TestForeignInputsAreRefused(t *testing.T) {
	for name, spoil := range map[string]func(*ledger.StepRecord){
		"another c1": func(r *ledger.StepRecord) { r.C1s[0][0] ^= 1 },
		"inputs that are not": func(r *ledger.StepRecord) {
			r.Inputs = append(r.Inputs, r.Inputs[0])
			r.C1s = append(r.C1s, ledger.Digest{1})
		},
		"no blob": func(r *ledger.StepRecord) { r.Inputs[0][0] ^= 1 },
	} {
		t.Run(name, func(t *testing.T) {
			w, id := approved(t, ledger.Quorum, pooled, 1)
			w.tamper = func(b ledger.Body) {
				if r, ok := b.(*ledger.StepRecord); ok {
					spoil(r)
				}
			}
			for _, n := range nodeNames {
				_, _ = w.nodes[n].Work(context.Background())
			}
			if w.job(id).Step != 1 {
				t.Fatal("no ticket")
			}
			for range 5 {
				for _, c := range companies {
					w.work(c)
				}
			}
			for _, c := range companies {
				if n := w.shares(c, id, 0); n != 0 || w.agents[c].written(id) != 0 {
					t.Errorf("%s puts %d shares", c, n)
				}
			}
		})
	}
}

// altered is a ciphertext with one coefficient of c0 changed.
func (w *world) altered(d ledger.Digest) []byte {
	w.t.Helper()
	b, err := w.stores["north"].Blobs.Get(d)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, logScale := range []int{he.LogGradient, w.profiles.Train.LogScale()} {
		if c, err := he.ParseCiphertext(b, w.profiles.Train, w.profiles.Train.Floor(), logScale); err == nil {
			c.C0.Coeffs[0][0] ^= 1
			return c.Append(nil)
		}
	}
	w.t.Fatalf("%x is no ciphertext at the floor", d[:6])
	return nil
}

// keep puts bytes to all nodes.
func (w *world) keep(b []byte) (d ledger.Digest) {
	w.t.Helper()
	for _, n := range nodeNames {
		var err error
		if d, err = w.stores[n].Blobs.Put(b); err != nil {
			w.t.Fatal(err)
		}
	}
	return d
}

// TestAttackAlteredGradient has both nodes collude and alter one coefficient of
// a gradient. Under quorum provenance holders answer; their own witness refuses.
func TestAttackAlteredGradient(t *testing.T) {
	for _, mode := range []ledger.Mode{ledger.Quorum, ledger.Strict} {
		w, id := approved(t, mode, oneLocal, 2)
		w.tamper = func(b ledger.Body) {
			if r, ok := b.(*ledger.StepRecord); ok && r.Step == 1 {
				last := len(r.Inputs) - 1
				r.Inputs[last] = w.keep(w.altered(r.Inputs[last]))
			}
		}
		w.until("the ticket", func() bool { return w.job(id).Step >= 2 })
		for range 5 {
			for _, c := range companies {
				w.work(c)
			}
		}
		for _, c := range companies {
			n := w.shares(c, id, 1)
			var wrong *ProvenanceError
			err := w.agents[c].Refused()[federation.Witness{Job: id, Step: 1}.Key()]
			switch {
			case mode == ledger.Quorum && n == 0:
				t.Errorf("under quorum %s does not answer", c)
			case mode == ledger.Strict && (n != 0 || !errors.As(err, &wrong)):
				t.Errorf("under strict %s puts %d shares: %v", c, n, err)
			}
		}
	}
}

// TestAttackExchangedShare has both nodes collude and go on from another share in
// the place of ann's: what it would add up to is theirs to choose, and every
// evaluation after it is right. Under quorum provenance too ann looks for her own.
func TestAttackExchangedShare(t *testing.T) {
	w, id := approved(t, ledger.Quorum, pooled, 2)
	w.tamper = func(b ledger.Body) {
		if r, ok := b.(*ledger.StepRecord); ok && r.Step == 1 {
			r.Shares[0] = w.keep([]byte("another share"))
		}
	}
	w.reached(id, 2)
	ctx, asked := context.Background(), federation.Share{Job: id, Step: 1}
	careless := w.twin("ann", defences{named: true})
	before := careless.written(id)
	if did, err := careless.share(ctx, w.tip, asked); !did || err != nil || careless.written(id) != before+1 {
		t.Errorf("undefended, ann does not answer: %v %v", did, err)
	}
	ann := w.twin("ann", defences{})
	var wrong *ProvenanceError
	if _, err := ann.share(ctx, w.tip, asked); !errors.As(err, &wrong) || ann.written(id) != before {
		t.Errorf("ann answers: %v, %d letters", err, ann.written(id))
	}
}

// TestAttackExchangedLastShare does so at the end, where the model and the values
// to open come of it.
func TestAttackExchangedLastShare(t *testing.T) {
	w, id := approved(t, ledger.Quorum, pooled, 1)
	w.tamper = func(b ledger.Body) {
		if r, ok := b.(*ledger.ModelRecord); ok {
			r.Shares[0] = w.keep([]byte("another share"))
		}
	}
	for range 40 {
		for _, n := range nodeNames {
			_, _ = w.nodes[n].Work(context.Background()) // what is missing comes
		}
		if w.job(id).State == ledger.JobDone {
			break
		}
		for _, c := range companies {
			w.work(c)
		}
	}
	if w.job(id).State != ledger.JobDone {
		t.Fatalf("the job is in state %v", w.job(id).State)
	}
	ctx, model := context.Background(), w.job(id).Model
	ann := w.twin("ann", defences{})
	var wrong *ProvenanceError
	if _, err := ann.opening(ctx, w.tip, federation.Opening{Job: id}); !errors.As(err, &wrong) {
		t.Errorf("ann opens the values: %v", err)
	}
	if _, err := ann.serve(ctx, w.tip, federation.Serve{Model: model}); !errors.As(err, &wrong) {
		t.Errorf("ann serves the model: %v", err)
	}
	careless := w.twin("ann", defences{named: true})
	if did, err := careless.opening(ctx, w.tip, federation.Opening{Job: id}); !did || err != nil {
		t.Errorf("undefended, ann does not open the values: %v %v", did, err)
	}
	if did, err := careless.serve(ctx, w.tip, federation.Serve{Model: model}); !did || err != nil {
		t.Errorf("undefended, ann does not serve: %v %v", did, err)
	}
}

// TestAttackForeignPoint hands a local company trivial weights (m, 0): a gradient
// at them is in the clear for whoever holds no key.
func TestAttackForeignPoint(t *testing.T) {
	w, id := approved(t, ledger.Quorum, oneLocal, 1)
	w.reached(id, 1)
	p := w.profiles.Train
	trivial := he.NewCiphertext(p, p.MaxLevel(), p.LogScale())
	trivial.C0.Coeffs[0][0] = 1
	asked := federation.Update{Job: id, Step: 1, Point: w.keep(trivial.Append(nil))}
	ctx := context.Background()
	careless := w.twin("cal", defences{point: true})
	if did, err := careless.update(ctx, w.tip, asked); !did || err != nil || careless.written(id) == 0 {
		t.Errorf("undefended, cal does not compute: %v %v", did, err)
	}
	cal := w.twin("cal", defences{})
	var refused *RefusedError
	if _, err := cal.update(ctx, w.tip, asked); !errors.As(err, &refused) || cal.written(id) != 0 {
		t.Errorf("cal computes: %v, %d letters", err, cal.written(id))
	}
}

// TestAttackSecondShare shows a company two ledgers with two records of one c1.
func TestAttackSecondShare(t *testing.T) {
	w, id := approved(t, ledger.Quorum, pooled, 1)
	fork := w.tip
	w.reached(id, 1)
	if n := w.shares("ann", id, 0); n == 0 {
		w.work("ann")
	}
	first, _ := ledger.TicketOf(w.tip, id, 0)
	record := ledger.Steps(w.tip, id, 0)[0]

	w.tip = fork
	record.Inputs[0] = w.keep(w.altered(record.Inputs[0]))
	for _, n := range nodeNames {
		w.record(n, &record)
	}
	second, ok := ledger.TicketOf(w.tip, id, 0)
	if !ok || second.Record == first.Record || second.C1s[0] != first.C1s[0] {
		t.Fatal("the second ticket is not for another input with the same c1")
	}
	ctx, asked := context.Background(), federation.Share{Job: id, Step: 0}
	careless := w.twin("ann", defences{journal: true})
	if did, err := careless.share(ctx, w.tip, asked); !did || err != nil {
		t.Errorf("undefended, ann does not answer twice: %v %v", did, err)
	}
	ann := w.twin("ann", defences{})
	var used *multiparty.UsedError
	if _, err := ann.share(ctx, w.tip, asked); !errors.As(err, &used) {
		t.Errorf("ann answers twice: %v", err)
	}
}

// TestAttackRestoredBackup starts a company from what it had before it answered.
func TestAttackRestoredBackup(t *testing.T) {
	for _, defended := range []bool{false, true} {
		w, id := approved(t, ledger.Quorum, pooled, 2)
		backup := w.stores["ann"].Clone()
		w.reached(id, 2)
		if w.shares("ann", id, 1) != 0 {
			t.Fatal("ann has answered step 1 already")
		}
		w.stores["ann"] = backup
		a := w.start("ann")
		a.off.rollback = !defended
		for range 3 {
			w.work("ann")
		}
		var back *RollbackError
		err := a.Refused()[federation.Share{Job: id, Step: 1}.Key()]
		switch n := w.shares("ann", id, 1); {
		case !defended && n == 0:
			t.Errorf("undefended, ann does not answer: %v", err)
		case defended && (n != 0 || !errors.As(err, &back) || back.Epoch != 1):
			t.Errorf("ann puts %d shares: %v", n, err)
		}
	}
}

// TestAttackForgottenOpening restores a backup of between a company's last share
// of a job and its answer for the job's values: its count of openings is one too
// low.
func TestAttackForgottenOpening(t *testing.T) {
	for _, defended := range []bool{false, true} {
		w, id := approved(t, ledger.Quorum, pooled, 1)
		w.reached(id, 2)
		for w.shares("ann", id, 1) == 0 {
			w.work("ann")
		}
		backup := w.stores["ann"].Clone()
		w.until("the values", func() bool {
			m, ok := ledger.ModelOf(w.tip, w.job(id).Model)
			return ok && len(m.Opened) > 0
		})
		w.stores["ann"] = backup
		a := w.start("ann")
		a.off.rollback = !defended
		next := w.openJob(2)
		for range 60 {
			w.turn()
		}
		var back *RollbackError
		err := a.Refused()[federation.Share{Job: next, Step: 0}.Key()]
		switch n := w.shares("ann", next, 0); {
		case !defended && n == 0:
			t.Errorf("undefended, ann does not answer: %v", err)
		case defended && (n != 0 || !errors.As(err, &back)):
			t.Errorf("ann puts %d shares: %v", n, err)
		}
	}
}

// TestEndedJobsAreNotAnswered aborts a job whose ticket is open.
func TestEndedJobsAreNotAnswered(t *testing.T) {
	w, id := approved(t, ledger.Quorum, pooled, 1)
	for _, n := range nodeNames {
		_, _ = w.nodes[n].Work(context.Background())
	}
	if _, ok := ledger.TicketOf(w.tip, id, 0); !ok {
		t.Fatal("no ticket")
	}
	w.record("peer", &ledger.AbortJob{Job: id})
	a := w.twin("ann", defences{})
	if _, err := a.share(context.Background(), w.tip, federation.Share{Job: id, Step: 0}); !errors.Is(err, ErrNoTicket) || a.written(id) != 0 {
		t.Errorf("ann answers an aborted job: %v", err)
	}
	w.work("ann")
	if n := w.shares("ann", id, 0); n != 0 {
		t.Errorf("%d shares for an aborted job", n)
	}
}

// TestPolicy declines what a company's policy does not have, and takes it up
// when it does.
func TestPolicy(t *testing.T) {
	strict := false
	w := ready(t, ledger.Quorum, func(c string) Policy {
		p := pooled(c)
		if strict && c == "bob" {
			churn := p.Tasks["churn"]
			churn.MaxSteps = 1
			p.Tasks["churn"] = churn
		}
		return p
	})
	w.record("peer", &ledger.OpenTask{Name: "other", Epoch: 1, Schema: schema().Append(nil), Columns: columns, Nodes: nodeNames, Quorum: 2})
	strict = true
	id := w.openJob(2)
	for _, c := range companies {
		w.work(c)
	}
	other := federation.Consent{Task: ledger.TaskID(chainName, "other")}.Key()
	refused := w.agents["bob"].Refused()
	if !errors.Is(refused[other], ErrDeclined) || !errors.Is(refused[federation.Approve{Job: id}.Key()], ErrDeclined) {
		t.Errorf("bob refuses %v", refused)
	}
	if n := len(w.job(id).Approvals); n != 2 {
		t.Errorf("%d approvals, want 2", n)
	}
	strict = false
	w.work("bob")
	if w.job(id).State != ledger.JobApproved {
		t.Errorf("the job is in state %d after bob's policy allows it", w.job(id).State)
	}
}

// TestOtherRowsAreRefused changes a company's file after it consented.
func TestOtherRowsAreRefused(t *testing.T) {
	other := false
	w := keyed(t, ledger.Quorum, func(c string) Policy {
		if other && c == "ann" {
			p := pooled("zoe")
			return p
		}
		return pooled(c)
	})
	w.openTask()
	w.until("keys", func() bool { task, _ := ledger.TaskOf(w.tip, taskID); return task.State == ledger.TaskReady })
	other = true
	w.restart("ann")
	for range 20 {
		w.turn()
	}
	if _, ok := ledger.ContributionOf(w.tip, taskID, ledger.Training, "ann"); ok {
		t.Error("ann contributes rows that she did not consent with")
	}
	other = false
	w.until("ann's rows", func() bool {
		_, ok := ledger.ContributionOf(w.tip, taskID, ledger.Training, "ann")
		return ok
	})
}

// TestSharesAreRepeated restarts everybody after every step: each share that is
// put again has the same bytes.
func TestSharesAreRepeated(t *testing.T) {
	w, id := approved(t, ledger.Quorum, oneLocal, 2)
	w.until("values", func() bool {
		for _, c := range companies {
			w.restart(c)
		}
		m, ok := ledger.ModelOf(w.tip, w.job(id).Model)
		return ok && len(m.Opened) > 0 && m.Served()
	})
	said := map[string]ledger.Post{}
	for _, p := range w.puts {
		key := string(p.Key())
		if first, ok := said[key]; ok && !bytes.Equal(first.Append(nil), p.Append(nil)) {
			t.Errorf("a post of kind %d, step %d is said in two ways", p.Kind, p.Step)
		}
		said[key] = p
	}
	if len(ledger.Evidences(w.tip)) > 0 {
		t.Error("somebody is convicted")
	}
}
