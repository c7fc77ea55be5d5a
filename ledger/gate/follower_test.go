package gate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"

	"github.com/commonseal/commonseal/ledger"
	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

// endpoint opens a validator in memory, and is how ann reaches it.
func endpoint(t *testing.T, name string, c Chain, record Record) (*house, Endpoint) {
	t.Helper()
	h := open(t, newMembers("ann"), 0, true, func(s *grpc.Server) { Serve(s, c, record) })
	return h, Endpoint{Name: name, Service: commonsealv1.NewLedgerServiceClient(h.dial(t, identity(t, "ann")))}
}

// endpoints are n honest validators of a chain.
func endpoints(t *testing.T, c *chain, n int) (out []Endpoint) {
	t.Helper()
	for i := range n {
		_, e := endpoint(t, fmt.Sprint("val", i), c, c)
		out = append(out, e)
	}
	return out
}

// follow runs a follower until the test ends or stop is called, which returns
// what Run did.
func follow(t *testing.T, from []Endpoint, r *replica, rules Rules, log *logbook) (f *Follower, stop func() error) {
	t.Helper()
	f, err := NewFollower(from, r, rules, log.logger())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { stop() })
	return f, stop
}

// reach waits until the follower has a height.
func reach(t *testing.T, f *Follower, height int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	last, err := f.Wait(ctx, height-1)
	for err == nil && f.Now() == 0 { // the replica's own, before the first block
		next := f.Changed()
		select {
		case <-next:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if err != nil {
		t.Fatalf("the follower is at %d, not at %d: %v", last, height, err)
	}
}

// A liar is a validator that alters what it streams.
type liar struct {
	*chain
	alter func(height int64, block, commit []byte) ([]byte, []byte)
}

func (l liar) Block(height int64) (block, commit []byte, err error) {
	if block, commit, err = l.chain.Block(height); err == nil {
		block, commit = l.alter(height, block, commit)
	}
	return block, commit, err
}

// forge makes a transaction say something else.
func forge(_ int64, block, commit []byte) ([]byte, []byte) {
	// Transactions are base64 in the test's blocks: "a=1" and "a=2".
	return []byte(strings.ReplaceAll(string(block), "YT0x", "YT0y")), commit
}

// stalled is a validator that takes calls and answers none.
type stalled struct{ *chain }

func (stalled) Wait(ctx context.Context, _ int64) (int64, error) {
	<-ctx.Done()
	return 0, ctx.Err()
}

func (stalled) Submit(ctx context.Context, _ []byte) (ledger.Result, error) {
	<-ctx.Done()
	return ledger.Result{}, ctx.Err()
}

func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, r := newChain(), &replica{}
		c.add(t, "a=1")
		f, stop := follow(t, endpoints(t, c, 2), r, rules, nil)
		if f.Now() != 0 || f.Age() < 24*time.Hour {
			t.Error("a follower without a block is not cut off")
		}
		for i := range 20 {
			c.add(t, fmt.Sprintf("k%d=%d", i, i), "a=1", "nonsense")
			reach(t, f, int64(i)+2)
		}
		if f.Now() != 21000 || f.Age() != 0 || !maps.Equal(r.state, c.state.state) || string(f.View().Get([]byte("k19"))) != "19" {
			t.Errorf("now %d, age %s, state %v", f.Now(), f.Age(), r.state)
		}
		pause(t.Context(), time.Minute)
		if f.Age() != time.Minute {
			t.Errorf("age %s after a minute without a block", f.Age())
		}
		if err := stop(); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		// Again, with no block since: the time comes from the last one.
		f, _ = follow(t, endpoints(t, c, 2), r, rules, nil)
		reach(t, f, 21)
		if f.Now() != 21000 || f.Height() != 21 {
			t.Errorf("after a restart: height %d, now %d", f.Height(), f.Now())
		}
		c.add(t, "z=26")
		reach(t, f, 22)
	})
}

