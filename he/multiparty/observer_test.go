package multiparty

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/hetest"
)

// watch gives an observer all that was said, in any order, a fifth of it twice.
func watch(rng *rand.Rand, o *Observer, said []letter) error {
	said = slices.Clone(said)
	for len(said) > 0 {
		k := rng.IntN(len(said))
		err := o.Receive(company[said[k].from], said[k].msg)
		switch {
		case errors.Is(err, ErrEarly):
			continue
		case err != nil:
			return err
		}
		if rng.IntN(5) > 0 {
			said = slices.Delete(said, k, k+1)
		}
	}
	return nil
}

// An observer of any order has what a party has, of the base ceremony and of a
// key set.
func TestObserverMakesTheKeys(t *testing.T) {
	ps := hetest.Profiles(t)
	rng := rand.New(rand.NewPCG(1, 0))
	plan := Plan{Train: ps.Train, Release: ps.Release, TrainRotations: []int{1}}
	parties := convene(t, plan, "epoch", 3, ceremonyDefences{})
	said := record(t, parties)
	base, err := NewObserver(plan, he.HashParts("epoch"), []string{"cal", "ann", "bob"})
	if err != nil {
		t.Fatal(err)
	}
	if base.Epoch() != nil || base.EvaluationKeys(ps.Train) != nil || base.Done() {
		t.Error("keys before the ceremony is done")
	}
	if err := watch(rng, base, said); err != nil {
		t.Fatal(err)
	}
	checkSame(t, base, parties[1])

	sets := extend(t, parties, testPlan(ps), "task", ceremonyDefences{})
	said = record(t, sets)
	set, err := NewKeySetObserver(testPlan(ps), he.HashParts("task"), base.Epoch())
	if err != nil {
		t.Fatal(err)
	}
	if err := watch(rng, set, said); err != nil {
		t.Fatal(err)
	}
	checkSame(t, set, sets[1])
	if err := set.Receive("ann", nil); err != nil {
		t.Errorf("after Done: %v", err)
	}
}

func checkSame(t *testing.T, o *Observer, c *Ceremony) {
	t.Helper()
	switch {
	case !o.Done():
		t.Fatalf("%v is not done", o)
	case o.KeyDigest() != c.KeyDigest(), o.Roster().Digest() != c.Roster().Digest(), !reflect.DeepEqual(o.Epoch(), c.Epoch()):
		t.Error("an observer has other keys than a party")
	}
	for _, p := range c.plan.profiles() {
		if !reflect.DeepEqual(o.EvaluationKeys(p), c.EvaluationKeys(p)) {
			t.Errorf("%s: an observer has other evaluation keys", p.Name())
		}
	}
	for _, shown := range []string{fmt.Sprintf("%v", o), fmt.Sprintf("%+v", o), fmt.Sprintf("%#v", o), o.LogValue().String()} {
		if shown != "observer: done" {
			t.Errorf("an observer prints as %q", shown)
		}
	}
}

// What is not as committed, said twice, missing or a stranger's, an observer
// treats as a party does.
func TestObserverFaults(t *testing.T) {
	ps := hetest.Profiles(t)
	plan := Plan{Train: ps.Train, Release: ps.Release, TrainRotations: []int{1}}
	said := record(t, convene(t, plan, "epoch", 3, ceremonyDefences{}))
	galois := slices.Index(plan.script()[roundOne], part{kind: he.KindGaloisShare, profile: ps.Train, element: ps.Train.Rotation(1)})
	var at int // cal's Galois share
	for i, l := range said {
		if s, part, reveal, err := Describe(l.msg); err != nil {
			t.Fatal(err)
		} else if l.from == cal && s == int(roundOne) && part == galois && reveal {
			at = i
		}
	}
	forged := bytes.Clone(said[at].msg)
	forged[len(forged)-1] ^= 1

	for name, tc := range map[string]struct {
		change   func(said []letter) []letter
		cause    Cause // 0: not done
		culprits []string
	}{
		"another blob than committed": {func(s []letter) []letter { s[at].msg = forged; return s }, Mismatched, []string{"cal"}},
		"two blobs for one share":     {func(s []letter) []letter { return slices.Insert(s, at+1, letter{from: cal, msg: forged}) }, Equivocated, []string{"cal"}},
		"half a blob":                 {func(s []letter) []letter { s[at].msg = forged[:len(forged)/2]; return s }, Malformed, []string{"cal"}},
		"no end test":                 {func(s []letter) []letter { return s[:len(s)-1] }, 0, nil},
	} {
		o, err := NewObserver(plan, he.HashParts("epoch"), company[:3])
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range tc.change(slices.Clone(said)) {
			if err = o.Receive(company[l.from], l.msg); err != nil {
				break
			}
		}
		if tc.cause != 0 {
			checkAbort(t, err, tc.cause, tc.culprits...)
		}
		if o.Done() || o.Epoch() != nil || err != nil && o.Receive("ann", said[0].msg) != err {
			t.Errorf("%s: %v", name, o)
		}
		if err := o.Receive("mallory", said[0].msg); err == nil || errors.Is(err, ErrEarly) {
			t.Errorf("a stranger's message: %v", err)
		}
	}
}

