package ledger

import (
	"slices"
	"testing"
)

func TestRefusedModels(t *testing.T) {
	w := newWorld(t).rows()
	job := w.job(openJob(1))
	w.steps(job)
	r := w.modelRecord(job)
	model := func(change func(*ModelRecord)) *ModelRecord { return edit(r, change) }
	w.refusals(t,
		refusal{"a model of no job", "north", model(func(r *ModelRecord) { r.Job = d("none") }), Unknown},
		refusal{"a company's model", "ann", r, Forbidden},
		refusal{"a model on another record", "north", model(func(r *ModelRecord) { r.Previous = d("other") }), Conflict},
		refusal{"a share too few", "north", model(func(r *ModelRecord) { r.Shares = r.Shares[1:] }), Malformed},
		refusal{"values without a c1", "north", model(func(r *ModelRecord) { r.C1 = Digest{} }), Malformed},
		refusal{"a c1 without values", "north", model(func(r *ModelRecord) { r.Values = Digest{} }), Malformed},
		refusal{"a c1 of a step", "north", model(func(r *ModelRecord) { r.C1 = d("c1", job, 1) }), Ticketed},
		refusal{"a step beyond the last", "north", edit(w.record(job), func(*StepRecord) {}), WrongState},
		refusal{"values before the model", "north", &Values{Job: job, Shares: w.openings(job), Values: []int64{1, -2, 3}}, WrongState},
	)
	without := w.fork()
	unvalued := edit(openJob(9), func(o *OpenJob) { o.Valued = nil })
	nothing := without.job(unvalued)
	for range 3 {
		r := without.record(nothing)
		without.must("north", r)
		without.must("south", r)
	}
	without.refusals(t, refusal{"values of a job that values nothing", "north", without.modelRecord(nothing), Malformed})
	differ := w.fork()
	differ.must("north", r)
	differ.must("south", model(func(r *ModelRecord) { r.State = d("other") }))
	if s := differ.jobState(job); s != JobDisputed {
		t.Errorf("different models: state %d, want a dispute", s)
	}
	for _, c := range companies {
		differ.must(c, &ReplaceNode{job, "south", "east"})
	}
	differ.must("east", r)
	if s := differ.jobState(job); s != JobDone {
		t.Errorf("state %d after the dispute, want done", s)
	}

	w.must("north", r)
	w.refusals(t,
		refusal{"a model again", "north", r, Replayed},
		refusal{"another model", "north", model(func(r *ModelRecord) { r.State = d("other") }), Conflict},
	)
}

func TestRefusedValues(t *testing.T) {
	w := newWorld(t).rows()
	job := w.job(openJob(1))
	w.steps2(job, "north", "south")
	r := w.modelRecord(job)
	values := &Values{Job: job, Shares: w.openings(job), Values: []int64{1, -2, 3}}
	w.refusals(t,
		refusal{"too few values", "north", edit(values, func(x *Values) { x.Values = x.Values[1:] }), Malformed},
		refusal{"a company's values", "ann", values, Forbidden},
		refusal{"values of no job", "north", edit(values, func(x *Values) { x.Job = d("none") }), Unknown},
		refusal{"a pause of what is done", "ann", &PauseJob{job}, WrongState},
		refusal{"an end of what is done", "ann", &AbortJob{job}, WrongState},
		refusal{"no pair key", "ann", &Serve{Model: r.Model()}, Malformed},
		refusal{"a node's share", "north", &Serve{r.Model(), d("key")}, Forbidden},
		refusal{"a share of nothing", "ann", &Serve{d("none"), d("key")}, Unknown},
	)
	w.must("north", values)
	if m, _ := ModelOf(w.state, r.Model()); m.Opened != nil {
		t.Error("one node opens values alone")
	}
	w.refusals(t,
		refusal{"values again", "north", values, Replayed},
		refusal{"other values", "north", edit(values, func(x *Values) { x.Values = []int64{0, 0, 0} }), Conflict},
	)
	w.must("south", values)
	if m, _ := ModelOf(w.state, r.Model()); !slices.Equal(m.Opened, values.Values) {
		t.Errorf("opened %v, want %v", m.Opened, values.Values)
	}
	w.must("ann", &Serve{r.Model(), d("key")})
	w.refusals(t,
		refusal{"a share again", "ann", &Serve{r.Model(), d("key")}, Replayed},
		refusal{"another pair key", "ann", &Serve{r.Model(), d("other")}, Conflict},
	)
}

// A node says other values than the rest: it is replaced, and they are opened.
func TestWrongValues(t *testing.T) {
	w := newWorld(t).rows()
	job := w.job(openJob(1))
	w.steps2(job, "north", "south")
	right := &Values{Job: job, Shares: w.openings(job), Values: []int64{1, -2, 3}}
	w.must("north", right)
	w.must("south", edit(right, func(x *Values) { x.Values = []int64{0, 0, 0} }))
	for _, c := range companies {
		w.must(c, &ReplaceNode{job, "south", "east"})
	}
	w.must("east", right)
	j, _ := JobOf(w.state, job)
	if m, _ := ModelOf(w.state, j.Model); j.State != JobDone || !slices.Equal(m.Opened, right.Values) {
		t.Errorf("state %d, opened %v, want %v", j.State, m.Opened, right.Values)
	}
	if _, ok := ModelRecordOf(w.state, job, "south"); !ok {
		t.Error("the record that made the model is gone")
	}
}

