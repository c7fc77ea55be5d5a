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

// A worker is one core's part of an evaluator, with buffers of its own.
type worker struct {
	id      int
	profile *he.Profile
	keys    *he.EvaluationKeys
	perms   map[int][]uint64 // of the NTT domain, by rotation
	mods    []modulus        // of Q, then the special prime
	digits  [][][]uint64     // by prime and digit, in the NTT domain
	buffer  [][]uint64       // of digits
	coeffs  [2][]uint64      // rows in the coefficient domain
	row     []uint64
	first   lifted // results of key switching, until they are lowered
	second  lifted
}

// A lifted ciphertext is one times the special prime, modulo Q of some level
// and the special prime: rows of Q and one more, twice.
type lifted [2][][]uint64

func newWorker(id int, keys *he.EvaluationKeys, perms map[int][]uint64) *worker {
	p := keys.Profile
	wk := &worker{id: id, profile: p, keys: keys, perms: perms, mods: moduli(p)}
	rows := func(n int) [][]uint64 {
		out := make([][]uint64, n)
		for i := range out {
			out[i] = make([]uint64, p.N())
		}
		return out
	}
	primes := len(wk.mods)
	wk.coeffs = [2][]uint64(rows(2))
	wk.row = rows(1)[0]
	wk.first = lifted{rows(primes), rows(primes)}
	wk.second = lifted{rows(primes), rows(primes)}
	wk.buffer = rows(primes * p.Digits())
	wk.digits = make([][][]uint64, primes)
	for j := range wk.digits {
		wk.digits[j] = make([][]uint64, p.Digits())
	}
	return wk
}

// special is the index of the special prime.
func (wk *worker) special() int { return len(wk.mods) - 1 }

// targets are the primes of a lifted ciphertext at level.
func (wk *worker) targets(level int) []int {
	out := make([]int, 0, level+2)
	for j := range level + 1 {
		out = append(out, j)
	}
	return append(out, wk.special())
}

// decompose makes the digits of c at its level. c is read until they are used.
func (wk *worker) decompose(c ring.Poly) {
	level := c.Level()
	for i := range level + 1 {
		from := &wk.mods[i]
		from.INTT(c.Coeffs[i], wk.coeffs[0])
		for _, j := range wk.targets(level) {
			if i == j {
				wk.digits[j][i] = c.Coeffs[i]
				continue
			}
			digit := wk.buffer[j*wk.profile.Digits()+i]
			wk.mods[j].lift(wk.coeffs[0], from, digit)
			wk.mods[j].NTTLazy(digit, digit)
			wk.digits[j][i] = digit
		}
	}
}

// switchKey sets out to the digits' inner product with a key's.
func (wk *worker) switchKey(level int, key *rlwe.GadgetCiphertext, out lifted) {
	var b, a [maxDigits][]uint64
	for _, j := range wk.targets(level) {
		for i := range level + 1 {
			digit := key.Value[i][0]
			if j == wk.special() {
				b[i], a[i] = digit[0].P.Coeffs[0], digit[1].P.Coeffs[0]
			} else {
				b[i], a[i] = digit[0].Q.Coeffs[j], digit[1].Q.Coeffs[j]
			}
		}
		wk.mods[j].dot(wk.digits[j][:level+1], b[:level+1], a[:level+1], [2][]uint64{out[0][j], out[1][j]})
	}
}

// galois is the key of a rotation, which the plan names.
func (wk *worker) galois(k int) *rlwe.GadgetCiphertext {
	return &wk.keys.Galois[wk.profile.Rotation(k)].GadgetCiphertext
}

