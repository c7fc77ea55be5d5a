package agent

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/commonseal/commonseal/federation"
	"github.com/commonseal/commonseal/federation/store"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/circuit"
	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/gate"
	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

// endpoints are the nodes as a querier with a TLS key sees them.
func (w *world) endpoints(tls ed25519.PrivateKey) (map[string]Endpoint, func()) {
	out := map[string]Endpoint{}
	if name, ok := ledger.Peer(w.tip, ledger.Key(tls.Public().(ed25519.PublicKey))); ok {
		for _, n := range nodeNames {
			if !w.deaf[n] {
				out[n] = link{w, name, n}
			}
		}
	}
	return out, func() {}
}

// Predict is what a querier asks of a node, where every company answers.
func (l link) Predict(ctx context.Context, envelope, query []byte) ([]byte, error) {
	if l.w.spent {
		return nil, gate.Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_OVER_LIMIT, "", "the quota is used")
	}
	n := l.w.nodes[l.to]
	for _, c := range companies {
		for _, model := range l.w.agents[c].Serves() {
			leave, err := n.Enlist(model, c, l.w.agents[c].Answer)
			if err != nil {
				return nil, err
			}
			defer leave()
		}
	}
	return n.Answer(ctx, l.from, envelope, query)
}

// TestScore has every company, pooled and local, judge a model by its own
// validation rows: what it writes down is what the cleartext twin is worth.
func TestScore(t *testing.T) {
	w, c := served(t, 5)
	duty := federation.Score{Model: c.model}
	task, _ := ledger.TaskOf(w.tip, taskID)
	var trained []he.Rows
	for _, name := range companies {
		r, err := w.agents[name].readRows(task)
		if err != nil {
			t.Fatal(err)
		}
		trained = append(trained, r.training)
	}
	twin := circuit.Twin{LearningRate: 1, Steps: 2, Columns: columns}.Train(trained)
	for _, name := range companies {
		a := w.agents[name]
		for range 2 { // it is admitted, and asks
			if did, err := a.score(context.Background(), w.tip, duty); err != nil || !did {
				t.Fatalf("%s: %v, %v", name, did, err)
			}
		}
		b, err := a.Store.Journal.Get("done/" + duty.Key())
		if err != nil {
			t.Fatal(err)
		}
		r, err := a.readRows(task)
		if err != nil {
			t.Fatal(err)
		}
		rows, labels := unsigned(r.validation, maxScored)
		want, err := partOf(circuit.Scores(twin.Weights, rows), labels)
		if err != nil {
			t.Fatal(err)
		}
		if got := binary.BigEndian.Uint16(b); math.Abs(float64(got)-float64(want)) > 8 || want < 1000 {
			t.Errorf("%s: the model scores %d, its twin %d", name, got, want)
		}
	}
	for _, q := range ledger.Queriers(w.tip) {
		if q.Name != c.name && (q.Quota != uint64(10) || !slices.Contains(companies, q.Sponsor)) {
			t.Errorf("%+v", q)
		}
	}
}

// TestScoreGivesUp pays for answers that never come a few times, and no more.
func TestScoreGivesUp(t *testing.T) {
	w, c := served(t, 5)
	w.spent = true
	a := w.agents["ann"]
	for range 2 * maxAttempts {
		if did, err := a.score(context.Background(), w.tip, federation.Score{Model: c.model}); err != nil || !did {
			t.Fatalf("%v, %v", did, err)
		}
	}
	_, err := a.score(context.Background(), w.tip, federation.Score{Model: c.model})
	var refused *RefusedError
	if !errors.As(err, &refused) {
		t.Errorf("after %d attempts: %v", maxAttempts, err)
	}
	if n := len(ledger.Queriers(w.tip)); n != 1+maxAttempts {
		t.Errorf("%d queriers", n)
	}
}

// TestAbstain neither asks nor ranks.
func TestAbstain(t *testing.T) {
	w, c := served(t, 5)
	w.policy = func(company string) Policy {
		p := oneLocal(company)
		mine := p.Tasks["churn"]
		mine.Abstain = true
		p.Tasks["churn"] = mine
		return p
	}
	w.work("ann")
	for _, d := range []federation.Duty{federation.Score{Model: c.model}, federation.Rank{Task: taskID, Epoch: 1}} {
		if _, err := w.agents["ann"].carryOut(context.Background(), w.tip, d); !errors.Is(err, ErrDeclined) {
			t.Errorf("%s: %v", d.Key(), err)
		}
	}
}

