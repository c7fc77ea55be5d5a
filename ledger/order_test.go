package ledger

import "testing"

// A task's pot is whole to whatever settles first. While the challenge game holds
// one epoch up, who earns more of the next settles that before, and has both.
func TestAttackLaterEpochFirst(t *testing.T) {
	for _, off := range []defence{settledInTurn, 0} {
		w, models := ranked(t)
		w.off = off
		rules := MoneyOf(w.state)
		rules.Window = 3 * DefaultEpoch
		w.must("ann", &Amend{rules})
		w.must("bob", &Amend{rules})
		for epoch := range uint64(2) {
			r := ranking(models, uint16(1-epoch), uint16(epoch)) // the first model, then the second
			r.Epoch = epoch + 1
			for _, c := range companies {
				w.must(c, &CommitRanking{loans, r.Epoch, RankingHash(chain, c, r)})
			}
			w.close(r.Epoch)
			for _, c := range companies {
				w.must(c, r)
			}
		}
		m, _ := ModelOf(w.state, models[0])
		w.must("bob", &OpenChallenge{Job: m.Job, Step: 1})
		w.close(3)
		w.now += hour
		w.refused(WrongState, "peer", &Settle{1, loans})
		pot := PotOf(w.state, loans)
		r, want := w.do("peer", &Settle{2, loans}), map[defence]Code{settledInTurn: OK, 0: WrongState}[off]
		if left := PotOf(w.state, loans); r.Code != want || pot == 0 || (left == pot) == (want == OK) {
			t.Errorf("defence %d off: code %d, %s; the pot had %d and has %d", off, r.Code, r.Detail, pot, left)
		}
		if off != 0 {
			continue
		}
		w.must("v1", &Verdict{m.Job, 1, false})
		w.must("peer", &Settle{1, loans})
		w.must("peer", &Settle{2, loans})
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
