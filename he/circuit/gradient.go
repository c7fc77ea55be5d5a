package circuit

import (
	"fmt"
	"math/big"
	"slices"

	"github.com/commonseal/commonseal/he"
	"github.com/tuneinsight/lattigo/v5/ring"
)

// Depth is the levels a gradient step consumes.
const Depth = 5

// A Block is the vectors of up to Slots rows of one company.
type Block []*he.Ciphertext

// A PlainBlock is the same, encoded and not encrypted: the company's own. The
// way back has vectors of its own if the plan is wrapped.
type PlainBlock struct{ forward, back []ring.Poly }

// NewPlainBlock encodes up to Capacity rows of a company's own.
//
// It returns a [*he.RangeError] for the first value that is not finite and in
// [-1, 1].
func NewPlainBlock(e *he.Encoder, plan Plan, x he.Rows) (PlainBlock, error) {
	forward, err := he.EncodeBlock(e, plan.Packing, x)
	if err != nil || !plan.Wrapped {
		return PlainBlock{forward, forward}, err
	}
	packing := plan.Packing
	packing.Back = true
	back, err := he.EncodeBlock(e, packing, x)
	return PlainBlock{forward, back}, err
}

// Gradient evaluates one step over blocks grouped as the caller wants sums kept
// apart, and returns a ciphertext for each group, at the refresh floor and
// scale exactly 2^64:
//
//	x = Σ_blocks Σ_r rot(p(u)·Z_r, −r),   u = Σ_r Z_r·rot(w, r)
//
// Only sums of x over slots equal mod Width mean something: they are
// Σ_rows p(u_i)·z_i. w is the weights over the interval, periodic in slots, at
// the top level; p is the interval's polynomial.
//
// Depth 5. Keys: the plan's rotations, relinearisation. Error:
// [Plan.GradientError].
func (ev *Evaluator) Gradient(w *he.Ciphertext, interval int, groups [][]Block) ([]*he.Ciphertext, error) {
	var blocks []operand
	var group []int
	for g, list := range groups {
		for _, b := range list {
			if err := ev.checkBlock(b); err != nil {
				return nil, err
			}
			blocks = append(blocks, operand{cipher: pairsOf(b)})
			group = append(group, g)
		}
	}
	return ev.gradient(w, interval, blocks, group, len(groups))
}

// LocalGradient is Gradient over a company's own encoded blocks.
//
// c1 is what the company derives itself for the c1 of these weights, the output
// of a map it took part in: weights with another are refused, for on trivial
// ones (m, 0) the evaluation would be in the clear. The last operation adds a
// fresh encryption of zero under the collective key (law L13): without it the
// output is a function of public values and of the rows, and a guess of them
// can be checked to the last bit. Its coins are bound to what they hide, so that
// other rows at the same weights do not meet the same ones.
func (ev *Evaluator) LocalGradient(w *he.Ciphertext, interval int, c1 ring.Poly, blocks []PlainBlock, pk *he.PublicKey, seed he.Seed) (*he.Ciphertext, error) {
	return ev.localGradient(w, interval, blocks, localDefences{c1: &c1, zero: func(x *he.Ciphertext) *he.Ciphertext {
		key, bare := pk.Digest(), x.Digest()
		return pk.EncryptZero(x.Level(), x.LogScale, seed.Stream("local-update", key[:], bare[:]))
	}})
}

// localDefences are switched off by attack tests alone.
type localDefences struct {
	c1   *ring.Poly                               // nil: weights are not checked
	zero func(bare *he.Ciphertext) *he.Ciphertext // nil: the output is not sanitised
}

func (ev *Evaluator) localGradient(w *he.Ciphertext, interval int, blocks []PlainBlock, on localDefences) (*he.Ciphertext, error) {
	if on.c1 != nil && !on.c1.Equal(&w.C1) {
		return nil, fmt.Errorf("a point that no map of this job left: its c1 is not the derived one; ask another node")
	}
	ops := make([]operand, len(blocks))
	for i, b := range blocks {
		if len(b.forward) != ev.plan.Packing.Vectors() || b.forward[0].Level() != ev.profile.MaxLevel() {
			return nil, fmt.Errorf("block %d is not %d plaintexts at level %d", i, ev.plan.Packing.Vectors(), ev.profile.MaxLevel())
		}
		ops[i] = operand{plain: b.forward, back: b.back}
	}
	x, err := ev.gradient(w, interval, ops, make([]int, len(ops)), 1)
	if err != nil {
		return nil, err
	}
	if on.zero == nil {
		return x[0], nil
	}
	return he.Add(x[0], on.zero(x[0])), nil
}

