package demo

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

const trained = `{"job":"ab","model":"cd",
"steps":[{"step":0,"block_ms":1000,"records":2},{"step":1,"block_ms":3000,"records":2},{"step":2,"block_ms":6000,"records":2}],
"values":[{"company":"company-1","rows":19892,"local":false,"value":0.01727},{"company":"company-2","rows":4344,"local":true,"value":0.00598}]}`

// The report fits a screen, and says what was measured.
func TestReport(t *testing.T) {
	r := Report{File: "rows.csv", Label: "y", Rows: 46582, Columns: 9, TestRows: 9316, Companies: 2, Local: 1, Steps: 2,
		SoloAUC: []float64{0.8829, 0.8914}, AUCTwin: 0.88, AUCPlaintext: 0.8, AnswerError: 2e-6, ValueError: 4e-8,
		Answers: Answers{Rows: 9316, Asked: 2285, Seconds: 0.2, AUC: 0.8884, Accuracy: 0.8273},
		Usage:   []Usage{{"shop", "demo", "company-1", 2285, 18632}},
		Receipt: "transaction 52 of chain demo, signed for by more than 2/3 of the validators", Forged: "another header of block 49",
		Stocks:       []Stock{{"north", "aggregator", 1e6, 600e6}, {"south", "aggregator", 1e6, 700e6}, {"validator-1", "validator", 2e6, 0}},
		Transactions: 88, LedgerBytes: 36000, Blocks: 95, Processes: 41, PeakPSS: 2.56e9, SecondsTotal: 79.4,
		Phases: []Phase{{"homes", 0.9}, {"processes", 1.5}, {"keys", 11}, {"contributions", 19.2}, {"training", 45.9}, {"answers", 0.4}, {"audit", 0.3}},
	}
	if err := json.Unmarshal([]byte(trained), &r.Trained); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	if len(lines) > 42 {
		t.Errorf("%d lines", len(lines))
	}
	for _, l := range lines {
		if n := utf8.RuneCountInString(l); n > 128 {
			t.Errorf("%d columns: %s", n, l)
		}
	}
	text := strings.Join(strings.Fields(b.String()), " ")
	for _, want := range []string{
		"company-1 encrypted 19,892 0.8829 0.8884 +0.0055 0.01727 company-2 at home 4,344 0.8914 0.8884 -0.0030 0.00598",
		"encrypted queries AUC 0.8884 accuracy 0.8273", "margins differ by up to 2e-06, values by 4e-08",
		"shop had 2,285 of 18,632 answers to task demo, admitted by company-1",
		"verified offline: transaction 52 of chain demo", "refused: another header of block 49",
		"aggregator 650 MB ciphertexts", "validator 2 MB 88 transactions, 36 kB",
		"all 79.4 s homes 0.9, processes 1.5", "a step 3.0 s median of 2, 2.0 to 3.0 s; at most 2 transactions", "ledger 95 blocks 88 transactions", "memory 2.56 GB",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, &b)
		}
	}
	r.PeakPSS = 0 // unknown
	b.Reset()
	if err := r.Write(&b); err != nil || strings.Contains(b.String(), "memory") {
		t.Errorf("an unknown size is told, or %v", err)
	}
}

func TestTry(t *testing.T) {
	var b strings.Builder
	r := Report{Folder: "the folder", Label: "y", Companies: 3}
	if err := r.Try(&b, "bin/commonseal"); err != nil || !strings.Contains(b.String(), "commonseal status --home north\n") {
		t.Errorf("%q, %v", b.String(), err)
	}
}
