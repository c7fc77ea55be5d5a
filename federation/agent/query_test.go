package agent

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"math"
	"sync"
	"testing"

	"github.com/commonseal/commonseal/federation/wire"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/circuit"
	"github.com/commonseal/commonseal/he/multiparty"
	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/gate"
	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

// A client asks a served model.
type client struct {
	w      *world
	name   string
	model  ledger.Digest
	secret *he.SecretKey
	public *he.PublicKey
}

// served is a world with a model that is served, and a querier with a quota.
func served(t *testing.T, quota uint64) (*world, *client) {
	t.Helper()
	w := ready(t, ledger.Quorum, oneLocal)
	id := w.openJob(2)
	w.until("served", func() bool {
		for _, c := range companies {
			if len(w.agents[c].Serves()) == 0 {
				return false
			}
		}
		return true
	})
	return w, w.admit("quinn", w.job(id).Model, taskID, quota)
}

// admit admits a querier whose key is with the nodes.
func (w *world) admit(name string, model, task ledger.Digest, quota uint64) *client {
	w.t.Helper()
	seed := he.Seed(ledger.Hash("test/querier", []byte(name)))
	c := &client{w: w, name: name, model: model, secret: he.NewSecretKey(w.profiles.Serve, seed.Stream("secret"))}
	derived := he.QuerierSeed(wire.QuerierSession(chainName, task), name, 0)
	c.public = he.GenPublicKey(c.secret, derived, seed.Stream("public"))
	w.record("ann", &ledger.AdmitQuerier{Name: name, Signing: w.key(name), TLS: w.key(name + "/tls"), Task: task, Quota: quota,
		PublicKey: w.keep(c.public.Append(nil))})
	return c
}

// query encrypts rows and signs the envelope.
func (c *client) query(sequence uint64, rows he.Rows) (envelope, query []byte) {
	c.w.t.Helper()
	q, err := he.EncryptQueries(c.public, rows, he.WidthFor(columns), he.Seed{1})
	if err != nil {
		c.w.t.Fatal(err)
	}
	query = q.Append(nil)
	e := wire.Query{Model: c.model, Sequence: sequence, Rows: uint16(rows.Len()), Digest: sha256.Sum256(query)}
	return e.Sign(chainName, c.w.signing[c.name]).Append(nil), query
}

// questions are two rows that a querier asks about.
func questions() he.Rows {
	return he.Rows{Columns: columns, Values: []float64{1, 0.5, -0.25, 0.125, 1, -0.75, 0.5, 0}}
}

// TestAnswer asks all holders about rows; the sum of their answers is what the
// cleartext twin says.
func TestAnswer(t *testing.T) {
	w, c := served(t, 100)
	envelope, query := c.query(1, questions())
	var shares []*he.Answer
	for _, name := range companies {
		b, err := w.agents[name].Answer(context.Background(), envelope, query)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		s, err := he.ParseAnswer(b, w.profiles.Serve, he.WidthFor(columns))
		if err != nil {
			t.Fatal(err)
		}
		shares = append(shares, s)
	}
	sum, err := multiparty.AddAnswers(multiparty.Roster{Parties: companies}, shares)
	if err != nil {
		t.Fatal(err)
	}
	got := c.secret.DecryptAnswers(sum, 2, 0)

	task, _ := ledger.TaskOf(w.tip, taskID)
	var rows []he.Rows
	for _, name := range companies {
		r, err := w.agents[name].readRows(task)
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, r.training)
	}
	twin := circuit.Twin{LearningRate: 1, Steps: 2, Columns: columns}
	want := circuit.Scores(twin.Train(rows).Weights, questions())
	for i := range want {
		if math.Abs(got[i]-want[i]) > 1e-4 || math.Abs(want[i]) < 1e-3 {
			t.Errorf("row %d: answered %g, the twin says %g", i, got[i], want[i])
		}
	}
}

// refusal is an agent's answer, or why it refuses.
func refusal(t *testing.T, a *Agent, envelope, query []byte) ([]byte, commonsealv1.RefusalCode) {
	t.Helper()
	b, err := a.Answer(context.Background(), envelope, query)
	var r *gate.Refusal
	switch {
	case err == nil:
		return b, 0
	case !errors.As(err, &r):
		t.Fatalf("an error that is no refusal: %v", err)
	}
	return nil, r.Code
}

