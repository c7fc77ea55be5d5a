package audit

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/tree"
)

// receipts are those of five leaves under one root.
func receipts(tb testing.TB) (ledger.Digest, [][]byte, []Receipt) {
	tb.Helper()
	state, err := tree.Open("")
	if err != nil {
		tb.Fatal(err)
	}
	defer state.Close()
	var leaves [][]byte
	for i := range 5 {
		leaves = append(leaves, fmt.Appendf(nil, "transaction %d", i))
	}
	if _, err := state.Stage(0, ledger.Outcome{Writes: []ledger.Write{{Key: []byte("k"), Value: []byte("v")}}}); err != nil {
		tb.Fatal(err)
	}
	if err := state.Commit(); err != nil {
		tb.Fatal(err)
	}
	root, err := state.Stage(1, ledger.Outcome{Leaves: leaves})
	if err != nil {
		tb.Fatal(err)
	}
	if err := state.Commit(); err != nil {
		tb.Fatal(err)
	}
	s, err := state.At(1)
	if err != nil {
		tb.Fatal(err)
	}
	var out []Receipt
	for i := range leaves {
		leaf, err := state.ProveLeaf(uint64(i), s.Log().Size)
		if err != nil {
			tb.Fatal(err)
		}
		r := Receipt{Height: 1}
		if r.Head, err = tree.ParseHeadProof(s.ProveHead()); err != nil {
			tb.Fatal(err)
		}
		if r.Leaf, err = tree.ParseLeafProof(leaf); err != nil {
			tb.Fatal(err)
		}
		out = append(out, r)
	}
	return root, leaves, out
}

func TestReceipt(t *testing.T) {
	root, leaves, all := receipts(t)
	for i, r := range all {
		parsed, err := ParseReceipt(r.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		if err := parsed.Verify(root, leaves[i]); err != nil {
			t.Errorf("receipt %d: %v", i, err)
		}
		if err := parsed.Verify(root, leaves[(i+1)%len(leaves)]); err == nil {
			t.Errorf("receipt %d is one for another transaction too", i)
		}
		if err := parsed.Verify(ledger.Digest{1}, leaves[i]); err == nil {
			t.Errorf("receipt %d leads to another root too", i)
		}
	}
}

// A changed receipt is none; the height is the reader's to compare, as it asks
// for the root of that height.
func TestAttackChangedReceipt(t *testing.T) {
	root, leaves, all := receipts(t)
	b := all[3].Append(nil)
	for i := 8; i < len(b); i++ {
		changed := bytes.Clone(b)
		changed[i] ^= 1
		r, err := ParseReceipt(changed)
		if err == nil && r.Verify(root, leaves[3]) == nil {
			t.Errorf("byte %d may be changed", i)
		}
	}
}

func FuzzParseReceipt(f *testing.F) {
	_, _, all := receipts(f)
	f.Add(all[0].Append(nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := ParseReceipt(b); err == nil && !bytes.Equal(r.Append(nil), b) {
			t.Errorf("%x comes back as %x", b, r.Append(nil))
		}
	})
}
