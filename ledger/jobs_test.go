package ledger

import (
	"slices"
	"testing"
)

// Every state and event: what is not in the table cannot happen.
func TestTransitions(t *testing.T) {
	type move struct {
		from JobState
		by   JobEvent
	}
	table := map[move]JobState{
		{JobOpen, Approved}:      JobApproved,
		{JobOpen, Cancelled}:     JobAborted,
		{JobApproved, Recorded}:  JobRunning,
		{JobApproved, Disputed}:  JobDisputed,
		{JobApproved, TimedOut}:  JobPaused,
		{JobApproved, Cancelled}: JobAborted,
		{JobRunning, Recorded}:   JobRunning,
		{JobRunning, Concluded}:  JobDone,
		{JobRunning, Disputed}:   JobDisputed,
		{JobRunning, TimedOut}:   JobPaused,
		{JobRunning, Cancelled}:  JobAborted,
		{JobPaused, Recorded}:    JobRunning,
		{JobPaused, Concluded}:   JobDone,
		{JobPaused, Disputed}:    JobDisputed,
		{JobPaused, Replaced}:    JobPaused,
		{JobPaused, Cancelled}:   JobAborted,
		{JobDisputed, Replaced}:  JobPaused,
		{JobDisputed, Cancelled}: JobAborted,
		{JobDone, Replaced}:      JobDone,
		{JobRunning, Refuted}:    JobAborted,
		{JobPaused, Refuted}:     JobAborted,
		{JobDisputed, Refuted}:   JobAborted,
	}
	for from := range JobDone + 2 {
		for by := range Refuted + 2 {
			want, may := table[move{from, by}]
			if to, ok := from.Moves(by); ok != may || to != want {
				t.Errorf("event %d in state %d: %d, %v; want %d, %v", by, from, to, ok, want, may)
			}
			s := newState(newWorld(t).state, start)
			j := &Job{Opener: "ann", State: from}
			if r := s.move(j, by); (r.Code == OK) != may || may && (j.State != want || j.Deadline != start+DefaultPatience) {
				t.Errorf("event %d in state %d moves to %d until %d: code %d", by, from, j.State, j.Deadline, r.Code)
			}
		}
	}
}

func TestRefusedJobs(t *testing.T) {
	w := newWorld(t).rows()
	o := openJob(1)
	w.refusals(t,
		refusal{"a node's job", "north", o, Forbidden},
		refusal{"a job of no task", "ann", edit(o, func(o *OpenJob) { o.Task = d("none") }), Unknown},
		refusal{"no steps", "ann", edit(o, func(o *OpenJob) { o.Steps, o.Valued = 0, nil }), OverLimit},
		refusal{"too many steps", "ann", edit(o, func(o *OpenJob) { o.Steps = MaxSteps + 1 }), OverLimit},
		refusal{"no learning rate", "ann", edit(o, func(o *OpenJob) { o.LearningRate = 0 }), OverLimit},
		refusal{"no algorithm", "ann", edit(o, func(o *OpenJob) { o.Algorithm = 0 }), Unknown},
		refusal{"an algorithm of a later version", "ann", edit(o, func(o *OpenJob) { o.Algorithm = 2 }), Unknown},
		refusal{"a decay that turns weights round", "ann", edit(o, func(o *OpenJob) { o.LearningRate, o.Decay = 1<<32, 1<<32+1 }), OverLimit},
		refusal{"a decay beyond all bounds", "ann", edit(o, func(o *OpenJob) { o.LearningRate, o.Decay = 1<<63, 1<<63 }), OverLimit},
		refusal{"the constant by name", "ann", edit(o, func(o *OpenJob) { o.Columns = []uint16{0, 1} }), Malformed},
		refusal{"a column beyond the last", "ann", edit(o, func(o *OpenJob) { o.Columns = []uint16{4} }), Malformed},
		refusal{"a column twice", "ann", edit(o, func(o *OpenJob) { o.Columns = []uint16{1, 1} }), Malformed},
		refusal{"columns out of order", "ann", edit(o, func(o *OpenJob) { o.Columns = []uint16{2, 1} }), Malformed},
		refusal{"every column by name", "ann", edit(o, func(o *OpenJob) { o.Columns = []uint16{1, 2, 3} }), Malformed},
		refusal{"a valued step beyond the last", "ann", edit(o, func(o *OpenJob) { o.Valued = []uint16{3} }), Malformed},
		refusal{"a valued step twice", "ann", edit(o, func(o *OpenJob) { o.Valued = []uint16{1, 1} }), Malformed},
		refusal{"a quorum below the task's", "ann", edit(o, func(o *OpenJob) { o.Quorum = 1 }), Forbidden},
		refusal{"a node of no such task", "ann", edit(o, func(o *OpenJob) { o.Nodes = []string{"east", "north"} }), Forbidden},
		refusal{"nodes of one owner", "ann", edit(o, func(o *OpenJob) { o.Nodes = []string{"south", "south2"} }), OverLimit},
		refusal{"approval of nothing", "ann", &ApproveJob{d("none")}, Unknown},
		refusal{"a pause of nothing", "ann", &PauseJob{d("none")}, Unknown},
		refusal{"an end of nothing", "ann", &AbortJob{d("none")}, Unknown},
		refusal{"a node for nothing", "ann", &ReplaceNode{d("none"), "north", "east"}, Unknown},
		refusal{"a record of nothing", "north", &StepRecord{Job: d("none")}, Unknown},
	)
	w.must("ann", o)
	job := JobID("ann", o)
	w.must("ann", &ApproveJob{job})
	w.refusals(t,
		refusal{"a job again", "ann", o, Replayed},
		refusal{"approval again", "ann", &ApproveJob{job}, Replayed},
		refusal{"a node's approval", "north", &ApproveJob{job}, Forbidden},
		refusal{"a pause of what nobody waits for", "north", &PauseJob{job}, WrongState},
		refusal{"a stranger's end", "peer", &AbortJob{job}, Forbidden},
		refusal{"a record before the approvals", "north", w.record(job), WrongState},
		refusal{"another node before the approvals", "ann", &ReplaceNode{job, "north", "east"}, WrongState},
	)
}

