package agent

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/commonseal/commonseal/federation/store"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/ledger"
)

// TestCeremonyGoesOnAfterRestarts starts one agent again in every stage and
// state of both ceremonies: it says the same again, and the keys are those of a
// run without restarts.
func TestCeremonyGoesOnAfterRestarts(t *testing.T) {
	quiet := brought(t, ledger.Quorum, oneLocal)
	w := found(t, ledger.Quorum, oneLocal)
	restarts := map[string]bool{}
	step := func() {
		for _, y := range ledger.Ceremonies(w.tip) {
			at := fmt.Sprintf("%x/%d/%d", y.ID[:4], y.Stage, y.State)
			if !restarts[at] && len(y.Waiting) < len(y.Parties) { // in the middle of it
				restarts[at] = true
				w.restart("bob")
			}
		}
	}
	each := func(so func() bool) func() bool { return func() bool { step(); return so() } }
	w.piecemeal(each(func() bool { _, ok := ledger.CurrentEpoch(w.tip); return ok }))
	w.openTask()
	w.piecemeal(each(func() bool { task, _ := ledger.TaskOf(w.tip, taskID); return task.State == ledger.TaskReady }))

	// Base: 4 stages to commit and reveal; key set: 2; and an acknowledgement each.
	if want := 2*4 + 2*2 + 2; len(restarts) != want {
		t.Errorf("restarted in %d places, want %d: %v", len(restarts), want, restarts)
	}
	for _, id := range []ledger.Digest{ledger.BaseCeremony(chainName, 1, 1), ledger.KeySetCeremony(taskID, 1)} {
		got, _ := ledger.CeremonyOf(w.tip, id)
		want, _ := ledger.CeremonyOf(quiet.tip, id)
		if got.Keys != want.Keys || got.State != ledger.Active {
			t.Errorf("ceremony %x ends in state %d with keys %x, want %x", id[:4], got.State, got.Keys[:6], want.Keys[:6])
		}
	}
}

// piecemeal lets one at a time work until the ledger is as asked.
func (w *world) piecemeal(so func() bool) {
	w.t.Helper()
	for i := 0; i < 3000; i++ {
		if so() {
			return
		}
		if c := companies[i%3]; i%2 == 0 {
			w.work(c)
		} else {
			_, _ = w.nodes[nodeNames[i/2%2]].Work(context.Background()) // what is missing comes
		}
	}
	w.t.Fatalf("not so after 3000 turns; codes %v", w.codes)
}

// TestCrashAtWrites crashes an agent before or after some of its writes, up
// to the end of its ceremonies and contributions. Nothing is lost, and nothing is
// said twice.
func TestCrashAtWrites(t *testing.T) {
	quiet := brought(t, ledger.Quorum, pooled)
	want, _ := ledger.ContributionOf(quiet.tip, taskID, ledger.Training, "ann")
	writes := quiet.stores["ann"].Writes()
	stride := 5 // odd: sides alternate; every write is fedtest's
	if testing.Short() {
		stride = 13
	}
	for n := 1; n <= writes; n += stride {
		side := store.Side(n % 2)
		w := found(t, ledger.Quorum, pooled)
		w.stores["ann"].FailAt(n, side)
		w.crashing(func() bool { _, ok := ledger.CurrentEpoch(w.tip); return ok })
		w.openTask()
		w.crashing(func() bool {
			_, ok := ledger.ContributionOf(w.tip, taskID, ledger.Training, "ann")
			_, too := ledger.ContributionOf(w.tip, taskID, ledger.Validation, "ann")
			return ok && too
		})
		got, _ := ledger.ContributionOf(w.tip, taskID, ledger.Training, "ann")
		if got.Manifest != want.Manifest {
			t.Errorf("write %d: another contribution", n)
		}
		if n := len(ledger.Evidences(w.tip)); n > 0 {
			t.Errorf("write %d: %v", n, ledger.Evidences(w.tip))
		}
	}
}

// crashing takes turns in which ann may crash.
func (w *world) crashing(so func() bool) {
	w.t.Helper()
	for range 400 {
		if so() {
			return
		}
		for _, n := range nodeNames {
			_, _ = w.nodes[n].Work(context.Background()) // what is missing comes
		}
		for _, c := range companies {
			if _, err := w.agents[c].Work(context.Background()); err != nil && !(c == "ann" && errors.Is(err, store.ErrCrash)) {
				w.t.Fatalf("%s: %v", c, err)
			}
			if w.stores[c].Crashed() {
				w.restart(c)
			}
		}
	}
	w.t.Fatalf("not so after 400 turns; codes %v, refused %v", w.codes, w.agents["ann"].Refused())
}

