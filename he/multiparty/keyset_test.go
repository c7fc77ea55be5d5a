package multiparty

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/hetest"
	"github.com/tuneinsight/lattigo/v5/ring"
)

// found finishes the base ceremony of an epoch of n parties that has no Galois
// key at all.
func found(t testing.TB, ps he.Profiles, n int) []*Ceremony {
	t.Helper()
	parties := convene(t, Plan{Train: ps.Train, Release: ps.Release}, "epoch", n, ceremonyDefences{})
	finishAll(t, parties)
	return parties
}

// extend begins a key set of all parties of a base ceremony.
func extend(t testing.TB, base []*Ceremony, plan Plan, id string, off ceremonyDefences) []*Ceremony {
	t.Helper()
	var out []*Ceremony
	for _, c := range base {
		set, err := newKeySet(plan, he.HashParts(id), c.Epoch(), c.Secrets(), off)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, set)
	}
	return out
}

func TestKeySetAddsKeys(t *testing.T) {
	ps := hetest.Profiles(t)
	for _, n := range []int{2, 3} {
		base := found(t, ps, n)
		first := extend(t, base, testPlan(ps), "task 1", ceremonyDefences{})
		finishAll(t, first)
		// Another task's, in one profile, with an element that is there already.
		second := extend(t, base, Plan{Train: ps.Train, Release: ps.Release, TrainRotations: []int{8, 1}}, "task 2", ceremonyDefences{})
		finishAll(t, second)
		for _, p := range testPlan(ps).profiles() {
			if keys := base[0].EvaluationKeys(p); len(keys.Galois) != 0 || keys.Relin == nil {
				t.Fatalf("%s: the base has %d Galois keys", p.Name(), len(keys.Galois))
			}
			all, err := base[0].EvaluationKeys(p).With(first[0].EvaluationKeys(p), second[0].EvaluationKeys(p))
			if err != nil {
				t.Fatal(err)
			}
			if want := map[*he.Profile]int{ps.Train: 4, ps.Release: 1}[p]; len(all.Galois) != want {
				t.Errorf("%s: %d keys, want %d", p.Name(), len(all.Galois), want)
			}
			checkKeys(t, base, p, all)
		}
		if one, other := first[0].KeyDigest(), second[0].KeyDigest(); one == other || one != first[1].KeyDigest() {
			t.Error("a digest does not identify a key set")
		}
		if set := first[1]; set.Secrets() != base[1].Secrets() || set.Roster().Digest() != base[1].Roster().Digest() {
			t.Error("a key set changed the epoch's secrets or roster")
		}
	}
}

func TestKeysWithAnotherProfile(t *testing.T) {
	ps := hetest.Profiles(t)
	base := found(t, ps, 2)
	if _, err := base[0].EvaluationKeys(ps.Train).With(base[0].EvaluationKeys(ps.Release)); err == nil {
		t.Error("keys of two profiles were merged")
	}
	if _, err := base[0].EvaluationKeys(ps.Train).With(nil); err == nil {
		t.Error("keys that are not there were merged")
	}
}

func TestKeySetInAnyOrder(t *testing.T) {
	ps := hetest.Profiles(t)
	base := found(t, ps, 3)
	calm := extend(t, base, testPlan(ps), "task", ceremonyDefences{})
	finishAll(t, calm)
	for seed := range uint64(4) {
		parties := extend(t, base, testPlan(ps), "task", ceremonyDefences{})
		deliverShuffled(t, rand.New(rand.NewPCG(seed, 0)), parties)
		for i, c := range parties {
			if !c.Done() || c.KeyDigest() != calm[0].KeyDigest() {
				t.Fatalf("order %d: %s is %v with keys %x", seed, company[i], c, c.KeyDigest())
			}
		}
	}
}

// The same id gives the same bytes, with secrets from a sealed store too;
// another id gives others throughout (laws L3 and L6), and so does another plan.
func TestKeySetIsAFunction(t *testing.T) {
	ps := hetest.Profiles(t)
	base, plan := found(t, ps, 2), testPlan(ps)
	run := func(id string, plan Plan) []letter {
		return record(t, extend(t, base, plan, id, ceremonyDefences{}))
	}
	first, other, wider := run("task", plan), run("another", plan), plan
	wider.ReleaseRotations = []int{3, 5}
	more := run("task", wider)

	var restored []*Ceremony
	for _, c := range base {
		secrets, err := ParseSecrets(c.Secrets().Append(nil), ps.Train, ps.Release)
		if err != nil {
			t.Fatal(err)
		}
		set, err := NewKeySet(plan, he.HashParts("task"), c.Epoch(), secrets)
		if err != nil {
			t.Fatal(err)
		}
		restored = append(restored, set)
	}
	again := record(t, restored)
	for i := range first {
		if !bytes.Equal(first[i].msg, again[i].msg) {
			t.Fatalf("message %d differs in a repeat", i)
		}
		if bytes.Equal(first[i].msg, other[i].msg) || bytes.Equal(first[i].msg, more[i].msg) {
			t.Fatalf("message %d is that of another key set", i)
		}
	}
}

