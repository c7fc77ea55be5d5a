package he_test

import (
	"bytes"
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/hetest"
)

func rowsOf(n, columns int) he.Rows {
	rng := rand.New(rand.NewPCG(5, 6))
	x := he.Rows{Columns: columns, Values: make([]float64, n*columns)}
	for i := range x.Values {
		x.Values[i] = rng.Float64()*2 - 1
	}
	return x
}

// A querier is a key pair of the serving profile.
func querier(p *he.Profile) (*he.SecretKey, *he.PublicKey) {
	seed := he.Seed{42}
	sk := he.NewSecretKey(p, seed.Stream("sk"))
	return sk, he.GenPublicKey(sk, he.QuerierSeed(he.HashParts("session"), "quinn", 0), seed.Stream("pk"))
}

// Rows lie in their coefficients, k·width + j, and nothing lies elsewhere.
func TestQueryHoldsItsRows(t *testing.T) {
	p := hetest.Profiles(t).Serve
	sk, pk := querier(p)
	const width, n = 16, 5
	x := rowsOf(n, 11)
	q, err := he.EncryptQueries(pk, x, width, he.Seed{1}.Derive("q"))
	if err != nil {
		t.Fatal(err)
	}
	all := make([]int, p.N())
	for i := range all {
		all[i] = i
	}
	c := &he.Ciphertext{Profile: p, LogScale: p.LogScale(), C0: q.C0, C1: q.C1}
	// Half a unit of rounding, and six deviations of u·e + e0 + e1·s.
	bound := math.Ldexp(0.5+6*he.Sigma*math.Sqrt(float64(4*p.N())/3+1), -p.LogScale())
	for at, got := range sk.Values(c, all) {
		want := 0.0
		if k, j := at/width, at%width; k < n && j < x.Columns {
			want = x.Row(k)[j]
		}
		if math.Abs(got-want) > bound {
			t.Fatalf("coefficient %d is %g, want %g within %g", at, got, want, bound)
		}
	}
}

func TestQueriesAreChecked(t *testing.T) {
	p := hetest.Profiles(t).Serve
	_, pk := querier(p)
	nan := rowsOf(3, 4)
	nan.Values[6] = math.NaN()
	for _, tc := range []struct {
		name  string
		x     he.Rows
		width int
	}{
		{"too many rows", rowsOf(p.N()/16+1, 4), 16},
		{"too many columns", rowsOf(2, 17), 16},
		{"no power of two", rowsOf(2, 4), 12},
		{"too wide", rowsOf(1, 4), 512},
		{"half a row", he.Rows{Columns: 4, Values: make([]float64, 6)}, 16},
		{"not a number", nan, 16},
	} {
		if _, err := he.EncryptQueries(pk, tc.x, tc.width, he.Seed{1}.Derive("q")); err == nil {
			t.Errorf("%s: accepted", tc.name)
		}
	}
	var rangeErr *he.RangeError
	if _, err := he.EncryptQueries(pk, nan, 16, he.Seed{1}.Derive("q")); !errors.As(err, &rangeErr) || rangeErr.Row != 1 || rangeErr.Column != 2 {
		t.Errorf("a value that is no number gave %v; want its place, row 1, column 2", err)
	}
}

// L6: a key under any seed but the one derived for its owner is refused.
func TestQuerierKeyIsOfItsSeed(t *testing.T) {
	p := hetest.Profiles(t).Serve
	_, pk := querier(p)
	b := pk.Append(nil)
	session := he.HashParts("session")
	if k, err := he.ParseQuerierKey(b, p, he.QuerierSeed(session, "quinn", 0)); err != nil || !bytes.Equal(k.Append(nil), b) {
		t.Errorf("quinn's key: %v", err)
	}
	for _, seed := range [][32]byte{he.QuerierSeed(session, "quinn", 1), he.QuerierSeed(session, "ruth", 0), he.QuerierSeed(he.HashParts("other"), "quinn", 0)} {
		var decode *he.DecodeError
		if _, err := he.ParseQuerierKey(b, p, seed); !errors.As(err, &decode) {
			t.Errorf("a key of another seed: %v", err)
		}
	}
}

func TestWide(t *testing.T) {
	const logBound, n = 24, 1<<16 + 1
	v := make([]int64, n)
	he.Seed{8}.Stream("wide").Wide(v, logBound)
	var sum, square float64
	for _, x := range v {
		if x < -1<<logBound || x >= 1<<logBound {
			t.Fatalf("%d is out of range", x)
		}
		y := math.Ldexp(float64(x), -logBound)
		sum, square = sum+y, square+y*y
	}
	// Uniform on [-1, 1): deviations 1/√3 of a value and √(4/45) of its square.
	if mean, variance := sum/n, square/n; math.Abs(mean) > 6/math.Sqrt(3*n) || math.Abs(variance-1./3) > 6*math.Sqrt(4./45/n) {
		t.Errorf("mean %g and mean square %g of uniform values in [-1, 1)", mean, variance)
	}
}

