package multiparty

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/hetest"
)

func number(label string, i int) he.Digest {
	return he.HashParts(label, binary.BigEndian.AppendUint64(nil, uint64(i)))
}

// A request that is refused for one input binds none of the others: a job does
// not die of it.
func TestJournalBindsAllOrNone(t *testing.T) {
	ps := hetest.Profiles(t)
	roster, parties, sums := holders(t, ps, 2)
	m := momentum(ps, 8)
	input := func(label string) *he.Ciphertext {
		return encryptPhase(ps.Train, sums["train"], ps.Train.Floor(), nil, label)
	}
	point, weights, x, used := input("point"), input("weights"), input("x"), input("used")
	journal := &UsedSet{}
	answer := func(id string, inputs ...*he.Ciphertext) error {
		r, err := NewRound(roster, he.HashParts(id), m, inputs)
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.GenShare(parties[0], journal)
		return err
	}
	if err := answer("earlier", input("a"), input("b"), used); err != nil {
		t.Fatal(err)
	}
	var usedErr *UsedError
	if err := answer("bad", point, weights, used); !errors.As(err, &usedErr) {
		t.Fatalf("a used input was answered for: %v", err)
	}
	if err := answer("step", point, weights, x); err != nil {
		t.Errorf("after a refusal the step is refused: %v", err)
	}
}

// The budget of a purpose is what was derived for; repeats are free, and other
// purposes have their own.
func TestJournalCounts(t *testing.T) {
	const limit = 100
	u := &UsedSet{limit: func(Purpose) int { return limit }}
	for i := range limit {
		if err := u.Claim(Opening, []he.Digest{number("c1", i)}, number("request", i)); err != nil {
			t.Fatal(err)
		}
	}
	var spent *SpentError
	if err := u.Claim(Opening, []he.Digest{number("c1", -1)}, number("request", -1)); !errors.As(err, &spent) || spent.Purpose != Opening {
		t.Errorf("a release beyond the budget: %v", err)
	}
	if err := u.Claim(Opening, []he.Digest{number("c1", 7)}, number("request", 7)); err != nil {
		t.Errorf("a repeat when the budget is spent: %v", err)
	}
	if err := u.Claim(Refresh, []he.Digest{number("c1", -1)}, number("request", -2)); err != nil {
		t.Errorf("a map when the releases are spent: %v", err)
	}
	for purpose, want := range map[Purpose]int{Refresh: 1 << he.LogRefreshes, Opening: 1 << LogReleases, 0: 0} {
		if got := purpose.Budget(); got != want {
			t.Errorf("%d %v in a key epoch, want %d", got, purpose, want)
		}
	}
	if err := new(UsedSet).Claim(0, []he.Digest{number("c1", 0)}, number("request", 0)); !errors.As(err, &spent) {
		t.Errorf("a request of no purpose: %v", err)
	}
}
