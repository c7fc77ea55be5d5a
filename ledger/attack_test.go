package ledger

import (
	"crypto/sha512"
	"fmt"
	"math/big"
	"slices"
	"testing"
)

// attack makes an attack with a defence switched off, when it must succeed, and
// with all of them up, when it must not.
func attack(t *testing.T, d defence, succeeds func(*world) bool) {
	t.Helper()
	w := newWorld(t)
	w.off = d
	if !succeeds(w) {
		t.Errorf("defence %d is off and the attack fails all the same: it shows nothing", d)
	}
	if succeeds(newWorld(t)) {
		t.Errorf("the attack succeeds though defence %d is up", d)
	}
}

// A transaction that anybody saw is sent again.
func TestAttackReplay(t *testing.T) {
	attack(t, seenSet, func(w *world) bool {
		_, model := w.model()
		w.must("ann", admitQuinn())
		tx := w.sign("north", &Usage{Batch: 1, Entries: []Used{{Querier: "quinn", Model: model, Answers: 7, Queries: d("queries")}}})
		w.apply(tx)
		w.state.Write([]Write{{Key: key(keyUsage, "north", uint64(1))}}) // as if it had no natural key
		return w.apply(tx)[0].Code == OK
	})
}

// A c1 gets a second ticket: in one record, in a later step, in another job.
func TestAttackSecondTicket(t *testing.T) {
	for name, again := range map[string]func(w *world, job Digest) (Digest, *StepRecord){
		"in one record": func(w *world, job Digest) (Digest, *StepRecord) {
			r := w.record(job)
			r.Inputs, r.C1s = append(r.Inputs, d("more")), append(r.C1s, r.C1s[0])
			return job, r
		},
		"in a later step": func(w *world, job Digest) (Digest, *StepRecord) {
			used := w.record(job).C1s
			w.must("north", w.record(job))
			w.must("south", w.record(job))
			r := w.record(job)
			r.C1s = used
			return job, r
		},
		"in another job": func(w *world, job Digest) (Digest, *StepRecord) {
			used := w.record(job).C1s
			w.must("north", w.record(job))
			w.must("south", w.record(job))
			other := w.job(openJob(2))
			r := w.record(other)
			r.C1s = used
			return other, r
		},
	} {
		t.Run(name, func(t *testing.T) {
			attack(t, onceAC1, func(w *world) bool {
				w.rows()
				job, r := again(w, w.job(openJob(1)))
				one, two := w.do("north", r), w.do("south", r)
				_, open := TicketOf(w.state, job, r.Step)
				return one.Code == OK && two.Code == OK && open
			})
		})
	}
}

// Both jobs' nodes recorded a c1 while it was free: the second quorum comes late.
func TestAttackRace(t *testing.T) {
	attack(t, onceAC1, func(w *world) bool {
		w.rows()
		one, two := w.job(openJob(1)), w.job(openJob(2))
		a, b := w.record(one), w.record(two)
		b.C1s = a.C1s
		w.must("north", a)
		w.must("north", b)
		w.must("south", a)
		return w.do("south", b).Code == OK
	})
}

// One owner runs two nodes and opens a ticket alone.
func TestAttackTwoNodesOfOneOwner(t *testing.T) {
	attack(t, ownersCount, func(w *world) bool {
		w.rows()
		o := openJob(1)
		o.Nodes = []string{"north", "south", "south2"}
		job := w.job(o)
		r := w.record(job)
		r.Inputs[0] = d("the key itself")
		w.must("south", r)
		w.must("south2", r)
		_, open := TicketOf(w.state, job, 0)
		return open
	})
}

// A node was revoked because its keys were stolen; what it recorded before helps
// another node to a ticket.
func TestAttackRevokedNode(t *testing.T) {
	attack(t, livingNodes, func(w *world) bool {
		w.rows()
		job := w.job(openJob(1))
		r := w.record(job)
		w.must("north", r)
		w.must("ann", &Revoke{"north"})
		w.must("bob", &Revoke{"north"})
		w.must("south", r)
		_, open := TicketOf(w.state, job, 0)
		return open
	})
}

