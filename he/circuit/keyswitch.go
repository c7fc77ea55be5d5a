package circuit

import (
	"github.com/commonseal/commonseal/he"
	"github.com/tuneinsight/lattigo/v5/core/rlwe"
	"github.com/tuneinsight/lattigo/v5/ring"
)

// Key switching is where a step spends its time, so it is our own: a digit is
// the residues of one prime, centred; its transform modulo that prime is there
// already; products with key digits are summed in 128 bits; and what several
// switches add to is divided by the special prime once (Bossuat, Mouchet,
// Troncoso-Pastoriza, Hubaux, EUROCRYPT 2021, §4, do so for matrices).

// A worker carries a job out, on one core or on several. It has buffers of its
// own and is used by one goroutine, which may spread a loop over others.
type worker struct {
	id      int
	cores   int // for its loops
	profile *he.Profile
	keys    *he.EvaluationKeys
	perms   map[int][]uint64 // of the NTT domain, by rotation
	mods    []modulus        // of Q, then the special prime
	coeffs  [][]uint64       // rows in the coefficient domain, by prime
	scratch [][]uint64       // one row for every loop index of two halves
	digits  [][][]uint64     // by prime and digit, in the NTT domain
	buffer  [][]uint64       // of digits
	first   lifted           // results of key switching, until they are lowered
	second  lifted
}

// A lifted ciphertext is one times the special prime, modulo Q of some level
// and the special prime: rows of Q and one more, twice.
type lifted [2][][]uint64

func newWorker(id int, keys *he.EvaluationKeys, perms map[int][]uint64) *worker {
	p := keys.Profile
	wk := &worker{id: id, cores: 1, profile: p, keys: keys, perms: perms, mods: moduli(p)}
	rows := func(n int) [][]uint64 {
		out := make([][]uint64, n)
		for i := range out {
			out[i] = make([]uint64, p.N())
		}
		return out
	}
	primes := len(wk.mods)
	wk.coeffs, wk.scratch, wk.buffer = rows(max(primes, 4)), rows(2*primes), rows(primes*p.Digits())
	wk.first, wk.second = lifted{rows(primes), rows(primes)}, lifted{rows(primes), rows(primes)}
	wk.digits = make([][][]uint64, primes)
	for j := range wk.digits {
		wk.digits[j] = make([][]uint64, p.Digits())
	}
	return wk
}

// loop calls f(0..n-1), which write to places of their own, on the worker's
// cores, and returns when all have returned.
func (wk *worker) loop(n int, f func(i int)) {
	if wk.cores == 1 {
		for i := range n {
			f(i)
		}
		return
	}
	spread(n, wk.cores, func(_, i int) { f(i) })
}

// special is the index of the special prime.
func (wk *worker) special() int { return len(wk.mods) - 1 }

// target is the prime of row j of a lifted ciphertext at level: those of Q and
// then the special one.
func (wk *worker) target(level, j int) int {
	if j > level {
		return wk.special()
	}
	return j
}

// decompose makes the digits of c at its level. c is read until they are used.
func (wk *worker) decompose(c ring.Poly) {
	level := c.Level()
	wk.loop(level+1, func(i int) { wk.mods[i].INTT(c.Coeffs[i], wk.coeffs[i]) })
	wk.loop(level+2, func(j int) {
		j = wk.target(level, j)
		for i := range level + 1 {
			if i == j {
				wk.digits[j][i] = c.Coeffs[i]
				continue
			}
			digit := wk.buffer[j*wk.profile.Digits()+i]
			wk.mods[j].lift(wk.coeffs[i], &wk.mods[i], digit)
			wk.mods[j].NTTLazy(digit, digit)
			wk.digits[j][i] = digit
		}
	})
}

