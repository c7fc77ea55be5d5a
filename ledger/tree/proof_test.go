package tree

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/commonseal/commonseal/ledger"
)

// grown makes a tree of random blocks, and what it should hold.
func grown(rt *rapid.T, tb testing.TB) (*Tree, model) {
	tree, m := open(tb, ""), model{state: map[string]string{}}
	for range rapid.IntRange(1, 6).Draw(rt, "blocks") {
		out := outcomes().Draw(rt, "block")
		put(tb, tree, out)
		m.apply(out)
	}
	return tree, m
}

// Every key's value and every absence has a proof, and no byte of the proof, key,
// value or root can be another.
func TestStateProofs(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		tree, m := grown(rt, t)
		root := tree.Root()
		keys := append(slices.Sorted(maps.Keys(m.state)), "A", "ab\x00", "bz", "z")
		key := []byte(rapid.SampledFrom(keys).Draw(rt, "key"))
		value, proof, err := tree.Prove(key)
		if err != nil {
			rt.Fatal(err)
		}
		if want, ok := m.state[string(key)]; ok != (value != nil) || string(value) != want {
			rt.Fatalf("Prove(%q) = %q, want %q", key, value, want)
		}
		if err := verifyState(root, key, value, proof); err != nil {
			rt.Fatal(err)
		}
		if p, _ := ParseStateProof(proof); p.Log != tree.View().(*Snapshot).Log() {
			rt.Fatalf("the proof has the log's head %v", p.Log)
		}
		everyFlip(rt, root[:], func(b []byte) error { return verifyState(ledger.Digest(b), key, value, proof) })
		everyFlip(rt, proof, func(b []byte) error { return verifyState(root, key, value, b) })
		if value == nil {
			for there, value := range m.state { // no absence of what is there
				if verifyState(root, []byte(there), nil, proof) == nil {
					rt.Fatalf("the proof that %q is absent shows the same of %q = %q", key, there, value)
				}
			}
			return
		}
		everyFlip(rt, key, func(b []byte) error { return verifyState(root, b, value, proof) })
		everyFlip(rt, value, func(b []byte) error { return verifyState(root, key, b, proof) })
		if verifyState(root, key, nil, proof) == nil {
			rt.Fatalf("the proof of %q shows its absence", key)
		}
	})
}

func verifyState(root ledger.Digest, key, value, proof []byte) error {
	p, err := ParseStateProof(proof)
	if err != nil {
		return err
	}
	return p.Verify(root, key, value)
}

// everyFlip holds that verify fails with any one bit of b changed.
func everyFlip(tb rapid.TB, b []byte, verify func([]byte) error) {
	tb.Helper()
	for i := range 8 * len(b) {
		flipped := bytes.Clone(b)
		flipped[i/8] ^= 1 << (i % 8)
		if verify(flipped) == nil {
			tb.Fatalf("bit %d of %x can be another", i, b)
		}
	}
}

