package ledger

import (
	"slices"
	"testing"
)

// Nodes that opened wrong values and are replaced then, before the verdict, have
// opened them: a record that counts is kept.
func TestAttackReplacedAfterOpening(t *testing.T) {
	g := rich()
	g.Members = append(g.Members, member("west", Aggregator))
	w := foundWorld(t, g).rows()
	job, _ := w.train(openJob(1), 1<<20, 1<<20, 1<<20)
	j, _ := JobOf(w.state, job)
	w.must("ann", &OpenChallenge{Job: job, Step: j.ValuesStep()})
	before := AccountOf(w.state, "north").Stake
	for _, c := range companies {
		w.must(c, &ReplaceNode{Job: job, Old: "north", New: "west"})
	}
	m, _ := ModelOf(w.state, j.Model)
	s := newState(w.state, w.now)
	ch, _ := ChallengeOf(w.state, job, j.ValuesStep())
	if got := s.accused(ch); !slices.Contains(got, "north") || ch.Record != m.Record {
		t.Errorf("accused are %v", got)
	}
	w.must("v1", &Verdict{job, j.ValuesStep(), true})
	if after := AccountOf(w.state, "north").Stake; after >= before {
		t.Errorf("north has %d staked, and had %d", after, before)
	}
}

// Companies that replace a node of a job that is done, again and again, begin no
// window anew, in which nobody is paid and every step can be challenged.
func TestAttackReplacedToDelay(t *testing.T) {
	g := rich()
	g.Members = append(g.Members, member("west", Aggregator))
	w := foundWorld(t, g).rows()
	job, _ := w.train(openJob(1), 1<<20, 1<<20, 1<<20)
	j, _ := JobOf(w.state, job)
	before, _ := ChallengeableUntil(w.state, j, 1)
	w.now += 12 * hour
	for _, c := range companies {
		w.must(c, &ReplaceNode{Job: job, Old: "north", New: "west"})
	}
	j, _ = JobOf(w.state, job)
	if after, ok := ChallengeableUntil(w.state, j, 1); !ok || after != before || !slices.Contains(j.Nodes, "west") {
		t.Errorf("nodes %v: the window of step 1 ended at %d, and ends at %d", j.Nodes, before, after)
	}
}