// Attack: a key that is wrong as committed. An observer needs the end test as
// much as a party does.
func TestAttackObserverWrongGaloisShare(t *testing.T) {
	ps := hetest.Profiles(t)
	base := found(t, ps, 3)
	plan := Plan{Train: ps.Train, Release: ps.Release, TrainRotations: []int{1}}
	parties := extend(t, base, plan, "task", ceremonyDefences{endTest: true})
	wrong := spoil(t, parties[cal], cal, plan.keySetScript()[roundOne][0], func(o *he.Object) { o.Rows[0][0] ^= 1 })
	var said []letter
	inStep(t, parties, func(from int, msg []byte) []byte {
		said = append(said, letter{from: from, msg: wrong(from, msg)})
		return said[len(said)-1].msg
	})
	attack := func(off ceremonyDefences) (*Observer, error) {
		seen, err := convokeKeySet(plan, he.HashParts("task"), base[0].Epoch(), off)
		if err != nil {
			t.Fatal(err)
		}
		o := &Observer{seen}
		return o, watch(rand.New(rand.NewPCG(1, 0)), o, said)
	}
	if o, err := attack(ceremonyDefences{endTest: true}); err != nil || !o.Done() {
		t.Fatalf("without the end test one wrong residue should pass unseen: %v", err)
	}
	_, err := attack(ceremonyDefences{})
	checkAbort(t, err, WrongKey)
}

func TestNewObserverRefuses(t *testing.T) {
	ps := hetest.Profiles(t)
	if _, err := NewObserver(testPlan(ps), he.Digest{}, company[:1]); err == nil {
		t.Error("a roster of one was accepted")
	}
	if _, err := NewObserver(Plan{Train: ps.Train, Release: ps.Train}, he.Digest{}, company[:2]); err == nil {
		t.Error("one profile twice was accepted")
	}
	if _, err := NewKeySetObserver(testPlan(ps), he.Digest{}, nil); err == nil {
		t.Error("no epoch was accepted")
	}
}

// Every message is what Describe says, of the length that Stages say, and each
// is said once by everybody.
func TestStagesDescribeWhatIsSaid(t *testing.T) {
	ps := hetest.Profiles(t)
	plan := testPlan(ps)
	base := found(t, ps, 2)
	for _, tc := range []struct {
		name   string
		stages []Stage
		said   []letter
	}{
		{"base", plan.Stages(), record(t, convene(t, plan, "epoch", 2, ceremonyDefences{}))},
		{"key set", plan.KeySetStages(), record(t, extend(t, base, plan, "task", ceremonyDefences{}))},
	} {
		counts := map[string]int{}
		for _, l := range tc.said {
			number, part, reveal, err := Describe(l.msg)
			if err != nil {
				t.Fatal(err)
			}
			counts[fmt.Sprint(number, part, reveal, len(l.msg))]++
		}
		want := map[string]int{}
		for _, s := range tc.stages {
			want[fmt.Sprint(s.Number, 0, false, s.Commitment)] = 2
			for part, size := range s.Parts {
				want[fmt.Sprint(s.Number, part, true, size)] = 2
			}
		}
		if !reflect.DeepEqual(counts, want) {
			t.Errorf("%s: said %v, want %v", tc.name, counts, want)
		}
	}
	if got := len(plan.KeySetStages()); got != 2 {
		t.Errorf("a key set has %d stages, want 2", got)
	}
	for _, msg := range [][]byte{nil, make([]byte, messageHeader), {he.Version, byte(stages), 0, 0, 0, 0, 0}, {he.Version, 0, 2, 0, 0, 0, 0}, {he.Version, 0, 0, 0, 0, 0, 1}, {he.Version, 0, 1, 255, 0, 0, 0}} {
		if _, _, _, err := Describe(msg); err == nil {
			t.Errorf("%x was described", msg)
		}
	}
}

// What a node, or a party that starts again, waits for its keys once it has the
// blobs: a key set of six rotations, three parties.
func BenchmarkObserver(b *testing.B) {
	ps := he.Standard()
	base := found(b, ps, 3)
	plan := Plan{Train: ps.Train, Release: ps.Release, TrainRotations: []int{1, 2, 3, 4, 8, 12}}
	said := record(b, extend(b, base, plan, "task", ceremonyDefences{}))
	held := 0
	for b.Loop() {
		o, err := NewKeySetObserver(plan, he.HashParts("task"), base[0].Epoch())
		if err != nil {
			b.Fatal(err)
		}
		for _, l := range said {
			if err := o.Receive(company[l.from], l.msg); err != nil {
				b.Fatal(err)
			}
		}
		if !o.Done() {
			b.Fatal(o)
		}
		held = 0
		for _, x := range o.exchanges {
			for _, sum := range x.sums {
				held += sum.Size()
			}
		}
	}
	b.ReportMetric(float64(held), "held-B")
}
