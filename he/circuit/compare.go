package circuit

import (
	"fmt"
	"math"
	"math/big"

	"github.com/commonseal/commonseal/he"
	"github.com/tuneinsight/lattigo/v5/core/rlwe"
	"github.com/tuneinsight/lattigo/v5/ring"
)

// A Comparer evaluates what the near-copy test needs between its maps, under
// the train keys. It is used by one goroutine. Its numbers keep more digits
// than a gradient's, so it relinearises before it rescales and takes no rotation.
type Comparer struct {
	profile *he.Profile
	keys    *he.EvaluationKeys
	eval    *rlwe.Evaluator
}

// NewComparer takes the train profile's keys; it needs no Galois key.
func NewComparer(keys *he.EvaluationKeys) *Comparer {
	return &Comparer{profile: keys.Profile, keys: keys, eval: rlwe.NewEvaluator(keys.Profile.RLWE(), keys.Set())}
}

// Gram adds up the products of rows and columns of the valued steps, at the top
// level, and gives their sum at the comparison's level and scale 2^(2·LogUpdate).
func (c *Comparer) Gram(rows, columns []*he.Ciphertext) (*he.Ciphertext, error) {
	if len(rows) == 0 || len(rows) != len(columns) {
		return nil, fmt.Errorf("%d rows and %d columns; a comparison takes one of each for every valued step", len(rows), len(columns))
	}
	if err := c.fresh(append(append([]*he.Ciphertext(nil), rows...), columns...)...); err != nil {
		return nil, err
	}
	var sum pair
	for t := range rows {
		product := c.multiply(pair{rows[t].C0, rows[t].C1}, pair{columns[t].C0, columns[t].C1})
		if t == 0 {
			sum = product
			continue
		}
		r := c.profile.RingQ(c.profile.MaxLevel())
		r.Add(sum[0], product[0], sum[0])
		r.Add(sum[1], product[1], sum[1])
	}
	return c.ciphertext(sum, 2*he.LogUpdate), nil
}

// Cross is x² − y·z slot by slot, of fresh outputs of the Gram map.
func (c *Comparer) Cross(x, y, z *he.Ciphertext) (*he.Ciphertext, error) {
	if err := c.fresh(x, y, z); err != nil {
		return nil, err
	}
	square, product := c.multiply(pair{x.C0, x.C1}, pair{x.C0, x.C1}), c.multiply(pair{y.C0, y.C1}, pair{z.C0, z.C1})
	r := c.profile.RingQ(c.profile.MaxLevel())
	r.Sub(square[0], product[0], square[0])
	r.Sub(square[1], product[1], square[1])
	return c.ciphertext(square, 2*he.LogCosine), nil
}

// Signs is how often a number is sharpened until its sign is left: numbers from
// 2^-28 of the largest on are ±1 to within 2^-20, and so what is opened says
// nothing more of them. The nearer to zero a number below that is, the less it
// moves: there the bit is soft, and says how near.
const Signs = steep + flat

// steep polynomials multiply what is near zero by 4.48 and keep what is above a
// quarter there; flat ones make ±1 of it.
const (
	steep = 13
	flat  = 3
)

// signs are the odd coefficients of g_3·2^10 and f_3·2^4 of Cheon, Kim and Kim,
// "Efficient homomorphic comparison methods with optimal complexity", ASIACRYPT
// 2020.
var signs = [2][4]float64{
	{4589.0 / 1024, -16577.0 / 1024, 25614.0 / 1024, -12860.0 / 1024},
	{35.0 / 16, -35.0 / 16, 21.0 / 16, -5.0 / 16},
}

// sign is the polynomial of round k.
func sign(k int) [4]float64 {
	if k < steep {
		return signs[0]
	}
	return signs[1]
}

// Sharpened is the twin of k rounds of Sharpen on a number in [-1, 1].
func Sharpened(x float64, k int) float64 {
	for i := range k {
		c, y := sign(i), x*x
		x *= c[0] + y*(c[1]+y*(c[2]+y*c[3]))
	}
	return x
}

// Sharpen is round k's polynomial in every slot of x, a fresh output of a map at
// scale 2^LogSign, at the comparison's level and scale exactly 2^LogSigned:
//
//	x·(c1 + c3·x² + (c5 + c7·x²)·x⁴)
//
// The squares are rescaled by one prime each and the result by two, which its
// constants are chosen for. Depth 4.
func (c *Comparer) Sharpen(x *he.Ciphertext, k int) (*he.Ciphertext, error) {
	if err := c.fresh(x); err != nil {
		return nil, err
	}
	if k < 0 || k >= Signs {
		return nil, fmt.Errorf("round %d of sharpening; there are %d", k, Signs)
	}
	top, coefficients := c.profile.MaxLevel(), sign(k)
	one := pair{x.C0, x.C1}
	first := power2(he.LogSign)
	square := c.rescale(c.multiply(one, one)) // top-1
	second := c.under(first, first, top)
	fourth := c.rescale(c.multiply(square, square)) // top-2
	forth := c.under(second, second, top-1)

	out := power2(he.LogSigned)
	for l := top - 2; l > c.profile.CompareLevel(); l-- {
		out.Mul(out, c.prime(l))
	}
	over := func(scales ...*big.Rat) *big.Rat {
		s := new(big.Rat).Set(out)
		for _, x := range scales {
			s.Quo(s, x)
		}
		return s
	}
	r := c.profile.RingQ(top - 2)
	scaled := func(p pair, k *big.Int) pair {
		p, q := cut(p, top-2), pair{r.NewPoly(), r.NewPoly()}
		r.MulScalarBigint(p[0], k, q[0])
		r.MulScalarBigint(p[1], k, q[1])
		return q
	}
	inner := scaled(square, rounded(coefficients[3], over(first, forth, second)))
	r.AddScalarBigint(inner[0], rounded(coefficients[2], over(first, forth)), inner[0])
	inner = c.multiply(inner, fourth)
	linear := scaled(square, rounded(coefficients[1], over(first, second)))
	r.Add(inner[0], linear[0], inner[0])
	r.Add(inner[1], linear[1], inner[1])
	r.AddScalarBigint(inner[0], rounded(coefficients[0], over(first)), inner[0])
	result := c.multiply(inner, cut(one, top-2))
	for result[0].Level() > c.profile.CompareLevel() {
		result = c.rescale(result)
	}
	return c.ciphertext(result, he.LogSigned), nil
}

