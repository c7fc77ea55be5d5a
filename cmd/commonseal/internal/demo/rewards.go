package demo

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/commonseal/commonseal/ledger"
)

// money is what a demonstration of rewards adds to the consortium: the rules of
// the example with epochs of seconds, for a day of theirs takes too long to watch.
const money = `money:
  reward_epoch: 5s
  grant: 1000000
  bond: 100000
  fee: 1
  price: 1
  escrow: 10000
  emission: 1000000
  unstake: 1h
  vesting: 1h
  cut: 10%
  evaluate: 50%
  provide: 50%
  penalty: 100%
  smoothing: 10%
  cap: 49%
  slash: 10%
  releases: 1
`

// A Paid is what a member got of the pot, in credits.
type Paid struct {
	Member string        `json:"member"`
	Payout ledger.Payout `json:"payout"`
}

// Rewards are one settlement: what the pot was and who had it.
type Rewards struct {
	Epoch    uint64 `json:"epoch"`
	Pot      uint64 `json:"pot"`
	Paid     []Paid `json:"paid"`
	Verified string `json:"verified"` // what computing it again said
}

// reward waits until the companies' agents have ranked the model by themselves
// and its task's pot was paid, and computes the payments again.
func (r *run) reward(ctx context.Context) error {
	id, st := ledger.TaskID(task, task), (*ledger.Settlement)(nil)
	r.progress("rewards", 0, 3)
	if err := r.until(ctx, func(v ledger.View) bool {
		st = r.settled(ledger.Settlements(v))
		done := 0
		if e, ok := ledger.CurrentReward(v); ok {
			done = r.ranked(v, e.Number, id)
		}
		if st != nil {
			done = 3
		}
		r.progress("rewards", done, 3)
		return st != nil
	}); err != nil {
		return err
	}
	out := &Rewards{Epoch: st.Epoch, Pot: st.Pot}
	v := r.ledger.View()
	for _, p := range r.cast {
		if paid, ok := ledger.PayoutOf(v, st.Epoch, id, p.name); ok {
			out.Paid = append(out.Paid, Paid{p.name, *paid})
		}
	}
	said, err := r.command(ctx, "audit", "payouts", "--home", r.path(company(0, r.Companies)))
	_, verified, _ := strings.Cut(string(said), "verified ")
	out.Verified = strings.TrimSpace(verified)
	r.report.Rewards = out
	return err
}

// settled is the first settlement of an epoch in which all companies ranked, or
// the third of any: agents that started late missed the first.
func (r *run) settled(all []ledger.Settlement) *ledger.Settlement {
	for i := range all {
		if len(all[i].Companies) == r.Companies || i == 2 {
			return &all[i]
		}
	}
	return nil
}

// ranked is how far rankings are: 1 when some are committed to, 2 when some are
// revealed.
func (r *run) ranked(v ledger.View, epoch uint64, id ledger.Digest) (stage int) {
	for n := range uint64(3) {
		for i := range r.Companies {
			if x, ok := ledger.RankingOf(v, epoch-min(n, epoch), id, company(i, r.Companies)); ok {
				stage = max(stage, 1)
				if x.Open {
					stage = 2
				}
			}
		}
	}
	return stage
}

// writeRewards is who was paid what.
func (r *Report) writeRewards(b *strings.Builder) {
	if r.Rewards == nil {
		return
	}
	fmt.Fprintf(b, "\nPaid for reward epoch %d, from a pot of %s credits\n", r.Rewards.Epoch, thousands(int(r.Rewards.Pot)))
	t := tabwriter.NewWriter(b, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "member\trunning nodes\tranking models\tits models\tits rows\tdebited\t\n")
	for _, x := range r.Rewards.Paid {
		p := x.Payout
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t\n", x.Member, thousands(int(p.Operator)), thousands(int(p.Evaluator)), thousands(int(p.Peer)), thousands(int(p.Provider)), thousands(int(p.Debit)))
	}
	_ = t.Flush() // into a strings.Builder
	fmt.Fprintf(b, "  audit payouts: %s\n", r.Rewards.Verified)
}
