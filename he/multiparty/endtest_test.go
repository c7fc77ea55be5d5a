package multiparty

import (
	"math"
	"math/big"
	"testing"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/hetest"
	"github.com/tuneinsight/lattigo/v5/core/rlwe"
	"github.com/tuneinsight/lattigo/v5/ring"
	"github.com/tuneinsight/lattigo/v5/ring/ringqp"
)

// Key errors are those of lattigo's own keys, times what n parties and their
// secrets make of them: √n in a Galois key; s·e0 + u·e1 in a relinearisation
// key, each 2N products of variance n·2/3 times n·σ².
func TestKeyErrors(t *testing.T) {
	ps := hetest.Profiles(t)
	const n = 3
	parties := convene(t, testPlan(ps), "epoch", n, ceremonyDefences{})
	finishAll(t, parties)
	set := extend(t, parties, Plan{Train: ps.Train, Release: ps.Release, TrainRotations: []int{3}, ReleaseRotations: []int{5}}, "task", ceremonyDefences{})
	finishAll(t, set)
	for _, p := range testPlan(ps).profiles() {
		all := together(parties, p)
		keys, err := parties[0].EvaluationKeys(p).With(set[0].EvaluationKeys(p))
		if err != nil {
			t.Fatal(err)
		}
		gen := rlwe.NewKeyGenerator(p.RLWE())
		single := gen.GenSecretKeyNew()
		for element, key := range keys.Galois {
			own := ofMany(func() float64 {
				return keyError(p, gen.GenGaloisKeyNew(element, single).GadgetCiphertext, single.Value, permuted(p, element, single.Value))
			})
			got := keyError(p, key.GadgetCiphertext, all.Value, permuted(p, element, all.Value))
			if want := own * math.Sqrt(n); math.Abs(got/want-1) > 0.05 {
				t.Errorf("%s: Galois error %.2f, want %.2f", p.Name(), got, want)
			}
		}
		own := ofMany(func() float64 {
			return keyError(p, gen.GenRelinearizationKeyNew(single).GadgetCiphertext, squared(p, single.Value), single.Value)
		})
		got := keyError(p, keys.Relin.GadgetCiphertext, squared(p, all.Value), all.Value)
		if want := own * math.Sqrt(2*2*float64(p.N())*n*n*2/3); math.Abs(got/want-1) > 0.1 {
			t.Errorf("%s: relinearisation error %.0f, want %.0f; one key's is %.2f", p.Name(), got, want, own)
		}
	}
}

// ofMany is the root mean square of the errors of 64 keys. One key of a small ring
// has so few coefficients that its own is now and then five percent off, and
// lattigo's keys take no seed.
func ofMany(keyError func() float64) float64 {
	sum := 0.0
	for range 64 {
		e := keyError()
		sum += e * e
	}
	return math.Sqrt(sum / 64)
}

func permuted(p *he.Profile, element uint64, s ringqp.Poly) ringqp.Poly {
	r := p.RingQP()
	out, inverse := r.NewPoly(), ring.ModExp(element, r.RingQ.NthRoot()-1, r.RingQ.NthRoot())
	r.AutomorphismNTT(s, inverse, out)
	return out
}

func squared(p *he.Profile, s ringqp.Poly) ringqp.Poly {
	out := p.RingQP().NewPoly()
	p.RingQP().MulCoeffsMontgomery(s, s, out)
	return out
}

// keyError is the root mean square of the error of a key from one secret to
// another, over all digits, read modulo the first prime.
func keyError(p *he.Profile, key rlwe.GadgetCiphertext, from, to ringqp.Poly) float64 {
	sub, sum := p.RingQ(0).SubRings[0], 0.0
	row := make([]uint64, p.N())
	special := new(big.Int).Mod(p.RingQP().RingP.ModulusAtLevel[p.Special()-1], new(big.Int).SetUint64(sub.Modulus)).Uint64()
	for i, digit := range key.Value {
		sub.MulCoeffsMontgomery(digit[0][1].Q.Coeffs[0], to.Q.Coeffs[0], row)
		sub.Add(row, digit[0][0].Q.Coeffs[0], row)
		sub.IMForm(row, row)
		if i == 0 {
			lifted := make([]uint64, p.N())
			sub.MulScalarMontgomery(from.Q.Coeffs[0], special, lifted) // out of Montgomery form
			sub.Sub(row, lifted, row)
		}
		sub.INTT(row, row)
		for _, x := range row {
			e := float64(x)
			if x > sub.Modulus/2 {
				e = -float64(sub.Modulus - x)
			}
			sum += e * e
		}
	}
	return math.Sqrt(sum / float64(len(key.Value)*p.N()))
}

