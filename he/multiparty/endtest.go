package multiparty

import (
	"math/big"
	"math/bits"

	"github.com/commonseal/commonseal/he"
	"github.com/tuneinsight/lattigo/v5/core/rlwe"
	"github.com/tuneinsight/lattigo/v5/ring"
)

// A keyTest is a ciphertext that every new key of a profile has had a hand in,
// and what it must open to.
type keyTest struct {
	ciphertext *he.Ciphertext
	want       ring.Poly // NTT domain
}

// keyTests are the tests of every new key, by part of the end test.
func (c *proceedings) keyTests() []keyTest {
	if c.tests == nil {
		for _, p := range c.exchanges[endTest].parts {
			c.tests = append(c.tests, c.newKeyTest(p.profile))
		}
	}
	return c.tests
}

// newKeyTest encrypts zero, squares and relinearises it, adds an encryption of
// a random ternary polynomial at a scale above the test's bound, and takes the
// sum through every Galois key in turn. A key set's, whose relinearisation key
// was tested with the epoch, leaves out the square.
//
// Plaintexts and coins are expanded from the digest of the finished keys, so
// that no share was chosen knowing them and everybody makes the same
// ciphertext. They are public: what its exact error would say about the secrets
// is for the flooding of its shares to hide.
//
// The flooding also hides what is wrong with a key below it: a company that
// departs from the protocol can leave errors up to the test's bound, which takes
// up to 18 of the 56 bits that hide a release of width 32. That is outside the
// promise.
func (c *proceedings) newKeyTest(p *he.Profile) keyTest {
	keys, d, level := c.KeyDigest(), p.Digest(), p.MaxLevel()
	coins, r := he.PublicStream("ceremony/test", keys[:], d[:]), p.RingQ(level)
	elements, pk := c.plan.elements(p), c.publicKey(p)

	_, logBound := testBounds(p, c.roster.N(), len(elements))
	ternary := make([]int64, p.N())
	coins.Ternary(ternary)
	want := p.SmallQ(level, ternary)
	r.MulScalarBigint(want, new(big.Int).Lsh(big.NewInt(1), uint(logBound+1)), want)

	zero, message := pk.EncryptZero(level, 0, coins), pk.Encrypt(want, 0, coins)
	eval := rlwe.NewEvaluator(p.RLWE(), rlwe.NewMemEvaluationKeySet(c.relinKey(p)))
	ct := message.RLWE()
	if !c.isKeySet() {
		square := tensor(r, zero)
		must(eval.Relinearize(square, square))
		for i := range ct.Value {
			r.Add(ct.Value[i], square.Value[i], ct.Value[i])
		}
	}
	for _, element := range elements {
		set := rlwe.NewMemEvaluationKeySet(nil, c.galoisKey(p, element)) // one at a time: a set may be larger than the ceremony
		must(eval.WithKey(set).Automorphism(ct, element, ct))
		permuted := r.NewPoly()
		r.AutomorphismNTT(want, element, permuted)
		want = permuted
	}
	return keyTest{ciphertext: &he.Ciphertext{Profile: p, C0: ct.Value[0], C1: ct.Value[1]}, want: want}
}

func must(err error) {
	if err != nil {
		panic("multiparty: " + err.Error()) // unreachable: the operand's degree and the key are ours
	}
}

// tensor is the square of c, of degree two.
func tensor(r *ring.Ring, c *he.Ciphertext) *rlwe.Ciphertext {
	out := c.RLWE()
	m0, m1 := r.NewPoly(), r.NewPoly()
	r.MForm(c.C0, m0)
	r.MForm(c.C1, m1)
	out.Value = []ring.Poly{r.NewPoly(), r.NewPoly(), r.NewPoly()}
	r.MulCoeffsMontgomery(c.C0, m0, out.Value[0])
	r.MulCoeffsMontgomery(c.C0, m1, out.Value[1])
	r.Add(out.Value[1], out.Value[1], out.Value[1])
	r.MulCoeffsMontgomery(c.C1, m1, out.Value[2])
	return out
}

