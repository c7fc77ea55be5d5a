package fedtest

import (
	"slices"
	"strings"
	"testing"

	"github.com/commonseal/commonseal/federation/agent"
	"github.com/commonseal/commonseal/federation/replay"
	"github.com/commonseal/commonseal/federation/table"
	"github.com/commonseal/commonseal/he/hetest"
	"github.com/commonseal/commonseal/ledger"
)

// copying has the last company, which stays local, bring the first one's rows.
func copying(company string) agent.Policy {
	whose, validation := company, 0.0
	switch company {
	case "cal":
		whose = "ann"
	case "bob":
		validation = 0.3
	}
	return agent.Policy{Tasks: map[string]agent.TaskPolicy{"churn": {
		Rows:  func(s table.Schema) (table.Table, error) { return s.Read(strings.NewReader(rows(whose)), company) },
		Local: company == "cal", Validation: validation,
	}}}
}

// TestCopiesAreMerged compares companies in processes: the copy is on the ledger
// and earns nothing, whether witnesses replay every round or a quorum is
// believed, and whatever is lost or crashes on the way.
func TestCopiesAreMerged(t *testing.T) {
	found := func(seed uint64, faults bool, mode ledger.Mode) *World {
		w, err := New(Options{Profiles: hetest.Profiles(t), Seed: seed, Faults: faults, Policy: copying, Mode: mode})
		must(t, err)
		return bring(t, w)
	}
	brought := found(0, false, ledger.Quorum)
	quiet := branch(t, brought, 0, false)
	want := trainComparing(t, quiet, replay.CompareRounds)
	laterIsCopy(t, quiet, want)
	alone := train(t, branch(t, brought, 0, false))
	if alone.State != want.State && len(alone.Opened) != 3 {
		t.Errorf("without comparing, values %v", alone.Opened)
	}
	if alone.Opened[2] <= 0 {
		t.Errorf("a copy that is not looked for is worth %d", alone.Opened[2])
	}
	seeds := uint64(4)
	if testing.Short() {
		seeds = 1
	}
	for seed := range seeds {
		w := branch(t, brought, seed+1, true)
		got := trainComparing(t, w, replay.CompareRounds)
		compare(t, got, want, w)
		if !slices.Equal(got.Copies, want.Copies) {
			t.Errorf("seed %d: copies %v, the quiet world's are %v", w.Seed, got.Copies, want.Copies)
		}
	}
	strict := found(0, false, ledger.Strict)
	got := trainComparing(t, strict, replay.CompareRounds)
	laterIsCopy(t, strict, got)
	compare(t, got, want, strict)
}

// TestNoCopies compares companies of rows of their own: what all of their validation
// rows find is opened as if nobody had been compared.
func TestNoCopies(t *testing.T) {
	w := bring(t, world(t, 0, false, ledger.Strict))
	w.holdValues(t, trainComparing(t, w, replay.CompareRounds), schema, 1)
}

// TestFourEvaluators has a fourth company, so that each values all by its own
// validation rows: as many values are opened of each company as there are companies,
// whether companies are compared or not.
func TestFourEvaluators(t *testing.T) {
	w, err := New(Options{Profiles: hetest.Profiles(t), Companies: append([]string{"ada"}, companies...), Policy: policy, Mode: ledger.Strict})
	must(t, err)
	bring(t, w)
	for _, rounds := range []uint8{0, replay.CompareRounds} {
		v := branch(t, w, uint64(rounds), false)
		v.holdValues(t, trainComparing(t, v, rounds), schema, 4)
	}
}

// laterIsCopy says that of the first and the third company, who have the same rows,
// the one that contributed later is worth nothing.
func laterIsCopy(t *testing.T, w *World, m *ledger.Model) {
	t.Helper()
	if !slices.Equal(m.Copies, []ledger.Pair{{First: 0, Second: 2}}) {
		t.Fatalf("copies %v, want the first and the third company", m.Copies)
	}
	order := ledger.Order(w.View(), m.Task, companies)
	first, copied := 0, 2
	if order[2] < order[0] {
		first, copied = 2, 0
	}
	if len(m.Opened) != 3 || m.Opened[copied] != 0 || m.Opened[first] <= 0 {
		t.Errorf("values %v of companies that contributed in order %v; company %d is a copy", m.Opened, order, copied)
	}
}
