package audit

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/commonseal/commonseal/ledger"
)

// anySettlement is the settlement of some inputs, with all that follows from them.
func anySettlement(tb testing.TB, seed uint64) *ledger.Settlement {
	tb.Helper()
	r := rand.New(rand.NewPCG(seed, 2))
	some := func(values ...uint32) uint32 { return values[r.IntN(len(values))] }
	roster := []string{"ann", "bob", "cal", "dan", "eve"}[:2+r.IntN(4)]
	st := &ledger.Settlement{Epoch: seed, Task: ledger.TaskID("chain", "loans"), Pot: r.Uint64N(1 << (1 + r.IntN(50))), Roster: roster, Operators: []string{"north", "south", "v1"},
		Money: ledger.Money{Cut: some(0, 180_000, ledger.Million), Evaluate: some(0, 333_333, 500_000, ledger.Million), Provide: some(0, 500_000, ledger.Million),
			Penalty: some(0, 500_000, ledger.Million), Smoothing: some(0, 100_000, ledger.Million), Cap: some(0, 300_000, 490_000)}}
	st.Evaluators = roster[r.IntN(len(roster)):]
	for i := range r.IntN(5) {
		m := ledger.Ranked{Model: ledger.Digest{byte(i)}, Peer: []string{"peer", "ann"}[r.IntN(2)]}
		m.Owner = m.Peer
		if r.IntN(4) > 0 {
			evaluators := 1
			if r.IntN(2) > 0 {
				evaluators = len(st.Evaluators)
			}
			for range evaluators * len(roster) {
				m.Found = append(m.Found, r.Int64N(1<<40)-1<<38)
			}
		}
		if r.IntN(2) > 0 {
			m.Copies = []ledger.Pair{{First: 0, Second: 1}}
		}
		st.Models = append(st.Models, m)
	}
	for i, name := range roster {
		st.Order, st.Escrows = append(st.Order, uint64((i+2)%len(roster))), append(st.Escrows, r.Uint64N(1<<40))
		owner := name
		if r.IntN(4) == 0 {
			owner = "ann"
		}
		st.Owners = append(st.Owners, owner)
		c := ledger.Evaluator{Name: name, Owner: owner, Stake: r.Uint64N(1 << 40)}
		for _, m := range st.Models {
			if r.IntN(3) > 0 {
				c.Weights = append(c.Weights, ledger.Weight{Model: m.Model, Part: uint16(1 + r.IntN(1000))})
			}
			if r.IntN(3) > 0 {
				st.Bonds = append(st.Bonds, ledger.Bond{Company: name, Model: m.Model, Value: r.Int64N(1 << 32)})
			}
		}
		st.Companies = append(st.Companies, c)
	}
	again, _, err := st.Recompute()
	if err != nil {
		tb.Fatal(err)
	}
	return again
}

func exported(tb testing.TB, seed uint64) []byte {
	tb.Helper()
	e, err := NewEpoch("chain", "loans", anySettlement(tb, seed))
	if err != nil {
		tb.Fatal(err)
	}
	b, err := e.Append(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// What is exported is read back; with any one bit of it flipped it is not, be it in
// the name of the chain.
func TestEpochIsReadBack(t *testing.T) {
	b := exported(t, 1)
	e, _, err := ParseEpoch(b)
	if err != nil || e.Chain != "chain" {
		t.Fatal(e.Chain, err)
	}
	r := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		at, bit := r.IntN(len(b)), r.IntN(8)
		wrong := bytes.Clone(b)
		wrong[at] ^= 1 << bit
		if _, _, err := ParseEpoch(wrong); err == nil {
			t.Fatalf("bit %d of byte %d flipped, and nobody noticed", bit, at)
		}
	}
}

// An epoch that is said to be of another chain or task is refused, with everything
// in it as it was.
func TestEpochOfAnotherChain(t *testing.T) {
	b := exported(t, 1)
	for old, other := range map[string]string{`"chain": "chain"`: `"chain": "other"`, `"name": "loans"`: `"name": "Loans"`} {
		wrong := bytes.Replace(b, []byte(old), []byte(other), 1)
		if _, _, err := ParseEpoch(wrong); !errors.Is(err, ErrEpoch) || bytes.Equal(wrong, b) {
			t.Errorf("with %s: %v", other, err)
		}
	}
}

// A settlement that pays somebody more than follows from its inputs is refused.
func TestEpochThatDoesNotFollow(t *testing.T) {
	st := anySettlement(t, 1)
	st.Companies[0].Dividend++
	if _, err := NewEpoch("chain", "loans", st); err == nil {
		t.Error("a dividend that nobody earned was exported")
	}
}

// A program of its own, which shares no code with the ledger, computes the same
// to the unit; and finds a payment that was changed.
func TestStandAloneProgramAgrees(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 here: Go and make are all that the tests ask for, and the payments are recomputed in Go by the others")
	}
	dir := t.TempDir()
	args := []string{filepath.Join("..", "..", "docs", "payouts.py")}
	for seed := range uint64(200) {
		name := filepath.Join(dir, string(rune('a'+seed/26))+string(rune('a'+seed%26))+".json")
		if err := os.WriteFile(name, exported(t, seed), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, name)
	}
	if out, err := exec.CommandContext(t.Context(), python, args...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	wrong := filepath.Join(dir, "wrong.json")
	if err := os.WriteFile(wrong, bytes.Replace(exported(t, 1), []byte(`"evaluator": `), []byte(`"evaluator": 9`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), python, args[0], wrong).CombinedOutput(); err == nil {
		t.Errorf("a payment that was changed: %s", out)
	}
}
