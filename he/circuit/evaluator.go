package circuit

import (
	"fmt"
	"runtime"
	"sync"

	"github.com/commonseal/commonseal/he"
	"github.com/tuneinsight/lattigo/v5/core/rlwe"
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
	ev := &Evaluator{plan: plan, profile: p}
	params := p.RLWE()
	first := rlwe.NewEvaluator(params, keys.Set())
	for i := range runtime.GOMAXPROCS(0) {
		eval := first
		if i > 0 {
			eval = first.ShallowCopy()
		}
		ev.workers = append(ev.workers, &worker{profile: p, keys: keys, eval: eval})
	}
	return ev, nil
}

// each runs job(w, 0..n-1), every worker on one core, and returns when all
// are done. Jobs write to places of their own, so the result does not depend
// on which worker ran which.
func (ev *Evaluator) each(n int, job func(w *worker, i int)) {
	next := make(chan int, n)
	for i := range n {
		next <- i
	}
	close(next)
	var wg sync.WaitGroup
	for _, w := range ev.workers[:min(n, len(ev.workers))] {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range next {
				job(w, i)
			}
		}()
	}
	wg.Wait()
}

// A worker is one core's evaluator with buffers of its own.
type worker struct {
	profile *he.Profile
	keys    *he.EvaluationKeys
	eval    *rlwe.Evaluator
}

// newPair is a zero ciphertext of degree one.
func (w *worker) newPair(level int) pair {
	return pair{w.profile.NewPolyQ(level), w.profile.NewPolyQ(level)}
}

// element views a pair as lattigo's ciphertext.
func element(c pair) *rlwe.Ciphertext {
	ct := &rlwe.Ciphertext{Element: rlwe.Element[ring.Poly]{Value: []ring.Poly{c[0], c[1]}, MetaData: &rlwe.MetaData{}}}
	ct.IsNTT = true
	return ct
}

// relinearise brings a degree-two ciphertext to degree one, in place of its
// first two polynomials.
func (w *worker) relinearise(c [3]ring.Poly) pair {
	level := c[0].Level()
	d := w.newPair(level)
	w.eval.GadgetProduct(level, c[2], &w.keys.Relin.GadgetCiphertext, element(d))
	r := w.profile.RingQ(level)
	r.Add(d[0], c[0], d[0])
	r.Add(d[1], c[1], d[1])
	return d
}

// rescale divides by the last prime and drops it.
func (w *worker) rescale(polys []ring.Poly) {
	level := polys[0].Level()
	r := w.profile.RingQ(level)
	buff := w.eval.GetBuffQP()[2].Q
	for i := range polys {
		r.DivRoundByLastModulusNTT(polys[i], buff, polys[i])
		polys[i].Coeffs = polys[i].Coeffs[:level]
	}
}

// rotations rotates c by every k > or < 0, decomposing it once.
func (w *worker) rotations(c pair, ks []int) []pair {
	level := c[0].Level()
	digits := w.eval.GetBuffDecompQP()
	w.eval.DecomposeNTT(level, w.profile.Special()-1, w.profile.Special(), c[1], true, digits)
	out := make([]pair, len(ks))
	for i, k := range ks {
		out[i] = w.newPair(level)
		if err := w.eval.AutomorphismHoisted(level, element(c), digits, w.profile.Rotation(k), element(out[i])); err != nil {
			panic("circuit: " + err.Error()) // unreachable: NewEvaluator has checked the keys
		}
	}
	return out
}

// rotate rotates c by k.
func (w *worker) rotate(c pair, k int) pair {
	out := w.newPair(c[0].Level())
	if err := w.eval.Automorphism(element(c), w.profile.Rotation(k), element(out)); err != nil {
		panic("circuit: " + err.Error()) // unreachable: NewEvaluator has checked the keys
	}
	return out
}
