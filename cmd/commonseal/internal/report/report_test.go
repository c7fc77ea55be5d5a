package report

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/commonseal/commonseal/ledger"
)

// founded is the state of a consortium whose founder's name is markup.
func founded(t *testing.T) *ledger.Memory {
	t.Helper()
	g := ledger.Genesis{Chain: "retail", Mode: ledger.Strict, Quorum: 1, Money: ledger.Money{Grant: 10, Bond: 30},
		Members: []ledger.Member{
			{Name: "ann", Owner: "<script>alert(1)</script>", Roles: ledger.Company, Signing: ledger.Key{1}, TLS: ledger.Key{2}},
			{Name: "bob", Owner: "Bob & Sons", Roles: ledger.Company, Signing: ledger.Key{3}, TLS: ledger.Key{4}},
			{Name: "north", Owner: "North", Roles: ledger.Aggregator, Address: "n:1", Signing: ledger.Key{5}, TLS: ledger.Key{6}},
			{Name: "val", Owner: "Bob & Sons", Roles: ledger.Validator, Address: "v:1", Vote: ledger.Key{9}, Signing: ledger.Key{7}, TLS: ledger.Key{8}},
		}}
	writes, err := g.Writes()
	if err != nil {
		t.Fatal(err)
	}
	m := new(ledger.Memory)
	m.Write(writes)
	return m
}

// The page says what the state says, and nothing in the state is markup in it.
func TestReport(t *testing.T) {
	r := Of(founded(t), func(ledger.Roles) []string { return []string{"some role"} })
	if r.Supply != 160 || r.Credits != 160 || len(r.Members) != 4 || len(r.Stakes) != 3 {
		t.Errorf("%+v", r)
	}
	for _, s := range r.Stakes {
		if want := map[bool]string{true: "50.00", false: "25.00"}[s.Owner == "Bob & Sons"]; s.Part != want {
			t.Errorf("%s has %s %% of the stake, want %s", s.Owner, s.Part, want)
		}
	}
	r.Contributions = []Contribution{{"churn", "ann", 1000, 10, 1 << 20}, {"churn", "bob", 500, 0, 0}}
	r.Earned = []Earned{{Member: "ann", Total: 1 << 63}, {Member: "bob", Total: 1}}
	r.Releases = []Releases{{1, 3, 1 << 20}}
	r.Jobs = []Job{{ID: "abc", Steps: 10, Recorded: 10, Sampled: []uint16{3}, Checked: true, Survives: []Chances{{1, "90.00"}}}}
	var page bytes.Buffer
	if err := r.WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	html := page.String()
	for _, want := range []string{"&lt;script&gt;", "Bob &amp; Sons", `width="400" height="16"`, `width="200"`, "90.00 % with 1 wrong", "3 the model's record and the opened values"} {
		if !strings.Contains(html, want) {
			t.Errorf("nothing says %q", want)
		}
	}
	if strings.Contains(html, "<script") || strings.Contains(html, "http") {
		t.Error("the page runs or loads something")
	}
	var back Report
	b, err := json.Marshal(r)
	if err == nil {
		err = json.Unmarshal(b, &back)
	}
	if err != nil || back.Jobs[0].Survives[0] != r.Jobs[0].Survives[0] {
		t.Errorf("as JSON and back: %+v, %v", back, err)
	}
}
