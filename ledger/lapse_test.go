package ledger

import "testing"

// wide is a world of two models that can be challenged for a week, which rankings
// are closed over, and the first step of the first model challenged by bob.
func wide(t tester) (w *world, models []Digest, job Digest) {
	w, models = ranked(t)
	rules := MoneyOf(w.state)
	rules.Window = 7 * 24 * hour
	w.must("ann", &Amend{rules})
	w.must("bob", &Amend{rules})
	w.must("ann", admitQuinn())
	m, _ := ModelOf(w.state, models[0])
	r := ranking(models, 3, 1)
	for _, c := range companies {
		w.must(c, &CommitRanking{loans, 1, RankingHash(chain, c, r)})
	}
	w.close(1)
	for _, c := range companies {
		w.must(c, r)
	}
	w.must("bob", &OpenChallenge{Job: m.Job, Step: 1})
	w.close(2)
	return w, models, m.Job
}

// Nodes that computed a step wrongly are paid for, with the model's peer, before
// the validators have found it out. What was paid is not taken back.
func TestAttackPaidBeforeTheVerdict(t *testing.T) {
	for _, off := range []defence{gameFirst, 0} {
		w, models, job := wide(t)
		w.off = off
		early := w.do("peer", &Settle{1, loans})
		w.must("v1", &Verdict{job, 1, true})
		if early.Code != OK {
			w.now += 7 * 24 * hour
			w.must("peer", &Settle{1, loans})
		}
		st, _ := SettlementOf(w.state, 1, loans)
		paid := false
		for _, m := range st.Models {
			paid = paid || m.Model == models[0] && m.Incentive > 0
		}
		if m, _ := ModelOf(w.state, models[0]); !m.Refuted || paid != (off == gameFirst) {
			t.Errorf("defence %d off: %+v; paid %v for model %+v", off, early, paid, m)
		}
	}
}

// A challenge that nobody decides holds a settlement up for a window, and lapses.
func TestLapse(t *testing.T) {
	w, _, job := wide(t)
	with := w.balance("bob")
	ch, _ := ChallengeOf(w.state, job, 1)
	until, open := SettlesAfter(w.state, 1, loans)
	if lapses := LapsesAfter(w.state, ch); len(open) != 1 || open[0].Step != 1 || until >= lapses || lapses != ch.Opened+7*24*hour {
		t.Fatalf("%d challenges are open; settled after %d, the challenge lapses after %d", len(open), until, lapses)
	}
	w.refusals(t,
		refusal{"a settlement before the verdict", "v1", &Settle{1, loans}, WrongState},
		refusal{"too soon", "peer", &Lapse{job, 1}, WrongState},
		refusal{"of no challenge", "peer", &Lapse{job, 2}, Unknown},
	)
	w.now = ch.Opened + 7*24*hour - 1000 // the next block is the last in time
	w.refused(WrongState, "peer", &Lapse{job, 1})
	w.refused(WrongState, "v1", &Settle{1, loans})
	w.must("peer", &Lapse{job, 1})
	if ch, _ = ChallengeOf(w.state, job, 1); ch.Decided != Lapsed || ch.Bond != 0 || w.balance("bob") != with+500 {
		t.Errorf("%+v; bob has %d, and had %d", ch, w.balance("bob"), with)
	}
	for _, n := range []string{"north", "south"} {
		if a := AccountOf(w.state, n); a.Stake != 1000 {
			t.Errorf("%s has %d staked", n, a.Stake)
		}
	}
	w.refusals(t,
		refusal{"again", "peer", &Lapse{job, 1}, Replayed},
		refusal{"a verdict afterwards", "v1", &Verdict{job, 1, true}, WrongState},
		refusal{"a challenge after the window", "bob", &OpenChallenge{Job: job, Step: 1}, Late},
	)
	w.must("peer", &Settle{1, loans})
}

// What can still be challenged is not paid, whether or not anybody does.
func TestSettlementWaitsForTheWindow(t *testing.T) {
	w, _, job := wide(t)
	w.must("v1", &Verdict{job, 1, false})
	w.refused(WrongState, "peer", &Lapse{job, 1})
	until, open := SettlesAfter(w.state, 1, loans)
	if len(open) != 0 {
		t.Errorf("open %+v", open)
	}
	w.now = until - 1000
	w.refused(WrongState, "v1", &Settle{1, loans})
	w.must("v1", &Settle{1, loans})
}