// lower divides rows by the special prime, rounding, and adds the result to
// out.
func (wk *worker) lower(rows [][]uint64, out ring.Poly) {
	special := &wk.mods[wk.special()]
	special.INTT(rows[wk.special()], wk.coeffs[0])
	for j, to := range out.Coeffs {
		m := &wk.mods[j]
		inverse := m.inverse(special.q)
		m.lift(wk.coeffs[0], special, wk.row)
		m.NTTLazy(wk.row, wk.row)
		for k, v := range rows[j] {
			d := ring.MRed(v+m.q*lazySlack-wk.row[k], inverse, m.q, m.MRedConstant)
			to[k] = ring.CRed(to[k]+d, m.q)
		}
	}
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
	for j, to := range out.Coeffs {
		m := &wk.mods[j]
		inverse := m.inverse(last.q)
		m.lift(wk.coeffs[0], last, wk.row)
		m.NTTLazy(wk.row, wk.row)
		for k, v := range c.Coeffs[j] {
			to[k] = ring.MRed(v+m.q*lazySlack-wk.row[k], inverse, m.q, m.MRedConstant)
		}
	}
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
		wk.lower(wk.first[0], switched[0])
		wk.lower(wk.first[1], switched[1])
		out[i] = pair{wk.profile.NewPolyQ(level), wk.profile.NewPolyQ(level)}
		for half := range switched {
			for j, row := range switched[half].Coeffs {
				permute(row, wk.perms[k], out[i][half].Coeffs[j])
			}
		}
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
		for _, j := range wk.targets(level - 1) {
			t.high[half][j] = make([]uint64, wk.profile.N())
		}
	}
	return t
}

// add adds the rotation by k of h, of degree two, or one if its rows were
// plain.
func (wk *worker) add(t *turner, h []ring.Poly, k int) {
	perm := wk.perms[k]
	for j, row := range h[0].Coeffs {
		wk.mods[j].addPermuted(row, perm, t.low[0].Coeffs[j])
	}
	level := h[0].Level() - 1
	c1 := h[1]
	if k == 0 {
		for j, row := range c1.Coeffs {
			wk.mods[j].addPermuted(row, nil, t.low[1].Coeffs[j])
		}
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
			wk.lower(wk.first[1], c1)
		}
	}
	if k != 0 {
		wk.decompose(c1)
		wk.switchKey(level, wk.galois(k), wk.second)
		wk.addLifted(t, level, 0, perm, wk.second)
		wk.addLifted(t, level, 1, perm, wk.second)
	}
}

func (wk *worker) addLifted(t *turner, level, half int, perm []uint64, c lifted) {
	for _, j := range wk.targets(level) {
		wk.mods[j].addPermuted(c[half][j], perm, t.high[half][j])
	}
}

// join adds another's sums.
func (wk *worker) join(t, other *turner) {
	for half := range t.low {
		for j, row := range other.low[half].Coeffs {
			wk.mods[j].addPermuted(row, nil, t.low[half].Coeffs[j])
		}
	}
	for half := range t.high {
		wk.addLifted(t, t.low[0].Level()-1, half, nil, other.high)
	}
}

// settle is the sum, one level below the products: both divisions share their
// transforms.
func (wk *worker) settle(t *turner) pair {
	level := t.low[0].Level()
	last, special := &wk.mods[level], &wk.mods[wk.special()]
	out := pair{wk.profile.NewPolyQ(level - 1), wk.profile.NewPolyQ(level - 1)}
	for half, c := range t.low {
		high := t.high[half]
		last.INTT(c.Coeffs[level], wk.coeffs[0])
		special.INTT(high[wk.special()], wk.coeffs[1])
		for j, to := range out[half].Coeffs {
			m := &wk.mods[j]
			byLast, bySpecial := m.inverse(last.q), m.inverse(special.q)
			clear(wk.row)
			m.liftScaled(wk.coeffs[0], last, byLast, wk.row)
			m.liftScaled(wk.coeffs[1], special, bySpecial, wk.row)
			m.NTTLazy(wk.row, wk.row)
			for k, v := range c.Coeffs[j] {
				v = ring.MRed(v, byLast, m.q, m.MRedConstant) + ring.MRed(high[j][k], bySpecial, m.q, m.MRedConstant)
				to[k] = ring.BRedAdd(v+m.q*lazySlack-wk.row[k], m.q, m.BRedConstant)
			}
		}
	}
	return out
}

// relinearise brings a product to degree one and rescales it.
func (wk *worker) relinearise(h []ring.Poly) pair {
	t := wk.newTurner(h[0].Level())
	wk.add(t, h, 0)
	return wk.settle(t)
}