// What a spec asks for is in its job, and columns are said by their places.
func TestSpec(t *testing.T) {
	w := newWorld(t).rows()
	for _, tc := range []struct {
		columns []uint16
		want    []bool
	}{
		{nil, nil},
		{[]uint16{2}, []bool{true, false, true, false}},
		{[]uint16{1, 3}, []bool{true, true, false, true}},
	} {
		o := edit(openJob(1), func(o *OpenJob) { o.Columns, o.LearningRate, o.Decay = tc.columns, 1<<32, 1<<32 })
		w.must("peer", o)
		j, _ := JobOf(w.state, JobID("peer", o))
		task, _ := TaskOf(w.state, loans)
		if got := j.Trains(task); !slices.Equal(got, tc.want) || j.Decay != o.Decay || j.Algorithm != Logistic || j.Opener != "peer" {
			t.Errorf("columns %v: trains %v with %+v, want %v", tc.columns, got, j, tc.want)
		}
	}
}

func TestRefusedSteps(t *testing.T) {
	w := newWorld(t).rows()
	job := w.job(openJob(1))
	r := w.record(job)
	step := func(change func(*StepRecord)) *StepRecord { return edit(r, change) }
	w.refusals(t,
		refusal{"approval of one that runs", "ann", &ApproveJob{job}, Replayed},
		refusal{"a pause before the deadline", "ann", &PauseJob{job}, WrongState},
		refusal{"a record of no node", "south2", r, Forbidden},
		refusal{"a record of the next step", "north", step(func(r *StepRecord) { r.Step = 1 }), WrongState},
		refusal{"a record on another", "north", step(func(r *StepRecord) { r.Previous = d("other") }), Conflict},
		refusal{"shares of nothing", "north", step(func(r *StepRecord) { r.Shares = shares(0) }), Malformed},
		refusal{"no inputs", "north", step(func(r *StepRecord) { r.Inputs, r.C1s = nil, nil }), Malformed},
		refusal{"an input without its c1", "north", step(func(r *StepRecord) { r.C1s = nil }), Malformed},
		refusal{"the model at the start", "north", w.modelRecord(job), WrongState},
		refusal{"values of no model", "north", &Values{Job: job, Shares: w.openings(job), Values: []int64{1, 2, 3}}, WrongState},
	)
	w.must("north", r)
	w.refusals(t,
		refusal{"a record again", "north", r, Replayed},
		refusal{"another record: equivocation", "north", step(func(r *StepRecord) { r.Level = 9 }), Conflict},
	)
	w.must("south", r)
	if _, ok := TicketOf(w.state, job, 0); !ok {
		t.Fatal("equal records of two owners open no ticket")
	}
	w.refusals(t, refusal{"a record of the step before", "south", r, Replayed})
	w.must("cal", &AbortJob{job})
	w.refusals(t,
		refusal{"an end again", "ann", &AbortJob{job}, Replayed},
		refusal{"a record after the end", "north", w.record(job), WrongState},
	)
}

