package tree

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/commonseal/commonseal/ledger"
)

// The seen-set has every transaction that can come again, at every height that is
// held, whenever it was made again of the log; and nothing of it is in the root.
func TestSeenSet(t *testing.T) {
	private := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	rapid.Check(t, func(rt *rapid.T) {
		tree, twin := openSmall(rt, ""), openSmall(rt, "") // which sees nothing
		defer func() { tree.Close(); twin.Close() }()
		alive, now := map[string]int64{}, int64(1_000_000_000)
		for block := range rapid.IntRange(1, 20).Draw(rt, "blocks") {
			now += rapid.SampledFrom([]int64{0, 1, 1000, ledger.MaxExpiry / 3, ledger.MaxExpiry}).Draw(rt, "time")
			out := seenBlock(rt, tree.View(), block, now, private)
			put(rt, tree, out)
			put(rt, twin, ledger.Outcome{Leaves: out.Leaves, Writes: slices.DeleteFunc(slices.Clone(out.Writes), func(w ledger.Write) bool { return isSeen(string(w.Key)) })})
			if tree.Root() != twin.Root() {
				rt.Fatalf("block %d: root %x, without the seen-set %x", block, tree.Root(), twin.Root())
			}
			for _, leaf := range out.Leaves {
				if w, expiry, ok := ledger.Seen(leaf); ok {
					alive[string(w.Key)] = expiry
				}
			}
			maps.DeleteFunc(alive, func(_ string, expiry int64) bool { return expiry <= now })
			if rapid.Bool().Draw(rt, "again") {
				last := tree.last()
				txn := tree.db.NewTransactionAt(last.timestamp(), false)
				var err error
				if last.seen, err = loadSeen(txn, last); err != nil {
					rt.Fatal(err)
				}
				txn.Discard()
			}
			view := tree.View()
			for key := range alive {
				if view.Get([]byte(key)) == nil {
					rt.Fatalf("block %d at %d: %q is not seen", block, now, key)
				}
			}
			inOrder(rt, view)
		}
	})
}

// A tree that is opened has the seen-set it had.
func TestSeenSetIsOpened(t *testing.T) {
	dir := t.TempDir()
	tree := open(t, dir)
	tx := ledger.SignTx("chain", 1000, &ledger.Renew{}, ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	w, expiry, ok := ledger.Seen(tx)
	if !ok || expiry != 1000 {
		t.Fatalf("Seen says %d, %v", expiry, ok)
	}
	put(t, tree, ledger.Outcome{Writes: []ledger.Write{w}, Leaves: [][]byte{tx}})
	if err := tree.Close(); err != nil {
		t.Fatal(err)
	}
	if got := open(t, dir).View().Get(w.Key); !bytes.Equal(got, w.Value) {
		t.Errorf("opened again, it has %x, want %x", got, w.Value)
	}
}

// openSmall opens a tree for small blocks, in little time and memory.
func openSmall(rt *rapid.T, dir string) *Tree {
	tree, err := openSized(dir, 8<<20)
	if err != nil {
		rt.Fatal(err)
	}
	return tree
}

// seenBlock is a block of transactions that are accepted at a time, of other
// leaves and writes, and of what has expired.
func seenBlock(rt *rapid.T, view ledger.View, block int, now int64, private ed25519.PrivateKey) (out ledger.Outcome) {
	writes := map[string][]byte{}
	view.Range([]byte(ledger.SeenKeys), func(key, _ []byte) bool {
		if rapid.Bool().Draw(rt, "forget") {
			writes[string(key)] = nil
		}
		return true
	})
	// What is alive is not forgotten.
	at := fmt.Appendf(nil, "%s%s", ledger.SeenKeys, bigEndian(now+1))
	maps.DeleteFunc(writes, func(key string, _ []byte) bool { return key >= string(at) })
	for i := range rapid.IntRange(0, 4).Draw(rt, "transactions") {
		expiry := now + rapid.SampledFrom([]int64{1, 1000, ledger.MaxExpiry / 2, ledger.MaxExpiry}).Draw(rt, "expiry")
		tx := ledger.SignTx("chain", expiry, &ledger.Renew{TLS: ledger.Key{byte(block), byte(i)}}, private)
		w, _, _ := ledger.Seen(tx)
		writes[string(w.Key)], out.Leaves = w.Value, append(out.Leaves, tx)
	}
	if rapid.Bool().Draw(rt, "other") {
		out.Leaves = append(out.Leaves, []byte("no transaction"))
		for _, key := range []string{"a", "seem", "seen", "seen.", "seen0", "z"} {
			writes[key] = []byte{byte(block), 1}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(writes)) {
		out.Writes = append(out.Writes, ledger.Write{Key: []byte(key), Value: writes[key]})
	}
	return out
}

func bigEndian(n int64) []byte {
	b := make([]byte, 8)
	for i := range b {
		b[i] = byte(n >> (56 - 8*i))
	}
	return b
}

// inOrder holds that a view yields what it has below any prefix, in order, and
// stops when it should.
func inOrder(rt *rapid.T, view ledger.View) {
	var all [][]byte
	view.Range(nil, func(key, value []byte) bool {
		if len(all) > 0 && bytes.Compare(all[len(all)-1], key) >= 0 || !bytes.Equal(view.Get(key), value) {
			rt.Fatalf("%q = %x after %q, by itself %x", key, value, all[max(0, len(all)-1)], view.Get(key))
		}
		all = append(all, key)
		return true
	})
	for _, prefix := range []string{"s", "see", "seen", "seen/", "seen/\x00", "seen0", "a", "b", "z"} {
		var want, got [][]byte
		for _, key := range all {
			if bytes.HasPrefix(key, []byte(prefix)) {
				want = append(want, key)
			}
		}
		most := rapid.IntRange(1, 30).Draw(rt, "most")
		want = want[:min(len(want), most)]
		view.Range([]byte(prefix), func(key, _ []byte) bool {
			got = append(got, key)
			return len(got) < most
		})
		if !slices.EqualFunc(got, want, bytes.Equal) {
			rt.Fatalf("Range(%q) yields %q, want %q", prefix, got, want)
		}
	}
}