func (ev *Evaluator) checkBlock(b Block) error {
	if len(b) != ev.plan.Packing.Vectors() {
		return fmt.Errorf("a block of %d vectors; the plan packs %d", len(b), ev.plan.Packing.Vectors())
	}
	for _, c := range b {
		if c.Profile.Digest() != ev.profile.Digest() || c.Level() != ev.profile.MaxLevel() || c.LogScale != ev.profile.LogScale() {
			return fmt.Errorf("a block's vector is at level %d and scale 2^%d of %s; it takes the top level and scale of %s", c.Level(), c.LogScale, c.Profile.Name(), ev.profile.Name())
		}
	}
	return nil
}

// An operand is a block, encrypted or encoded.
type operand struct {
	cipher []pair
	plain  []ring.Poly
	back   []ring.Poly
}

func pairsOf(b Block) []pair {
	out := make([]pair, len(b))
	for i, c := range b {
		out[i] = pair{c.C0, c.C1}
	}
	return out
}

func (ev *Evaluator) gradient(w *he.Ciphertext, interval int, blocks []operand, group []int, groups int) ([]*he.Ciphertext, error) {
	if ev.plan.Wrapped && slices.ContainsFunc(blocks, func(b operand) bool { return b.plain == nil }) {
		return nil, fmt.Errorf("encrypted blocks under a plan for a company's own; use the task's plan")
	}
	if w.Profile.Digest() != ev.profile.Digest() || w.Level() != ev.profile.MaxLevel() || w.LogScale != ev.profile.LogScale() {
		return nil, fmt.Errorf("weights at level %d and scale 2^%d; a step takes level %d and scale 2^%d", w.Level(), w.LogScale, ev.profile.MaxLevel(), ev.profile.LogScale())
	}
	if !validInterval(interval) {
		return nil, fmt.Errorf("interval %d; a step's is %d to %d", interval, minInterval, maxInterval)
	}
	rotated := ev.rotatedWeights(pair{w.C0, w.C1})
	errors := make([][]pair, len(blocks))
	inner := ev.innerProducts(blocks, rotated)
	ev.each(len(blocks), func(wk *worker, b int) {
		errors[b] = ev.rotatedErrors(wk, wk.polynomial(inner[b], coefficients(interval)))
	})
	out := make([]*he.Ciphertext, groups)
	for g := range out {
		var mine []int
		for b, at := range group {
			if at == g {
				mine = append(mine, b)
			}
		}
		x := ev.fold(blocks, errors, mine)
		out[g] = &he.Ciphertext{Profile: ev.profile, LogScale: he.LogGradient, C0: x[0], C1: x[1]}
	}
	return out, nil
}

// rotatedWeights is rot(w, b) for b below Baby. Rotations without a key of
// their own are a giant of w and then a baby.
func (ev *Evaluator) rotatedWeights(w pair) []pair {
	baby, step := ev.plan.Packing.Baby, min(ev.plan.Step, ev.plan.Packing.Baby)
	out := make([]pair, baby)
	out[0] = w
	var giants []int
	for k := step; k < baby; k += step {
		giants = append(giants, k)
	}
	ev.each(len(giants), func(wk *worker, i int) { out[giants[i]] = wk.rotate(w, giants[i]) })
	// One decomposition for every half of the babies: two cores share a giant.
	halves := 2
	ev.each(halves*(len(giants)+1), func(wk *worker, i int) {
		g, half := i/halves*step, i%halves
		var ks []int
		for k := 1 + half; k < step; k += halves {
			ks = append(ks, k)
		}
		if len(ks) == 0 {
			return
		}
		for j, c := range wk.rotations(out[g], ks) {
			out[g+ks[j]] = c
		}
	})
	return out
}

// blocksAtATime bounds the memory of inner products: their sums are kept apart
// by worker and block until a block's giants are done.
const blocksAtATime = 8

// innerProducts is m = Σ_g rot(Σ_b Z_{g·Baby+b}·rot(w, b), g·Baby) of every
// block, rescaled once.
func (ev *Evaluator) innerProducts(blocks []operand, rotated []pair) []pair {
	var out []pair
	for len(blocks) > 0 {
		n := min(blocksAtATime, len(blocks))
		out = append(out, ev.someInnerProducts(blocks[:n], rotated)...)
		blocks = blocks[n:]
	}
	return out
}

func (ev *Evaluator) someInnerProducts(blocks []operand, rotated []pair) []pair {
	giants, baby, level := ev.plan.giants(), ev.plan.Packing.Baby, ev.profile.MaxLevel()
	sums := ev.newSums(len(blocks), level)
	ev.each(len(blocks)*giants, func(wk *worker, i int) {
		b, g := i/giants, i%giants
		wk.add(sums.of(wk, b), wk.products(level, blocks[b], g*baby, baby, rotated), g*baby)
	})
	out := make([]pair, len(blocks))
	ev.each(len(blocks), func(wk *worker, b int) { out[b] = ev.spread(wk, sums.settle(wk, b)) })
	return out
}