func TestAttackForgedBlocks(t *testing.T) {
	for _, off := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			c, r, log := newChain(), &replica{}, &logbook{}
			c.add(t, "a=1")
			_, lying := endpoint(t, "lying", liar{c, forge}, c)
			rules, others := rules, stalled{c}
			if off {
				rules.Verify = decode
			}
			_, second := endpoint(t, "stalled", others, c)
			f, stop := follow(t, []Endpoint{lying, second}, r, rules, log)
			if off {
				if reach(t, f, 1); string(f.View().Get([]byte("a"))) != "2" {
					t.Errorf("with the defence off: %v", r.state)
				}
				return
			}
			pause(t.Context(), time.Minute)
			if f.Height() != 0 || !log.has("two thirds") {
				t.Errorf("height %d, log %s", f.Height(), log.text.String())
			}
			stop()
			// One honest validator among them is enough.
			_, honest := endpoint(t, "honest", c, c)
			f, _ = follow(t, []Endpoint{lying, second, honest}, r, rules, log)
			for i := range 5 {
				c.add(t, fmt.Sprintf("k%d=%d", i, i))
			}
			if reach(t, f, 6); !maps.Equal(r.state, c.state.state) {
				t.Errorf("%v", r.state)
			}
		})
	}
}

// TestMisplacedBlocks has a validator that sends signed blocks in other places.
func TestMisplacedBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, log := newChain(), &logbook{}
		for i := range 5 {
			c.add(t, fmt.Sprintf("k%d=%d", i, i))
		}
		swap := func(height int64, _, _ []byte) ([]byte, []byte) {
			block, commit, _ := c.Block(6 - height)
			return block, commit
		}
		_, swapping := endpoint(t, "swapping", liar{c, swap}, c)
		_, second := endpoint(t, "stalled", stalled{c}, c)
		f, _ := follow(t, []Endpoint{swapping, second}, &replica{}, rules, log)
		pause(t.Context(), time.Minute)
		if f.Height() != 0 || !log.has("block 5 in the place of 1") {
			t.Errorf("height %d, log %s", f.Height(), log.text.String())
		}
	})
}

// TestOneHonestValidatorIsEnough follows validators of which all but one do
// something else at every block, drawn from a seed.
func TestOneHonestValidatorIsEnough(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			t.Logf("seed %d", seed)
			c, r := newChain(), &replica{}
			_, honest := endpoint(t, "honest", c, c)
			es := []Endpoint{honest}
			for i := range uint64(3) {
				_, e := endpoint(t, fmt.Sprint("liar", i), liar{c, mischief(c, rand.New(rand.NewPCG(seed, i)))}, c)
				es = append([]Endpoint{e}, es...)
			}
			c.add(t, "a=1")
			f, stop := follow(t, es, r, rules, nil)
			for i := range 20 {
				c.add(t, fmt.Sprintf("k%d=%d", i, i))
				if i%7 == 3 { // and restarts now and then
					stop()
					f, stop = follow(t, es, r, rules, nil)
				}
			}
			if reach(t, f, 21); !maps.Equal(r.state, c.state.state) || f.Now() != 21000 {
				t.Errorf("state %v, now %d", r.state, f.Now())
			}
		})
	}
}

// mischief alters blocks at random; sometimes it does not.
func mischief(c *chain, random *rand.Rand) func(int64, []byte, []byte) ([]byte, []byte) {
	var mu sync.Mutex // Block is called by several streams
	return func(height int64, block, commit []byte) ([]byte, []byte) {
		mu.Lock()
		defer mu.Unlock()
		block, commit = bytes.Clone(block), bytes.Clone(commit)
		switch random.IntN(6) {
		case 0:
			return forge(height, block, commit)
		case 1:
			block[random.IntN(len(block))] ^= 1 << random.IntN(8)
		case 2:
			commit[random.IntN(len(commit))] ^= 1 << random.IntN(8)
		case 3:
			return block[:random.IntN(len(block))], commit
		case 4:
			if b, s, err := c.Block(1 + random.Int64N(height)); err == nil {
				return b, s
			}
		}
		return block, commit
	}
}

