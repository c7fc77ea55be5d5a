package multiparty

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/hetest"
	"github.com/tuneinsight/lattigo/v5/core/rlwe"
)

// company is the cast, in roster order.
var company = []string{"ann", "bob", "cal", "dee", "eve"}

func testPlan(ps he.Profiles) Plan {
	return Plan{Train: ps.Train, Release: ps.Release, TrainRotations: []int{1, 2, 4}, ReleaseRotations: []int{3}}
}

// convene begins a ceremony of n parties, everybody's seed of its own.
func convene(t testing.TB, plan Plan, session string, n int, off ceremonyDefences) []*Ceremony {
	t.Helper()
	var out []*Ceremony
	for i, name := range company[:n] {
		c, err := newCeremony(plan, he.HashParts(session), company[:n], name, he.Seed{byte(i + 1)}, off)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
	return out
}

// inStep drives all parties in step, each on a goroutine of its own, until
// nobody has anything to say. tamper, if any, sees each message on its way from
// a party and may change it, or drop it by returning nil. It returns the abort
// of the first party in the roster that has one.
func inStep(t testing.TB, parties []*Ceremony, tamper func(from int, msg []byte) []byte) *Abort {
	t.Helper()
	for {
		said, errs := make([][][]byte, len(parties)), make([]error, len(parties))
		atOnce(len(parties), func(i int) { said[i] = parties[i].Send() })
		quiet := true
		for i, msgs := range said {
			for k := range msgs {
				if tamper != nil {
					msgs[k] = tamper(i, msgs[k])
				}
				quiet = quiet && msgs[k] == nil
			}
		}
		if quiet {
			return nil
		}
		atOnce(len(parties), func(to int) {
			for from, msgs := range said {
				for _, msg := range msgs {
					if from != to && msg != nil && errs[to] == nil {
						errs[to] = parties[to].Receive(company[from], msg)
					}
				}
			}
		})
		for i, err := range errs {
			var abort *Abort
			if errors.As(err, &abort) {
				return abort
			}
			if err != nil && (tamper == nil || !errors.Is(err, ErrEarly)) { // early only for want of what was dropped
				t.Fatalf("%s: %v", company[i], err)
			}
		}
	}
}

func atOnce(n int, do func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { do(i) })
	}
	wg.Wait()
}

// finishAll drives to the end and fails the test if the end is another.
func finishAll(t testing.TB, parties []*Ceremony) {
	t.Helper()
	if abort := inStep(t, parties, nil); abort != nil {
		t.Fatal(abort)
	}
	for i, c := range parties {
		if !c.Done() {
			t.Fatalf("%s is not done: %v", company[i], c.Expire())
		}
	}
}

// together adds up all parties' secrets of a profile, which only a test may.
func together(parties []*Ceremony, p *he.Profile) *he.SecretKey {
	sum := &he.SecretKey{Profile: p, Value: p.RingQP().NewPoly()}
	for _, c := range parties {
		p.RingQP().Add(sum.Value, c.forge.secrets.Of(p).Value, sum.Value)
	}
	return sum
}

func TestCeremonyMakesKeys(t *testing.T) {
	ps := hetest.Profiles(t)
	for _, n := range []int{2, 3, 5} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			parties := convene(t, testPlan(ps), "epoch", n, ceremonyDefences{})
			finishAll(t, parties)
			for _, c := range parties[1:] {
				if c.KeyDigest() != parties[0].KeyDigest() || c.Roster().Digest() != parties[0].Roster().Digest() {
					t.Fatal("two parties have different keys")
				}
				if s, again := c.Secrets(), c.Secrets(); s == nil || s != again {
					t.Fatal("secrets change")
				}
			}
			for _, p := range testPlan(ps).profiles() {
				checkKeys(t, parties, p, parties[n-1].EvaluationKeys(p))
			}
		})
	}
}