// spread adds up the segments of a stacked inner product and leaves the sum in
// each: sums of windows of Stack segments to the right, by doubling, hold the
// part of a segment's sum that is at or after it, and those one stack to the
// left of it the part before. Elsewhere something stays that no row meets.
func (ev *Evaluator) spread(wk *worker, m pair) pair {
	for _, k := range ev.plan.spreads() {
		turned := wk.rotate(m, k)
		for half := range m {
			for j, row := range turned[half].Coeffs {
				wk.mods[j].Add(m[half].Coeffs[j], row, m[half].Coeffs[j])
			}
		}
	}
	return m
}

// sums are turners, kept apart by worker until they are settled.
type sums struct {
	level    int
	byWorker [][]*turner
}

func (ev *Evaluator) newSums(n, level int) sums {
	s := sums{level: level, byWorker: make([][]*turner, len(ev.workers))}
	for i := range s.byWorker {
		s.byWorker[i] = make([]*turner, n)
	}
	return s
}

// of is the worker's part of sum i.
func (s sums) of(wk *worker, i int) *turner {
	mine := s.byWorker[wk.id]
	if mine[i] == nil {
		mine[i] = wk.newTurner(s.level)
	}
	return mine[i]
}

// settle joins all workers' parts of sum i; the zero pair if there are none.
func (s sums) settle(wk *worker, i int) pair {
	var all *turner
	for _, list := range s.byWorker {
		switch t := list[i]; {
		case t == nil:
		case all == nil:
			all = t
		default:
			wk.join(all, t)
		}
		list[i] = nil
	}
	if all == nil {
		return pair{}
	}
	return wk.settle(all)
}

// products sums block vectors from.. times the ciphertexts ws: of degree two,
// or one if the block is plain.
func (wk *worker) products(level int, block operand, from, n int, ws []pair) []ring.Poly {
	c := []ring.Poly{wk.profile.NewPolyQ(level), wk.profile.NewPolyQ(level), wk.profile.NewPolyQ(level)}
	wk.loop(level+1, func(row int) {
		m, out := &wk.mods[row], [3][]uint64{c[0].Coeffs[row], c[1].Coeffs[row], c[2].Coeffs[row]}
		if block.plain != nil {
			m.sumPlain(row, block.plain[from:from+n], ws[:n], out)
		} else {
			m.sumProducts(row, block.cipher[from:from+n], ws[:n], out)
		}
	})
	if block.plain != nil {
		return c[:2]
	}
	return c
}

// polynomial is e = 1/2 + c_1·u + u³·(c_3 + c_5·u² + c_7·u⁴), three levels below
// u, at scale q_3·2^24: the scale at which the product with a vector at 2^40,
// rescaled by q_3, is at exactly 2^64. Every scale on the way is a ratio of primes
// and powers of two; constants are rounded to integers at it, to 2^-24 of what
// they multiply.
func (wk *worker) polynomial(u pair, c [4]float64) pair {
	top := wk.profile.MaxLevel() // u is one below: scale 2^80/q_top
	prime := func(level int) *big.Rat { return new(big.Rat).SetInt(new(big.Int).SetUint64(wk.mods[level].q)) }
	times := func(a, b *big.Rat) *big.Rat { return new(big.Rat).Mul(a, b) }
	over := func(a, b *big.Rat) *big.Rat { return new(big.Rat).Quo(a, b) }
	power := func(k int) *big.Rat { return new(big.Rat).SetInt(new(big.Int).Lsh(big.NewInt(1), uint(k))) }
	first := over(power(2*wk.profile.LogScale()), prime(top))
	second := over(times(first, first), prime(top-1))
	third := over(times(first, second), prime(top-2))
	fourth := over(times(second, second), prime(top-2))
	out := times(prime(top-4), power(he.LogGradient-wk.profile.LogScale()))
	inner := over(times(out, prime(top-3)), third)

	square := wk.relinearise(wk.product(u, u))                  // top-2
	cube := wk.relinearise(wk.product(wk.at(u, top-2), square)) // top-3
	sum := wk.relinearise(wk.product(square, square))           // top-3: the fourth power
	wk.scale(sum, rounded(c[3], over(inner, fourth)))
	wk.addScaled(sum, wk.at(square, top-3), rounded(c[2], over(inner, second)))
	wk.addConstant(sum, rounded(c[1], inner))
	e := wk.relinearise(wk.product(cube, sum)) // top-4
	wk.addScaled(e, wk.at(u, top-4), rounded(c[0], over(out, first)))
	wk.addConstant(e, rounded(0.5, out))
	return e
}

