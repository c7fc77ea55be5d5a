package fedtest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/commonseal/commonseal/federation/replay"
	"github.com/commonseal/commonseal/federation/table"
	"github.com/commonseal/commonseal/federation/wire"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/multiparty"
	"github.com/commonseal/commonseal/ledger"
	"gonum.org/v1/gonum/floats"
)

// derived is the schema with a product, a square and a threshold: rows of six.
func derived(t *testing.T) table.Schema {
	t.Helper()
	out := schema
	for _, expression := range []string{"x*y", "y^2", "x>0.5"} {
		d, err := out.Derivation(expression)
		must(t, err)
		out.Derived = append(out.Derived, d)
	}
	return out
}

// TestSpecs has a model peer, which has no rows, no key and no process, submit two
// specs at once. Both become models: those of their twins, and valued by the columns
// that they train.
func TestSpecs(t *testing.T) {
	ctx, shape := context.Background(), derived(t)
	spec := func(change func(*ledger.OpenJob)) *ledger.OpenJob {
		o := &ledger.OpenJob{Algorithm: ledger.Logistic, Steps: 2, LearningRate: replay.FixedRate(0.5), Valued: []uint16{1, 2}, Nodes: nodes, Quorum: 2}
		change(o)
		return o
	}
	specs := []*ledger.OpenJob{
		spec(func(o *ledger.OpenJob) { o.Decay = replay.FixedRate(0.75) }),
		spec(func(o *ledger.OpenJob) { o.Columns, o.Decay = []uint16{2, 3, 5}, replay.FixedRate(0.25) }),
	}
	brought := bringTo(t, world(t, 0, false, ledger.Quorum), shape)
	submit := func(w *World) (models []*ledger.Model) {
		for _, o := range specs {
			o.Task = ledger.TaskID(w.Genesis.Chain, "churn")
			must(t, w.Record(ctx, "peer", o))
		}
		for _, o := range specs {
			models = append(models, trained(t, w, ledger.JobID("peer", o)))
		}
		return models
	}
	quiet := branch(t, brought, 0, false)
	want := submit(quiet)
	must(t, quiet.Settle(ctx))
	asker := quiet.admit(t, "quinn")
	for i, m := range want {
		j, _ := ledger.JobOf(quiet.View(), m.Job)
		training, _ := quiet.rows(t, j, shape)
		twin := quiet.derived(t, j).Twin()
		run := twin.Train(training)
		questions := he.Rows{Columns: 6}
		for k := range 6 { // weight by weight
			row := make([]float64, 6)
			row[k] = 1
			questions.Values = append(questions.Values, row...)
		}
		for k, got := range asker.ask(t, m.ID, questions) {
			if math.Abs(got-run.Weights[k]) > 1e-4 {
				t.Errorf("spec %d: weight %d is %g, the twin's is %g", i, k, got, run.Weights[k])
			}
			if trains := twin.Trains == nil || twin.Trains[k]; trains == (run.Weights[k] == 0) {
				t.Errorf("spec %d: weight %d is %g, and it trains: %v", i, k, run.Weights[k], trains)
			}
		}
		quiet.holdValues(t, m, shape, 1)
	}
	if testing.Short() {
		return
	}
	for seed := range uint64(2) { // and whatever goes wrong they are the same
		w := branch(t, brought, seed+1, true)
		for i, m := range submit(w) {
			compare(t, m, want[i], w)
		}
	}
}

// holdValues holds what each of so many evaluators finds each company's rows to be
// worth to the twin: no company is a copy.
func (w *World) holdValues(t *testing.T, m *ledger.Model, s table.Schema, evaluators int) {
	t.Helper()
	j, _ := ledger.JobOf(w.View(), m.Job)
	job, n := w.derived(t, j), len(w.Companies)
	training, validation := w.rows(t, j, s)
	twin := job.Twin()
	values := make([]float64, n*evaluators)
	for step, at := range twin.Train(training).Points {
		if job.IsValued(uint16(step + 1)) {
			floats.Add(values, twin.Values(at, twin.Interval(step), job.Panel, training, validation))
		}
	}
	if len(m.Opened) != len(values) || len(job.Panel.Evaluators) != evaluators || len(m.Copies) != 0 {
		t.Fatalf("%d values of %d companies by evaluators %v, want %d by %d; copies %v", len(m.Opened), n, job.Panel.Evaluators, len(values), evaluators, m.Copies)
	}
	for k, v := range m.Opened {
		rounded := floats.Norm(values[k/n*n:][:n], 1) / (2 << ledger.LogGrain) // half a grain of the evaluator's values
		if got := math.Ldexp(float64(v), -32); math.Abs(got-values[k]) > 1e-4+rounded {
			t.Errorf("evaluator %d finds %s is worth %g, the twin says %g", k/n, w.Companies[k%n], got, values[k])
		}
	}
}

