package ledger

import (
	"crypto/ed25519"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// validator admits a validator that does not attend yet.
func (w *world) validator(name string) {
	w.tb.Helper()
	join := &Join{member(name, Validator)}
	w.must(name, join)
	w.must("ann", &Approve{join.Digest()})
	w.must("bob", &Approve{join.Digest()})
}

func (w *world) revoke(name string) Result {
	w.tb.Helper()
	w.must("ann", &Revoke{name})
	return w.do("bob", &Revoke{name})
}

func names(powers []Power) (out []string) {
	for _, p := range powers {
		out = append(out, p.Name)
	}
	return out
}

func (w *world) signing(want ...string) {
	w.tb.Helper()
	if got := names(Powers(w.state)); !slices.Equal(got, want) {
		w.tb.Fatalf("%q sign, want %q", got, want)
	}
}

func equivocation(name string) Misbehaviour {
	return Misbehaviour{Validator: AddressOf(d("vote", name)), Height: 1, Time: start, Kind: DoubleVote}
}

// A validator is admitted, attends, leaves, comes back and is shut out.
func TestValidatorsComeAndGo(t *testing.T) {
	w := newWorld(t)
	w.signing("v1")
	w.validator("v2")
	w.signing("v1")
	w.refused(Forbidden, "ann", &Attend{true})
	w.refused(Replayed, "v1", &Attend{true})
	w.refused(Replayed, "v2", &Attend{false})
	w.must("v2", &Attend{true})
	w.signing("v1", "v2")
	w.must("v1", &Attend{false})
	w.refused(WrongState, "v2", &Attend{false}) // the last one
	if r := w.revoke("v2"); r.Code != WrongState {
		t.Errorf("the last validator is revoked: code %d, %s", r.Code, r.Detail)
	}
	w.must("v1", &Attend{true})
	w.must("bob", &Revoke{"v2"})
	w.signing("v1")
	w.refused(Forbidden, "v2", &Attend{true})
}

// Two votes cost a validator its power, once and for ever; the last one keeps it.
func TestEquivocatorsGo(t *testing.T) {
	w := newWorld(t)
	w.validator("v2")
	w.must("v2", &Attend{true})
	out := w.block(nil, equivocation("nobody"), equivocation("v2"), equivocation("v2"), equivocation("v1"))
	w.signing("v1")
	if want := []Power{{Name: "v2", Vote: d("vote", "v2")}}; !slices.Equal(out.Powers, want) {
		t.Errorf("powers changed: %v, want %v", out.Powers, want)
	}
	if m, ok := MisbehaviourOf(w.state, d("vote", "v2")); !ok || *m != equivocation("v2") {
		t.Errorf("recorded %v, %v", m, ok)
	}
	if _, ok := MisbehaviourOf(w.state, d("vote", "v1")); ok {
		t.Error("the last validator is recorded as removed")
	}
	w.must("v2", &Attend{false})
	w.refused(Forbidden, "v2", &Attend{true})
}

func TestAnnounce(t *testing.T) {
	w := newWorld(t)
	peer := func(name string) ed25519.PrivateKey { return signer("peer of " + name) }
	w.validator("v2")
	w.must("v2", NewAnnounce(chain, "v2", "v2.example:2", peer("v2")))
	w.refusals(t,
		refusal{"the same again", "v2", NewAnnounce(chain, "v2", "v2.example:2", peer("v2")), Replayed},
		refusal{"by a company", "ann", NewAnnounce(chain, "ann", "ann.example:2", peer("ann")), Forbidden},
		refusal{"in another's name", "v1", NewAnnounce(chain, "v2", "v1.example:2", peer("v1")), BadSignature},
		refusal{"on another chain", "v1", NewAnnounce("elsewhere", "v1", "v1.example:2", peer("v1")), BadSignature},
		refusal{"another's key", "v1", NewAnnounce(chain, "v1", "v1.example:2", peer("v2")), Conflict},
		refusal{"no address", "v1", NewAnnounce(chain, "v1", "", peer("v1")), Malformed},
		refusal{"two lines", "v1", NewAnnounce(chain, "v1", "a:1\nb:2", peer("v1")), Malformed},
	)
	w.must("v1", NewAnnounce(chain, "v1", "v1.example:2", peer("v1")))
	w.must("v2", NewAnnounce(chain, "v2", "v2.example:3", peer("v2")))
	if got := Contacts(w.state); len(got) != 2 || got[1].Address != "v2.example:3" || got[1].Peer != pub("peer of v2") {
		t.Errorf("contacts %v", got)
	}
	w.revoke("v2")
	if got := Contacts(w.state); len(got) != 1 || got[0].Name != "v1" {
		t.Errorf("contacts after a revocation %v", got)
	}
}

// Whatever is said, somebody signs, and what a block says it changed of the
// powers is what it changed.
func TestSomebodySigns(t *testing.T) {
	all := []string{"v1", "v2", "v3", "v4"}
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		for _, name := range all[1:] {
			w.validator(name)
		}
		for range rapid.IntRange(1, 20).Draw(t, "blocks") {
			before := Powers(w.state)
			var txs [][]byte
			var proved []Misbehaviour
			for range rapid.IntRange(1, 4).Draw(t, "txs") {
				name := rapid.SampledFrom(all).Draw(t, "name")
				switch rapid.IntRange(0, 3).Draw(t, "what") {
				case 0:
					txs = append(txs, w.sign(name, &Attend{rapid.Bool().Draw(t, "on")}))
				case 1:
					txs = append(txs, w.sign("ann", &Revoke{name}), w.sign("bob", &Revoke{name}))
				case 2:
					proved = append(proved, equivocation(name))
				case 3:
					txs = append(txs, w.sign(name, &Renew{TLS: tls(name), Address: rapid.SampledFrom([]string{"a:1", "b:2"}).Draw(t, "address")}))
				}
			}
			w.now, w.height = w.now+1000, w.height+1
			out := w.block(txs, proved...)
			after := Powers(w.state)
			if len(after) == 0 {
				t.Fatal("nobody signs")
			}
			for _, p := range out.Powers {
				before = slices.DeleteFunc(before, func(b Power) bool { return b.Vote == p.Vote })
				if p.Power > 0 {
					before = append(before, p)
				}
			}
			slices.SortFunc(before, func(a, b Power) int { return slices.Compare([]byte(a.Name), []byte(b.Name)) })
			if !slices.Equal(before, after) {
				t.Fatalf("%v change to %v by %v", before, after, out.Powers)
			}
		}
	})
}

// Everybody is voted out, and no block is ever signed again.
func TestAttackNobodySigns(t *testing.T) {
	attack(t, someoneSigns, func(w *world) bool {
		w.revoke("v1")
		return len(Powers(w.state)) == 0
	})
}

// Validators are admitted that never come, and two thirds are never there again.
func TestAttackAbsentValidators(t *testing.T) {
	attack(t, presentPower, func(w *world) bool {
		w.validator("v2")
		return len(Powers(w.state)) > 1
	})
}

// A validator announces another's peer key at an address of its own.
func TestAttackAnothersPeerKey(t *testing.T) {
	attack(t, provenPeer, func(w *world) bool {
		a := NewAnnounce(chain, "v1", "mal.example:2", signer("mal"))
		a.Peer = pub("peer of another")
		w.do("v1", a)
		return len(Contacts(w.state)) == 1
	})
}

// A validator signs two blocks of one height, and goes on signing.
func TestAttackEquivocation(t *testing.T) {
	attack(t, equivocatorsGo, func(w *world) bool {
		w.validator("v2")
		w.must("v2", &Attend{true})
		w.block(nil, equivocation("v2"))
		return len(Powers(w.state)) == 2
	})
}
