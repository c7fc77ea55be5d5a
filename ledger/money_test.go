package ledger

import (
	"testing"

	"pgregory.net/rapid"
)

// rich is a consortium with money.
func rich() Genesis {
	g := founding()
	g.Money = Money{Grant: 100_000, Bond: 1000, Fee: 1, Price: 2, Escrow: 50, Emission: 10_000, Halving: 2, Unstake: hour, Vesting: 2 * hour,
		Cut: 180_000, Evaluate: 500_000, Provide: 500_000, Penalty: Million, Smoothing: 100_000, Cap: 490_000, Slash: 100_000,
		Challenge: 500, Window: 24 * hour, Sample: 100_000}
	return g
}

func (w *world) balance(name string) uint64 {
	a := newState(w.state, w.now).account(name)
	return a.Balance
}

func TestTransfer(t *testing.T) {
	w := foundWorld(t, rich())
	w.must("ann", &Transfer{To: "peer", Amount: 70, Memo: []byte("for the model")})
	if ann, peer := w.balance("ann"), w.balance("peer"); ann != 99_929 || peer != 100_070 {
		t.Errorf("ann has %d, peer %d; want 99929 (with the fee) and 100070", ann, peer)
	}
	w.must("ann", &Transfer{To: "ann", Amount: 10})
	if ann := w.balance("ann"); ann != 99_928 {
		t.Errorf("ann has %d after a transfer to itself, want 99928", ann)
	}
	w.refusals(t,
		refusal{"to nobody", "ann", &Transfer{To: "nobody", Amount: 1}, Unknown},
		refusal{"of nothing", "ann", &Transfer{To: "bob"}, Malformed},
		refusal{"of more than it has", "ann", &Transfer{To: "bob", Amount: 99_928}, OverLimit},
		refusal{"of as much as there can be", "ann", &Transfer{To: "bob", Amount: 1<<64 - 1}, OverLimit},
	)
	w.must("ann", &Transfer{To: "bob", Amount: 99_927})
	w.refused(OverLimit, "ann", &Unstake{1}) // no fee left
	if fees := PotOf(w.state, Digest{}); fees != 3 {
		t.Errorf("fees of three transactions: %d", fees)
	}
}

// A fee is by the KiB begun; who asks to join has nothing to pay with.
func TestFee(t *testing.T) {
	w := foundWorld(t, rich())
	w.keys()
	before := w.balance("ann")
	o := openLoans()
	o.Schema = make([]byte, 3000)
	w.must("ann", o)
	if fee := before - w.balance("ann"); fee != 4 {
		t.Errorf("a transaction of more than 3 KiB costs %d, want 4", fee)
	}
	w.must("dee", &Join{member("dee", Aggregator)})
}

func TestUnstake(t *testing.T) {
	w := foundWorld(t, rich())
	w.must("ann", &Stake{500})
	w.must("ann", &Unstake{1200})
	at := w.now
	if a := AccountOf(w.state, "ann"); a.Stake != 300 || a.Balance != 99_498 || len(a.Locked) != 1 {
		t.Errorf("ann has %+v", a)
	}
	w.refusals(t,
		refusal{"more than is staked", "ann", &Unstake{301}, OverLimit},
		refusal{"nothing", "ann", &Unstake{}, Malformed},
		refusal{"what is not there to stake", "ann", &Stake{99_498}, OverLimit},
	)
	w.now = at + hour - 1
	if got := w.balance("ann"); got != 99_498 {
		t.Errorf("before the delay is over ann can spend %d", got)
	}
	w.now = at + hour
	if got := w.balance("ann"); got != 100_698 {
		t.Errorf("when it is over ann can spend %d, want 100698", got)
	}
}

// A stake is lost whether or not it was unstaked before.
func TestSlash(t *testing.T) {
	w := foundWorld(t, rich())
	w.must("ann", &Unstake{990})
	s := newState(w.state, w.now)
	if lost := s.slash("ann"); lost != 100 {
		t.Errorf("ann loses %d, want a tenth of 1000", lost)
	}
	if a := s.account("ann"); a.Stake != 0 || a.Locked[0].Amount != 900 {
		t.Errorf("ann has %+v", a)
	}
}