// switchKey sets out to the digits' inner product with a key's.
func (wk *worker) switchKey(level int, key *rlwe.GadgetCiphertext, out lifted) {
	wk.loop(level+2, func(j int) {
		j = wk.target(level, j)
		var b, a [maxDigits][]uint64
		for i := range level + 1 {
			digit := key.Value[i][0]
			if j == wk.special() {
				b[i], a[i] = digit[0].P.Coeffs[0], digit[1].P.Coeffs[0]
			} else {
				b[i], a[i] = digit[0].Q.Coeffs[j], digit[1].Q.Coeffs[j]
			}
		}
		wk.mods[j].dot(wk.digits[j][:level+1], b[:level+1], a[:level+1], [2][]uint64{out[0][j], out[1][j]})
	})
}

// galois is the key of a rotation, which the plan names.
func (wk *worker) galois(k int) *rlwe.GadgetCiphertext {
	return &wk.keys.Galois[wk.profile.Rotation(k)].GadgetCiphertext
}

// lower divides rows by the special prime, rounding, and adds the result to
// out, one of each a half.
func (wk *worker) lower(rows [][][]uint64, out []ring.Poly) {
	special := &wk.mods[wk.special()]
	wk.loop(len(out), func(half int) { special.INTT(rows[half][wk.special()], wk.coeffs[half]) })
	n := len(out[0].Coeffs)
	wk.loop(len(out)*n, func(at int) {
		half, j := at/n, at%n
		m, row, to := &wk.mods[j], wk.scratch[at], out[half].Coeffs[j]
		inverse := m.inverse(special.q)
		m.lift(wk.coeffs[half], special, row)
		m.NTTLazy(row, row)
		for k, v := range rows[half][j] {
			d := ring.MRed(v+m.q*lazySlack-row[k], inverse, m.q, m.MRedConstant)
			to[k] = ring.CRed(to[k]+d, m.q)
		}
	})
}

// lazySlack is more multiples of q than a lazy transform leaves: its layers add
// 2q and every other one takes 4q off.
const lazySlack = 8

// rescale divides by the last prime, rounding, and drops it.
func (wk *worker) rescale(c ring.Poly) ring.Poly {
	level := c.Level()
	out := wk.profile.NewPolyQ(level - 1)
	last := &wk.mods[level]
	last.INTT(c.Coeffs[level], wk.coeffs[0])
	wk.loop(level, func(j int) {
		m, row, to := &wk.mods[j], wk.scratch[j], out.Coeffs[j]
		inverse := m.inverse(last.q)
		m.lift(wk.coeffs[0], last, row)
		m.NTTLazy(row, row)
		for k, v := range c.Coeffs[j] {
			to[k] = ring.MRed(v+m.q*lazySlack-row[k], inverse, m.q, m.MRedConstant)
		}
	})
	return out
}

// rotations rotates c by every k, decomposing it once.
func (wk *worker) rotations(c pair, ks []int) []pair {
	level := c[0].Level()
	wk.decompose(c[1])
	out := make([]pair, len(ks))
	for i, k := range ks {
		wk.switchKey(level, wk.galois(k), wk.first)
		switched := pair{*c[0].CopyNew(), wk.profile.NewPolyQ(level)}
		wk.lower(wk.first[:], switched[:])
		turned := pair{wk.profile.NewPolyQ(level), wk.profile.NewPolyQ(level)}
		wk.loop(level+1, func(j int) {
			permute(switched[0].Coeffs[j], wk.perms[k], turned[0].Coeffs[j])
			permute(switched[1].Coeffs[j], wk.perms[k], turned[1].Coeffs[j])
		})
		out[i] = turned
	}
	return out
}

// rotate rotates c by k.
func (wk *worker) rotate(c pair, k int) pair { return wk.rotations(c, []int{k})[0] }

func permute(row []uint64, perm []uint64, out []uint64) {
	for k, from := range perm {
		out[k] = row[from]
	}
}

// addPermuted adds the permutation of row to out; no permutation is the
// identity.
func (m *modulus) addPermuted(row []uint64, perm []uint64, out []uint64) {
	if perm == nil {
		m.Add(out, row, out)
		return
	}
	for k, from := range perm {
		out[k] = ring.CRed(out[k]+row[from], m.q)
	}
}

// A turner sums rotations of products: each is rescaled, relinearised and
// rotated, and what all have in common, the division by the last prime and by
// the special one, is left to the end. Sums are exact, so they do not depend
// on order.
type turner struct {
	low  pair   // at the products' level
	high lifted // one level below
}

