package fedtest

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/commonseal/commonseal/federation/agent"
	"github.com/commonseal/commonseal/federation/replay"
	"github.com/commonseal/commonseal/federation/store"
	"github.com/commonseal/commonseal/federation/wire"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/hetest"
	"github.com/commonseal/commonseal/he/multiparty"
	"github.com/commonseal/commonseal/ledger"
)

// money is what the consortium of these tests is founded with: enough to ask for
// all that is asked here.
func money() ledger.Money {
	return ledger.Money{Grant: 10_000, Bond: 1000, Price: 2, Emission: 1000, Cut: ledger.Million / 10, Evaluate: ledger.Million / 2,
		Provide: ledger.Million / 2, Penalty: ledger.Million / 2, Smoothing: ledger.Million / 10, Cap: ledger.Million / 2, Slash: ledger.Million / 10}
}

const epoch = 60_000 // ms of a reward epoch

// rich is a world with money where two models are trained, one of them better.
func rich(t *testing.T) (*World, []ledger.Digest) {
	t.Helper()
	w, err := New(Options{Profiles: hetest.Profiles(t), Policy: policy, Mode: ledger.Quorum, Money: money(), Reward: epoch})
	must(t, err)
	bring(t, w)
	ctx := context.Background()
	var jobs []ledger.Digest
	for _, rate := range []float64{0.25, 2} {
		open := &ledger.OpenJob{Task: ledger.TaskID(w.Genesis.Chain, "churn"), Algorithm: ledger.Logistic, Steps: 2, LearningRate: replay.FixedRate(rate), Valued: []uint16{2}, Nodes: nodes, Quorum: 2}
		must(t, w.Record(ctx, "peer", open))
		jobs = append(jobs, ledger.JobID("peer", open))
	}
	var models []ledger.Digest
	must(t, w.Until(ctx, 8000, func(v ledger.View) bool {
		models = nil
		for _, id := range jobs {
			j, _ := ledger.JobOf(v, id)
			if m, ok := ledger.ModelOf(v, j.Model); ok && m.Served() && len(m.Opened) > 0 {
				models = append(models, m.ID)
			}
		}
		return len(models) == len(jobs)
	}))
	return w, models
}

// blended goes on until the task has a blend.
func blended(t *testing.T, w *World) *ledger.Blend {
	t.Helper()
	task := ledger.TaskID(w.Genesis.Chain, "churn")
	must(t, w.Until(context.Background(), 8000, func(v ledger.View) bool { _, ok := ledger.BlendOf(v, task); return ok }))
	b, _ := ledger.BlendOf(w.View(), task)
	return b
}

// A judgement is what came of an epoch's rankings.
type judgement struct {
	blend   *ledger.Blend
	weights map[string][]ledger.Weight
}

func judged(t *testing.T, w *World) judgement {
	t.Helper()
	out := judgement{blended(t, w), map[string][]ledger.Weight{}}
	st, ok := ledger.SettlementOf(w.View(), out.blend.Epoch, out.blend.Task)
	if !ok {
		t.Fatal("a blend without a settlement")
	}
	for _, c := range st.Companies {
		out.weights[c.Name] = c.Weights
	}
	if ledger.Credits(w.View()) != ledger.Supply(w.View()) {
		t.Errorf("%d credits of a supply of %d", ledger.Credits(w.View()), ledger.Supply(w.View()))
	}
	return out
}

// Three agents rank two models with nobody's help; epochs close, the first is
// settled, and the blend answers with the average of what its models answer.
func TestRewards(t *testing.T) {
	w, models := rich(t)
	got := judged(t, w)
	if len(got.weights) != len(companies) || len(got.blend.Parts) != len(models) {
		t.Fatalf("%d companies ranked, %d models answer", len(got.weights), len(got.blend.Parts))
	}
	for c, weights := range got.weights {
		part := map[ledger.Digest]uint16{}
		for _, x := range weights {
			part[x.Model] = x.Part
		}
		if part[models[0]] >= part[models[1]] {
			t.Errorf("%s ranks the model that learnt less at %d, the other at %d", c, part[models[0]], part[models[1]])
		}
	}
	askBlend(t, w, got.blend)
}