// The posts of local companies that a step takes, and no others.
func TestRefusedUpdates(t *testing.T) {
	w := newWorld(t).rows()
	job, other := w.job(openJob(1)), w.job(openJob(2))
	for range 2 {
		w.must("north", w.record(job))
		w.must("south", w.record(job))
	}
	r := w.record(job) // of step 2, which is valued
	training, validation := update(job, 2, 0), update(job, 2, 1)
	with := func(posts ...Post) *StepRecord {
		return edit(r, func(r *StepRecord) {
			r.Updates = nil
			for _, p := range posts {
				r.Updates = append(r.Updates, p.Append(nil))
			}
		})
	}
	signed := func(by string, change func(*Post)) *StepRecord {
		p := training
		change(&p)
		return with(p.Sign(signer(by)), validation)
	}
	w.refusals(t,
		refusal{"none", "north", with(), Malformed},
		refusal{"of validation rows alone", "north", with(validation), Malformed},
		refusal{"of training rows alone at a valued step", "north", with(training), Malformed},
		refusal{"out of order", "north", with(validation, training), Malformed},
		refusal{"one twice", "north", with(training, training), Malformed},
		refusal{"one too many", "north", with(training, validation, validation), Malformed},
		refusal{"of a company that uploads", "north", signed("ann", func(*Post) {}), Malformed},
		refusal{"of nobody", "north", signed("mal", func(*Post) {}), Malformed},
		refusal{"of another job", "north", signed("cal", func(p *Post) { p.Scope = other }), BadSignature},
		refusal{"of another step", "north", signed("cal", func(p *Post) { p.Step = 1 }), BadSignature},
		refusal{"of another kind", "north", signed("cal", func(p *Post) { p.Kind = PostShare }), BadSignature},
		refusal{"of another chain", "north", signed("cal", func(p *Post) { p.Chain = "elsewhere" }), BadSignature},
		refusal{"of another key epoch", "north", signed("cal", func(p *Post) { p.Epoch = 2 }), BadSignature},
		refusal{"of another profile", "north", signed("cal", func(p *Post) { p.Profile = d("serve") }), BadSignature},
		refusal{"no post at all", "north", edit(r, func(r *StepRecord) { r.Updates = [][]byte{nil} }), Malformed},
	)
	w.must("ann", &Revoke{"cal"})
	w.must("bob", &Revoke{"cal"})
	w.refusals(t, refusal{"of a company that was revoked", "north", r, Malformed})
}

// Nodes differ; all holders replace one, and the job goes on.
func TestDispute(t *testing.T) {
	w := newWorld(t).rows()
	job := w.job(openJob(1))
	good := w.record(job)
	wrong := edit(good, func(r *StepRecord) { r.Inputs = []Digest{d("wrong")} })
	w.must("north", good)
	w.must("south", wrong)
	if s := w.jobState(job); s != JobDisputed {
		t.Fatalf("state %d, want a dispute", s)
	}
	if _, ok := TicketOf(w.state, job, 0); ok {
		t.Fatal("a ticket in a dispute")
	}
	replace := &ReplaceNode{job, "south", "east"}
	w.must("ann", replace)
	w.refusals(t,
		refusal{"a record in a dispute", "south", edit(good, func(r *StepRecord) { r.Step = 1 }), WrongState},
		refusal{"a pause of a dispute", "ann", &PauseJob{job}, WrongState},
		refusal{"a word again", "ann", replace, Replayed},
		refusal{"a stranger's word", "peer", replace, Forbidden},
		refusal{"in the place of no node", "bob", &ReplaceNode{job, "south2", "east"}, WrongState},
		refusal{"a node in its own place", "bob", &ReplaceNode{job, "south", "south"}, WrongState},
		refusal{"a company as a node", "bob", &ReplaceNode{job, "south", "ann"}, Forbidden},
	)
	w.must("bob", replace)
	if s := w.jobState(job); s != JobDisputed {
		t.Fatalf("two of three holders moved the job to %d", s)
	}
	w.must("cal", replace)
	if s := w.jobState(job); s != JobPaused {
		t.Fatalf("state %d after the node was replaced, want a pause", s)
	}
	w.refused(Forbidden, "south", good)
	w.must("east", good)
	if _, ok := TicketOf(w.state, job, 0); !ok {
		t.Error("equal records after a dispute open no ticket")
	}
	w.steps2(job, "north", "east")
}

