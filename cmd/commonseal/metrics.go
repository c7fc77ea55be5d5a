package main

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/commonseal/commonseal/ledger/chain"
)

// ledgerMetrics are what a validator measures, as Prometheus asks for it. CometBFT's
// own metrics are not among them: they would need a registry of the whole process,
// and a hundred series that nobody has a question for.
type ledgerMetrics struct{ stats func() chain.Stats }

func ledgerDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("commonseal_ledger_"+name, help, labels, nil)
}

var (
	descRound    = ledgerDesc("round", "Round of the block that is being made; above 0 a proposer failed.")
	descPool     = ledgerDesc("pool", "Transactions that wait for a block.")
	descKeys     = ledgerDesc("state_keys", "Keys of the state.")
	descLeaves   = ledgerDesc("leaves", "Transactions in the log.")
	descRecorded = ledgerDesc("recorded_total", "Transactions that blocks accepted since the start.")
	descRefused  = ledgerDesc("refused_total", "Transactions that the pool or a block refused since the start, by the ledger's code.", "code")
	descApplying = ledgerDesc("apply_seconds", "From a decided block to its commit, since the start.")
)

// Describe implements [prometheus.Collector].
func (m ledgerMetrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descRound, descPool, descKeys, descLeaves, descRecorded, descRefused, descApplying} {
		out <- d
	}
}

// Collect implements [prometheus.Collector].
func (m ledgerMetrics) Collect(out chan<- prometheus.Metric) {
	s := m.stats()
	gauge := func(d *prometheus.Desc, v float64) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v)
	}
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	gauge(descRound, float64(s.Round))
	gauge(descPool, float64(s.Pool))
	gauge(descKeys, float64(s.Keys))
	gauge(descLeaves, float64(s.Leaves))
	counter(descRecorded, float64(s.Recorded))
	for code, n := range s.Refused {
		counter(descRefused, float64(n), strconv.Itoa(int(code)))
	}
	out <- prometheus.MustNewConstSummary(descApplying, s.Blocks, s.Applying.Seconds(), nil)
}