// askBlend asks a blend and each of its models about the same rows.
func askBlend(t *testing.T, w *World, b *ledger.Blend) {
	t.Helper()
	const name = "quinn"
	ctx := context.Background()
	asker := wire.NewAsker(w.Genesis.Chain, name, he.Seed{5}, b.Task, w.Profiles.Serve)
	post, key := asker.Announcement(1, w.Private(name))
	must(t, w.Record(ctx, "ann", &ledger.AdmitQuerier{Name: name, Signing: w.Public(name), TLS: w.Public(name + "/tls"), Task: b.Task, PublicKey: post.Blob, Quota: 100}))
	must(t, w.Settle(ctx))
	endpoints, done := w.endpoints(w.Private(name + "/tls"))
	defer done()
	north := endpoints["north"]
	must(t, north.Put(ctx, post, key))
	sequence := uint64(0)
	ask := func(of ledger.Digest, rows he.Rows) ([]float64, error) {
		return asker.Predict(w.View(), of, rows, w.Private(name), func() uint64 { sequence++; return sequence }, func(_ []string, envelope, query []byte) ([]byte, error) {
			return north.Predict(ctx, envelope, query)
		})
	}
	rows := he.Rows{Columns: 3, Values: []float64{1, 0.5, -0.25, 1, -1, 1, 1, 0.125, 0.75}}
	got, err := ask(b.Digest(), rows)
	must(t, err)
	want := make([]float64, rows.Len())
	for _, p := range b.Parts {
		margins, err := ask(p.Model, rows)
		must(t, err)
		for i, m := range margins {
			want[i] += m * float64(p.Part) / ledger.BlendParts
		}
	}
	declared := 2 * multiparty.AnswerError(w.Profiles.Serve, he.WidthFor(3), len(companies), 4)
	for i := range want {
		if math.Abs(got[i]-want[i]) > declared || math.Abs(want[i]) < 10*declared {
			t.Errorf("row %d: the blend answers %g, its models %g on average; declared are %g", i, got[i], want[i], declared)
		}
	}
	for _, n := range w.Nodes {
		must(t, n.Driver.Bill(ctx))
	}
	if q, _ := ledger.QuerierOf(w.View(), name); q.Used != uint64((1+len(b.Parts))*rows.Len()) {
		t.Errorf("%d answers are on the ledger", q.Used)
	}
	replaced, all := *b, w.Policy
	w.Policy = func(company string) agent.Policy { // ann has no opinion any more
		p := all(company)
		mine := p.Tasks["churn"]
		mine.Abstain = company == "ann"
		p.Tasks["churn"] = mine
		return p
	}
	must(t, w.Until(ctx, 8000, func(v ledger.View) bool {
		now, _ := ledger.BlendOf(v, b.Task)
		return now.Digest() != replaced.Digest()
	}))
	must(t, w.Settle(ctx))
	if _, err := north.Predict(ctx, envelopeOf(w, name, replaced.Digest()), []byte("query")); err == nil || !strings.Contains(err.Error(), "ask again") {
		t.Errorf("a blend that was replaced: %v", err)
	}
}

// envelopeOf is a query's that nobody answers.
func envelopeOf(w *World, name string, of ledger.Digest) []byte {
	return wire.Query{Model: of, Sequence: 1000, Rows: 1}.Sign(w.Genesis.Chain, w.Private(name)).Append(nil)
}

// TestEveryCrashOfRewards kills each process at each of its writes while models are
// asked and ranked: every company reveals what it reveals in the quiet world.
func TestEveryCrashOfRewards(t *testing.T) {
	from, _ := rich(t)
	quiet := branch(t, from, 0, false)
	before := quiet.Writes()
	want := judged(t, quiet)
	everyCrash(t, before, quiet.Writes(), func(t *testing.T, name string, n int, side store.Side) {
		w := branch(t, from, uint64(n), false)
		w.CrashAt(name, n, side)
		if got := judged(t, w); !reflect.DeepEqual(got, want) {
			t.Errorf("after %d crashes %+v, want %+v", w.Crashes, got, want)
		}
	})
}

// TestAnyRewards has what is asked and recorded lost, late and out of order too.
// Answers that are lost are paid for again, so nobody's ranking is the same to the
// last unit, but all are there.
func TestAnyRewards(t *testing.T) {
	from, _ := rich(t)
	n := 30
	if testing.Short() {
		n = 3
	}
	for seed := range uint64(n) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w := branch(t, from, seed, true)
			if got := judged(t, w); len(got.weights) != len(companies) {
				t.Errorf("%d companies ranked after %d crashes: %s", len(got.weights), w.Crashes, w.describe())
			}
		})
	}
}
