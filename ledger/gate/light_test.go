package gate

import (
	"context"
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc"

	"github.com/commonseal/commonseal/ledger"
)

// Who has no ledger gets headers at a door, and hands transactions in.
func TestDoorstep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		h := open(t, newMembers("ann"), 0, true, func(s *grpc.Server) {
			Serve(s, c, c)
			ServeLight(s, func(height int64) ([]byte, error) {
				if height > 2 {
					return nil, errors.New("not there")
				}
				return []byte{byte(height)}, nil
			})
		})
		d := NewDoorstep("val", h.dial(t, identity(t, "ann")))
		if b, err := d.LightBlock(t.Context(), 2); err != nil || len(b) != 1 || b[0] != 2 {
			t.Errorf("block 2: %x, %v", b, err)
		}
		for height, want := range map[int64]string{0: "begin at 1", -1: "begin at 1", 3: "ask another"} {
			if _, err := d.LightBlock(t.Context(), height); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("block %d: %v, want %s…", height, err, want)
			}
		}
		if r, err := d.Submit(t.Context(), []byte("a=1")); err != nil || r.Code != ledger.OK {
			t.Error(r, err)
		}
		stranger := NewDoorstep("val", h.dial(t, identity(t, "mal")))
		if _, err := stranger.LightBlock(t.Context(), 1); err == nil {
			t.Error("a stranger gets a header")
		}
	})
}

// upgraded is a state in which version 2 of the rules begins at a height.
func upgraded(t *testing.T, height int64) state {
	t.Helper()
	member := func(name string, roles ledger.Roles) ledger.Member {
		m := ledger.Member{Name: name, Owner: name, Roles: roles, Signing: ledger.Key(private(name).Public().(ed25519.PublicKey)), TLS: ledger.Key([]byte(strings.Repeat(name, 32)[:32]))}
		if roles != ledger.Company {
			m.Address = "a:1"
		}
		if roles == ledger.Validator {
			m.Vote = m.TLS
		}
		return m
	}
	g := ledger.Genesis{Chain: "test", Mode: ledger.Strict, Quorum: 1, Members: []ledger.Member{member("ann", ledger.Company), member("bob", ledger.Company),
		member("north", ledger.Aggregator), member("val", ledger.Validator)}}
	writes, err := g.Writes()
	if err != nil {
		t.Fatal(err)
	}
	m := new(ledger.Memory)
	m.Write(writes)
	up := &ledger.Upgrade{Version: 2, Height: height, Release: "v2.0.0"}
	out := ledger.Apply(m, ledger.Block{Height: 1, Time: 1000, Txs: [][]byte{ledger.SignTx("test", 2000, up, private("ann")), ledger.SignTx("test", 2000, up, private("bob"))}})
	m.Write(out.Writes)
	s := state{}
	m.Range([]byte("upgrade/"), func(k, v []byte) bool { s[string(k)] = string(v); return true })
	if len(s) != 1 {
		t.Fatalf("%d upgrades: %v", len(s), out.Results)
	}
	return s
}

// A follower stops before a block whose rules it does not know.
func TestFollowerIsOutdated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		c.state.state = upgraded(t, 3)
		f, stop := follow(t, endpoints(t, c, 2), &replica{state: upgraded(t, 3)}, rules, nil)
		for range 4 {
			c.add(t)
		}
		reach(t, f, 2)
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if height, err := f.Wait(ctx, 2); err == nil {
			t.Errorf("it follows to block %d", height)
		}
		var outdated *ledger.OutdatedError
		if err := stop(); !errors.As(err, &outdated) || outdated.Release != "v2.0.0" {
			t.Errorf("it stopped with %v", err)
		}
	})
}
