package ledger

import (
	"slices"
	"testing"
)

// judged is a world with four validators of different owners and a model whose
// first step is challenged.
func judged(t tester) (w *world, job, model Digest) {
	g := rich()
	for _, n := range []string{"v2", "v3", "v4"} {
		g.Members = append(g.Members, member(n, Validator))
	}
	w = foundWorld(t, g)
	job, model = w.model()
	w.must("peer", &OpenChallenge{Job: job, Step: 1, Fraud: d("proof")})
	return w, job, model
}

func TestChallengeUpheld(t *testing.T) {
	w, job, model := judged(t)
	if got := w.balance("peer"); got > 99_500 {
		t.Errorf("peer can spend %d with a bond of 500 up", got)
	}
	before, pot := w.balance("peer"), PotOf(w.state, Digest{})
	for _, v := range []string{"v1", "v2"} {
		w.must(v, &Verdict{job, 1, true})
	}
	if ch, _ := ChallengeOf(w.state, job, 1); ch.Decided != Undecided {
		t.Error("two of four validators decided")
	}
	w.must("v3", &Verdict{job, 1, true})
	ch, _ := ChallengeOf(w.state, job, 1)
	m, _ := ModelOf(w.state, model)
	north, south, east := AccountOf(w.state, "north"), AccountOf(w.state, "south"), AccountOf(w.state, "east")
	if ch.Decided != Upheld || m.Served() || north.Stake != 900 || south.Stake != 900 || east.Stake != 1000 {
		t.Errorf("%+v, model %+v, stakes %d %d %d", ch, m, north.Stake, south.Stake, east.Stake)
	}
	if gain, rest := w.balance("peer")-before, PotOf(w.state, Digest{})-pot-3; gain != 600 || rest != 100 {
		t.Errorf("who challenged gets %d, the pot %d; want its bond with 100, and 100", gain, rest)
	}
	w.refused(WrongState, "v4", &Verdict{job, 1, false})
	w.must("ann", admitQuinn())
	if _, r := AskedOf(w.state, model); r.Code != WrongState {
		t.Errorf("a refuted model answers: %+v", r)
	}
	w.must("north", &Usage{1, []Used{{"quinn", model, 1, d("q")}}}) // what it answered before
}

func TestChallengeRejected(t *testing.T) {
	w, job, model := judged(t)
	north, south := w.balance("north"), w.balance("south")
	for _, v := range []string{"v1", "v2", "v4"} {
		w.must(v, &Verdict{job, 1, false})
	}
	ch, _ := ChallengeOf(w.state, job, 1)
	if m, _ := ModelOf(w.state, model); ch.Decided != Rejected || ch.Bond != 0 || !m.Served() {
		t.Errorf("%+v, model %+v", ch, m)
	}
	if a, b := w.balance("north")-north, w.balance("south")-south; a+b != 500 || a != 250 {
		t.Errorf("the accused get %d and %d of a bond of 500", a, b)
	}
	if a := AccountOf(w.state, "north"); a.Stake != 1000 {
		t.Errorf("north has %d staked", a.Stake)
	}
}

func TestRefusedChallenges(t *testing.T) {
	w, job, _ := judged(t)
	w.must("v1", &Verdict{job, 1, true})
	w.refusals(t,
		refusal{"again", "peer", &OpenChallenge{job, 1, d("another")}, Replayed},
		refusal{"by another", "ann", &OpenChallenge{job, 1, d("proof")}, Conflict},
		refusal{"of no job", "ann", &OpenChallenge{d("none"), 1, d("proof")}, Unknown},
		refusal{"of a step without ticket", "ann", &OpenChallenge{job, 9, d("proof")}, WrongState},
		refusal{"a verdict again", "v1", &Verdict{job, 1, false}, Replayed},
		refusal{"a verdict on nothing", "v1", &Verdict{job, 2, false}, Unknown},
		refusal{"a company's verdict", "ann", &Verdict{job, 1, true}, Forbidden},
	)
	w.now += 24*hour + 1
	w.refused(Late, "ann", &OpenChallenge{job, 2, d("proof")})
}