// A company votes, is revoked, and its vote makes a majority of the rest.
func TestAttackRevokedVote(t *testing.T) {
	for name, succeeds := range map[string]func(w *world) bool{
		"for a newcomer": func(w *world) bool {
			w.must("dee", &Join{member("dee", Aggregator)})
			join := Join{member("dee", Aggregator)}
			w.must("cal", &Approve{join.Digest()})
			w.must("ann", &Revoke{"cal"})
			w.must("bob", &Revoke{"cal"})
			w.must("ann", &Approve{join.Digest()}) // one of two is no majority
			_, in := MemberOf(w.state, "dee")
			return in
		},
		"against a member": func(w *world) bool {
			w.must("cal", &Revoke{"north"})
			w.must("ann", &Revoke{"cal"})
			w.must("bob", &Revoke{"cal"})
			w.must("ann", &Revoke{"north"})
			m, _ := MemberOf(w.state, "north")
			return m.Revoked
		},
	} {
		t.Run(name, func(t *testing.T) { attack(t, livingVotes, succeeds) })
	}
}

// A querier asks for a member with keys that it has not got.
func TestAttackUnprovenKey(t *testing.T) {
	attack(t, provenKey, func(w *world) bool {
		w.task()
		w.must("ann", admitQuinn())
		return w.do("quinn", &Join{member("dee", Company)}).Code == OK
	})
}

// A stranger asks to join so often that nobody else can.
func TestAttackFloodOfRequests(t *testing.T) {
	attack(t, joinRoom, func(w *world) bool {
		w.must("mal", &Join{member("mal", Company)})
		mal := Join{member("mal", Company)}
		w.must("ann", &Approve{mal.Digest()})
		for i := range MaxRequests + 3 {
			name := fmt.Sprint("mal-", i)
			w.do(name, &Join{member(name, Company)})
		}
		if !w.state.hasKey(key(keyRequest, mal.Digest())) {
			t.Error("a request that a company is for gave way")
		}
		return w.do("dee", &Join{member("dee", Aggregator)}).Code != OK
	})
}

// A company votes for a flood of its own requests, so that none gives way. When it
// is shut out they do.
func TestRevokedSponsor(t *testing.T) {
	w := newWorld(t)
	for i := range MaxRequests {
		name := fmt.Sprint("mal-", i)
		w.must(name, &Join{member(name, Company)})
		j := Join{member(name, Company)}
		w.must("cal", &Approve{j.Digest()})
	}
	w.refused(OverLimit, "dee", &Join{member("dee", Aggregator)})
	w.must("ann", &Revoke{"cal"})
	w.must("bob", &Revoke{"cal"})
	dee := Join{member("dee", Aggregator)}
	w.must("dee", &dee)
	w.must("ann", &Approve{dee.Digest()})
	w.must("bob", &Approve{dee.Digest()})
	if _, in := MemberOf(w.state, "dee"); !in {
		t.Error("dee is not in")
	}
}

// Bob votes, and the other companies leave: his vote is a majority then, and he says
// so again.
func TestVoteAgain(t *testing.T) {
	w := newWorld(t)
	w.must("bob", &Revoke{"east"})
	w.must("ann", &Revoke{"cal"})
	w.must("bob", &Revoke{"cal"})
	w.refused(Replayed, "bob", &Revoke{"east"}) // one of two
	w.must("bob", &Revoke{"ann"})
	w.must("ann", &Revoke{"ann"})
	w.must("bob", &Revoke{"east"})
	if m, _ := MemberOf(w.state, "east"); !m.Revoked {
		t.Error("bob alone is all companies, and v1 is still in")
	}
}

func (m *Memory) hasKey(key []byte) bool { return m.Get(key) != nil }

