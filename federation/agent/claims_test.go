package agent

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/commonseal/commonseal/federation/store"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/multiparty"
	"pgregory.net/rapid"
)

func claimsOn(t *testing.T, s *store.Mem, epoch uint32) *claims {
	t.Helper()
	c, err := newClaims(s.Journal, epoch)
	if err != nil {
		t.Fatal(err)
	}
	c.limit = func(multiparty.Purpose) int { return 3 }
	return c
}

// TestClaims binds c1s once, for ever and over restarts.
func TestClaims(t *testing.T) {
	s := store.NewMem()
	d := func(b ...byte) (out []he.Digest) {
		for _, x := range b {
			out = append(out, he.Digest{x})
		}
		return out
	}
	const used, spent, free = "used", "spent", ""
	for i, step := range []struct {
		purpose multiparty.Purpose
		c1s     []he.Digest
		request byte
		want    string
	}{
		{multiparty.Refresh, d(1, 2), 1, free},
		{multiparty.Refresh, d(1, 2), 1, free}, // a repeat
		{multiparty.Refresh, d(3, 2), 2, used}, // none of them is bound
		{multiparty.Opening, d(1), 2, used},    // for whatever purpose
		{multiparty.Refresh, d(3), 3, free},
		{multiparty.Refresh, d(4), 4, free},
		{multiparty.Refresh, d(5), 5, spent},
		{multiparty.Refresh, d(4), 4, free}, // a repeat is free
		{multiparty.Opening, d(5), 5, free}, // each purpose has its own budget
	} {
		err := claimsOn(t, s, 1).Claim(step.purpose, step.c1s, he.Digest{step.request})
		var twice *multiparty.UsedError
		var over *multiparty.SpentError
		got := free
		switch {
		case errors.As(err, &twice):
			got = used
		case errors.As(err, &over):
			got = spent
		case err != nil:
			t.Fatal(err)
		}
		if got != step.want {
			t.Errorf("step %d: %q (%v), want %q", i, got, err, step.want)
		}
		s = s.Restart()
	}
	if err := claimsOn(t, s, 2).Claim(multiparty.Refresh, d(1), he.Digest{9}); err != nil {
		t.Errorf("another key epoch has other c1s: %v", err)
	}
}

// TestClaimsIsAUsedSet holds the journal on disk to the one in memory, over
// restarts.
func TestClaimsIsAUsedSet(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s, model := store.NewMem(), &multiparty.UsedSet{}
		for range rapid.IntRange(1, 20).Draw(rt, "calls") {
			if rapid.Bool().Draw(rt, "restart") {
				s = s.Restart()
			}
			c, err := newClaims(s.Journal, 1)
			if err != nil {
				rt.Fatal(err)
			}
			var c1s []he.Digest
			for _, b := range rapid.SliceOfNDistinct(rapid.ByteRange(0, 5), 1, 3, rapid.ID[byte]).Draw(rt, "c1s") {
				c1s = append(c1s, he.Digest{b})
			}
			request := he.Digest{rapid.ByteRange(0, 3).Draw(rt, "request")}
			got, want := c.Claim(multiparty.Refresh, c1s, request), model.Claim(multiparty.Refresh, c1s, request)
			if (got == nil) != (want == nil) {
				rt.Fatalf("%v, in memory %v", got, want)
			}
		}
	})
}

// TestConcealed opens what was sealed, under its name and seed alone, and not
// when a bit of it is another.
func TestConcealed(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := he.Seed(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(rt, "seed"))
		name, plain := rapid.String().Draw(rt, "name"), rapid.SliceOf(rapid.Byte()).Draw(rt, "plain")
		hidden := conceal(seed, name, plain)
		if !bytes.Equal(hidden, conceal(seed, name, plain)) {
			rt.Fatal("a repeat has other bytes")
		}
		if got, err := uncover(seed, name, hidden); err != nil || !bytes.Equal(got, plain) {
			rt.Fatalf("%x, %v", got, err)
		}
		if len(plain) >= 8 && bytes.Contains(hidden, plain) {
			rt.Fatal("it shows")
		}
		other := bytes.Clone(hidden)
		other[rapid.IntRange(0, len(other)-1).Draw(rt, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(rt, "bit")
		seed2 := seed
		seed2[0] ^= 1
		for what, open := range map[string]func() ([]byte, error){
			"a changed bit": func() ([]byte, error) { return uncover(seed, name, other) },
			"another name":  func() ([]byte, error) { return uncover(seed, name+"x", hidden) },
			"another seed":  func() ([]byte, error) { return uncover(seed2, name, hidden) },
			"too few bytes": func() ([]byte, error) { return uncover(seed, name, hidden[:3]) },
			"a nonce alone": func() ([]byte, error) { return uncover(seed, name, hidden[:12]) },
		} {
			if _, err := open(); err == nil {
				rt.Fatalf("%s opens", what)
			}
		}
	})
}

// shows says whether v printed with a verb contains secret bytes, in any of the
// ways that bytes print.
func shows(verb string, v any, secret []byte) bool {
	out := fmt.Sprintf(verb, v)
	numbers := strings.Trim(fmt.Sprint(secret[:6]), "[]")
	return strings.Contains(out, string(secret)) || strings.Contains(strings.ToLower(out), hex.EncodeToString(secret[:6])) || strings.Contains(out, numbers)
}