// at is c at a lower level, sharing its residues.
func (wk *worker) at(c pair, level int) pair {
	return pair{ring.Poly{Coeffs: c[0].Coeffs[:level+1]}, ring.Poly{Coeffs: c[1].Coeffs[:level+1]}}
}

// scale multiplies c by k.
func (wk *worker) scale(c pair, k *big.Int) {
	r := wk.profile.RingQ(c[0].Level())
	r.MulScalarBigint(c[0], k, c[0])
	r.MulScalarBigint(c[1], k, c[1])
}

// addScaled adds k·b to c.
func (wk *worker) addScaled(c, b pair, k *big.Int) {
	r := wk.profile.RingQ(c[0].Level())
	r.MulScalarBigintThenAdd(b[0], k, c[0])
	r.MulScalarBigintThenAdd(b[1], k, c[1])
}

// addConstant adds k in every slot.
func (wk *worker) addConstant(c pair, k *big.Int) {
	wk.profile.RingQ(c[0].Level()).AddScalarBigint(c[0], k, c[0])
}

// rounded is the integer nearest to c·scale.
func rounded(c float64, scale *big.Rat) *big.Int {
	x := new(big.Rat).SetFloat64(c)
	x.Mul(x, scale)
	x.Add(x, big.NewRat(1, 2))
	n := new(big.Int)
	n.DivMod(x.Num(), x.Denom(), new(big.Int)) // Euclidean: the floor, for a positive denominator
	return n
}

// product is the degree-two product of two ciphertexts of one level.
func (wk *worker) product(a, b pair) []ring.Poly {
	return wk.products(a[0].Level(), operand{cipher: []pair{a}}, 0, 1, []pair{b})
}

// rotatedErrors is rot(e, −g·Baby) for every giant step g, or what stands for
// it in a wrapped plan.
func (ev *Evaluator) rotatedErrors(wk *worker, e pair) []pair {
	var ks []int
	for g := 1; g < ev.plan.giants(); g++ {
		k := -g * ev.plan.Packing.Baby
		if ev.plan.Wrapped {
			k += ev.plan.Packing.Width
		}
		ks = append(ks, k)
	}
	if len(ks) == 0 {
		return []pair{e}
	}
	return append([]pair{e}, wk.rotations(e, ks)...)
}

// fold is Σ_b rot(H_b, Width−b), H_b = Σ_g rot(e, −g·Baby)·Z_{g·Baby+b} summed
// over the blocks: sums over slots equal mod Width are those of rot(H_b, −b). A
// rotation is a baby and then a giant that all its siblings share.
func (ev *Evaluator) fold(blocks []operand, errors [][]pair, mine []int) pair {
	width, baby, step, giants := ev.plan.Packing.Width, ev.plan.Packing.Baby, ev.plan.Step, ev.plan.giants()
	level := ev.profile.Floor() + 1
	byGiant := ev.newSums(width/step, level)
	ev.each(baby, func(wk *worker, b int) {
		k := (width - b) % width
		h := wk.columnSum(level, blocks, errors, mine, b, baby, giants)
		wk.add(byGiant.of(wk, k/step), h, k%step)
	})
	parts := make([]pair, width/step)
	ev.each(len(parts), func(wk *worker, g int) {
		if parts[g] = byGiant.settle(wk, g); g > 0 && parts[g][0].Coeffs != nil {
			parts[g] = wk.rotate(parts[g], g*step)
		}
	})
	r, x := ev.profile.RingQ(level-1), parts[0] // which has b = 0
	for _, c := range parts[1:] {
		if c[0].Coeffs != nil {
			r.Add(x[0], c[0], x[0])
			r.Add(x[1], c[1], x[1])
		}
	}
	return x
}

// columnSum is H_b before its rescale.
func (wk *worker) columnSum(level int, blocks []operand, errors [][]pair, mine []int, b, baby, giants int) []ring.Poly {
	var all operand
	var es []pair
	for _, i := range mine {
		for g := range giants {
			if blocks[i].plain != nil {
				all.plain = append(all.plain, blocks[i].back[g*baby+b])
			} else {
				all.cipher = append(all.cipher, blocks[i].cipher[g*baby+b])
			}
			es = append(es, errors[i][g])
		}
	}
	if len(es) == 0 {
		return []ring.Poly{wk.profile.NewPolyQ(level), wk.profile.NewPolyQ(level)}
	}
	return wk.products(level, all, 0, len(es), es)
}
