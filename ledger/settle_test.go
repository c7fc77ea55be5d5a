package ledger

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// ranked is a world of two models in reward epoch 1: the first of them trained on
// rows of which cal's are a copy of ann's in the second's.
func ranked(t tester) (w *world, models []Digest) {
	g := rich()
	g.Releases = 4
	w = foundWorld(t, g).rows()
	w.must("ann", &CloseEpoch{0})
	_, first := w.train(openJob(1), 3<<20, 1<<20, -1<<20)
	_, second := w.train(openJob(2), 1<<20, 1<<20, 0)
	return w, []Digest{first, second}
}

// ranking is what a company reveals: parts of the two models, in their order.
func ranking(models []Digest, first, second uint16) *RevealRanking {
	x := &RevealRanking{Task: loans, Epoch: 1, Salt: d("salt")}
	for m := range sortedSet(models) {
		part := first
		if models[1] == m {
			part = second
		}
		if part > 0 {
			x.Weights = append(x.Weights, Weight{m, part})
		}
	}
	return x
}

func sortedSet(models []Digest) func(func(Digest) bool) {
	set := map[Digest]bool{}
	for _, m := range models {
		set[m] = true
	}
	return func(yield func(Digest) bool) {
		for _, m := range sortedDigests(set) {
			if !yield(m) {
				return
			}
		}
	}
}

func (w *world) close(number uint64) {
	w.tb.Helper()
	w.now += DefaultEpoch
	w.must("v1", &CloseEpoch{number})
}

// settled goes on to the settlement of epoch 1.
func (w *world) settled(rankings map[string]*RevealRanking) *Settlement {
	w.tb.Helper()
	for _, c := range companies {
		if r := rankings[c]; r != nil {
			w.must(c, &CommitRanking{loans, 1, RankingHash(chain, c, r)})
		}
	}
	w.close(1)
	for _, c := range companies {
		if r := rankings[c]; r != nil {
			w.must(c, r)
		}
	}
	w.close(2)
	w.must("v1", &Settle{1, loans})
	st, ok := SettlementOf(w.state, 1, loans)
	if !ok {
		w.tb.Fatal("no settlement")
	}
	return st
}

func TestSettle(t *testing.T) {
	w, models := ranked(t)
	w.must("ann", admitQuinn())
	r := ranking(models, 3, 1)
	st := w.settled(map[string]*RevealRanking{"ann": r, "bob": r, "cal": r})
	p := st.Paid
	if sum := p.Operators + p.Evaluators + p.Peers + p.Providers + p.Carried; sum != st.Pot+p.Debited {
		t.Errorf("%+v of a pot of %d", p, st.Pot)
	}
	if p.Operators != st.Pot*18/100 || p.Evaluators == 0 || p.Peers == 0 || p.Providers == 0 {
		t.Errorf("%+v of a pot of %d", p, st.Pot)
	}
	if m := st.Models; len(m) != 2 || m[0].Incentive+m[1].Incentive < 1<<32-2 {
		t.Errorf("incentives %+v", m)
	}
	for _, c := range st.Companies {
		if c.Counted != 1000 || c.Trust < 1<<32-4 {
			t.Errorf("%+v agrees with all others", c)
		}
	}
	peer, _ := PayoutOf(w.state, 1, loans, "peer")
	cal, _ := PayoutOf(w.state, 1, loans, "cal")
	ann, _ := PayoutOf(w.state, 1, loans, "ann")
	if peer.Peer != p.Peers || cal.Provider != 0 || cal.Debit == 0 || ann.Provider == 0 {
		t.Errorf("peer %+v, cal %+v, ann %+v", peer, cal, ann)
	}
	if p.Carried > cal.Owed+1 {
		t.Errorf("%d carried, more than the %d that cal's escrow did not cover", p.Carried, cal.Owed)
	}
	a := AccountOf(w.state, "cal")
	if a.Escrow != 50-cal.Debit || len(a.Locked) != 0 {
		t.Errorf("cal has %+v after a debit of %d", a, cal.Debit)
	}
	if a := AccountOf(w.state, "ann"); len(a.Locked) != 1 || a.Locked[0].Amount != ann.Provider {
		t.Errorf("ann has %+v while %d vests", a, ann.Provider)
	}
	b, ok := BlendOf(w.state, loans)
	if !ok || len(b.Parts) != 2 || b.Parts[0].Part+b.Parts[1].Part != BlendParts {
		t.Errorf("blend %+v", b)
	}
	again, payouts, err := st.Recompute()
	if err != nil || !bytes.Equal(again.Append(nil), st.Append(nil)) || payouts["ann"] != *ann || payouts["cal"] != *cal || payouts["peer"] != *peer {
		t.Errorf("computed again: %+v, %+v, %v", again, payouts, err)
	}
	w.refused(Replayed, "v1", &Settle{1, loans})
	w.refused(WrongState, "v1", &Settle{2, loans})
}

