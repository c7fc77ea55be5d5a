package gate

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commonseal/commonseal/ledger"
)

// beat makes a block every second while there is something to put into it.
func beat(t *testing.T, c *chain) {
	ctx, cancel := context.WithCancel(t.Context())
	var beating sync.WaitGroup
	beating.Go(func() {
		for pause(ctx, time.Second) {
			c.mu.Lock()
			some := len(c.pool) > 0
			c.mu.Unlock()
			if some {
				c.add(t)
			}
		}
	})
	t.Cleanup(func() { cancel(); beating.Wait() })
}

// submit is one Submit within a minute.
func submit(t *testing.T, f *Follower, tx string) (ledger.Result, error) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return f.Submit(ctx, []byte(tx))
}

func TestSubmit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		beat(t, c)
		f, _ := follow(t, endpoints(t, c, 2), &replica{}, rules, nil)
		for _, step := range []struct {
			tx   string
			want ledger.Code
		}{
			{"a=1", ledger.OK},
			{"a=1", ledger.OK}, // again
			{"a=2", ledger.Conflict},
			{"nonsense", ledger.Malformed},
			{"b=2", ledger.OK},
		} {
			r, err := submit(t, f, step.tx)
			if err != nil || r.Code != step.want {
				t.Errorf("Submit(%s) = %v, %v, want code %d", step.tx, r, err, step.want)
			}
			k, v := step.tx[:1], step.tx[2:]
			if got := f.View().Get([]byte(k)); step.want == ledger.OK && string(got) != v {
				t.Errorf("after Submit(%s) the replica has %q", step.tx, got)
			}
		}
		if len(f.waiting) != 0 {
			t.Error("somebody still waits")
		}
	})
}

func TestSubmitAfterLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		beat(t, c)
		c.lose = 3 // three pools lose it before it is in a block
		f, _ := follow(t, endpoints(t, c, 2), &replica{}, rules, nil)
		begun := time.Now()
		r, err := submit(t, f, "a=1")
		if err != nil || r.Code != ledger.OK {
			t.Fatal(r, err)
		}
		if took := time.Since(begun); took < 3*resubmitAfter || took > 4*resubmitAfter+2*time.Second || c.submits != 4 {
			t.Errorf("%d times in %s", c.submits, took)
		}
	})
}

func TestSubmitConcurrently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		beat(t, c)
		f, _ := follow(t, endpoints(t, c, 2), &replica{}, rules, nil)
		var all sync.WaitGroup
		for range 1000 {
			all.Go(func() {
				if r, err := submit(t, f, "a=1"); err != nil || r.Code != ledger.OK {
					t.Error(r, err)
				}
			})
		}
		all.Wait()
		if n := len(c.blocks); n != 1 {
			t.Errorf("in %d blocks", n)
		}
	})
}

func TestSubmitPastStalledAndFalseValidators(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		beat(t, c)
		_, slow := endpoint(t, "stalled", stalled{c}, c)
		_, naysayer := endpoint(t, "naysayer", verdict{c, ledger.Result{Code: ledger.Forbidden}}, c)
		_, yeasayer := endpoint(t, "yeasayer", verdict{c, ledger.Result{}}, c)
		_, replayer := endpoint(t, "replayer", verdict{c, ledger.Result{Code: ledger.Replayed}}, c)
		_, honest := endpoint(t, "honest", c, c)
		for i, es := range [][]Endpoint{{slow, honest}, {naysayer, honest}, {yeasayer, honest}, {replayer, honest}, {slow, naysayer, yeasayer, replayer, honest}} {
			f, stop := follow(t, es, &replica{}, rules, nil)
			if r, err := submit(t, f, fmt.Sprintf("k%d=1", i)); err != nil || r.Code != ledger.OK {
				t.Errorf("%d: %v, %v", i, r, err)
			}
			if string(f.View().Get(fmt.Appendf(nil, "k%d", i))) != "1" {
				t.Errorf("%d: it is not in the state", i)
			}
			stop()
		}
		// If everybody refuses, that is the answer.
		f, _ := follow(t, []Endpoint{naysayer, naysayer}, &replica{}, rules, nil)
		if r, err := submit(t, f, "z=1"); err != nil || r.Code != ledger.Forbidden {
			t.Error(r, err)
		}
	})
}

// A verdict is a validator that says always the same of a transaction.
type verdict struct {
	*chain
	says ledger.Result
}

func (v verdict) Submit(context.Context, []byte) (ledger.Result, error) { return v.says, nil }

func TestSubmitGivesUpWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain() // makes no block
		f, _ := follow(t, endpoints(t, c, 2), &replica{}, rules, nil)
		begun := time.Now()
		if _, err := submit(t, f, "a=1"); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != time.Minute {
			t.Errorf("%v after %s", err, time.Since(begun))
		}
	})
}