// checkKeys encrypts under the collective public key, squares, relinearises,
// rotates by every key and decrypts with the sum of all secrets.
func checkKeys(t *testing.T, parties []*Ceremony, p *he.Profile, keys *he.EvaluationKeys) {
	t.Helper()
	pk := parties[len(parties)-1].Epoch().publicKey(p)
	sk, enc := together(parties, p), he.NewEncoder(p)
	x := make([]float64, p.Slots())
	for i := range x {
		x[i] = math.Sin(float64(i))
	}
	m, err := enc.Encode(x, p.MaxLevel(), p.LogScale())
	if err != nil {
		t.Fatal(err)
	}
	ct := pk.Encrypt(m, p.LogScale(), he.Seed{9}.Stream("x"))
	eval := rlwe.NewEvaluator(p.RLWE(), keys.Set())
	decrypt := func(ct *rlwe.Ciphertext, logScale int) []float64 {
		m := sk.Phase(&he.Ciphertext{Profile: p, C0: ct.Value[0], C1: ct.Value[1]})
		p.RingQ(p.MaxLevel()).NTT(m, m)
		out, err := enc.Decode(m, logScale)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	square := tensor(p.RingQ(p.MaxLevel()), ct)
	if err := eval.Relinearize(square, square); err != nil {
		t.Fatal(err)
	}
	for i, got := range decrypt(square, 2*p.LogScale()) {
		if math.Abs(got-x[i]*x[i]) > 1e-6 {
			t.Fatalf("%s: slot %d squared is %g, want %g", p.Name(), i, got, x[i]*x[i])
		}
	}
	for k := range p.Slots() {
		if keys.Galois[p.Rotation(k)] == nil {
			continue
		}
		rotated := ct.RLWE().CopyNew()
		if err := eval.Automorphism(rotated, p.Rotation(k), rotated); err != nil {
			t.Fatal(err)
		}
		for i, got := range decrypt(rotated, p.LogScale()) {
			if want := x[(i+k)%len(x)]; math.Abs(got-want) > 1e-6 {
				t.Fatalf("%s rotated by %d: slot %d is %g, want %g", p.Name(), k, i, got, want)
			}
		}
	}
}

// Whatever the order, the delays and the repeats, all parties have the keys
// that parties in step have.
func TestCeremonyInAnyOrder(t *testing.T) {
	ps := hetest.Profiles(t)
	plan := Plan{Train: ps.Train, Release: ps.Release, TrainRotations: []int{1}}
	const n = 3
	calm := convene(t, plan, "epoch", n, ceremonyDefences{})
	finishAll(t, calm)
	for seed := range uint64(4) {
		rng := rand.New(rand.NewPCG(seed, 0))
		parties := convene(t, plan, "epoch", n, ceremonyDefences{})
		deliverShuffled(t, rng, parties)
		for i, c := range parties {
			if !c.Done() {
				t.Fatalf("order %d: %s is not done: %v", seed, company[i], c.Expire())
			}
			if c.KeyDigest() != calm[0].KeyDigest() {
				t.Fatalf("order %d: %s has other keys", seed, company[i])
			}
		}
	}
}

type letter struct {
	from, to int
	msg      []byte
}

// deliverShuffled delivers every message at a random time, a fifth of them
// twice, keeping what comes early.
func deliverShuffled(t *testing.T, rng *rand.Rand, parties []*Ceremony) {
	t.Helper()
	var post []letter
	for {
		before := len(post)
		for i := range parties {
			for _, msg := range parties[i].Send() {
				for j := range parties {
					if i != j {
						post = append(post, letter{i, j, msg})
					}
				}
			}
		}
		if len(post) == 0 && before == 0 {
			return
		}
		k := rng.IntN(len(post))
		l := post[k]
		switch err := parties[l.to].Receive(company[l.from], l.msg); {
		case errors.Is(err, ErrEarly):
			continue
		case err != nil:
			t.Fatalf("%s to %s: %v", company[l.from], company[l.to], err)
		}
		if rng.IntN(5) > 0 {
			post = append(post[:k], post[k+1:]...)
		}
	}
}

// The same arguments and messages give the same bytes; another session gives
// others throughout, secrets included. The bytes are those of all builds.
func TestCeremonyIsAFunction(t *testing.T) {
	ps := hetest.Profiles(t)
	run := func(session string) []letter {
		return record(t, convene(t, testPlan(ps), session, 2, ceremonyDefences{}))
	}
	first, again, other := run("epoch"), run("epoch"), run("next epoch")
	transcript := sha256.New()
	for i := range first {
		transcript.Write(first[i].msg)
		if !bytes.Equal(first[i].msg, again[i].msg) {
			t.Fatalf("message %d differs in a repeat", i)
		}
		if bytes.Equal(first[i].msg, other[i].msg) {
			t.Fatalf("message %d is that of another session", i)
		}
	}
	if got, want := fmt.Sprintf("%x", transcript.Sum(nil)), "32d349c8033cae0e6a002372b5d67ac4f4863d8d944f345ea727e2d1c27af4f2"; got != want {
		t.Errorf("all messages hash to %s, want %s; a change of the wire is a new version", got, want)
	}
}

// record drives to the end and returns all that was said, in order.
func record(t testing.TB, parties []*Ceremony) (said []letter) {
	t.Helper()
	if abort := inStep(t, parties, func(from int, msg []byte) []byte {
		said = append(said, letter{from: from, msg: msg})
		return msg
	}); abort != nil {
		t.Fatal(abort)
	}
	return said
}

func TestNewCeremonyRefuses(t *testing.T) {
	ps := hetest.Profiles(t)
	good := testPlan(ps)
	for name, tc := range map[string]struct {
		plan    func(*Plan)
		parties []string
		self    string
	}{
		"one party":           {nil, company[:1], "ann"},
		"a party twice":       {nil, []string{"ann", "ann"}, "ann"},
		"a stranger":          {nil, company[:2], "eve"},
		"no release profile":  {func(p *Plan) { p.Release = nil }, company[:2], "ann"},
		"one profile twice":   {func(p *Plan) { p.Release = p.Train }, company[:2], "ann"},
		"no special primes":   {func(p *Plan) { p.Release = ps.Serve }, company[:2], "ann"},
		"a rotation by 0":     {func(p *Plan) { p.TrainRotations = []int{0} }, company[:2], "ann"},
		"a rotation twice":    {func(p *Plan) { p.TrainRotations = []int{1, 1 + ps.Train.Slots()} }, company[:2], "ann"},
		"a rotation by Slots": {func(p *Plan) { p.ReleaseRotations = []int{ps.Release.Slots()} }, company[:2], "ann"},
	} {
		plan := good
		if tc.plan != nil {
			tc.plan(&plan)
		}
		if _, err := NewCeremony(plan, he.Digest{}, tc.parties, tc.self, he.Seed{1}); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func BenchmarkCeremony(b *testing.B) {
	ps := he.Standard()
	plan := Plan{Train: ps.Train, Release: ps.Release, TrainRotations: []int{1, 2, 3, 4, 8, 12}}
	size := 0
	for b.Loop() {
		size = 0
		parties := convene(b, plan, "epoch", 3, ceremonyDefences{})
		if abort := inStep(b, parties, func(from int, msg []byte) []byte {
			if from == 0 {
				size += len(msg)
			}
			return msg
		}); abort != nil || !parties[0].Done() {
			b.Fatal(abort)
		}
	}
	b.ReportMetric(float64(size), "key-B/party")
}