// Who commits and does not reveal has no voice, and loses a part of its stake.
func TestUnrevealed(t *testing.T) {
	w, models := ranked(t)
	w.must("ann", admitQuinn())
	r := ranking(models, 1, 1)
	w.must("cal", &CommitRanking{loans, 1, d("never revealed")})
	st := w.settled(map[string]*RevealRanking{"ann": r, "bob": r})
	if cal := AccountOf(w.state, "cal"); len(st.Companies) != 2 || cal.Stake != 900 {
		t.Errorf("%d companies ranked, cal has %d staked", len(st.Companies), cal.Stake)
	}
}

func TestRefusedRankings(t *testing.T) {
	w, models := ranked(t)
	r := ranking(models, 1, 2)
	commit := &CommitRanking{loans, 1, RankingHash(chain, "ann", r)}
	w.refusals(t,
		refusal{"a commitment of no company of the task", "peer", commit, Forbidden},
		refusal{"for no task", "ann", &CommitRanking{d("none"), 1, d(1)}, Unknown},
		refusal{"for a later epoch", "ann", &CommitRanking{loans, 2, d(1)}, WrongState},
		refusal{"a reveal in the same epoch", "ann", r, WrongState},
		refusal{"a settlement of an open epoch", "ann", &Settle{1, loans}, WrongState},
	)
	w.must("ann", commit)
	w.refused(Replayed, "ann", commit)
	w.refused(Conflict, "ann", &CommitRanking{loans, 1, d(1)})
	w.close(1)
	other := ranking(models, 2, 1)
	twice := edit(r, func(x *RevealRanking) { x.Weights = []Weight{x.Weights[0], x.Weights[0]} })
	w.refusals(t,
		refusal{"another ranking", "ann", other, Conflict},
		refusal{"of who committed to none", "bob", r, WrongState},
		refusal{"a model twice", "ann", twice, Conflict},
		refusal{"a commitment too late", "bob", &CommitRanking{loans, 1, d(1)}, WrongState},
	)
	w.must("ann", r)
	w.refused(Replayed, "ann", r)
	w.close(2)
	w.must("ann", &Settle{1, loans})
	w.refusals(t, refusal{"a task that nobody ranked", "ann", &Settle{1, d("none")}, Unknown})
}

// A company reveals something else than it committed to, once it has seen what
// the others reveal.
func TestAttackRevealedLate(t *testing.T) {
	for _, off := range []defence{sealedRanks, 0} {
		w, models := ranked(t)
		w.off = off
		w.must("ann", &CommitRanking{loans, 1, d("anything")})
		w.close(1)
		r := w.do("ann", ranking(models, 2, 1))
		if (r.Code == OK) != (off == sealedRanks) {
			t.Errorf("defence %d off: %+v", off, r)
		}
	}
}

// A company ranks with a stake that it takes back before the ranking counts.
func TestAttackStakeBorrowed(t *testing.T) {
	for _, off := range []defence{livingStake, 0} {
		w, models := ranked(t)
		w.off = off
		w.must("ann", admitQuinn())
		r := ranking(models, 1, 1)
		w.must("ann", &CommitRanking{loans, 1, RankingHash(chain, "ann", r)})
		w.must("ann", &Unstake{900})
		w.close(1)
		w.must("ann", r)
		w.close(2)
		w.must("ann", &Settle{1, loans})
		st, _ := SettlementOf(w.state, 1, loans)
		if got := st.Companies[0].Stake; (got == 1000) != (off == livingStake) {
			t.Errorf("defence %d off: ann ranks with %d", off, got)
		}
	}
}