// steps2 are recorded by two nodes until the model is due, and then the model.
func (w *world) steps2(job Digest, nodes ...string) {
	w.tb.Helper()
	for j, _ := JobOf(w.state, job); j.Step <= j.Steps; j, _ = JobOf(w.state, job) {
		r := w.record(job)
		for _, n := range nodes {
			w.must(n, r)
		}
	}
	m := w.modelRecord(job)
	for _, n := range nodes {
		w.must(n, m)
	}
	if s := w.jobState(job); s != JobDone {
		w.tb.Fatalf("state %d at the end", s)
	}
}

// Both nodes of a job are revoked, and replaced one after the other.
func TestReplaceRevokedNodes(t *testing.T) {
	w := newWorld(t).rows()
	w.must("dee", &Join{member("dee", Aggregator)})
	dee := Join{member("dee", Aggregator)}
	w.must("ann", &Approve{dee.Digest()})
	w.must("bob", &Approve{dee.Digest()})
	job := w.job(openJob(1))
	for _, n := range []string{"north", "south"} {
		w.must("ann", &Revoke{n})
		w.must("bob", &Revoke{n})
	}
	w.now += DefaultPatience
	w.must("ann", &PauseJob{job})
	w.refusals(t, refusal{"by one revoked", "ann", &ReplaceNode{job, "north", "south"}, WrongState})
	for _, c := range companies {
		w.must(c, &ReplaceNode{job, "north", "east"})
	}
	for _, c := range companies {
		w.must(c, &ReplaceNode{job, "south", "dee"})
	}
	w.steps2(job, "dee", "east")
}

// A node whose owner is in the job already leaves too few owners.
func TestReplaceKeepsTheQuorum(t *testing.T) {
	w := newWorld(t).rows()
	job := w.job(openJob(1))
	w.now += DefaultPatience
	w.must("ann", &PauseJob{job})
	w.refusals(t, refusal{"two nodes of one owner", "ann", &ReplaceNode{job, "north", "south2"}, OverLimit})
}

func TestPause(t *testing.T) {
	w := newWorld(t).rows()
	job := w.job(openJob(1))
	w.now += DefaultPatience
	w.must("v1", &PauseJob{job})
	w.refusals(t, refusal{"a pause again", "v1", &PauseJob{job}, Replayed})
	w.must("north", w.record(job)) // a pause ends by itself
	w.must("south", w.record(job))
	if s := w.jobState(job); s != JobRunning {
		t.Errorf("state %d, want running", s)
	}
}

func TestRefusedEvidence(t *testing.T) {
	w := newWorld(t).rows()
	job := w.job(openJob(1))
	first := update(job, 1, 0)
	change := func(by string, change func(*Post)) Post {
		p := first
		change(&p)
		return p.Sign(signer(by))
	}
	pair := func(a, b Post) *Evidence { return &Evidence{a.Append(nil), b.Append(nil)} }
	other := change("cal", func(p *Post) { p.Blob = d("other") })
	w.refusals(t,
		refusal{"no posts", "ann", &Evidence{}, Malformed},
		refusal{"one post", "ann", &Evidence{First: first.Append(nil)}, Malformed},
		refusal{"a post and itself", "ann", pair(first, first), Malformed},
		refusal{"posts in two places", "ann", pair(first, change("cal", func(p *Post) { p.Step, p.Blob = 2, d("other") })), Malformed},
		refusal{"posts of two senders", "ann", pair(first, change("ann", func(p *Post) { p.Blob = d("other") })), Malformed},
		refusal{"posts of nobody", "ann", pair(change("mal", func(*Post) {}), change("mal", func(p *Post) { p.Blob = d("other") })), Unknown},
		refusal{"posts of another chain", "ann", pair(change("cal", func(p *Post) { p.Chain = "elsewhere" }), change("cal", func(p *Post) { p.Chain, p.Blob = "elsewhere", d("other") })), Unknown},
	)
	w.must("north", pair(first, other))
	w.refusals(t, refusal{"the same in another order", "south", pair(other, first), Replayed})
}
