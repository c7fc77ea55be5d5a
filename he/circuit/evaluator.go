package circuit

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/commonseal/commonseal/he"
	"github.com/tuneinsight/lattigo/v5/ring"
)

// An Evaluator runs circuits of one plan under one set of keys, on all cores.
// It is used by one goroutine.
type Evaluator struct {
	plan    Plan
	profile *he.Profile
	workers []*worker
}

// NewEvaluator refuses keys that lack one the plan needs.
func NewEvaluator(plan Plan, keys *he.EvaluationKeys) (*Evaluator, error) {
	p := plan.Profile
	if keys.Profile.Digest() != p.Digest() {
		return nil, fmt.Errorf("keys of profile %s; the plan is for %s", keys.Profile.Name(), p.Name())
	}
	for _, k := range plan.Rotations {
		if keys.Galois[p.Rotation(k)] == nil {
			return nil, fmt.Errorf("no Galois key for the rotation by %d, which the plan needs; run its ceremony first", k)
		}
	}
	if largest := slices.Max(append(p.Params().Q(), p.Params().P()...)); p.Special() != 1 || p.Digits() > maxDigits || largest >= 1<<61 {
		return nil, fmt.Errorf("profile %s has %d special primes, %d digits and primes up to %d; circuits take one, up to %d, and primes below 2^61", p.Name(), p.Special(), p.Digits(), largest, maxDigits)
	}
	perms := map[int][]uint64{}
	for _, k := range plan.Rotations {
		perm, err := ring.AutomorphismNTTIndex(p.N(), p.RingQ(0).NthRoot(), p.Rotation(k))
		if err != nil {
			return nil, fmt.Errorf("rotation by %d: %w", k, err)
		}
		perms[k] = perm
	}
	ev := &Evaluator{plan: plan, profile: p}
	for i := range runtime.GOMAXPROCS(0) {
		ev.workers = append(ev.workers, newWorker(i, keys, perms))
	}
	return ev, nil
}

// each runs job(w, 0..n-1) on all cores and returns when all are done. Jobs
// write to places of their own, so the result does not depend on which worker
// ran which, nor on whether a core has a job to itself or a share of every
// job, as where there are too few to go round.
func (ev *Evaluator) each(n int, job func(wk *worker, i int)) {
	cores := len(ev.workers)
	if rounds := (n + cores - 1) / cores; 6*n >= 5*rounds*cores {
		spread(n, cores, func(core, i int) { job(ev.workers[core], i) })
		return
	}
	wk := ev.workers[0]
	wk.cores = cores
	for i := range n {
		job(wk, i)
	}
	wk.cores = 1
}

// spread calls f(core, 0..n-1) on cores goroutines and returns when all have
// returned.
func spread(n, cores int, f func(core, i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for core := range min(n, cores) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(core, i)
			}
		}()
	}
	wg.Wait()
}