// A company ranks the model of its own entity: its weight is nobody's.
func TestOwnModelsAreNotRanked(t *testing.T) {
	w, models := ranked(t)
	st := &Settlement{Money: rich().Money, Roster: companies, Owners: owners, Companies: []Evaluator{{Name: "ann", Owner: "Owner of peer", Stake: 10, Weights: []Weight{{models[0], 1}}},
		{Name: "bob", Owner: "Owner of bob", Stake: 4, Weights: []Weight{{models[1], 1}}}}}
	s := newState(w.state, w.now)
	for _, m := range sortedDigests(map[Digest]bool{models[0]: true, models[1]: true}) {
		r, _ := s.ranked(1, m)
		st.Models = append(st.Models, r)
	}
	if _, err := st.rank(); err != nil {
		t.Fatal(err)
	}
	for _, m := range st.Models {
		if m.Model == models[0] && m.Incentive != 0 {
			t.Errorf("%+v", m)
		}
	}
}

// A model that was refuted earns nothing, and does not answer.
func TestRefutedModelEarnsNothing(t *testing.T) {
	w, models := ranked(t)
	w.must("ann", admitQuinn())
	m, _ := ModelOf(w.state, models[0])
	w.must("bob", &OpenChallenge{Job: m.Job, Step: 1})
	w.must("v1", &Verdict{m.Job, 1, true})
	r := ranking(models, 9, 1)
	st := w.settled(map[string]*RevealRanking{"ann": r, "bob": r, "cal": r})
	b, _ := BlendOf(w.state, loans)
	if len(st.Models) != 1 || st.Models[0].Model != models[1] || len(b.Parts) != 1 {
		t.Errorf("%+v, blend %+v", st.Models, b)
	}
}

// Emission halves as its schedule says.
func TestEmission(t *testing.T) {
	m := Money{Emission: 1000, Halving: 2}
	for epoch, want := range []uint64{1: 1000, 2: 1000, 3: 500, 4: 500, 5: 250, 21: 0} {
		if got := m.emission(max(1, uint64(epoch))); want > 0 && got != want || epoch == 21 && got != 0 {
			t.Errorf("epoch %d makes %d, want %d", epoch, got, want)
		}
	}
	if m.Halving = 0; m.emission(1000) != 1000 {
		t.Error("an emission that is never halved was")
	}
}

// Whatever is ranked, staked and valued, a settlement pays out the pot to the unit,
// and the same inputs give the same payments.
func TestSettlementIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		st := &Settlement{Money: rich().Money, Pot: rapid.Uint64Range(0, 1<<40).Draw(t, "pot"), Roster: companies, Owners: owners, Order: []uint64{1, 2, 3}, Operators: []string{"north", "v1"}}
		st.Evaluators = companies[:rapid.IntRange(0, 3).Draw(t, "evaluators")]
		for i := range rapid.IntRange(0, 3).Draw(t, "models") {
			m := Ranked{Model: Digest{byte(i)}, Peer: "peer", Owner: "Owner of peer"}
			if rapid.Bool().Draw(t, "valued") {
				n := len(companies) * max(1, len(st.Evaluators))
				m.Found = rapid.SliceOfN(rapid.Int64(), n, n).Draw(t, "values")
			}
			if rapid.Bool().Draw(t, "copied") {
				m.Copies = []Pair{{0, 2}}
			}
			st.Models = append(st.Models, m)
		}
		for _, c := range companies {
			e := Evaluator{Name: c, Owner: "Owner of " + c, Stake: rapid.Uint64Range(0, 1<<50).Draw(t, "stake")}
			for _, m := range st.Models {
				if part := rapid.Uint16().Draw(t, "part"); part > 0 {
					e.Weights = append(e.Weights, Weight{m.Model, part})
				}
			}
			st.Companies = append(st.Companies, e)
		}
		if _, err := st.rank(); err != nil {
			t.Fatal(err)
		}
		escrows := rapid.SliceOfN(rapid.Uint64Range(0, 1<<50), 3, 3).Draw(t, "escrows")
		st.Escrows = escrows
		payouts, err := st.payouts()
		if err != nil {
			t.Fatal(err)
		}
		var sum, debits uint64
		for _, name := range append([]string{"north", "v1", "peer"}, companies...) {
			p := payouts[name]
			sum += p.Operator + p.Evaluator + p.Peer + p.Provider
			debits += p.Debit
		}
		if sum+st.Paid.Carried != st.Pot+debits {
			t.Fatalf("%d paid and %d carried of %d with %d debited", sum, st.Paid.Carried, st.Pot, debits)
		}
		for i, c := range companies {
			if payouts[c].Debit > escrows[i] {
				t.Fatalf("%s is debited %d of an escrow of %d", c, payouts[c].Debit, escrows[i])
			}
		}
	})
}
