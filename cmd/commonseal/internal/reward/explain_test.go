package reward

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/commonseal/commonseal/ledger"
)

var rewrite = flag.Bool("rewrite", false, "write testdata anew")

// settlement is of three companies, two models and a copy: cal's rows are near-copies
// of ann's in the second model, and harm the first.
func settlement(t *testing.T) *ledger.Settlement {
	t.Helper()
	first, second := ledger.Digest{1}, ledger.Digest{2}
	ranks := func(a, b uint16) []ledger.Weight {
		return []ledger.Weight{{Model: first, Part: a}, {Model: second, Part: b}}
	}
	st := &ledger.Settlement{Epoch: 12, Task: ledger.Digest{7}, Pot: 1_000_000, Roster: []string{"ann", "bob", "cal"}, Owners: []string{"Ann Ltd", "Bob Ltd", "Cal Ltd"},
		Evaluators: []string{"ann", "bob", "cal"}, Order: []uint64{1, 2, 3},
		Escrows: []uint64{1000, 1000, 100_000}, Operators: []string{"north", "south"},
		Money: ledger.Money{Cut: 180_000, Evaluate: 500_000, Provide: 500_000, Penalty: ledger.Million, Smoothing: 100_000, Cap: 490_000},
		Companies: []ledger.Evaluator{
			{Name: "ann", Owner: "Ann Ltd", Stake: 5000, Weights: ranks(3, 1)},
			{Name: "bob", Owner: "Bob Ltd", Stake: 1000, Weights: ranks(3, 1)},
			{Name: "cal", Owner: "Cal Ltd", Stake: 1000, Weights: ranks(1, 9)}},
		Models: []ledger.Ranked{
			{Model: first, Peer: "peer", Owner: "Peer GmbH", Found: []int64{3 << 30, 1 << 30, -1 << 29}},
			{Model: second, Peer: "cal", Owner: "Cal Ltd", Found: []int64{1 << 31, 1 << 30, 1 << 30, 1 << 30, 1 << 31, 1 << 30, 1 << 30, 1 << 30, 1 << 31}, Copies: []ledger.Pair{{First: 0, Second: 2}}}}}
	again, _, err := st.Recompute()
	if err != nil {
		t.Fatal(err)
	}
	return again
}

// The words and numbers that members read: a difference is reviewed like code.
func TestExplain(t *testing.T) {
	var all strings.Builder
	for _, name := range []string{"ann", "cal", "peer", "north"} {
		story, err := Explain(settlement(t), "churn", name)
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString(story + "\n")
	}
	const file = "testdata/explain.txt"
	if *rewrite {
		if err := os.WriteFile(file, []byte(all.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if all.String() != string(want) {
		t.Errorf("not as in %s; look, then run with -rewrite:\n%s", file, all.String())
	}
}

func TestExplainNobody(t *testing.T) {
	_, err := Explain(settlement(t), "churn", "dan")
	if err == nil || !strings.Contains(err.Error(), "ann, bob, cal, north, peer, south") {
		t.Errorf("the part of who has none: %v", err)
	}
}

// What a change would have been worth is the difference to what was paid: undoing it
// costs as much.
func TestOtherwiseIsADifference(t *testing.T) {
	st := settlement(t)
	before, err := Explain(st, "churn", "bob")
	if err != nil {
		t.Fatal(err)
	}
	scale(st, 1, 11, 10)
	again, payouts, err := st.Recompute()
	if err != nil {
		t.Fatal(err)
	}
	_, old, _ := settlement(t).Recompute()
	gain := net(payouts["bob"]) - net(old["bob"])
	if gain <= 0 || !strings.Contains(before, "had its rows done a tenth more") {
		t.Errorf("rows that do more gain %d: %+v\n%s", gain, again.Paid, before)
	}
}