// A company registers the TLS key of a member that was shut out.
func TestAttackRevokedKey(t *testing.T) {
	attack(t, retiredKeys, func(w *world) bool {
		w.task()
		w.must("ann", &Revoke{"north"})
		w.must("bob", &Revoke{"north"})
		if _, ok := Peer(w.state, tls("north")); ok {
			t.Error("a revoked member is a peer")
		}
		again := admitQuinn()
		again.TLS = tls("north")
		w.do("cal", again)
		_, ok := Peer(w.state, tls("north"))
		return ok
	})
}

// A company registers the key that another has replaced, and is taken for it.
func TestAttackReplacedKey(t *testing.T) {
	attack(t, retiredKeys, func(w *world) bool {
		w.must("north", &Renew{TLS: tls("north again"), Address: "north.example:7000"})
		if _, ok := Peer(w.state, tls("north")); ok {
			t.Error("a replaced key is a peer's")
		}
		w.do("south", &Renew{TLS: tls("north"), Address: "south.example:7000"})
		name, ok := Peer(w.state, tls("north"))
		return ok && name == "south"
	})
}

// Two of five companies make keys without the others, and theirs are in force.
func TestAttackMinorityKeys(t *testing.T) {
	attack(t, majorityKeys, func(w *world) bool {
		for _, name := range []string{"dee", "eve"} {
			w.must(name, &Join{member(name, Company)})
			join := Join{member(name, Company)}
			w.must("ann", &Approve{join.Digest()})
			w.must("bob", &Approve{join.Digest()})
			if _, in := MemberOf(w.state, name); !in {
				w.must("cal", &Approve{join.Digest()})
			}
		}
		if w.do("dee", &OpenRoster{Epoch: 1, Parties: []string{"dee", "eve"}, Stages: []uint16{1}}).Code != OK {
			return false
		}
		w.ceremony(BaseCeremony(chain, 1, 1))
		e, _ := CurrentEpoch(w.state)
		return slices.Equal(e.Parties, []string{"dee", "eve"})
	})
}

// A company takes the words of nodes that hold another's rows, and records them as
// its own first.
func TestAttackOthersRows(t *testing.T) {
	attack(t, boundHeld, func(w *world) bool {
		w.task()
		x := contribution(loans, "ann", Training, "north", "south")
		if w.off == boundHeld { // words as they were
			for i, n := range []string{"north", "south"} {
				x.Held[i] = heldBy(n, HeldMessage(Digest{}, "", x.Manifest, x.Bytes))
			}
		}
		return w.do("bob", x).Code == OK
	})
}

// A local company signs the same words twice, differently, and tells each node one:
// nodes that are honest contradict one another.
func TestAttackSecondSignature(t *testing.T) {
	attack(t, headersAlone, func(w *world) bool {
		w.rows()
		job := w.job(openJob(1))
		w.must("north", w.record(job))
		w.must("south", w.record(job))
		one, two := w.record(job), w.record(job)
		two.Updates = [][]byte{otherSignature(t, update(job, 1, 0))}
		w.must("north", one)
		w.must("south", two)
		return w.jobState(job) == JobDisputed
	})
}

// otherSignature is a post of cal's with a second signature of the same words.
// Ed25519 makes the nonce from the key and the words, but nobody sees whether: here
// it is another key's scalar r, whose public key is R = rB.
func otherSignature(t *testing.T, p Post) []byte {
	t.Helper()
	b := p.Append(nil)
	words := b[: len(b)-len(Signature{}) : len(b)-len(Signature{})]
	R := pub("a nonce")
	h := sha512.Sum512(slices.Concat(R[:], p.Sender[:], signing("post", words)))
	L, _ := new(big.Int).SetString("1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed", 16)
	s := new(big.Int).Mul(littleEndian(h[:]), scalar("cal"))
	s.Mod(s.Add(s, scalar("a nonce")), L)
	S := s.FillBytes(make([]byte, 32))
	slices.Reverse(S)
	out := slices.Concat(words, R[:], S)
	if q, err := ParsePost(out); err != nil || q.signature == p.signature {
		t.Fatalf("the second signature: %v", err)
	}
	return out
}