func TestFailover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		h0, e0 := endpoint(t, "val0", c, c)
		h1, e1 := endpoint(t, "val1", c, c)
		f, _ := follow(t, []Endpoint{e0, e1}, &replica{}, rules, nil)
		c.add(t, "a=1")
		reach(t, f, 1)
		h0.close()
		c.add(t, "b=2")
		reach(t, f, 2)
		h1.close()
		c.add(t, "c=3")
		pause(t.Context(), time.Hour)
		if f.Height() != 2 || f.Age() < time.Hour {
			t.Errorf("cut off: height %d, age %s", f.Height(), f.Age())
		}
	})
}

func TestFollowerComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		m := newMembers() // nobody yet
		var es []Endpoint
		for range 2 {
			h := open(t, m, 0, true, ledgerOf(c))
			es = append(es, Endpoint{"val", commonsealv1.NewLedgerServiceClient(h.dial(t, identity(t, "ann")))})
		}
		f, _ := follow(t, es, &replica{}, rules, nil)
		c.add(t, "a=1")
		pause(t.Context(), 5*time.Minute)
		if f.Height() != 0 {
			t.Error("a stranger follows")
		}
		m.mu.Lock()
		m.names[identity(t, "ann").Key()] = "ann"
		m.mu.Unlock()
		begun := time.Now()
		reach(t, f, 1)
		if took := time.Since(begun); took > 3*backoffMost {
			t.Errorf("came back after %s", took)
		}
	})
}

func TestRootErrorStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, r := newChain(), &replica{}
		other := rules
		other.Apply = func(v ledger.View, b ledger.Block) ledger.Outcome {
			out := apply(v, b)
			if b.Height == 3 { // one bit of one value
				out.Writes[0].Value[0] ^= 1
			}
			return out
		}
		f, err := NewFollower(endpoints(t, c, 3), r, other, nil)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- f.Run(t.Context()) }()
		for i := range 5 {
			c.add(t, fmt.Sprintf("k%d=%d", i, i))
		}
		var stop *RootError
		if err := <-done; !errors.As(err, &stop) || stop.Height != 3 || stop.Ours == stop.Signed {
			t.Errorf("%v, want a root that differs after block 3", err)
		}
		if f.Height() != 3 {
			t.Errorf("it went on to %d", f.Height())
		}
	})
}

func TestNewFollowerRefuses(t *testing.T) {
	two := []Endpoint{{Name: "val0"}, {Name: "val1"}}
	if _, err := NewFollower(two[:1], &replica{}, rules, nil); err == nil {
		t.Error("one endpoint")
	}
	if _, err := NewFollower(two, &replica{height: -1}, rules, nil); err == nil {
		t.Error("a replica without genesis")
	}
}

// broken is a replica whose disk fails.
type broken struct{ replica }

func (b *broken) Commit() error { return errors.New("no space left") }

func TestBrokenReplicaStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		c.add(t, "a=1")
		f, err := NewFollower(endpoints(t, c, 2), &broken{}, rules, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "no space left") || f.Height() != 0 {
			t.Errorf("%v at height %d", err, f.Height())
		}
	})
}

// A replica that cannot be read ends the follower: no endpoint is to blame, and no
// other has better blocks.
func TestUnreadableReplicaStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		broken := rules
		broken.Verify = func(block, commit []byte) (ledger.Block, ledger.Digest, error) {
			return ledger.Block{}, ledger.Digest{}, fmt.Errorf("who signs it: %w", ErrReplica)
		}
		f, err := NewFollower(endpoints(t, c, 2), &replica{}, broken, nil)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- f.Run(t.Context()) }()
		c.add(t, "a=1")
		if err := <-done; !errors.Is(err, ErrReplica) {
			t.Errorf("Run: %v, want %v", err, ErrReplica)
		}
	})
}
