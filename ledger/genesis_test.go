package ledger

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
)

// What a consortium cannot be founded on, and what the error says.
func TestFounding(t *testing.T) {
	for _, x := range []struct {
		what   string
		change func(*Genesis)
		want   string // of the error; "": none
	}{
		{"in order", func(*Genesis) {}, ""},
		{"strict, with one node", func(g *Genesis) { g.Mode, g.Quorum = Strict, 1 }, ""},
		{"no name", func(g *Genesis) { g.Chain = "" }, "is not a name"},
		{"a name in capitals", func(g *Genesis) { g.Chain = "Test" }, "is not a name"},
		{"one company", func(g *Genesis) { g.Members = g.Members[2:] }, "companies of 1 owners"},
		{"companies of one owner", func(g *Genesis) {
			for i := range 3 {
				g.Members[i].Owner = "one"
			}
		}, "companies of 1 owners"},
		{"no validator", func(g *Genesis) { g.Members = append(g.Members[:7:7], g.Members[8]) }, "no validator"},
		{"no mode", func(g *Genesis) { g.Mode = 0 }, "mode 0"},
		{"more owners in the quorum than there are", func(g *Genesis) { g.Quorum = 4 }, "a quorum of 4"},
		{"no quorum", func(g *Genesis) { g.Quorum = 0 }, "a quorum of 0"},
		{"a quorum of one", func(g *Genesis) { g.Quorum = 1 }, "use 2 owners or strict"},
		{"a negative time", func(g *Genesis) { g.Patience = -1 }, "a patience of -1"},
		{"a time that overflows", func(g *Genesis) { g.Patience = math.MaxInt64 }, "a patience of"},
		{"a reward epoch that overflows", func(g *Genesis) { g.RewardEpoch = math.MaxInt64 }, "reward epochs of"},
		{"more releases than flooding is made for", func(g *Genesis) { g.Releases = MaxReleases + 1 }, "flooding"},
		{"a name twice", func(g *Genesis) { g.Members[1].Name = "ann" }, "is taken"},
		{"a key twice", func(g *Genesis) { g.Members[1].TLS = g.Members[0].Signing }, "is taken"},
		{"a consensus key twice", func(g *Genesis) {
			g.Members = append(g.Members, member("v2", Validator))
			g.Members[9].Vote = g.Members[7].Vote
		}, "consensus key is another's"},
		{"a member revoked from the start", func(g *Genesis) { g.Members[3].Revoked = true }, "revoked from the start"},
		{"an owner of a page", func(g *Genesis) { g.Members[3].Owner = strings.Repeat("x", MaxOwner+1) }, "owner"},
		{"an owner that is no text", func(g *Genesis) { g.Members[3].Owner = "\xff" }, "owner"},
		{"an address of a page", func(g *Genesis) { g.Members[3].Address = strings.Repeat("x", MaxAddress+1) }, "address"},
		{"too many members", func(g *Genesis) {
			for i := range MaxMembers {
				g.Members = append(g.Members, member(fmt.Sprint("m-", i), ModelPeer))
			}
		}, "all there may ever be"},
	} {
		g := founding()
		x.change(&g)
		writes, err := g.Writes()
		if (err == nil) != (x.want == "") || err != nil && !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: error %v, want %q", x.what, err, x.want)
		}
		if (writes != nil) != (x.want == "") {
			t.Errorf("%s: %d writes", x.what, len(writes))
		}
		m := new(Memory)
		m.Write(writes)
		readAll(m) // whatever is written can be read
	}
}

func TestDefaults(t *testing.T) {
	g := founding()
	g.Releases = 0
	w := foundWorld(t, g)
	got := GenesisOf(w.state)
	if got.Patience != DefaultPatience || got.RewardEpoch != DefaultEpoch || got.Releases != MaxReleases {
		t.Errorf("patience %d, reward epoch %d, releases %d", got.Patience, got.RewardEpoch, got.Releases)
	}
	again, err := ParseGenesis(got.Append(nil))
	if err != nil || !bytes.Equal(again.Append(nil), got.Append(nil)) {
		t.Errorf("read again: %v", err)
	}
	for mode, want := range map[Mode]string{Strict: "strict", Quorum: "quorum", 9: "mode 9"} {
		if got := mode.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Members beyond the limit are never admitted, however many have asked.
func TestMembersAreBounded(t *testing.T) {
	g := founding()
	for i := range MaxMembers - 1 - len(g.Members) {
		g.Members = append(g.Members, member(fmt.Sprint("m-", i), ModelPeer))
	}
	w := foundWorld(t, g)
	for _, name := range []string{"dee", "eve"} {
		w.must(name, &Join{member(name, Aggregator)})
	}
	dee, eve := Join{member("dee", Aggregator)}, Join{member("eve", Aggregator)}
	w.must("ann", &Approve{dee.Digest()})
	w.must("ann", &Approve{eve.Digest()})
	w.must("bob", &Approve{dee.Digest()})
	w.refused(OverLimit, "bob", &Approve{eve.Digest()})
}

func TestPosts(t *testing.T) {
	good := update(d("job"), 1, 0)
	b := good.Append(nil)
	if p, err := ParsePost(b); err != nil || p != good {
		t.Fatalf("%v comes back as %v: %v", good, p, err)
	}
	sized := func(n uint32) []byte {
		p := good
		p.Size = n
		return p.Sign(signer("cal")).Append(nil)
	}
	for what, b := range map[string][]byte{
		"nothing":              nil,
		"a byte too many":      append(bytes.Clone(b), 0),
		"a byte too few":       b[:len(b)-1],
		"more than a post has": make([]byte, MaxPost+1),
		"a blob of nothing":    sized(0),
		"a blob of too much":   sized(MaxBlob + 1),
		"another version":      append([]byte{2}, b[1:]...),
	} {
		if _, err := ParsePost(b); err == nil {
			t.Errorf("%s is a post", what)
		}
	}
	for at := range b { // every bit counts, those of the signature too
		damaged := bytes.Clone(b)
		damaged[at] ^= 1
		if p, err := ParsePost(damaged); err == nil {
			t.Errorf("damaged at byte %d it is post %v", at, p)
		}
	}
	if good.Contradicts(good) {
		t.Error("a post contradicts itself")
	}
	if len(good.Append(nil)) > MaxPost {
		t.Errorf("a post of %d bytes", len(good.Append(nil)))
	}
}

// A signature of one purpose is none of another.
func TestPurposes(t *testing.T) {
	p := update(d("job"), 1, 0)
	words := p.Append(nil)[:len(p.Append(nil))-len(Signature{})]
	seen := map[string]string{}
	for _, purpose := range []string{"tx", "post", "held"} {
		s := string(signing(purpose, words))
		if other, ok := seen[s]; ok {
			t.Errorf("%s signs what %s signs", purpose, other)
		}
		seen[s] = purpose
	}
	if Hash("a", []byte("b"), []byte("c")) == Hash("a", []byte("bc")) || Hash("a", []byte("b")) == Hash("ab") {
		t.Error("two lists of parts have one hash")
	}
}
