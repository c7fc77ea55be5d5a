package fedtest

import (
	"context"
	"slices"
	"testing"

	"github.com/commonseal/commonseal/federation/replay"
	"github.com/commonseal/commonseal/he/hetest"
	"github.com/commonseal/commonseal/ledger"
)

var game = ledger.Money{Grant: 10_000, Bond: 1000, Slash: ledger.Million / 2, Challenge: 100, Window: ledger.MaxPatience, Sample: ledger.Million}

// checked is a world with money and three checkers, whose rows are there.
func checked(t *testing.T) *World {
	t.Helper()
	w, err := New(Options{Profiles: hetest.Profiles(t), Policy: policy, Mode: ledger.Quorum, Money: game, Checkers: []string{"val-1", "val-2", "val-3"}})
	must(t, err)
	return bring(t, w)
}

// conserved holds all credits there are to those that were made.
func conserved(t *testing.T, w *World) {
	t.Helper()
	if have, made := ledger.Credits(w.View()), ledger.Supply(w.View()); have != made {
		t.Errorf("%d credits of %d", have, made)
	}
}

func account(w *World, name string) ledger.Account { return ledger.AccountOf(w.View(), name) }

// collude has both nodes alter one coefficient of a step.
func collude(t *testing.T, w *World, step uint16) {
	w.Forge = func(from string, b ledger.Body) ledger.Body {
		r, ok := b.(*ledger.StepRecord)
		if !ok || r.Step != step || !slices.Contains(nodes, from) {
			return b
		}
		forged, err := w.AlterRecord(from, r)
		must(t, err)
		return forged
	}
}

func TestChallengeGame(t *testing.T) {
	brought := checked(t)
	for name, play := range map[string]func(*testing.T, *World){"colluding nodes": colludingNodes, "a false challenge": falseChallenge, "a withheld blob": withheldBlob} {
		t.Run(name, func(t *testing.T) { play(t, branch(t, brought, 0, false)) })
	}
}

// colludingNodes of two owners, a quorum, record the same altered step, and it
// gets its ticket: that nodes agree is no proof, and as long as nobody checks the
// model is served. Who checks finds it in the sample and challenges it, the
// validators vote, and the nodes pay.
func colludingNodes(t *testing.T, w *World) {
	ctx := context.Background()
	for _, v := range w.Options.Checkers {
		w.Absent[v] = true
	}
	collude(t, w, 2)
	job := openJob(t, w)
	model := func() *ledger.Model {
		j, _ := ledger.JobOf(w.View(), job)
		m, _ := ledger.ModelOf(w.View(), j.Model)
		return m
	}
	must(t, w.Until(ctx, 8000, func(ledger.View) bool { m := model(); return m != nil && m.Served() && len(m.Opened) > 0 }))
	for seed := range uint64(4) { // messages are lost and checkers crash in all but the first
		foundOut(t, branch(t, w, seed, seed > 0), job, 2)
	}
}

// foundOut has checkers find an altered step, and none but that.
func foundOut(t *testing.T, w *World, job ledger.Digest, step uint16) {
	t.Helper()
	must(t, w.Until(context.Background(), 8000, func(v ledger.View) bool {
		x, ok := ledger.ChallengeOf(v, job, step)
		return ok && x.Decided != ledger.Undecided
	}))
	x, _ := ledger.ChallengeOf(w.View(), job, step)
	if x.Decided != ledger.Upheld || len(ledger.Challenges(w.View())) != 1 {
		t.Fatalf("seed %d: challenges %+v", w.Seed, ledger.Challenges(w.View()))
	}
	j, _ := ledger.JobOf(w.View(), job)
	if m, _ := ledger.ModelOf(w.View(), j.Model); !m.Refuted || m.Served() {
		t.Errorf("seed %d: the altered model is served on", w.Seed)
	}
	for _, n := range nodes {
		if a := account(w, n); a.Stake != game.Bond/2 {
			t.Errorf("seed %d: %s has %d at stake of %d", w.Seed, n, a.Stake, game.Bond)
		}
	}
	if a := account(w, x.By); a.Balance != game.Grant+game.Bond/2 {
		t.Errorf("seed %d: %s challenged, and has %d of %d: half of what both nodes lost is its own", w.Seed, x.By, a.Balance, game.Grant)
	}
	conserved(t, w)
}

// falseChallenge: who challenges a right step loses its bond to those it accused.
func falseChallenge(t *testing.T, w *World) {
	ctx := context.Background()
	job := openJob(t, w)
	must(t, w.Until(ctx, 8000, func(v ledger.View) bool { _, ok := ledger.TicketOf(v, job, 1); return ok }))
	must(t, w.Record(ctx, "bob", &ledger.OpenChallenge{Job: job, Step: 1}))
	must(t, w.Until(ctx, 8000, func(v ledger.View) bool {
		x, _ := ledger.ChallengeOf(v, job, 1)
		return x.Decided != ledger.Undecided
	}))
	x, _ := ledger.ChallengeOf(w.View(), job, 1)
	if x.Decided != ledger.Rejected || account(w, "bob").Balance != game.Grant-game.Challenge {
		t.Errorf("decided %d, and bob has %d", x.Decided, account(w, "bob").Balance)
	}
	for _, n := range nodes {
		if a := account(w, n); a.Balance != game.Grant+game.Challenge/2 || a.Stake != game.Bond {
			t.Errorf("%s has %d, and %d at stake", n, a.Balance, a.Stake)
		}
	}
	conserved(t, w)
	must(t, w.Until(ctx, 8000, func(v ledger.View) bool { // and the job goes on
		j, _ := ledger.JobOf(v, job)
		m, ok := ledger.ModelOf(v, j.Model)
		return ok && m.Served()
	}))
	must(t, w.Settle(ctx)) // every sampled step is checked, and right
	if n := len(ledger.Challenges(w.View())); n != 1 {
		t.Errorf("%d challenges", n)
	}
}

// withheldBlob: a challenged step whose blobs no node hands out is judged by
// nobody. The challenge stays open, and nobody pays; when the blob is back it is
// decided.
func withheldBlob(t *testing.T, w *World) {
	ctx := context.Background()
	job := openJob(t, w)
	must(t, w.Until(ctx, 8000, func(v ledger.View) bool { _, ok := ledger.TicketOf(v, job, 1); return ok }))
	_, record, err := replay.Ticketed(w.View(), job, 1)
	must(t, err)
	kept, err := w.blob(record.Shares[0])
	must(t, err)
	for _, n := range nodes {
		w.Absent[n] = true
		must(t, w.Nodes[n].Store.Blobs.Delete(record.Shares[0]))
	}
	must(t, w.Record(ctx, "bob", &ledger.OpenChallenge{Job: job, Step: 1}))
	for range 200 {
		_ = w.Turn(ctx) // which says what the validators wait for
	}
	x, _ := ledger.ChallengeOf(w.View(), job, 1)
	if len(x.Right)+len(x.Wrong) > 0 || x.Decided != ledger.Undecided {
		t.Fatalf("votes on what could not be evaluated: %+v", x)
	}
	_, err = w.Nodes["north"].Store.Blobs.Put(kept)
	must(t, err)
	for range 4000 {
		if x, _ = ledger.ChallengeOf(w.View(), job, 1); x.Decided != ledger.Undecided {
			break
		}
		_ = w.Turn(ctx)
	}
	if x.Decided != ledger.Rejected {
		t.Errorf("decided %d once the blob was back", x.Decided)
	}
}