func TestAmend(t *testing.T) {
	w := foundWorld(t, rich())
	m := rich().Money
	m.Fee = 7
	w.refused(Forbidden, "north", &Amend{m})
	w.must("ann", &Amend{m})
	if MoneyOf(w.state).Fee != 1 {
		t.Error("one of three companies changed the rules")
	}
	w.must("bob", &Amend{m})
	before := w.balance("ann")
	w.refused(Replayed, "ann", &Amend{m})
	w.must("ann", &Transfer{To: "bob", Amount: 1})
	if after := w.balance("ann"); before-after != 8 {
		t.Errorf("a transfer of 1 costs %d, want 8", before-after)
	}
	m.Cut = Million + 1
	w.refused(OverLimit, "ann", &Amend{m})
}

// A sender that may send three transactions a minute sends four.
func TestAttackQuota(t *testing.T) {
	g := rich()
	g.Money.Quota = 3
	for _, off := range []defence{sentQuota, 0} {
		w := foundWorld(t, g)
		w.off = off
		w.now -= w.now % quotaTime
		var txs [][]byte
		for range 4 {
			txs = append(txs, w.sign("ann", &Transfer{To: "bob", Amount: 1}))
		}
		last := w.apply(txs...)[3].Code
		if (last == OK) != (off == sentQuota) {
			t.Errorf("defence %d off: the fourth transaction has code %d", off, last)
		}
		w.now += quotaTime
		w.must("ann", &Transfer{To: "bob", Amount: 1})
	}
}

// What is paid in advance for a quota is what the nodes' counts move to the pot,
// and never more.
func TestPrepaid(t *testing.T) {
	w := foundWorld(t, rich())
	_, model := w.model()
	before := w.balance("ann")
	a := admitQuinn()
	a.Quota = 10
	w.must("ann", a)
	if paid := before - w.balance("ann"); paid != 21 {
		t.Errorf("ann paid %d for ten answers at 2 and a fee of 1", paid)
	}
	use := func(batch, answers uint64) {
		w.must("north", &Usage{Batch: batch, Entries: []Used{{Querier: "quinn", Model: model, Answers: answers, Queries: d(batch)}}})
	}
	use(1, 7)
	if pot := PotOf(w.state, loans); pot != 14 {
		t.Errorf("seven answers moved %d to the pot", pot)
	}
	use(2, 7)
	if q, _ := QuerierOf(w.state, "quinn"); PotOf(w.state, loans) != 20 || q.Prepaid != 0 || q.Used != 14 {
		t.Errorf("beyond the quota: pot %d, %+v", PotOf(w.state, loans), q)
	}
	a = admitQuinn()
	a.Name, a.Signing, a.TLS, a.Quota = "max", pub("max"), tls("max"), MaxQuota
	w.refused(OverLimit, "ann", a)
}

// Whatever members do with their credits, none is made and none is lost, and
// nobody spends what it has not. The world checks the supply after every block.
func TestCreditsAreConserved(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := foundWorld(t, rich())
		names := rapid.SampledFrom([]string{"ann", "bob", "cal", "north", "v1", "peer"})
		amount := rapid.OneOf(rapid.Uint64Range(0, 200_000), rapid.Uint64())
		t.Repeat(map[string]func(*rapid.T){
			"transfer": func(t *rapid.T) {
				w.do(names.Draw(t, "from"), &Transfer{To: names.Draw(t, "to"), Amount: amount.Draw(t, "amount")})
			},
			"stake":   func(t *rapid.T) { w.do(names.Draw(t, "from"), &Stake{amount.Draw(t, "amount")}) },
			"unstake": func(t *rapid.T) { w.do(names.Draw(t, "from"), &Unstake{amount.Draw(t, "amount")}) },
			"wait":    func(t *rapid.T) { w.now += rapid.Int64Range(0, 2*hour).Draw(t, "ms") },
			"slash": func(t *rapid.T) {
				s := newState(w.state, w.now)
				s.fill(Digest{}, s.slash(names.Draw(t, "who")))
				w.state.Write(s.writes())
			},
			"close": func(t *rapid.T) {
				e, ok := CurrentReward(w.state)
				if !ok {
					e = &RewardEpoch{}
				}
				w.do("ann", &CloseEpoch{e.Number})
			},
		})
	})
}