func power2(bits int) *big.Rat {
	return new(big.Rat).SetInt(new(big.Int).Lsh(big.NewInt(1), uint(bits)))
}

// prime is the one of a level.
func (c *Comparer) prime(level int) *big.Rat {
	return new(big.Rat).SetInt(new(big.Int).SetUint64(c.profile.RingQ(level).SubRings[level].Modulus))
}

// under is the scale of a product that is rescaled from a level.
func (c *Comparer) under(a, b *big.Rat, level int) *big.Rat {
	s := new(big.Rat).Mul(a, b)
	return s.Quo(s, c.prime(level))
}

// cut is c at a lower level, sharing its residues.
func cut(c pair, level int) pair {
	return pair{ring.Poly{Coeffs: c[0].Coeffs[:level+1]}, ring.Poly{Coeffs: c[1].Coeffs[:level+1]}}
}

// multiply is the relinearised product of two ciphertexts of one level.
func (c *Comparer) multiply(a, b pair) pair {
	return relinearised(c.profile, c.keys, c.eval, a, b)
}

// rescale divides by the level's prime.
func (c *Comparer) rescale(a pair) pair {
	level := a[0].Level()
	r, buffer := c.profile.RingQ(level), c.profile.NewPolyQ(level)
	out := pair{c.profile.NewPolyQ(level - 1), c.profile.NewPolyQ(level - 1)}
	for i := range a {
		r.DivRoundByLastModulusNTT(a[i], buffer, out[i])
	}
	return out
}

// ciphertext is a at the comparison's level.
func (c *Comparer) ciphertext(a pair, logScale int) *he.Ciphertext {
	return (&he.Ciphertext{Profile: c.profile, LogScale: logScale, C0: a[0], C1: a[1]}).At(c.profile.CompareLevel())
}

// fresh refuses what is no fresh output of a map.
func (c *Comparer) fresh(cs ...*he.Ciphertext) error {
	for _, x := range cs {
		if x.Profile.Digest() != c.profile.Digest() || x.Level() != c.profile.MaxLevel() || x.LogScale != c.profile.LogScale() {
			return fmt.Errorf("compare: an operand is at level %d and scale 2^%d of %s; it takes the top level and scale of %s", x.Level(), x.LogScale, x.Profile.Name(), c.profile.Name())
		}
	}
	return nil
}

// Both is (e + ½)·(x + ½) in every slot, of halves of signs: 1 where both are
// positive and 0 where one is negative.
func (v *Valuer) Both(e, x *he.Ciphertext) (*he.Ciphertext, error) {
	half := new(big.Int).Lsh(big.NewInt(1), uint(v.profile.LogScale()-1))
	var shifted []*he.Ciphertext
	for _, c := range []*he.Ciphertext{e, x} {
		if c.Profile.Digest() != v.profile.Digest() || c.Level() != v.profile.MaxLevel() {
			return nil, fmt.Errorf("a half of a sign is at level %d of %s; it takes the top level of %s", c.Level(), c.Profile.Name(), v.profile.Name())
		}
		s := &he.Ciphertext{Profile: c.Profile, LogScale: c.LogScale, C0: *c.C0.CopyNew(), C1: c.C1}
		v.profile.RingQ(c.Level()).AddScalarBigint(s.C0, half, s.C0)
		shifted = append(shifted, s)
	}
	return v.Value(shifted[0], shifted[1])
}

// relinearised is the product of two ciphertexts of one level, of degree one.
func relinearised(p *he.Profile, keys *he.EvaluationKeys, eval *rlwe.Evaluator, a, b pair) pair {
	level := a[0].Level()
	r := p.RingQ(level)
	out, square := pair{r.NewPoly(), r.NewPoly()}, r.NewPoly()
	r.MulCoeffsBarrett(a[1], b[1], square)
	relin := &rlwe.Ciphertext{Element: rlwe.Element[ring.Poly]{Value: []ring.Poly{out[0], out[1]}, MetaData: &rlwe.MetaData{}}}
	relin.IsNTT = true
	eval.GadgetProduct(level, square, &keys.Relin.GadgetCiphertext, relin)
	r.MulCoeffsBarrettThenAdd(a[0], b[0], out[0])
	r.MulCoeffsBarrettThenAdd(a[0], b[1], out[1])
	r.MulCoeffsBarrettThenAdd(a[1], b[0], out[1])
	return out
}

// Near is the twin of the whole test on inner products below 1: whether x > 0
// and x² ≥ y·z.
func Near(x, y, z float64) float64 {
	half := func(v float64) float64 { return (1 + Sharpened(v, Signs)) / 2 }
	return half(math.FMA(x, x, -float64(y*z))) * half(x)
}
