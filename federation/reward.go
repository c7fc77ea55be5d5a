package federation

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/commonseal/commonseal/ledger"
)

// A company's duties where credits are paid: to judge models, and to keep the
// reward epochs going.
type (
	// Score asks a model about the company's own validation rows, once.
	Score struct{ Model ledger.Digest }
	// Rank commits to a ranking of a task's models, by what they scored.
	Rank struct {
		Task  ledger.Digest
		Epoch uint64 // that is open
	}
	// Reveal opens the ranking of the epoch before.
	Reveal struct {
		Task  ledger.Digest
		Epoch uint64
	}
	// CloseEpoch ends a reward epoch whose time is over; 0 begins the first.
	CloseEpoch struct{ Number uint64 }
	// Settle pays a task's pot out.
	Settle struct {
		Task  ledger.Digest
		Epoch uint64
	}
	// Lapse ends a challenge that the validators have not decided in time.
	Lapse struct {
		Job    ledger.Digest
		Step   uint16
		Opened int64 // the challenge: a step can be challenged again
	}
)

func inEpoch(what string, task ledger.Digest, epoch uint64) string {
	return fmt.Sprintf("%s/%x/%d", what, task, epoch)
}

// Key implements [Duty].
func (d Score) Key() string      { return place("score", d.Model, 0) }
func (d Rank) Key() string       { return inEpoch("rank", d.Task, d.Epoch) }
func (d Reveal) Key() string     { return inEpoch("unseal", d.Task, d.Epoch) }
func (d CloseEpoch) Key() string { return fmt.Sprintf("close/%d", d.Number) }
func (d Settle) Key() string     { return inEpoch("settle", d.Task, d.Epoch) }
func (d Lapse) Key() string      { return fmt.Sprintf("%s/%d", place("lapse", d.Job, d.Step), d.Opened) }

// Rewards says whether a consortium pays for models: rankings are recorded
// without, but then nobody is asked for any.
func Rewards(v ledger.View) bool {
	m := ledger.MoneyOf(v)
	return m.Emission > 0 || m.Price > 0
}

// rewardDuties judge and pay. A closed epoch waits for nobody, so what is due in
// the open one comes before its end.
func rewardDuties(v ledger.View, me string, now int64, has Holding) (out []Duty) {
	out = lapses(v, now)
	if !Rewards(v) {
		return out
	}
	open, ok := ledger.CurrentReward(v)
	if !ok {
		if judgesAny(v, me) {
			out = append(out, CloseEpoch{0})
		}
		return out
	}
	var later []Duty
	for _, t := range ledger.Tasks(v) {
		if r, committed := ledger.RankingOf(v, open.Number-1, t.ID, me); committed && !r.Open {
			out = append(out, Reveal{t.ID, open.Number - 1})
		}
		later = append(later, judge(v, &t, me, now, open, has)...)
	}
	out = append(out, settlements(v, now, open)...)
	if now >= open.Opened+ledger.GenesisOf(v).RewardEpoch {
		out = append(out, CloseEpoch{open.Number})
	}
	return append(out, later...)
}

// judgesAny says whether there is a model for company me to rank.
func judgesAny(v ledger.View, me string) bool {
	return slices.ContainsFunc(ledger.Tasks(v), func(t ledger.Task) bool { return len(Ranked(v, &t, me)) > 0 })
}

// judge ranks a task's models once all are scored, or half of the epoch is over:
// a model that does not answer does not keep the others from being ranked.
func judge(v ledger.View, t *ledger.Task, me string, now int64, open *ledger.RewardEpoch, has Holding) (out []Duty) {
	models := Ranked(v, t, me)
	if len(models) == 0 {
		return nil
	}
	for _, m := range models {
		if d := (Score{m}); !has.Done(d.Key()) {
			out = append(out, d)
		}
	}
	_, committed := ledger.RankingOf(v, open.Number, t.ID, me)
	half := open.Opened + ledger.GenesisOf(v).RewardEpoch/2
	if !committed && (len(out) == 0 || now >= half) {
		out = append([]Duty{Rank{t.ID, open.Number}}, out...)
	}
	return out
}

// Ranked are the models of a task that company me ranks by its validation rows:
// those that answer, and were not made for its own entity. Of too many the newest
// count. They are in order of their digests.
func Ranked(v ledger.View, t *ledger.Task, me string) []ledger.Digest {
	if mine, ok := t.ConsentOf(me); !ok || mine.Validation == 0 {
		return nil
	}
	self, _ := ledger.MemberOf(v, me)
	type made struct {
		model ledger.Digest
		at    int64
	}
	var all []made
	for _, m := range ledger.Models(v) {
		j, _ := ledger.JobOf(v, m.Job)
		if peer, ok := ledger.MemberOf(v, j.Opener); m.Task == t.ID && m.Served() && ok && !peer.Revoked && peer.Owner != self.Owner {
			all = append(all, made{m.ID, j.Deadline})
		}
	}
	slices.SortStableFunc(all, func(a, b made) int { return cmp.Compare(b.at, a.at) })
	var out []ledger.Digest
	for _, m := range all[:min(len(all), ledger.MaxRanked)] {
		out = append(out, m.model)
	}
	slices.SortFunc(out, func(a, b ledger.Digest) int { return slices.Compare(a[:], b[:]) })
	return out
}

// lapses are the challenges whose time to be decided is over. Credits may be locked
// in one though nobody is paid for models.
func lapses(v ledger.View, now int64) (out []Duty) {
	for _, x := range ledger.Challenges(v) {
		if x.Decided == ledger.Undecided && now > ledger.LapsesAfter(v, &x) {
			out = append(out, Lapse{x.Job, x.Step, x.Opened})
		}
	}
	return out
}

const (
	backlog    = 16   // epochs back that settlements are looked for at least
	maxBacklog = 4096 // and at most
)

// settlements are those that are due and nobody has recorded, of each task the oldest:
// the ledger settles its epochs in turn, so they wait for one that waits for the
// challenge game. It may wait for a window of the last model's, and another of
// a challenge at its end.
func settlements(v ledger.View, now int64, open *ledger.RewardEpoch) (out []Duty) {
	back := backlog + 2*ledger.MoneyOf(v).Window/max(1, ledger.GenesisOf(v).RewardEpoch)
	waits := map[ledger.Digest]bool{}
	for n := max(1, int64(open.Number)-min(back, maxBacklog)); n+1 < int64(open.Number); n++ {
		e, ok := ledger.RewardOf(v, uint64(n))
		if !ok {
			continue
		}
		for _, task := range e.Tasks {
			if _, ok := ledger.SettlementOf(v, e.Number, task); ok || waits[task] {
				continue
			}
			waits[task] = true
			if until, challenged := ledger.SettlesAfter(v, e.Number, task); now > until && len(challenged) == 0 {
				out = append(out, Settle{task, e.Number})
			}
		}
	}
	return out
}