// Every leaf is in every log from its own size on, every log begins with every
// earlier one, and no byte can be another.
func TestLogProofs(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		tree, m := open(t, ""), model{}
		heads := map[uint64]Head{}
		note := func() {
			s := tree.View().(*Snapshot)
			heads[s.Log().Size] = s.Log()
			p, err := ParseHeadProof(s.ProveHead())
			if err == nil {
				err = p.Verify(tree.Root())
			}
			if err != nil || p.Log != s.Log() {
				rt.Fatalf("the head %v, %v, want %v", p.Log, err, s.Log())
			}
		}
		put(t, tree, ledger.Outcome{})
		note()
		for n := range rapid.IntRange(1, 40).Draw(rt, "leaves") {
			out := ledger.Outcome{Leaves: [][]byte{fmt.Append(nil, "leaf ", n)}}
			put(t, tree, out)
			m.apply(out)
			note()
		}
		to := rapid.Uint64Range(1, tree.Leaves()).Draw(rt, "to")
		from := rapid.Uint64Range(0, to).Draw(rt, "from")
		index := rapid.Uint64Range(0, to-1).Draw(rt, "index")

		proof, err := tree.ProveLeaf(index, to)
		if err != nil {
			rt.Fatal(err)
		}
		leaf, head, old := m.leaves[index], heads[to], heads[from]
		if err := verifyLeaf(head, leaf, proof); err != nil {
			rt.Fatal(err)
		}
		everyFlip(rt, proof, func(b []byte) error { return verifyLeaf(head, leaf, b) })
		everyFlip(rt, leaf, func(b []byte) error { return verifyLeaf(head, b, proof) })
		everyFlip(rt, head.append(nil), func(b []byte) error { return verifyLeaf(parseHead(b), leaf, proof) })

		growth, err := tree.ProveGrowth(from, to)
		if err != nil {
			rt.Fatal(err)
		}
		if err := verifyGrowth(old, head, growth); err != nil {
			rt.Fatal(err)
		}
		var hashed LeafHashes
		hashed.Append(m.leaves)
		if again, err := hashed.ProveGrowth(from, to); err != nil || !bytes.Equal(again, growth) {
			rt.Fatalf("growth from %d to %d by the hashes of leaves: %x, %v, want %x", from, to, again, err, growth)
		}
		everyFlip(rt, growth, func(b []byte) error { return verifyGrowth(old, head, b) })
		everyFlip(rt, old.append(nil), func(b []byte) error { return verifyGrowth(parseHead(b), head, growth) })
		if from > 0 { // anything grows out of nothing
			everyFlip(rt, head.append(nil), func(b []byte) error { return verifyGrowth(old, parseHead(b), growth) })
		}
	})
}

func verifyLeaf(log Head, leaf, proof []byte) error {
	p, err := ParseLeafProof(proof)
	if err != nil {
		return err
	}
	return p.Verify(log, leaf)
}

func verifyGrowth(from, to Head, proof []byte) error {
	p, err := ParseGrowthProof(proof)
	if err != nil {
		return err
	}
	return p.Verify(from, to)
}

func TestHeadProofFlips(t *testing.T) {
	tree := open(t, "")
	root := put(t, tree, ledger.Outcome{Leaves: [][]byte{[]byte("leaf")}})
	everyFlip(t, tree.View().(*Snapshot).ProveHead(), func(b []byte) error {
		p, err := ParseHeadProof(b)
		if err != nil {
			return err
		}
		return p.Verify(root)
	})
}

func TestProofsThatThereAreNot(t *testing.T) {
	tree := open(t, "")
	put(t, tree, ledger.Outcome{Leaves: [][]byte{[]byte("a"), []byte("b")}})
	for _, test := range []struct{ index, size uint64 }{{2, 2}, {0, 0}, {0, 3}, {2, 3}, {0, 1 << 63}} {
		if _, err := tree.ProveLeaf(test.index, test.size); err == nil {
			t.Errorf("leaf %d of %d has a proof", test.index, test.size)
		}
	}
	for _, test := range []struct{ from, to uint64 }{{2, 1}, {0, 3}, {1, 3}, {3, 3}} {
		if _, err := tree.ProveGrowth(test.from, test.to); err == nil {
			t.Errorf("growth from %d to %d has a proof", test.from, test.to)
		}
	}
	if _, err := tree.Leaf(2); err == nil {
		t.Error("there is a leaf 2 of 2")
	}
	if index, found, err := tree.LeafOf(ledger.Digest{1}); found || err != nil {
		t.Errorf("a leaf that is not there has index %d, %v", index, err)
	}
}