// TestAttackOtherPromise starts an agent whose seed was exchanged in the middle
// of a ceremony: what it would commit to now is not what it committed to.
func TestAttackOtherPromise(t *testing.T) {
	for _, defended := range []bool{false, true} {
		w := found(t, ledger.Quorum, pooled)
		w.work("ann") // opens the roster
		w.work("ann") // promises its nonce
		var said []string
		w.bodies = func(from string, b ledger.Body) {
			if c, ok := b.(*ledger.Commit); ok && from == "ann" {
				said = append(said, string(c.Promise))
			}
		}
		y := ledger.Ceremonies(w.tip)[0]
		first, ok := ledger.CommitOf(w.tip, y.ID, 0, "ann")
		if !ok {
			t.Fatal("ann has not promised anything")
		}
		// The ledger that it is shown now has no word of hers.
		w.work("bob")
		w.work("cal")
		w.stores["ann"] = w.stores["ann"].Restart()
		a := w.start("ann")
		a.Seed = he.Seed(ledger.Hash("another seed"))
		a.off.promise = !defended
		_, err := a.Work(context.Background())
		var promise *PromiseError
		if defended {
			if !errors.As(err, &promise) || promise.Stage != 0 || len(w.puts) > 0 {
				t.Errorf("ann goes on: %v, %d posts", err, len(w.puts))
			}
			if r, ok := ledger.RevealOf(w.tip, y.ID, 0, "ann"); ok {
				t.Errorf("ann reveals %x", r.Inline)
			}
			continue
		}
		if r, ok := ledger.RevealOf(w.tip, y.ID, 0, "ann"); err != nil || !ok || len(first.Promise) == 0 {
			t.Errorf("undefended, ann does not reveal another nonce than she promised: %v %v", r, err)
		}
	}
}

// TestForeignPlanIsAborted opens a key set with other rotations than the task's
// consents lead to.
func TestForeignPlanIsAborted(t *testing.T) {
	w := keyed(t, ledger.Quorum, pooled)
	w.openTask()
	w.until("consents", func() bool { task, _ := ledger.TaskOf(w.tip, taskID); return task.State == ledger.TaskConsented })
	task, _ := ledger.TaskOf(w.tip, taskID)
	a := w.agents["ann"]
	plan, packing, err := a.keySetPlan(task)
	if err != nil {
		t.Fatal(err)
	}
	wrong := rotations(plan)
	wrong[0]++
	w.record("ann", &ledger.OpenKeySet{Task: taskID, Packing: packing, Rotations: wrong, Stages: sizes(plan.KeySetStages())})
	task, _ = ledger.TaskOf(w.tip, taskID)
	id := ledger.KeySetCeremony(taskID, task.Attempt)
	w.work("bob")
	y, _ := ledger.CeremonyOf(w.tip, id)
	if y.State != ledger.Failed {
		t.Errorf("the key set is in state %d, want it aborted", y.State)
	}
	w.until("a right one", func() bool { task, _ := ledger.TaskOf(w.tip, taskID); return task.State == ledger.TaskReady })
}

// TestLyingNode gives other bytes than a digest's for every second blob: they
// are fetched elsewhere, and no ceremony is aborted.
func TestLyingNode(t *testing.T) {
	w := found(t, ledger.Quorum, pooled)
	n := 0
	w.lie = func(ledger.Digest) []byte {
		if n++; n%2 == 0 {
			return nil
		}
		return []byte("something else")
	}
	w.until("key epoch 1", func() bool { _, ok := ledger.CurrentEpoch(w.tip); return ok })
	if n := ledger.Attempts(w.tip, 1); n != 1 {
		t.Errorf("%d attempts", n)
	}
}

// TestKeysAreMadeAgain loses the public keys: they are made of what was
// published.
func TestKeysAreMadeAgain(t *testing.T) {
	w := keyed(t, ledger.Quorum, pooled)
	ctx := context.Background()
	before, err := w.agents["ann"].epochOf(ctx, w.tip, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.stores["ann"].Blobs.Delete(before.epoch.Train.Digest()); err != nil {
		t.Fatal(err)
	}
	after, err := w.restart("ann").epochOf(ctx, w.tip, 1)
	if err != nil {
		t.Fatal(err)
	}
	if after.epoch.Train.Digest() != before.epoch.Train.Digest() || after.epoch.KeyDigest != before.epoch.KeyDigest || after.epoch.Roster.CRS != before.epoch.Roster.CRS {
		t.Error("the keys are others")
	}
}

// TestOneNodeIsEnough makes keys while one node cannot be dialled.
func TestOneNodeIsEnough(t *testing.T) {
	w := found(t, ledger.Quorum, pooled)
	w.deaf["north"] = true
	w.until("key epoch 1", func() bool { _, ok := ledger.CurrentEpoch(w.tip); return ok })
	if n := ledger.Attempts(w.tip, 1); n != 1 {
		t.Errorf("%d attempts", n)
	}
}