func (wk *worker) newTurner(level int) *turner {
	t := &turner{low: pair{wk.profile.NewPolyQ(level), wk.profile.NewPolyQ(level)}}
	for half := range t.high {
		t.high[half] = make([][]uint64, len(wk.mods))
		for j := range level + 1 {
			t.high[half][wk.target(level-1, j)] = make([]uint64, wk.profile.N())
		}
	}
	return t
}

// add adds the rotation by k of h, of degree two, or one if its rows were
// plain.
func (wk *worker) add(t *turner, h []ring.Poly, k int) {
	perm, level := wk.perms[k], h[0].Level()-1
	wk.addPoly(t, 0, perm, h[0])
	c1 := h[1]
	if k == 0 {
		wk.addPoly(t, 1, nil, c1)
	} else {
		c1 = wk.rescale(c1)
	}
	if len(h) == 3 {
		wk.decompose(wk.rescale(h[2]))
		wk.switchKey(level, &wk.keys.Relin.GadgetCiphertext, wk.first)
		wk.addLifted(t, level, 0, perm, wk.first)
		if k == 0 {
			wk.addLifted(t, level, 1, nil, wk.first)
		} else {
			wk.lower(wk.first[1:], []ring.Poly{c1})
		}
	}
	if k != 0 {
		wk.decompose(c1)
		wk.switchKey(level, wk.galois(k), wk.second)
		wk.addLifted(t, level, 0, perm, wk.second)
		wk.addLifted(t, level, 1, perm, wk.second)
	}
}

func (wk *worker) addPoly(t *turner, half int, perm []uint64, c ring.Poly) {
	wk.loop(len(c.Coeffs), func(j int) { wk.mods[j].addPermuted(c.Coeffs[j], perm, t.low[half].Coeffs[j]) })
}

func (wk *worker) addLifted(t *turner, level, half int, perm []uint64, c lifted) {
	wk.loop(level+2, func(j int) {
		j = wk.target(level, j)
		wk.mods[j].addPermuted(c[half][j], perm, t.high[half][j])
	})
}

// join adds another's sums.
func (wk *worker) join(t, other *turner) {
	for half := range t.low {
		wk.addPoly(t, half, nil, other.low[half])
		wk.addLifted(t, t.low[0].Level()-1, half, nil, other.high)
	}
}

// settle is the sum, one level below the products: both divisions share their
// transforms.
func (wk *worker) settle(t *turner) pair {
	level := t.low[0].Level()
	last, special := &wk.mods[level], &wk.mods[wk.special()]
	out := pair{wk.profile.NewPolyQ(level - 1), wk.profile.NewPolyQ(level - 1)}
	wk.loop(4, func(i int) {
		if half := i / 2; i%2 == 0 {
			last.INTT(t.low[half].Coeffs[level], wk.coeffs[i])
		} else {
			special.INTT(t.high[half][wk.special()], wk.coeffs[i])
		}
	})
	wk.loop(2*level, func(at int) {
		half, j := at/level, at%level
		m, row, to := &wk.mods[j], wk.scratch[at], out[half].Coeffs[j]
		byLast, bySpecial := m.inverse(last.q), m.inverse(special.q)
		clear(row)
		m.liftScaled(wk.coeffs[2*half], last, byLast, row)
		m.liftScaled(wk.coeffs[2*half+1], special, bySpecial, row)
		m.NTTLazy(row, row)
		high := t.high[half][j]
		for k, v := range t.low[half].Coeffs[j] {
			v = ring.MRed(v, byLast, m.q, m.MRedConstant) + ring.MRed(high[k], bySpecial, m.q, m.MRedConstant)
			to[k] = ring.BRedAdd(v+m.q*lazySlack-row[k], m.q, m.BRedConstant)
		}
	})
	return out
}

// relinearise brings a product to degree one and rescales it.
func (wk *worker) relinearise(h []ring.Poly) pair {
	t := wk.newTurner(h[0].Level())
	wk.add(t, h, 0)
	return wk.settle(t)
}
