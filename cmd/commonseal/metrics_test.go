package main

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/chain"
)

func TestLedgerMetrics(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	stats := chain.Stats{Round: 1, Pool: 2, Keys: 3, Leaves: 4, Recorded: 5, Blocks: 2, Applying: 3 * time.Second,
		Refused: map[ledger.Code]uint64{ledger.Expired: 7, ledger.Late: 8}}
	if err := r.Register(ledgerMetrics{func() chain.Stats { return stats }}); err != nil {
		t.Fatal(err)
	}
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range families {
		for _, m := range f.Metric {
			label := ""
			for _, l := range m.Label {
				label = l.GetValue()
			}
			got = append(got, fmt.Sprint(f.GetName(), label, " ", m.GetGauge().GetValue()+m.GetCounter().GetValue()+m.GetSummary().GetSampleSum()))
		}
	}
	want := []string{"commonseal_ledger_apply_seconds 3", "commonseal_ledger_leaves 4", "commonseal_ledger_pool 2", "commonseal_ledger_recorded_total 5",
		"commonseal_ledger_refused_total11 8", "commonseal_ledger_refused_total3 7", "commonseal_ledger_round 1", "commonseal_ledger_state_keys 3"}
	if !slices.Equal(got, want) {
		t.Errorf("metrics %q, want %q", got, want)
	}
}