// scalar is the secret scalar of a name's signing key (RFC 8032, 5.1.5).
func scalar(name string) *big.Int {
	h := sha512.Sum512(signer(name).Seed())
	h[0] &= 248
	h[31] = h[31]&127 | 64
	return littleEndian(h[:32])
}

func littleEndian(b []byte) *big.Int {
	b = slices.Clone(b)
	slices.Reverse(b)
	return new(big.Int).SetBytes(b)
}

// A node lists updates that a step does not take.
func TestAttackMoreUpdates(t *testing.T) {
	attack(t, wholeUpdates, func(w *world) bool {
		w.rows()
		job := w.job(openJob(1))
		r := w.record(job)
		r.Updates = [][]byte{update(job, 0, 0).Append(nil)}
		return w.do("north", r).Code == OK
	})
}

// A party acknowledges no keys, and passes for one that has the others'.
func TestAttackEmptyAck(t *testing.T) {
	attack(t, equalAcks, func(w *world) bool {
		w.must("ann", &OpenRoster{Epoch: 1, Parties: companies, Stages: []uint16{1}})
		id := BaseCeremony(chain, 1, 1)
		w.stage(id, 0)
		w.do("ann", &KeyAck{Ceremony: id})
		w.must("bob", &KeyAck{Ceremony: id, Keys: d("keys")})
		w.must("cal", &KeyAck{Ceremony: id, Keys: d("keys")})
		y, _ := CeremonyOf(w.state, id)
		return y.State == Active
	})
}

// An aggregator that has nothing to do with a task uses up a querier's quota.
func TestAttackOthersUsage(t *testing.T) {
	attack(t, ownTaskUsage, func(w *world) bool {
		_, model := w.model()
		w.must("ann", admitQuinn())
		w.do("east", &Usage{Batch: 1, Entries: []Used{{Querier: "quinn", Model: model, Answers: 1000, Queries: d("none")}}})
		q, _ := QuerierOf(w.state, "quinn")
		return q.Used > 0
	})
}

// A job is opened under keys that were replaced, of which a party may be gone.
func TestAttackOldKeys(t *testing.T) {
	attack(t, currentKeys, func(w *world) bool {
		w.rows()
		running := w.job(openJob(1))
		w.must("ann", &OpenRoster{Epoch: 2, Parties: companies, Stages: []uint16{1}})
		w.ceremony(BaseCeremony(chain, 2, 1))
		w.must("north", w.record(running)) // what was begun is finished
		w.must("south", w.record(running))
		return w.do("peer", openJob(2)).Code == OK
	})
	attack(t, currentKeys, func(w *world) bool {
		w.keys()
		w.must("peer", openLoans())
		for _, c := range companies {
			w.must(c, &Consent{Task: loans, Rows: 100})
		}
		w.must("ann", &OpenRoster{Epoch: 2, Parties: companies, Stages: []uint16{1}})
		w.ceremony(BaseCeremony(chain, 2, 1))
		return w.do("ann", &OpenKeySet{Task: loans, Stages: []uint16{1}}).Code == OK
	})
}

// A reward epoch ends when its time has come, and only the one that is open.
func TestRewardEpochs(t *testing.T) {
	w := newWorld(t)
	w.must("v1", &CloseEpoch{0})
	w.now += DefaultEpoch
	w.refused(WrongState, "v1", &CloseEpoch{2})
	w.must("v1", &CloseEpoch{1})
	w.refused(WrongState, "v1", &CloseEpoch{1})
	if e, ok := CurrentReward(w.state); !ok || e.Number != 2 || e.Closed != 0 {
		t.Errorf("open is %v", e)
	}
}