func TestNewKeySetRefuses(t *testing.T) {
	ps := hetest.Profiles(t)
	base := found(t, ps, 2)
	for name, change := range map[string]func(p *Plan, e *Epoch, s *Secrets) (*Epoch, *Secrets){
		"no epoch":         func(_ *Plan, _ *Epoch, s *Secrets) (*Epoch, *Secrets) { return nil, s },
		"no secrets":       func(_ *Plan, e *Epoch, _ *Secrets) (*Epoch, *Secrets) { return e, nil },
		"a party too many": func(_ *Plan, e *Epoch, s *Secrets) (*Epoch, *Secrets) { s.Index = 2; return e, s },
		"half the secrets": func(_ *Plan, e *Epoch, s *Secrets) (*Epoch, *Secrets) { s.Release = nil; return e, s },
		"no rotation": func(p *Plan, e *Epoch, s *Secrets) (*Epoch, *Secrets) {
			p.TrainRotations, p.ReleaseRotations = nil, nil
			return e, s
		},
		"a rotation twice": func(p *Plan, e *Epoch, s *Secrets) (*Epoch, *Secrets) { p.TrainRotations = []int{1, 1}; return e, s },
		"other profiles": func(p *Plan, e *Epoch, s *Secrets) (*Epoch, *Secrets) {
			p.Train, p.Release = p.Release, p.Train
			return e, s
		},
		"no train profile":  func(p *Plan, e *Epoch, s *Secrets) (*Epoch, *Secrets) { p.Train = nil; return e, s },
		"no special primes": func(p *Plan, e *Epoch, s *Secrets) (*Epoch, *Secrets) { p.Train = ps.Serve; return e, s },
	} {
		plan, epoch, secrets := testPlan(ps), *base[0].Epoch(), *base[0].Secrets()
		e, s := change(&plan, &epoch, &secrets)
		if _, err := NewKeySet(plan, he.Digest{}, e, s); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	running := convene(t, testPlan(ps), "epoch", 2, ceremonyDefences{})[0]
	if running.Epoch() != nil {
		t.Error("an epoch before its ceremony is done")
	}
}

// Whatever goes wrong with a key set, the epoch's secrets stay.
func TestKeySetFaults(t *testing.T) {
	ps := hetest.Profiles(t)
	base := found(t, ps, 3)
	plan := Plan{Train: ps.Train, Release: ps.Release, TrainRotations: []int{1}}
	for _, tc := range []struct {
		name     string
		tamper   func(set *Ceremony, m *message)
		cause    Cause
		culprits []string
	}{
		{"another plan, id or epoch", func(_ *Ceremony, m *message) { m.payload[0] ^= 1 }, Disagreed, nil},
		{"a nonce", func(_ *Ceremony, m *message) { *m = message{stage: nonces, payload: make([]byte, 64)} }, Malformed, []string{"cal"}},
		{"a commitment to no nonce", func(_ *Ceremony, m *message) { *m = message{stage: nonces, payload: make([]byte, 32)} }, Malformed, []string{"cal"}},
		{"a part too many", func(_ *Ceremony, m *message) { m.reveal, m.part = true, 1 }, Malformed, []string{"cal"}},
	} {
		parties := extend(t, base, plan, "task", ceremonyDefences{})
		abort := inStep(t, parties, func(from int, msg []byte) []byte {
			m := parsed(t, parties[cal], msg)
			if from != cal || m.reveal {
				return msg
			}
			m.payload = bytes.Clone(m.payload)
			tc.tamper(parties[cal], &m)
			return m.append(nil)
		})
		checkAbort(t, abort, tc.cause, tc.culprits...)
		if ann := parties[0]; ann.Done() || ann.Epoch() != nil || ann.Secrets() != nil || ann.forge != nil || base[0].Secrets().Train == nil {
			t.Errorf("%s: an aborted key set goes on, or took the epoch's secrets along", tc.name)
		}
	}
}

// Attack: the last to reveal chooses its Galois share so that the sum is
// nothing at all, and its opening so that the end test opens. Everybody then
// rotates with a key that one company chose.
func TestAttackKeySetLastRevealer(t *testing.T) {
	ps := hetest.Profiles(t)
	base := found(t, ps, 3)
	plan := Plan{Train: ps.Train, Release: ps.Release, TrainRotations: []int{1}}
	galois := part{kind: he.KindGaloisShare, profile: ps.Train, element: ps.Train.Rotation(1)}
	attack := func(off ceremonyDefences) ([]*Ceremony, *Abort) {
		parties := extend(t, base, plan, "task", off)
		a := &lastRevealer{t: t, cal: parties[cal], others: map[part]*he.Object{}, choose: map[part]func(own, others *he.Object){
			galois: func(own, others *he.Object) {
				for _, row := range own.Rows {
					clear(row)
				}
				subtract(own, others)
			},
			{kind: he.KindOpenShare, profile: ps.Train}: func(own, others *he.Object) {
				test, r := parties[cal].tests[0], ps.Train.RingQ(ps.Train.MaxLevel())
				r.Sub(test.want, test.ciphertext.C0, own.Polys()[0])
				r.INTT(own.Polys()[0], own.Polys()[0])
				subtract(own, others)
			},
		}}
		return parties, inStep(t, parties, a.tamper)
	}

	parties, abort := attack(ceremonyDefences{commitment: true})
	if abort != nil || !parties[0].Done() {
		t.Fatalf("without commitments the attack should pass unseen: %v", abort)
	}
	nothing := he.NewObject(galois.object())
	if got := parties[0].sum(galois); !reflect.DeepEqual(got.Rows, nothing.Rows) {
		t.Fatal("without commitments cal should have chosen the key")
	}
	_, abort = attack(ceremonyDefences{})
	checkAbort(t, abort, Mismatched, "cal")
}

// Attack: a Galois share or an opening that is wrong, committed to and revealed
// as committed. Only the end test sees it.
func TestAttackKeySetWrongGaloisShare(t *testing.T) {
	ps := hetest.Profiles(t)
	base, plan := found(t, ps, 3), testPlan(ps)
	for _, parts := range plan.keySetScript() {
		for _, p := range parts {
			attack := func(off ceremonyDefences) ([]*Ceremony, *Abort) {
				parties := extend(t, base, plan, "task", off)
				return parties, inStep(t, parties, spoil(t, parties[cal], cal, p, func(o *he.Object) {
					last := o.Rows[len(o.Rows)-1]
					last[0] ^= 1
				}))
			}
			parties, abort := attack(ceremonyDefences{endTest: true})
			if abort != nil || !parties[0].Done() || parties[0].KeyDigest() != parties[1].KeyDigest() {
				t.Fatalf("%v: without the end test one wrong residue should pass unseen: %v", p, abort)
			}
			_, abort = attack(ceremonyDefences{})
			checkAbort(t, abort, WrongKey)
		}
	}
}

// Attack: two key sets with one rotation. If a party's errors were not bound to
// the id, the difference of its two shares would be its key times a known
// polynomial, without any error (law L3).
func TestAttackKeySetReusedErrors(t *testing.T) {
	ps := hetest.Profiles(t)
	base := found(t, ps, 2)
	plan := Plan{Train: ps.Train, Release: ps.Release, TrainRotations: []int{1}}
	p, sub := ps.Train, ps.Train.RingQ(0).SubRings[0]
	galois := part{kind: he.KindGaloisShare, profile: p, element: p.Rotation(1)}
	divided := func(off ceremonyDefences) []int64 {
		row, a := make([]uint64, p.N()), make([]uint64, p.N())
		for i, id := range []string{"task 1", "task 2"} {
			ann := extend(t, base, plan, id, off)[0]
			share, common := ann.forge.galoisShare(galois).Rows[0], crp(ann.root, galois)[0].Q.Coeffs[0]
			if i == 0 {
				copy(row, share)
				copy(a, common)
				continue
			}
			sub.Sub(row, share, row) // (a2 - a1)·s
			sub.Sub(common, a, a)
		}
		for i := range row {
			row[i] = ring.BRed(row[i], ring.ModExp(a[i], sub.Modulus-2, sub.Modulus), sub.Modulus, sub.BRedConstant)
		}
		return ternary(p, row, 1)
	}
	key := &he.SecretKey{Profile: p, Value: permuted(p, galois.element, base[0].Secrets().Train.Value)}
	if !reflect.DeepEqual(divided(ceremonyDefences{binding: true}), keyOf(key)) {
		t.Fatal("with one error for two ids one division should give away the key")
	}
	if reflect.DeepEqual(divided(ceremonyDefences{}), keyOf(key)) {
		t.Error("two key sets give away the key")
	}
}