// The derived bounds hold, with the test's own ciphertexts and openings.
func TestEndTestBounds(t *testing.T) {
	insecure := hetest.Profiles(t)
	for _, n := range []int{2, 5} {
		base := convene(t, testPlan(insecure), "epoch", n, ceremonyDefences{})
		checkBounds(t, base)
		checkBounds(t, extend(t, base, testPlan(insecure), "task", ceremonyDefences{}))
	}
	if !testing.Short() {
		ps := he.Standard()
		base := convene(t, Plan{Train: ps.Train, Release: ps.Release, TrainRotations: []int{1}}, "epoch", 3, ceremonyDefences{})
		checkBounds(t, base)
		checkBounds(t, extend(t, base, Plan{Train: ps.Train, Release: ps.Release, TrainRotations: []int{4, 8}}, "task", ceremonyDefences{}))
	}
}

// checkBounds drives to the end, and looks at the end test on the way.
func checkBounds(t *testing.T, parties []*Ceremony) {
	t.Helper()
	n, plan := len(parties), parties[0].plan
	var tests []keyTest
	var sums []*he.Object
	inStep(t, parties, func(from int, msg []byte) []byte {
		if c := parties[from]; c.stage == endTest {
			tests, sums = c.tests, c.exchanges[endTest].sums
		}
		return msg
	})
	for i, part := range parties[0].script[endTest] {
		p := part.profile
		logFlood, logBound := testBounds(p, n, len(plan.elements(p)))
		logNoise := logFlood - (he.LogStat - 1 + (he.LogRefreshes+p.Spec().LogN+1)/2)
		// The error alone: opened with the sum of all secrets and no flooding.
		all := &forge{secrets: &Secrets{Train: together(parties, p)}}
		exact := tests[i].logError(all.openShare(part, tests[i].ciphertext, -1))
		opened := tests[i].logError(sums[i])
		t.Logf("N = %d, %d parties, %s: error 2^%d of at most 2^%d, opened within 2^%d of at most 2^%d", p.N(), n, p.Name(), exact, logNoise, opened, logBound)
		if exact > logNoise || opened > logBound {
			t.Errorf("%d parties, %s: a bound does not hold", n, p.Name())
		}
		if opened < logFlood {
			t.Errorf("%d parties, %s: opened within 2^%d; a flooding of 2^%d is missing", n, p.Name(), opened, logFlood)
		}
	}
}

// What a key error below the end test's bound takes of the bits that hide a
// release of one product.
func TestHiddenKeyErrors(t *testing.T) {
	p := he.Standard().Release
	for n, want := range map[int]int{2: 11, 3: 13, he.MaxParties: 18} {
		_, logBound := testBounds(p, n, 0)
		if got := logBound - (Flooding{Terms: 1, Width: 32, LogA: 3, LogB: 3, Directions: 1}).Error(p, n).BitLen(); got != want {
			t.Errorf("%d parties: %d bits, want %d", n, got, want)
		}
	}
}

func TestStandardPlanFits(t *testing.T) {
	if testing.Short() {
		t.Skip("the production profiles take a second") // nothing smaller says whether they fit
	}
	ps := he.Standard()
	plan := Plan{Train: ps.Train, Release: ps.Release}
	for k := 1; k <= 64; k++ {
		plan.TrainRotations = append(plan.TrainRotations, k)
		plan.ReleaseRotations = append(plan.ReleaseRotations, k)
	}
	if err := plan.check(he.MaxParties); err != nil {
		t.Error(err)
	}
}