// A step that is refuted while its job runs ends the job.
func TestChallengeOfRunningJob(t *testing.T) {
	w := foundWorld(t, rich()).rows()
	job := w.job(openJob(1))
	w.must("north", w.record(job))
	w.must("south", w.record(job))
	w.must("ann", &OpenChallenge{Job: job, Step: 0})
	w.must("v1", &Verdict{job, 0, true})
	if got := w.jobState(job); got != JobAborted {
		t.Errorf("the job is %v", got)
	}
}

// The steps of a long job can be challenged when it ends, as what is sampled is
// known only then, and no longer than a window.
func TestWindowBeginsWithTheEnd(t *testing.T) {
	w := foundWorld(t, rich()).rows()
	job := w.job(openJob(1))
	until := func() int64 {
		j, _ := JobOf(w.state, job)
		at, ok := ChallengeableUntil(w.state, j, 0)
		if !ok {
			t.Fatal("step 0 has no ticket")
		}
		return at
	}
	w.must("north", w.record(job))
	w.must("south", w.record(job))
	w.now = until()
	w.refused(Late, "ann", &OpenChallenge{Job: job, Step: 0})
	w.steps(job)
	w.must("north", w.modelRecord(job))
	w.must("south", w.modelRecord(job))
	if left := until() - w.now; left != 24*hour {
		t.Errorf("%d ms are left when the job ends", left)
	}
	late := w.fork()
	late.now = until()
	late.refused(Late, "ann", &OpenChallenge{Job: job, Step: 0})
	w.must("ann", &OpenChallenge{Job: job, Step: 0})
	j, _ := JobOf(w.state, job)
	if at, ok := ChallengeableUntil(w.state, j, j.ModelStep()); !ok || at != until() {
		t.Errorf("the model's record can be challenged until %d, %v; steps until %d", at, ok, until())
	}
	if _, ok := ChallengeableUntil(w.state, j, j.ModelStep()+1); ok {
		t.Error("there is a step after the model's record")
	}
}

// What is sampled is of the job's steps, as many as asked for, rounded up, and
// others for another last record.
func TestSampled(t *testing.T) {
	j := &Job{Steps: 10, State: JobDone, Last: d("last")}
	some := j.Sampled(250_000)
	if len(some) != 3 || !slices.IsSorted(some) || some[0] < 1 || some[2] > 10 || len(slices.Compact(slices.Clone(some))) != 3 {
		t.Errorf("sampled %v", some)
	}
	if all := j.Sampled(Million); len(all) != 10 || all[0] != 1 || all[9] != 10 {
		t.Errorf("sampled %v of all", all)
	}
	seen := map[uint16]int{}
	for i := range 1000 {
		j.Last = d("last", i)
		seen[j.Sampled(1)[0]]++
	}
	for step := uint16(1); step <= 10; step++ {
		if seen[step] < 60 || seen[step] > 140 { // 100 ± 4.2 standard deviations
			t.Errorf("step %d was sampled %d times in 1000", step, seen[step])
		}
	}
	j.State = JobRunning
	if got := j.Sampled(Million); got != nil {
		t.Errorf("of a job that runs: %v", got)
	}
}

// A validator that signed twice loses a part of its stake, once, to everybody.
func TestEquivocationIsSlashed(t *testing.T) {
	w, _, _ := judged(t)
	m, _ := MemberOf(w.state, "v2")
	pot := PotOf(w.state, Digest{})
	for range 2 {
		s := newState(w.state, w.now)
		s.misbehaved([]Misbehaviour{{Validator: AddressOf(m.Vote), Height: 1, Time: start}})
		w.state.Write(s.writes())
	}
	if a := AccountOf(w.state, "v2"); a.Stake != 900 || PotOf(w.state, Digest{}) != pot+100 || Credits(w.state) != Supply(w.state) {
		t.Errorf("v2 has %d staked, the pot %d", a.Stake, PotOf(w.state, Digest{})-pot)
	}
}
