package fedtest

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/commonseal/commonseal/federation/agent"
	"github.com/commonseal/commonseal/federation/replay"
	"github.com/commonseal/commonseal/federation/store"
	"github.com/commonseal/commonseal/federation/table"
	"github.com/commonseal/commonseal/he/hetest"
	"github.com/commonseal/commonseal/ledger"
)

// rows is a small table of a company.
func rows(company string) string {
	seed := ledger.Hash("rows", []byte(company))
	random := rand.New(rand.NewPCG(uint64(seed[0]), uint64(seed[1])))
	var b strings.Builder
	b.WriteString("x,y,label\n")
	for range 60 {
		x, y := 2*random.Float64()-1, 2*random.Float64()-1
		label := 0
		if x+y/2+random.Float64()/4 > 0 {
			label = 1
		}
		fmt.Fprintf(&b, "%.3f,%.3f,%d\n", x, y, label)
	}
	return b.String()
}

var schema = table.Schema{Label: "label", Negative: 0, Positive: 1, Columns: []table.Column{{Name: "x", Min: -1, Max: 1}, {Name: "y", Min: -1, Max: 1}}}

// policy lets the last company stay local.
func policy(company string) agent.Policy {
	return agent.Policy{Tasks: map[string]agent.TaskPolicy{"churn": {
		Rows:  func(s table.Schema) (table.Table, error) { return s.Read(strings.NewReader(rows(company)), company) },
		Local: company == "cal", Validation: 0.2,
	}}}
}

const steps = 2

// bring takes a world to where all companies have brought their rows.
func bring(t *testing.T, w *World) *World {
	t.Helper()
	return bringTo(t, w, schema)
}

// bringTo does so under a schema, which may derive columns.
func bringTo(t *testing.T, w *World, schema table.Schema) *World {
	t.Helper()
	ctx := context.Background()
	must(t, w.Until(ctx, 4000, func(v ledger.View) bool { _, ok := ledger.CurrentEpoch(v); return ok }))
	must(t, w.Record(ctx, "peer", &ledger.OpenTask{Name: "churn", Epoch: 1, Schema: schema.Append(nil), Columns: uint16(len(schema.Features()) + 1), Nodes: nodes, Quorum: 2}))
	task := ledger.TaskID(w.Genesis.Chain, "churn")
	must(t, w.Until(ctx, 4000, func(v ledger.View) bool {
		joined, _ := ledger.TaskOf(v, task)
		for _, c := range w.Companies {
			for _, use := range []ledger.ContributionKind{ledger.Training, ledger.Validation} {
				x, consented := joined.ConsentOf(c)
				if _, ok := ledger.ContributionOf(v, task, use, c); !consented || !ok && (use == ledger.Training || x.Validation > 0) {
					return false
				}
			}
		}
		return true
	}))
	return w
}

// train takes it on to a model that is served and valued.
func train(t *testing.T, w *World) *ledger.Model { return trainComparing(t, w, 0) }

// trainComparing does so with so many rounds of comparing companies.
func trainComparing(t *testing.T, w *World, rounds uint8) *ledger.Model {
	t.Helper()
	ctx := context.Background()
	open := &ledger.OpenJob{Task: ledger.TaskID(w.Genesis.Chain, "churn"), Algorithm: ledger.Logistic, Steps: steps, LearningRate: replay.FixedRate(0.5), Valued: []uint16{1, 2}, Rounds: rounds, Noise: rounds, Nodes: nodes, Quorum: 2}
	must(t, w.Record(ctx, "peer", open))
	return trained(t, w, ledger.JobID("peer", open))
}

