package audit

import (
	"errors"
	"testing"

	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/gate"
	"github.com/commonseal/commonseal/ledger/tree"
)

// A replica says who signs the two blocks after its last, and the last few.
func TestSigners(t *testing.T) {
	f := newFabric(t, consortium(4))
	replica, err := tree.Open("")
	if err != nil {
		t.Fatal(err)
	}
	writes, err := f.genesis.Writes()
	if err != nil {
		t.Fatal(err)
	}
	store := func(out ledger.Outcome) {
		t.Helper()
		if _, err := replica.Stage(replica.Height()+1, out); err != nil {
			t.Fatal(err)
		}
		if err := replica.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	signers := Signers(replica)
	if _, err := signers(1); !errors.Is(err, ErrAhead) {
		t.Errorf("before genesis: %v, want %v", err, ErrAhead)
	}
	f.apply = func(v ledger.View, b ledger.Block) ledger.Outcome {
		out := ledger.Apply(v, b)
		store(out)
		return out
	}
	store(ledger.Outcome{Writes: writes})
	f.make()
	f.all(companies[:2], func(string) ledger.Body { return &ledger.Revoke{Name: "v4"} })
	f.make()
	for height, want := range map[int64]int{1: 4, 2: 4, 3: 4, 4: 3, 5: 3} {
		for range 2 { // asked again, it says the same
			if got, err := signers(height); err != nil || len(got) != want {
				t.Errorf("block %d is signed by %d, %v, want %d", height, len(got), err, want)
			}
		}
	}
	if _, err := signers(6); !errors.Is(err, ErrAhead) {
		t.Errorf("three blocks ahead: %v, want %v", err, ErrAhead)
	}
	// A follower's verifier takes the next block by it.
	v := NewFollowing(chain, Signers(replica))
	for _, b := range f.blocks {
		if _, _, err := v.Verify(b.block, b.commit); err != nil {
			t.Errorf("block %d: %v", b.header.Height, err)
		}
	}
	if err := replica.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Signers(replica)(4); !errors.Is(err, gate.ErrReplica) {
		t.Errorf("a closed replica: %v, want %v", err, gate.ErrReplica)
	}
}

func TestSetsRefuse(t *testing.T) {
	one := ledger.Power{Vote: publicOf("vote", "v1"), Power: 1}
	for name, powers := range map[string][]ledger.Power{
		"nobody": nil, "one twice": {one, one}, "no power": {{Vote: one.Vote}}, "less than none": {{Vote: one.Vote, Power: -1}}, "more than all": {{Vote: one.Vote, Power: 1 << 62}},
	} {
		if _, err := newSet(powers); err == nil {
			t.Errorf("%s is a set", name)
		}
	}
}