// TestRankingIsWrittenDown: what a company reveals is what it committed to, whatever
// is scored or served in between, and after a restart; without its journal it
// reveals nothing.
func TestRankingIsWrittenDown(t *testing.T) {
	w, c := served(t, 5)
	a := w.agents["ann"]
	put := func(model ledger.Digest, part uint16) {
		t.Helper()
		if err := a.Store.Journal.Put("done/"+federation.Score{Model: model}.Key(), binary.BigEndian.AppendUint16(nil, part)); err != nil {
			t.Fatal(err)
		}
	}
	put(c.model, 7)
	task, _ := ledger.TaskOf(w.tip, taskID)
	first, err := a.newRanking(w.tip, task, 3)
	if err != nil || len(first.Weights) != 1 || first.Weights[0] != (ledger.Weight{Model: c.model, Part: 7}) {
		t.Fatalf("%+v, %v", first, err)
	}
	again, err := w.restart("ann").ranking(taskID, 3)
	if err != nil || !reflect.DeepEqual(first, again) {
		t.Errorf("after a restart %+v, %v; it was %+v", again, err, first)
	}
	other, err := w.agents["ann"].newRanking(w.tip, task, 4)
	if err != nil || other.Salt == first.Salt {
		t.Errorf("two epochs have one salt: %v", err)
	}
	if _, err := w.agents["bob"].ranking(taskID, 3); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("bob has a ranking: %v", err)
	}
	var refused *RefusedError
	if _, err := w.agents["bob"].unseal(context.Background(), federation.Reveal{Task: taskID, Epoch: 3}); !errors.As(err, &refused) {
		t.Errorf("a ranking that is not in the journal: %v", err)
	}
}

func TestPartOf(t *testing.T) {
	labels := []float64{1, 1, -1, -1}
	for _, test := range []struct {
		name    string
		margins []float64
		want    uint16
	}{
		{"knows nothing", []float64{0, 0, 0, 0}, 0},
		{"is wrong", []float64{-1, -1, 1, 1}, 0},
		{"is wrong and sure", []float64{-1e4, -1e4, 1e4, 1e4}, 0},
		{"is right and sure", []float64{1e4, 1e4, -1e4, -1e4}, math.MaxUint16},
		{"saves half", []float64{logit(math.Sqrt2 / 2), logit(math.Sqrt2 / 2), -logit(math.Sqrt2 / 2), -logit(math.Sqrt2 / 2)}, 32768},
		{"is no number", []float64{math.NaN(), 0, 0, 0}, 0},
	} {
		if got, err := partOf(test.margins, labels); err != nil || got != test.want {
			t.Errorf("a model that %s: part %d, %v; want %d", test.name, got, err, test.want)
		}
	}
	if _, err := partOf([]float64{1, 1}, []float64{1, 1}); err == nil {
		t.Error("rows of one class were scored on")
	}
}

// logit is the margin of a probability.
func logit(p float64) float64 { return math.Log(p / (1 - p)) }

// Rows are asked about as queries have them, evenly spread if there are many.
func TestUnsigned(t *testing.T) {
	signed := he.Rows{Columns: 2}
	for i := range 10 {
		y := float64(1 - 2*(i%2))
		signed.Values = append(signed.Values, y, y*float64(i)/10)
	}
	rows, labels := unsigned(signed, 5)
	if !slices.Equal(labels, []float64{1, 1, 1, 1, 1}) || !slices.Equal(rows.Values, []float64{1, 0, 1, 0.2, 1, 0.4, 1, 0.6, 1, 0.8}) {
		t.Errorf("%v, %v", rows.Values, labels)
	}
	if rows, labels := unsigned(signed, 100); rows.Len() != 10 || labels[3] != -1 || rows.Row(3)[1] != 0.3 {
		t.Errorf("%v, %v", rows, labels)
	}
	if rows, _ := unsigned(he.Rows{Columns: 2}, 5); rows.Len() != 0 {
		t.Errorf("%v", rows)
	}
}
