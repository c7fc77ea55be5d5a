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