// A prover who leaves out a key between two others, or before the first, cannot
// show that it is absent.
func TestAbsenceNeedsNeighbours(t *testing.T) {
	tree := open(t, "")
	var writes []ledger.Write
	for k := byte('a'); k <= 'g'; k++ {
		writes = append(writes, ledger.Write{Key: []byte{k}, Value: []byte{k, k}})
	}
	root := put(t, tree, ledger.Outcome{Writes: writes})
	at := func(key string) neighbour {
		value, proof, err := tree.Prove([]byte(key))
		if err != nil {
			t.Fatal(err)
		}
		p, err := ParseStateProof(proof)
		if err != nil {
			t.Fatal(err)
		}
		return neighbour{[]byte(key), value, p.path}
	}
	log := tree.View().(*Snapshot).Log()
	for _, test := range []struct {
		claim string
		proof StateProof
		ok    bool
	}{
		{"cc", StateProof{Log: log, kind: absent, left: at("c"), right: at("d")}, true},
		{"d", StateProof{Log: log, kind: absent, left: at("c"), right: at("e")}, false},
		{"d", StateProof{Log: log, kind: absent, left: at("a"), right: at("g")}, false},
		{"cc", StateProof{Log: log, kind: absent, left: at("d"), right: at("c")}, false},
		{"a", StateProof{Log: log, kind: absentFirst, right: at("b")}, false},
		{"A", StateProof{Log: log, kind: absentFirst, right: at("a")}, true},
		{"g", StateProof{Log: log, kind: absentLast, left: at("f")}, false},
		{"h", StateProof{Log: log, kind: absentLast, left: at("g")}, true},
		{"h", StateProof{Log: log, kind: absentInNone}, false},
		{"c", StateProof{Log: log, kind: absent, left: at("c"), right: at("c")}, false},
		{"c", StateProof{Log: log}, false},
	} {
		if err := test.proof.Verify(root, []byte(test.claim), nil); (err == nil) != test.ok {
			t.Errorf("absence of %q between %q and %q: %v", test.claim, test.proof.left.key, test.proof.right.key, err)
		}
	}
}

// Whatever a parser accepts, Append gives back byte for byte; and verifying it
// does not panic.
func FuzzParseProofs(f *testing.F) {
	tree := open(f, "")
	out := ledger.Outcome{Leaves: [][]byte{[]byte("x"), []byte("y"), []byte("z")}}
	for k := byte('b'); k <= 'f'; k++ {
		out.Writes = append(out.Writes, ledger.Write{Key: []byte{k}, Value: []byte{k, k}})
	}
	root := put(f, tree, out)
	for _, key := range []string{"a", "b", "bb", "f", "g"} {
		_, proof, err := tree.Prove([]byte(key))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(proof)
	}
	leaf, err := tree.ProveLeaf(1, 3)
	if err != nil {
		f.Fatal(err)
	}
	growth, err := tree.ProveGrowth(1, 3)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(leaf)
	f.Add(growth)
	f.Add(tree.View().(*Snapshot).ProveHead())
	f.Fuzz(func(t *testing.T, b []byte) {
		same := func(what string, err error, append func([]byte) []byte) bool {
			if err != nil {
				return false
			}
			if got := append(nil); !bytes.Equal(got, b) {
				t.Errorf("%s: parsed %x, appended %x", what, b, got)
			}
			return true
		}
		if p, err := ParseStateProof(b); same("state", err, p.Append) {
			value := []byte("bb")
			if p.kind != present {
				value = nil
			}
			if p.Verify(root, []byte("c"), value) == nil {
				t.Errorf("%x proves what is not so", b)
			}
		}
		if p, err := ParseHeadProof(b); same("head", err, p.Append) && p.Verify(root) == nil && p.Log.Size != 3 {
			t.Errorf("%x proves what is not so", b)
		}
		if p, err := ParseLeafProof(b); same("leaf", err, p.Append) && p.Verify(Head{Size: p.Size}, []byte("x")) == nil {
			t.Errorf("%x proves what is not so", b)
		}
		if p, err := ParseGrowthProof(b); same("growth", err, p.Append) {
			_ = p.Verify(Head{Size: p.From}, Head{Size: p.To, Root: root})
		}
	})
}