// derived is a job as everybody derives it.
func (w *World) derived(t *testing.T, j *ledger.Job) *replay.Job {
	t.Helper()
	task, _ := ledger.TaskOf(w.View(), j.Task)
	keys, err := replay.TaskKeys(w.View(), task, w.Profiles, w.blob)
	must(t, err)
	derived, err := replay.NewJob(w.View(), j, w.Profiles, keys.Roster)
	must(t, err)
	return derived
}

// rows are those of all companies, split as their agents do.
func (w *World) rows(t *testing.T, j *ledger.Job, s table.Schema) (training, validation []he.Rows) {
	t.Helper()
	for _, c := range w.Companies {
		all, err := s.Read(strings.NewReader(rows(c)), c)
		must(t, err)
		seed := he.Seed(ledger.Hash("fedtest/seed", []byte(c))).Derive("agent/split", j.Task[:])
		train, check, _, err := all.Split(0, 0.2, binary.BigEndian.Uint64(seed[:]))
		must(t, err)
		for _, part := range []struct {
			of table.Table
			to *[]he.Rows
		}{{train, &training}, {check, &validation}} {
			x := he.Rows{Columns: part.of.Columns() + 1}
			for i := range part.of.Len() {
				x.Values = part.of.AppendSigned(x.Values, i)
			}
			*part.to = append(*part.to, x)
		}
	}
	return training, validation
}

// An asker is a querier whose key the nodes have.
type asker struct {
	w        *World
	name     string
	secret   *he.SecretKey
	public   *he.PublicKey
	sequence uint64
}

func (w *World) admit(t *testing.T, name string) *asker {
	t.Helper()
	task, seed := ledger.TaskID(w.Genesis.Chain, "churn"), he.Seed(ledger.Hash("fedtest/querier", []byte(name)))
	a := &asker{w: w, name: name, secret: he.NewSecretKey(w.Profiles.Serve, seed.Stream("secret"))}
	a.public = he.GenPublicKey(a.secret, he.QuerierSeed(wire.QuerierSession(w.Genesis.Chain, task), name, 0), seed.Stream("public"))
	key := a.public.Append(nil)
	for _, n := range nodes {
		_, err := w.Nodes[n].Store.Blobs.Put(key)
		must(t, err)
	}
	must(t, w.Record(context.Background(), "ann", &ledger.AdmitQuerier{Name: name, Signing: w.Public(name), TLS: w.Public(name + "/tls"), Task: task, Quota: 100,
		PublicKey: sha256.Sum256(key)}))
	w.CatchUp()
	return a
}

// ask puts rows to every company and adds the answers up.
func (a *asker) ask(t *testing.T, model ledger.Digest, x he.Rows) []float64 {
	t.Helper()
	w, width := a.w, he.WidthFor(x.Columns)
	q, err := he.EncryptQueries(a.public, x, width, he.Seed{1})
	must(t, err)
	query := q.Append(nil)
	a.sequence++
	envelope := wire.Query{Model: model, Sequence: a.sequence, Rows: uint16(x.Len()), Digest: sha256.Sum256(query)}.Sign(w.Genesis.Chain, w.Private(a.name)).Append(nil)
	var shares []*he.Answer
	for _, c := range w.Companies {
		b, err := w.Agents[c].Driver.Answer(context.Background(), envelope, query)
		must(t, err)
		s, err := he.ParseAnswer(b, w.Profiles.Serve, width)
		must(t, err)
		shares = append(shares, s)
	}
	sum, err := multiparty.AddAnswers(multiparty.Roster{Parties: w.Companies}, shares)
	must(t, err)
	return a.secret.DecryptAnswers(sum, x.Len(), 0)
}