// trained waits until a job's model is served and valued.
func trained(t *testing.T, w *World, job ledger.Digest) *ledger.Model {
	t.Helper()
	must(t, w.Until(context.Background(), 8000, func(v ledger.View) bool {
		j, _ := ledger.JobOf(v, job)
		m, ok := ledger.ModelOf(v, j.Model)
		return ok && m.Served() && len(m.Opened) > 0
	}))
	must(t, w.Audit(job))
	j, _ := ledger.JobOf(w.View(), job)
	m, _ := ledger.ModelOf(w.View(), j.Model)
	return m
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func world(t *testing.T, seed uint64, faults bool, mode ledger.Mode) *World {
	t.Helper()
	w, err := New(Options{Profiles: hetest.Profiles(t), Seed: seed, Faults: faults, Policy: policy, Mode: mode})
	must(t, err)
	return w
}

func branch(t *testing.T, w *World, seed uint64, faults bool) *World {
	t.Helper()
	out, err := w.Branch(seed, faults)
	must(t, err)
	return out
}

// compare holds a model to the one of a world where nothing went wrong.
func compare(t *testing.T, got, want *ledger.Model, w *World) {
	t.Helper()
	if got.ID != want.ID {
		t.Errorf("seed %d: model %x after %d crashes; the quiet world's is %x", w.Seed, got.ID[:6], w.Crashes, want.ID[:6])
	}
	if !slices.Equal(got.Opened, want.Opened) {
		t.Errorf("seed %d: values %v; the quiet world's are %v", w.Seed, got.Opened, want.Opened)
	}
}

var seeds = flag.Int("seeds", 1000, "worlds that TestAnyWorld runs")

// TestAnyWorld loses, delays and reorders messages and crashes processes at any
// write, in worlds of many seeds: every one comes to the model of the quiet
// world. A quarter of them live from the founding on, the others from where all
// rows are there.
func TestAnyWorld(t *testing.T) {
	brought := bring(t, world(t, 0, false, ledger.Quorum))
	want := train(t, branch(t, brought, 0, false))
	n := *seeds
	if testing.Short() {
		n = 8
	}
	for seed := range uint64(n) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w := (*World)(nil)
			if seed%4 == 0 {
				w = bring(t, world(t, seed, true, ledger.Quorum))
			} else {
				w = branch(t, brought, seed, true)
			}
			compare(t, train(t, w), want, w)
		})
	}
}

// TestStrictWorld has every company replay every step before it answers.
func TestStrictWorld(t *testing.T) {
	want := train(t, bring(t, world(t, 0, false, ledger.Quorum)))
	for seed := range uint64(3) {
		w := bring(t, world(t, seed, seed > 0, ledger.Strict))
		compare(t, train(t, w), want, w)
	}
}

// everyCrash calls run for each write of each process that a quiet world made
// between two counts, and for either side of it.
func everyCrash(t *testing.T, before, after map[string]int, run func(t *testing.T, name string, n int, side store.Side)) {
	stride := 1
	if testing.Short() {
		stride = 16
	}
	for name, total := range after {
		for n := 1; n <= total-before[name]; n += stride {
			for _, side := range []store.Side{store.Before, store.After} {
				t.Run(fmt.Sprintf("%s/%d/%d", name, n, side), func(t *testing.T) {
					t.Parallel()
					run(t, name, n, side)
				})
			}
		}
	}
}

// TestEveryCrash kills each process at each of its writes, before and after it,
// while a job runs.
func TestEveryCrash(t *testing.T) {
	brought := bring(t, world(t, 0, false, ledger.Quorum))
	quiet := branch(t, brought, 0, false)
	before := quiet.Writes()
	want := train(t, quiet)
	everyCrash(t, before, quiet.Writes(), func(t *testing.T, name string, n int, side store.Side) {
		w := branch(t, brought, uint64(n), false)
		w.CrashAt(name, n, side)
		compare(t, train(t, w), want, w)
		if w.Crashes > 1 {
			t.Errorf("%d crashes", w.Crashes)
		}
	})
}

// TestEveryCrashBefore does so from the founding on: while keys are made, a task
// is joined and rows are brought. Keys and rows are those of the quiet world, in the
// ceremony's first attempt.
func TestEveryCrashBefore(t *testing.T) {
	quiet := bring(t, world(t, 0, false, ledger.Quorum))
	want := founding(t, quiet)
	everyCrash(t, nil, quiet.Writes(), func(t *testing.T, name string, n int, side store.Side) {
		w := world(t, 0, false, ledger.Quorum)
		w.CrashAt(name, n, side)
		bring(t, w)
		if got := founding(t, w); got != want {
			t.Errorf("after %d crashes %+v, want %+v", w.Crashes, got, want)
		}
	})
}

// A start is what a federation has before it trains.
type start struct {
	ceremony, keys, set ledger.Digest
	rows                [6]ledger.Digest // commitments and manifests, of each company
}

func founding(t *testing.T, w *World) (s start) {
	t.Helper()
	e, ok := ledger.CurrentEpoch(w.View())
	task, is := ledger.TaskOf(w.View(), ledger.TaskID(w.Genesis.Chain, "churn"))
	if !ok || !is {
		t.Fatal("no keys, or no task")
	}
	y, _ := ledger.CeremonyOf(w.View(), task.KeySet)
	s = start{ceremony: e.Ceremony, keys: e.Keys, set: y.Keys}
	for i, c := range companies {
		x, _ := ledger.ContributionOf(w.View(), task.ID, ledger.Training, c)
		s.rows[2*i], s.rows[2*i+1] = x.Commitment, x.Manifest
	}
	must(t, w.contributions(task))
	return s
}
