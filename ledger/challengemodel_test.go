package ledger

import (
	"slices"
	"testing"
)

// concluded is a world with money and a job that has compared companies in three
// rounds and is done, with values to open or none.
func concluded(t *testing.T, values bool) (w *world, j *Job) {
	t.Helper()
	w = foundWorld(t, rich()).rows()
	job := w.job(edit(openJob(1), func(o *OpenJob) { o.Rounds = 3 }))
	w.steps(job)
	r := w.modelRecord(job)
	r.Copies = []Pair{{0, 1}}
	if !values {
		r.Values, r.C1 = Digest{}, Digest{}
	}
	w.must("north", r)
	w.must("south", r)
	j, _ = JobOf(w.state, job)
	return w, j
}

// Everything that nodes recorded of a job can be challenged: gradients, each round of
// comparing, and the model's record, whether it has a ticket of its own or not. Upheld,
// those pay who recorded it, and the model is refuted; rejected, they get the bond.
func TestEveryRecordIsChallenged(t *testing.T) {
	for _, values := range []bool{true, false} {
		w, j := concluded(t, values)
		if _, ok := TicketOf(w.state, j.ID, j.ModelStep()); ok != values || j.ModelStep() != 6 {
			t.Fatalf("step %d has a ticket: %v", j.ModelStep(), ok)
		}
		for step := range j.ModelStep() + 1 {
			for _, wrong := range []bool{true, false} {
				w := w.fork()
				w.must("ann", &OpenChallenge{j.ID, step, d("proof")})
				north, south := w.balance("north"), w.balance("south")
				w.must("v1", &Verdict{j.ID, step, wrong})
				m, _ := ModelOf(w.state, j.Model)
				stakes := []uint64{AccountOf(w.state, "north").Stake, AccountOf(w.state, "south").Stake, AccountOf(w.state, "east").Stake}
				want, bond := []uint64{1000, 1000, 1000}, uint64(250)
				if wrong {
					want, bond = []uint64{900, 900, 1000}, 0
				}
				if m.Refuted != wrong || !slices.Equal(stakes, want) || w.balance("north")-north != bond || w.balance("south")-south != bond {
					t.Errorf("step %d, wrong %v: model refuted %v, stakes %v, want %v", step, wrong, m.Refuted, stakes, want)
				}
				if have, made := Credits(w.state), Supply(w.state); have != made {
					t.Errorf("step %d: %d credits of %d", step, have, made)
				}
			}
		}
	}
}

// Who recorded another model than the one the job ended with did not record that:
// the accused are those of the quorum.
func TestAccusedOfModel(t *testing.T) {
	w, j := concluded(t, true)
	s := newState(w.state, w.now)
	s.put(key(keyModelVote, j.ID, "east"), edit(w.modelRecord(j.ID), func(r *ModelRecord) { r.State = d("another") }))
	got := s.accused(&Challenge{Job: j.ID, Step: j.ModelStep(), Record: j.Last})
	if !slices.Equal(got, []string{"north", "south"}) {
		t.Errorf("%v are accused", got)
	}
}

func TestRefusedChallengesOfModels(t *testing.T) {
	w := foundWorld(t, rich()).rows()
	job := w.job(edit(openJob(1), func(o *OpenJob) { o.Rounds = 3 }))
	w.steps(job)
	j, _ := JobOf(w.state, job)
	early := refusal{"a model that is not recorded yet", "ann", &OpenChallenge{job, j.ModelStep(), d("proof")}, WrongState}
	w.refusals(t, early)
	w.must("north", w.modelRecord(job))
	early.what = "a model that a quorum has not recorded yet"
	w.refusals(t, early)
	w.must("south", w.modelRecord(job))
	w.refusals(t,
		refusal{"a step after the model's", "ann", &OpenChallenge{job, j.ModelStep() + 1, d("proof")}, WrongState},
		refusal{"the last number there is", "ann", &OpenChallenge{job, 1<<16 - 1, d("proof")}, WrongState},
		refusal{"one by nobody", "quinn", &OpenChallenge{job, j.ModelStep(), d("proof")}, Unknown},
	)
	late := w.fork()
	late.now += 24*hour + 1
	late.refusals(t, refusal{"a model whose window is over", "ann", &OpenChallenge{job, j.ModelStep(), d("proof")}, Late},
		refusal{"a round whose window is over", "ann", &OpenChallenge{job, j.End(), d("proof")}, Late})
	w.must("ann", &OpenChallenge{job, j.ModelStep(), d("proof")})
	w.refusals(t,
		refusal{"a model again", "ann", &OpenChallenge{job, j.ModelStep(), d("another")}, Replayed},
		refusal{"a model by another", "peer", &OpenChallenge{job, j.ModelStep(), d("proof")}, Conflict},
		refusal{"a verdict on a round that nobody challenged", "v1", &Verdict{job, j.End(), true}, Unknown},
	)
	w.must("v1", &Verdict{job, j.ModelStep(), true})
	w.refusals(t, refusal{"a verdict on what is decided", "v1", &Verdict{job, j.ModelStep(), true}, Replayed})
}

// Rounds are sampled with gradients, and the model's record and opened values are
// always checked.
func TestChecked(t *testing.T) {
	j := &Job{Steps: 4, Rounds: 6, State: JobDone, Last: d("last")}
	seen := map[uint16]int{}
	for i := range 1000 {
		j.Last = d("last", i)
		checked := j.Checked(1)
		if len(checked) != 3 || checked[1] != 11 || checked[2] != 12 || !slices.Equal(checked[:1], j.Sampled(1)) {
			t.Fatalf("checked %v", checked)
		}
		seen[checked[0]]++
	}
	for step := uint16(1); step <= 10; step++ {
		if seen[step] < 60 || seen[step] > 140 { // 100 ± 4.2 standard deviations
			t.Errorf("step %d was sampled %d times in 1000", step, seen[step])
		}
	}
	if all := j.Checked(Million); len(all) != 12 {
		t.Errorf("checked %v of all", all)
	}
	if none := j.Checked(0); none != nil {
		t.Errorf("checked %v where nothing is sampled", none)
	}
	j.State = JobRunning
	if got := j.Checked(Million); got != nil {
		t.Errorf("of a job that runs: %v", got)
	}
}