// TestAnswerRefuses is all that is not answered, and why.
func TestAnswerRefuses(t *testing.T) {
	w, c := served(t, 5)
	w.record("peer", &ledger.OpenTask{Name: "other", Epoch: 1, Schema: schema().Append(nil), Columns: columns, Nodes: nodeNames, Quorum: 2})
	stranger := &client{w: w, name: "zed", model: c.model, secret: c.secret, public: c.public}
	w.key("zed")
	member := &client{w: w, name: "bob", model: c.model, secret: c.secret, public: c.public}
	ann := w.agents["ann"]
	ask := func(envelope, query []byte) ([]byte, commonsealv1.RefusalCode) {
		return refusal(t, ann, envelope, query)
	}
	one, q1 := c.query(1, questions())
	first, code := ask(one, q1)
	if code != 0 {
		t.Fatalf("the first query is refused: %v", code)
	}
	if again, code := ask(one, q1); code != 0 || !bytes.Equal(first, again) {
		t.Errorf("a repeat: code %v, the same bytes: %v", code, bytes.Equal(first, again))
	}
	other := questions()
	other.Values[1] = -1
	late, late1 := c.query(1, other)
	two, q2 := c.query(2, questions())
	three, q3 := c.query(3, questions())
	zed, qz := stranger.query(1, questions())
	bob, qb := member.query(1, questions())
	unserved := *c
	unserved.model = ledger.Digest{9}
	none, qn := unserved.query(4, questions())
	broken := append([]byte{}, q2...)
	broken[len(broken)-1] ^= 1
	torn, _ := c.query(5, questions())
	torn[len(torn)-1] ^= 1
	for _, test := range []struct {
		name            string
		envelope, query []byte
		want            commonsealv1.RefusalCode
	}{
		{"another query as number 1", late, late1, commonsealv1.RefusalCode_REFUSAL_CODE_CONFLICT},
		{"a query that is not the envelope's", two, broken, commonsealv1.RefusalCode_REFUSAL_CODE_WRONG_DIGEST},
		{"a stranger", zed, qz, commonsealv1.RefusalCode_REFUSAL_CODE_UNKNOWN},
		{"a member", bob, qb, commonsealv1.RefusalCode_REFUSAL_CODE_UNKNOWN},
		{"an unknown model", none, qn, commonsealv1.RefusalCode_REFUSAL_CODE_NOT_READY},
		{"a torn signature", torn, q2, commonsealv1.RefusalCode_REFUSAL_CODE_MALFORMED},
		{"no envelope", nil, q2, commonsealv1.RefusalCode_REFUSAL_CODE_MALFORMED},
		{"the fourth answer of five", two, q2, 0},
		{"the sixth", three, q3, commonsealv1.RefusalCode_REFUSAL_CODE_OVER_LIMIT},
		{"a repeat beyond the quota", two, q2, 0},
	} {
		if _, code := ask(test.envelope, test.query); code != test.want {
			t.Errorf("%s: %v, want %v", test.name, code, test.want)
		}
	}
}

// TestAnswerHoldsKeysToTheirTask refuses a querier whose key was made for
// another task: its uniform half is not the one that everybody derives.
func TestAnswerHoldsKeysToTheirTask(t *testing.T) {
	w, c := served(t, 5)
	seed := he.Seed{7}
	secret := he.NewSecretKey(w.profiles.Serve, seed.Stream("secret"))
	foreign := he.GenPublicKey(secret, he.QuerierSeed(wire.QuerierSession(chainName, ledger.Digest{3}), "rex", 0), seed.Stream("public"))
	w.record("ann", &ledger.AdmitQuerier{Name: "rex", Signing: w.key("rex"), TLS: w.key("rex/tls"), Task: taskID, Quota: 9, PublicKey: w.keep(foreign.Append(nil))})
	rex := &client{w: w, name: "rex", model: c.model, secret: secret, public: foreign}
	envelope, query := rex.query(1, questions())
	_, err := w.agents["bob"].Answer(context.Background(), envelope, query)
	var r *gate.Refusal
	if !errors.As(err, &r) || r.Code != commonsealv1.RefusalCode_REFUSAL_CODE_FORBIDDEN {
		t.Errorf("a key of another task is taken: %v", err)
	}
}

// TestQuotaIsWhatTheLedgerHas counts what nodes recorded before a restart.
func TestQuotaIsWhatTheLedgerHas(t *testing.T) {
	w, c := served(t, 3)
	w.record("north", &ledger.Usage{Batch: 1, Entries: []ledger.Used{{Querier: "quinn", Model: c.model, Answers: 2}}})
	w.restart("ann")
	w.until("served again", func() bool { return len(w.agents["ann"].Serves()) == 1 })
	envelope, query := c.query(1, questions())
	_, err := w.agents["ann"].Answer(context.Background(), envelope, query)
	var r *gate.Refusal
	if !errors.As(err, &r) || r.Code != commonsealv1.RefusalCode_REFUSAL_CODE_OVER_LIMIT {
		t.Errorf("two answers more than are left: %v", err)
	}
}

// TestAnswersAtOnce asks one agent from many goroutines, while it works.
func TestAnswersAtOnce(t *testing.T) {
	w, c := served(t, 1000)
	const askers, each = 4, 4
	type asked struct{ envelope, query []byte }
	queries := make([][]asked, askers)
	for i := range queries {
		for k := range each {
			envelope, query := c.query(uint64(i*each+k+1), questions())
			queries[i] = append(queries[i], asked{envelope, query})
		}
	}
	var wg sync.WaitGroup
	errs := make([]error, askers)
	for i := range askers {
		wg.Go(func() {
			for _, q := range queries[i] {
				if _, err := w.agents["cal"].Answer(context.Background(), q.envelope, q.query); err != nil {
					errs[i] = err
				}
			}
		})
	}
	w.work("cal")
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}

// TestSecretsDoNotPrint looks for the seed and the signing key in what an agent
// prints as.
func TestSecretsDoNotPrint(t *testing.T) {
	w := found(t, ledger.Quorum, pooled)
	a := w.agents["ann"]
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		for _, secret := range [][]byte{a.Seed[:], ed25519.PrivateKey(a.Signing).Seed()} {
			if shows(verb, a, secret) || shows(verb, a.Company, secret) {
				t.Errorf("%s shows a secret", verb)
			}
		}
	}
}
