package checker_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/commonseal/commonseal/federation/checker"
	"github.com/commonseal/commonseal/federation/fedtest"
	"github.com/commonseal/commonseal/federation/replay"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/ledger"
)

// BenchmarkAuditStep audits a step of production size after the first, whose keys
// and contributions are there, and evaluates the same step on inputs that are
// there, in turns. It reports what an audit takes of the evaluation alone, and the
// size of a fraud proof. The job is small, so the ratio is high: what an audit
// does beyond the evaluation does not grow with the rows.
func BenchmarkAuditStep(b *testing.B) {
	w := train(b, bring(b, he.Standard()), nil)
	from := checker.Sources(b.Context(), w.state, w.job, w.profiles, w.node)
	c, err := replay.NewChecker(w.job, from)
	must(b, err)
	again, err := c.Evaluation(1)
	must(b, err)
	a := checker.NewAudit(w.job, w.profiles, w.node)
	must(b, a.Step(b.Context(), w.state, 1))
	var audited, evaluated time.Duration
	for b.Loop() {
		begun := time.Now()
		must(b, a.Step(b.Context(), w.state, 1))
		audited += time.Since(begun)
		begun = time.Now()
		must(b, again())
		evaluated += time.Since(begun)
	}
	b.ReportMetric(audited.Seconds()/float64(b.N)*1e3, "ms-audit/op")
	b.ReportMetric(evaluated.Seconds()/float64(b.N)*1e3, "ms-evaluation/op")
	b.ReportMetric(audited.Seconds()/evaluated.Seconds(), "ratio")
}

// BenchmarkFraudProof verifies the fraud proof of an altered step of production
// size, and reports how large it is.
func BenchmarkFraudProof(b *testing.B) {
	w := altered(b, bring(b, he.Standard()))
	file, err := w.proof(b, 1)
	must(b, err)
	_, head, err := checker.ReadHead(bytes.NewReader(file), int64(len(file)))
	must(b, err)
	for b.Loop() {
		_, err := checker.VerifyFraud(bytes.NewReader(file), int64(len(file)), w.profiles, readSigned)
		must(b, err)
	}
	b.ReportMetric(float64(len(file)), "bytes")
	b.ReportMetric(float64(head), "bytes-head")
}

// BenchmarkModelProof audits a model's record of production size whose values are
// others than steps led to, the last of all that is looked at, and reports what its
// fraud proof takes.
func BenchmarkModelProof(b *testing.B) {
	w := train(b, bring(b, he.Standard()), func(_ *fedtest.World, from string, body ledger.Body) ledger.Body {
		if r, ok := body.(*ledger.ModelRecord); ok {
			forged := *r
			forged.Values[0] ^= 1
			return &forged
		}
		return body
	})
	file, err := w.proof(b, steps+1)
	must(b, err)
	a := checker.NewAudit(w.job, w.profiles, w.node)
	if err := a.Step(b.Context(), w.state, steps+1); !replay.IsWrong(err) {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := a.Step(b.Context(), w.state, steps+1); !replay.IsWrong(err) {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(file)), "bytes")
}