// The genesis allows two releases of a key epoch.
func TestBudget(t *testing.T) {
	w := newWorld(t).rows()
	var jobs []Digest
	for salt := range uint64(3) {
		jobs = append(jobs, w.job(openJob(salt)))
	}
	for _, job := range jobs[:2] {
		w.steps2(job, "north", "south")
	}
	w.steps(jobs[2])
	r := w.modelRecord(jobs[2])
	w.refusals(t, refusal{"a third release", "north", r, OverLimit})
	without := edit(r, func(r *ModelRecord) { r.Values, r.C1 = Digest{}, Digest{} })
	w.must("north", without)
	w.must("south", without)
	if e, _ := CurrentEpoch(w.state); e.Releases != 2 {
		t.Errorf("%d releases counted, want 2", e.Releases)
	}
}

func TestRefusedQueriers(t *testing.T) {
	w := newWorld(t)
	w.model()
	quinn := admitQuinn()
	querier := func(change func(*AdmitQuerier)) *AdmitQuerier { return edit(quinn, change) }
	w.refusals(t,
		refusal{"a node's querier", "north", quinn, Forbidden},
		refusal{"a querier of no task", "ann", querier(func(a *AdmitQuerier) { a.Task = d("none") }), Unknown},
		refusal{"no quota", "ann", querier(func(a *AdmitQuerier) { a.Quota = 0 }), OverLimit},
		refusal{"a quota beyond the limit", "ann", querier(func(a *AdmitQuerier) { a.Quota = MaxQuota + 1 }), OverLimit},
		refusal{"no public key", "ann", querier(func(a *AdmitQuerier) { a.PublicKey = Digest{} }), Malformed},
		refusal{"one key for both", "ann", querier(func(a *AdmitQuerier) { a.TLS = a.Signing }), Malformed},
		refusal{"a member's name", "ann", querier(func(a *AdmitQuerier) { a.Name = "bob" }), Conflict},
		refusal{"a member's key", "ann", querier(func(a *AdmitQuerier) { a.Signing = pub("bob") }), Conflict},
	)
	w.must("ann", quinn)
	w.refusals(t,
		refusal{"a querier again", "ann", quinn, Replayed},
		refusal{"another quota for it", "ann", querier(func(a *AdmitQuerier) { a.Quota = 200 }), Conflict},
		refusal{"a querier's task", "quinn", openLoans(), Forbidden},
		refusal{"a querier's job", "quinn", openJob(3), Forbidden},
		refusal{"a querier's vote", "quinn", &Revoke{"ann"}, Forbidden},
		refusal{"a querier's TLS key", "quinn", &Renew{tls("new"), ""}, Forbidden},
		refusal{"the end of an epoch that is not open", "ann", &CloseEpoch{2}, WrongState},
		refusal{"the end of an epoch at its beginning", "ann", &CloseEpoch{1}, WrongState},
	)
	if name, ok := Peer(w.state, tls("quinn")); !ok || name != "quinn" {
		t.Errorf("the querier's TLS key is %q's, %v", name, ok)
	}
	if name, ok := Signer(w.state, pub("quinn")); !ok || name != "quinn" {
		t.Errorf("the querier's signing key is %q's, %v", name, ok)
	}
}

func TestRefusedUsage(t *testing.T) {
	w := newWorld(t)
	_, model := w.model()
	quinn := admitQuinn()
	w.must("ann", quinn)
	rick := edit(quinn, func(a *AdmitQuerier) {
		a.Name, a.Signing, a.TLS, a.Task = "rick", pub("rick"), tls("rick"), TaskID(chain, "cars")
	})
	w.must("ann", edit(openLoans(), func(o *OpenTask) { o.Name = "cars" }))
	w.must("bob", &Consent{Task: rick.Task, Rows: 1})
	w.must("bob", rick)
	next := w.job(openJob(2))
	w.steps2(next, "north", "south")
	unserved, _ := JobOf(w.state, next)
	used := Used{Querier: "quinn", Model: model, Answers: 5, Queries: d("queries")}
	usage := &Usage{Batch: 1, Entries: []Used{used}}
	of := func(change func(*Used)) *Usage {
		x := used
		change(&x)
		return &Usage{Batch: 1, Entries: []Used{x}}
	}
	w.refusals(t,
		refusal{"a company's usage", "ann", usage, Forbidden},
		refusal{"a querier's usage", "quinn", usage, Forbidden},
		refusal{"the second batch first", "north", edit(usage, func(u *Usage) { u.Batch = 2 }), WrongState},
		refusal{"batch 0", "north", edit(usage, func(u *Usage) { u.Batch = 0 }), WrongState},
		refusal{"usage of nothing", "north", &Usage{Batch: 1}, Malformed},
		refusal{"usage by nobody", "north", of(func(x *Used) { x.Querier = "nobody" }), Unknown},
		refusal{"usage of no model", "north", of(func(x *Used) { x.Model = d("none") }), Unknown},
		refusal{"usage of another task's model", "north", of(func(x *Used) { x.Querier = "rick" }), Forbidden},
		refusal{"usage of a model that nobody serves", "north", of(func(x *Used) { x.Model = unserved.Model }), WrongState},
		refusal{"no answers", "north", of(func(x *Used) { x.Answers = 0 }), OverLimit},
		refusal{"answers beyond any quota", "north", of(func(x *Used) { x.Answers = MaxQuota + 1 }), OverLimit},
		refusal{"usage at a node of no such task", "east", usage, Forbidden},
	)
	w.must("north", usage)
	w.must("south", edit(usage, func(u *Usage) { u.Entries = []Used{used, used} }))
	if q, _ := QuerierOf(w.state, "quinn"); q.Used != 15 {
		t.Errorf("used %d answers, want 15", q.Used)
	}
	w.refusals(t,
		refusal{"a batch again", "north", usage, Replayed},
		refusal{"another batch in its place", "north", of(func(x *Used) { x.Answers = 6 }), Conflict},
	)
}
