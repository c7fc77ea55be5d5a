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

// live takes a world through its life and returns its model.
func live(t *testing.T, w *World) *ledger.Model {
	t.Helper()
	ctx := context.Background()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(w.Until(ctx, 4000, func(v ledger.View) bool { _, ok := ledger.CurrentEpoch(v); return ok }))
	must(w.Record(ctx, &ledger.OpenTask{Name: "churn", Epoch: 1, Schema: schema.Append(nil), Columns: 3, Nodes: nodes, Quorum: 2}))
	task := ledger.TaskID(w.Genesis.Chain, "churn")
	must(w.Until(ctx, 4000, func(v ledger.View) bool {
		for _, c := range companies {
			for _, use := range []ledger.ContributionKind{ledger.Training, ledger.Validation} {
				if _, ok := ledger.ContributionOf(v, task, use, c); !ok {
					return false
				}
			}
		}
		return true
	}))
	open := &ledger.OpenJob{Task: task, Steps: steps, LearningRate: replay.FixedRate(0.5), Valued: []uint16{1, 2}, Nodes: nodes, Quorum: 2}
	must(w.Record(ctx, open))
	job := ledger.JobID("peer", open)
	must(w.Until(ctx, 8000, func(v ledger.View) bool {
		j, _ := ledger.JobOf(v, job)
		m, ok := ledger.ModelOf(v, j.Model)
		return ok && m.Served() && len(m.Opened) > 0
	}))
	j, _ := ledger.JobOf(w.View(), job)
	m, _ := ledger.ModelOf(w.View(), j.Model)
	return m
}

func world(t *testing.T, seed uint64, faults bool) *World {
	t.Helper()
	w, err := New(Options{Profiles: hetest.Profiles(t), Seed: seed, Faults: faults, Policy: policy, Mode: ledger.Quorum})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestQuietWorld(t *testing.T) {
	m := live(t, world(t, 1, false))
	t.Logf("model %x, values %v", m.ID[:6], m.Opened)
}

var seeds = flag.Int("seeds", 1000, "worlds that TestAnyWorld runs")

// TestAnyWorld loses and delays messages and crashes processes at any write, in
// worlds of many seeds: every one comes to the model of the quiet world.
func TestAnyWorld(t *testing.T) {
	want := live(t, world(t, 0, false))
	n := *seeds
	if testing.Short() {
		n = 10
	}
	for seed := range uint64(n) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w := world(t, seed, true)
			m := live(t, w)
			if m.ID != want.ID {
				t.Errorf("model %x after %d crashes; the quiet world's is %x", m.ID[:6], w.Crashes, want.ID[:6])
			}
			if !slices.Equal(m.Opened, want.Opened) {
				t.Errorf("values %v; the quiet world's are %v", m.Opened, want.Opened)
			}
		})
	}
}