// A sham challenge of a job that runs has lapsed when the job ends, and shields
// nothing: the step is challenged again, by the same or another, and a validator
// that voted need not again.
func TestChallengedAgain(t *testing.T) {
	g := rich()
	g.Members = append(g.Members, member("v2", Validator), member("v3", Validator))
	w := foundWorld(t, g).rows()
	job := w.job(openJob(1))
	w.must("north", w.record(job))
	w.must("south", w.record(job))
	w.must("peer", &OpenChallenge{Job: job, Step: 0})
	w.must("v1", &Verdict{job, 0, true})
	w.now += 24*hour + 1
	w.must("ann", &Lapse{job, 0})
	w.steps(job)
	w.must("north", w.modelRecord(job))
	w.must("south", w.modelRecord(job))
	w.must("cal", &OpenChallenge{Job: job, Step: 0})
	w.refused(Conflict, "ann", &OpenChallenge{Job: job, Step: 0})
	w.must("v3", &Verdict{job, 0, true})
	j, _ := JobOf(w.state, job)
	m, _ := ModelOf(w.state, j.Model)
	if ch, _ := ChallengeOf(w.state, job, 0); ch.Decided != Upheld || ch.By != "cal" || !m.Refuted {
		t.Errorf("%+v, model %+v", ch, m)
	}
}

// Who ranks in a later epoch alone, of a model that nobody challenges, takes the whole
// of a pot that waits for an earlier one's challenge.
func TestAttackLaterEpochFirst(t *testing.T) {
	for _, off := range []defence{inOrder, 0} {
		w, models, job := wide(t)
		w.off = off
		r := &RevealRanking{Task: loans, Epoch: 3, Weights: []Weight{{models[1], 1}}, Salt: d("salt")}
		w.must("ann", &CommitRanking{loans, 3, RankingHash(chain, "ann", r)})
		w.close(3)
		w.must("ann", r)
		w.now += 8 * 24 * hour // the windows are over; bob's challenge has neither lapsed nor been decided
		w.close(4)
		pot := PotOf(w.state, loans)
		first := w.do("ann", &Settle{3, loans})
		if st, ok := SettlementOf(w.state, 3, loans); ok != (off == inOrder) || ok && st.Pot != pot {
			t.Errorf("defence %d off: %+v; settled %v", off, first, ok)
		}
		w.must("peer", &Lapse{job, 1})
		w.must("peer", &Settle{1, loans})
		if off == 0 {
			w.must("ann", &Settle{3, loans})
		}
	}
}

// A company that gives its share of a model's values when the windows of a
// settlement are almost over holds that up for another window, with each model.
func TestAttackValuesOpenedLate(t *testing.T) {
	for _, off := range []defence{openedInTime, 0} {
		g := rich()
		g.Releases = 4
		w := foundWorld(t, g).rows()
		w.must("ann", &CloseEpoch{0})
		w.off = off
		var models, jobs []Digest
		for salt := range uint64(2) {
			job := w.job(openJob(salt))
			w.steps(job)
			r := w.modelRecord(job)
			w.must("north", r)
			w.must("south", r)
			models, jobs = append(models, r.Model()), append(jobs, job)
		}
		r := ranking(models, 3, 1)
		for _, c := range companies {
			w.must(c, &CommitRanking{loans, 1, RankingHash(chain, c, r)})
		}
		w.close(1)
		for _, c := range companies {
			w.must(c, r)
		}
		w.close(2)
		for _, job := range jobs {
			for _, n := range []string{"north", "south"} {
				w.must(n, &Values{Job: job, Shares: w.openings(job), Values: []int64{1 << 20, 1 << 20, 1 << 20}})
			}
			w.now += MoneyOf(w.state).Window - hour
		}
		got, want := w.do("peer", &Settle{1, loans}), map[defence]Code{openedInTime: WrongState, 0: OK}[off]
		if got.Code != want {
			t.Errorf("defence %d off: code %d, %s", off, got.Code, got.Detail)
		}
		if st, ok := SettlementOf(w.state, 1, loans); ok && (st.Paid.Providers != 0 || st.Paid.Carried == 0 || st.Paid.Peers == 0) {
			t.Errorf("paid %+v", st.Paid)
		}
	}
}