// The grid's steps fill the modulus but for an error that answers do not feel.
func TestAnswerGrid(t *testing.T) {
	for _, p := range []*he.Profile{hetest.Profiles(t).Serve, he.Standard().Serve} {
		for _, parts := range []int{0, he.LogParts} {
			k, m := p.AnswerGrid(parts)
			rest := p.Modulus(p.MaxLevel())
			rest.Sub(rest, new(big.Int).Mul(k, new(big.Int).SetUint64(m)))
			if k.BitLen() < 66+parts || k.BitLen() > 67+parts || m >= 1<<(38-parts) || rest.Sign() < 0 || rest.BitLen() > 26-parts {
				t.Errorf("steps of %v, %d of them, leave %v", k, m, rest)
			}
		}
	}
}

// Attack: a querier restarts and draws the same coins for other rows. The
// difference of the two queries is the difference of the rows, and no key is
// needed. Coins are bound to the rows.
func TestAttackReusedQuerySeed(t *testing.T) {
	p := hetest.Profiles(t).Serve
	_, pk := querier(p)
	const width = 16
	difference := func(encrypt func(x he.Rows) (*he.Query, error)) float64 {
		var qs [2]*he.Query
		for i, x := range []float64{0.75, -0.5} {
			var err error
			if qs[i], err = encrypt(he.Rows{Columns: 2, Values: []float64{1, x}}); err != nil {
				t.Fatal(err)
			}
		}
		r := p.RingQ(1)
		d := r.NewPoly()
		r.Sub(qs[0].C0, qs[1].C0, d)
		r.INTT(d, d)
		f, _ := new(big.Float).SetInt(he.Centred(r, d, []int{1})[0]).Float64()
		return math.Ldexp(f, -p.LogScale())
	}
	if got := difference(func(x he.Rows) (*he.Query, error) { return he.EncryptQueriesUnbound(pk, x, width, he.Seed{3}) }); math.Abs(got-1.25) > 1e-6 {
		t.Fatalf("with the same coins the attack should read 1.25, it reads %g", got)
	}
	if got := difference(func(x he.Rows) (*he.Query, error) { return he.EncryptQueries(pk, x, width, he.Seed{3}) }); math.Abs(got) < 1e3 {
		t.Errorf("the difference of two queries is %g", got)
	}
}

func TestCentred(t *testing.T) {
	r := hetest.Profiles(t).Serve.RingQ(1)
	q := r.ModulusAtLevel[1]
	m := r.NewPoly()
	for i, sub := range r.SubRings[:2] {
		m.Coeffs[i][0], m.Coeffs[i][1] = 7, sub.Modulus-7
		m.Coeffs[i][2] = (sub.Modulus - 1) / 2 // (q-1)/2: twice it is -1
		m.Coeffs[i][3] = (sub.Modulus + 1) / 2 // (q+1)/2, that is -(q-1)/2
	}
	got := he.Centred(r, m, []int{1, 0, 2, 3})
	if got[0].Int64() != -7 || got[1].Int64() != 7 || got[2].Sign() < 0 || got[3].Sign() > 0 || got[2].CmpAbs(got[3]) != 0 || got[2].BitLen() != q.BitLen()-1 {
		t.Errorf("centred: %v of modulus %v", got, q)
	}
}

// Law L1: whatever is accepted, Append gives back byte for byte.
func FuzzQueryBytes(f *testing.F) {
	p := hetest.Profiles(f).Serve
	_, pk := querier(p)
	q, err := he.EncryptQueries(pk, rowsOf(2, 4), 16, he.Seed{1}.Derive("q"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(q.Append(nil), 16)
	f.Add(q.Append(nil)[:100], 16)
	f.Fuzz(func(t *testing.T, b []byte, width int) {
		q, err := he.ParseQuery(b, p, width)
		if err == nil && (!bytes.Equal(q.Append(nil), b) || q.Width != width) {
			t.Errorf("%d bytes were accepted and encode otherwise", len(b))
		}
	})
}

func FuzzAnswerBytes(f *testing.F) {
	p := hetest.Profiles(f).Serve
	a := &he.Answer{Profile: p, Width: 16, C0: p.NewPolyQ(1), C1: p.NewPolyQ(1)}
	f.Add(a.Append(nil), 16)
	f.Add(a.Append(nil)[:100], 16)
	f.Fuzz(func(t *testing.T, b []byte, width int) {
		a, err := he.ParseAnswer(b, p, width)
		if err == nil && (!bytes.Equal(a.Append(nil), b) || a.Width != width) {
			t.Errorf("%d bytes were accepted and encode otherwise", len(b))
		}
	})
}

func BenchmarkQueryEncrypt(b *testing.B) {
	p := he.Standard().Serve
	_, pk := querier(p)
	x := rowsOf(128, 32)
	var size int
	for b.Loop() {
		q, err := he.EncryptQueries(pk, x, 32, he.Seed{1}.Derive("q"))
		if err != nil {
			b.Fatal(err)
		}
		size = len(q.Append(nil))
	}
	b.ReportMetric(float64(size)/128, "wire-B/query")
}

func BenchmarkQueryDecrypt(b *testing.B) {
	p := he.Standard().Serve
	sk, _ := querier(p)
	a := &he.Answer{Profile: p, Width: 32, C0: p.NewPolyQ(1), C1: p.NewPolyQ(1)}
	s := he.Seed{2}.Stream("a")
	s.Uniform(p.RingQ(1), a.C0)
	s.Uniform(p.RingQ(1), a.C1)
	for b.Loop() {
		sk.DecryptAnswers(a, 128, 0)
	}
	b.ReportMetric(128*float64(b.N)/b.Elapsed().Seconds(), "answers/s")
}
