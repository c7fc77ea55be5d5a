package agent

import (
	"context"
	"errors"
	"math/big"
	"testing"

	"github.com/commonseal/commonseal/federation"
	"github.com/commonseal/commonseal/federation/store"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/multiparty"
	"github.com/commonseal/commonseal/ledger"
)

// TestAttackOtherRemainder has both nodes collude and publish the remainder of
// another model. Under quorum provenance holders serve it.
func TestAttackOtherRemainder(t *testing.T) {
	for _, mode := range []ledger.Mode{ledger.Quorum, ledger.Strict} {
		w, id := approved(t, mode, pooled, 1)
		zero := make([]*big.Int, columns)
		for i := range zero {
			zero[i] = new(big.Int)
		}
		other, err := multiparty.NewModelShare(w.profiles.Serve, zero)
		if err != nil {
			t.Fatal(err)
		}
		w.tamper = func(b ledger.Body) {
			if r, ok := b.(*ledger.ModelRecord); ok {
				r.Remainder = w.keep(other.Append(nil))
			}
		}
		w.until("the model", func() bool { return w.job(id).State == ledger.JobDone })
		w.idle()
		m, _ := ledger.ModelOf(w.tip, w.job(id).Model)
		if m.Served() != (mode == ledger.Quorum) {
			t.Errorf("%v: served %v, waits for %v", mode, m.Served(), m.Waiting)
		}
		var wrong *ProvenanceError
		for _, c := range companies {
			if err := w.agents[c].Refused()[federation.Serve{Model: m.ID}.Key()]; mode == ledger.Strict && !errors.As(err, &wrong) {
				t.Errorf("%s does not say why: %v", c, err)
			}
		}
	}
}

// TestAttackOtherValues has both nodes collude and ask to open another
// ciphertext than the sum of values.
func TestAttackOtherValues(t *testing.T) {
	for _, mode := range []ledger.Mode{ledger.Quorum, ledger.Strict} {
		w, id := approved(t, mode, pooled, 1)
		w.tamper = func(b ledger.Body) {
			r, ok := b.(*ledger.ModelRecord)
			if !ok {
				return
			}
			p := w.profiles.Release
			sum, err := w.stores["north"].Blobs.Get(r.Values)
			if err != nil {
				sum, err = w.stores["south"].Blobs.Get(r.Values)
			}
			if err != nil {
				t.Fatal(err)
			}
			c, err := he.ParseCiphertext(sum, p, p.MaxLevel(), 2*p.LogScale())
			if err != nil {
				t.Fatal(err)
			}
			c.C0.Coeffs[0][0] ^= 1
			r.Values = w.keep(c.Append(nil))
		}
		w.until("the model", func() bool { return w.job(id).State == ledger.JobDone })
		w.idle()
		for _, c := range companies {
			opened := false
			me, _ := ledger.MemberOf(w.tip, c)
			for _, p := range w.puts {
				opened = opened || p.Kind == ledger.PostOpening && p.Sender == me.Signing
			}
			if opened != (mode == ledger.Quorum) {
				t.Errorf("%v: %s opens: %v; refused %v", mode, c, opened, w.agents[c].Refused())
			}
		}
	}
}

// TestOnePointAStep takes no second gradient at another point of the same step,
// even one with the right c1.
func TestOnePointAStep(t *testing.T) {
	w, id := approved(t, ledger.Quorum, oneLocal, 1)
	w.reached(id, 1)
	cal := w.agents["cal"]
	var said ledger.Post
	for turn, ok := 0, false; !ok; turn++ { // everybody answers, nodes add up, cal computes, nobody records yet
		if turn == 40 {
			t.Fatal("cal has sent no update")
		}
		var err error
		if said, ok, err = cal.wrote(ledger.Post{Scope: id, Kind: ledger.PostUpdate, Step: 1}); err != nil {
			t.Fatal(err)
		}
		for _, n := range nodeNames {
			if !ok {
				_, _ = w.nodes[n].Work(context.Background()) // what is missing comes
			}
		}
		for _, c := range companies {
			if !ok {
				w.work(c)
			}
		}
	}
	if w.job(id).Step != 1 {
		t.Fatalf("the job is at step %d already", w.job(id).Step)
	}
	b, err := w.stores["north"].Blobs.Get(said.Previous)
	if err != nil {
		t.Fatal(err)
	}
	p := w.profiles.Train
	point, err := he.ParseCiphertext(b, p, p.MaxLevel(), p.LogScale())
	if err != nil {
		t.Fatal(err)
	}
	point.C0.Coeffs[0][0] ^= 1
	again := w.twin("cal", defences{})
	before := len(again.outbox)
	var refused *RefusedError
	_, err = again.update(context.Background(), w.tip, federation.Update{Job: id, Step: 1, Point: w.keep(point.Append(nil))})
	var conflict *store.ConflictError
	if !errors.As(err, &refused) || !errors.As(err, &conflict) || len(again.outbox) != before {
		t.Errorf("cal computes at a second point: %v", err)
	}
}

// TestTrust answers only where a node of the company's choice has recorded.
func TestTrust(t *testing.T) {
	w, id := approved(t, ledger.Quorum, func(c string) Policy {
		p := pooled(c)
		if c == "ann" {
			p.Trust = []string{"west"}
		}
		return p
	}, 1)
	for range 10 {
		w.turn()
	}
	if w.shares("ann", id, 0) != 0 || w.shares("bob", id, 0) == 0 {
		t.Errorf("ann puts %d shares on the word of nodes that she does not trust, bob %d", w.shares("ann", id, 0), w.shares("bob", id, 0))
	}
}

// TestLostLetters loses the blobs of everything an agent has to say: it is made
// again, to the same bytes.
func TestLostLetters(t *testing.T) {
	w := found(t, ledger.Quorum, oneLocal)
	lose := func() {
		for _, c := range companies {
			for _, l := range w.agents[c].outbox {
				if err := w.stores[c].Blobs.Delete(l.post.Blob); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	w.until("key epoch 1", func() bool { lose(); _, ok := ledger.CurrentEpoch(w.tip); return ok })
	w.openTask()
	w.until("rows", func() bool {
		lose()
		_, ok := ledger.ContributionOf(w.tip, taskID, ledger.Training, "ann")
		_, too := ledger.ContributionOf(w.tip, taskID, ledger.Validation, "bob")
		return ok && too
	})
	if n := ledger.Evidences(w.tip); len(n) > 0 {
		t.Errorf("somebody said two things: %v", n)
	}
}