// openShare is c1·s + e in the coefficient domain, e of deviation 2^logFlood.
// A negative logFlood is no flooding at all, for attack tests alone.
func (f *forge) openShare(p part, c *he.Ciphertext, logFlood int) *he.Object {
	r, o, digest := p.profile.RingQ(c.Level()), he.NewObject(p.object()), c.Digest()
	h := o.Polys()[0]
	r.MulCoeffsMontgomery(c.C1, f.secrets.Of(p.profile).Value.Q, h)
	r.INTT(h, h)
	if logFlood >= 0 {
		f.stream("ceremony/flood", p, digest[:]).AddFlood(r, logFlood, h)
	}
	return o
}

// logError is log2 of the largest coefficient by which the test, opened with
// the sum of all shares, misses what it must open to.
func (t keyTest) logError(sum *he.Object) int {
	r, miss := t.ciphertext.Profile.RingQ(t.ciphertext.Level()), t.ciphertext.Profile.NewPolyQ(t.ciphertext.Level())
	r.Sub(t.ciphertext.C0, t.want, miss)
	r.INTT(miss, miss)
	r.Add(miss, sum.Polys()[0], miss)
	values := make([]*big.Int, r.N())
	for i := range values {
		values[i] = new(big.Int)
	}
	r.PolyToBigintCentered(miss, 1, values)
	worst := 0
	for _, v := range values {
		worst = max(worst, v.BitLen())
	}
	return worst
}

// testBounds derives, in bits, the deviation of every party's flooding in the
// end test of n parties and so many Galois keys, and the bound within which an
// honest test opens.
//
// With ‖ab‖ <= 2N·‖a‖·‖b‖, secrets of norm n and errors of norm 19n when added
// up, the test's error is at most, in the worst case:
//
//	fresh     u·e + e0 + e1·s              2·2N·19n + 19
//	square    of a fresh error             2N·fresh²
//	switch    by a key of error x          digits·2N·(largest digit)·x/P, and rounding (1 + 2N·n) a special prime
//	          relinearisation              x = s·e0 + u·e1 + e2 + e3 <= 2·2N·19n² + 2·19n
//	          Galois                       x = 19n
//
// One party's flooding alone hides it: with deviation 2^k times a bound on the
// error, q openings are within √(q·N)/2^(k+1) of openings that do not depend on
// it (Pinsker's inequality on discrete Gaussians a shift apart), so k =
// LogStat - 1 + (log2 q + log2 N)/2. The test counts as one of the q =
// 2^LogRefreshes openings of an epoch. The sum of n floodings stays within 16
// of its deviations but for 2^-183 a coefficient.
func testBounds(p *he.Profile, n, keys int) (logFlood, logBound int) {
	logN, logParties := bits.Len(uint(p.N()-1)), bits.Len(uint(n-1))
	logRing, logError := logN+1, logParties+5 // 2N; 19n
	fresh := logRing + logError + 1
	square := logRing + 2*fresh
	logDigits, logRatio := bits.Len(uint(p.Digits()-1)), max(0, digitBits(p)-specialBits(p))
	rounding := bits.Len(uint(p.Special())) + logRing + logParties + 1
	through := func(key int) int { return 1 + max(logDigits+logRing+logRatio+key, rounding) }
	relin := through(logRing + logError + logParties + 1)
	galois := through(logError) + bits.Len(uint(keys))

	noise := max(fresh, square, relin, galois) + 2 // four terms
	logFlood = noise + he.LogStat - 1 + (he.LogRefreshes+logN+1)/2
	return logFlood, logFlood + 4 + (logParties+1)/2 + 1 // 16·√n deviations, and the error
}

// digitBits is the bit length of the largest gadget digit.
func digitBits(p *he.Profile) (most int) {
	q := p.RLWE().Q()
	for first := 0; first < len(q); first += p.Special() {
		sum := 0
		for _, prime := range q[first:min(first+p.Special(), len(q))] {
			sum += bits.Len64(prime)
		}
		most = max(most, sum)
	}
	return most
}

// specialBits is log2 of the product of the special primes, rounded down.
func specialBits(p *he.Profile) (sum int) {
	for _, prime := range p.RLWE().P() {
		sum += bits.Len64(prime) - 1
	}
	return sum
}
