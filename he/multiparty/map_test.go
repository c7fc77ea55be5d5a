package multiparty

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/hetest"
	"github.com/tuneinsight/lattigo/v5/ring"
)

// holders makes n parties with keys of the profiles, and the sums that only a
// test may hold.
func holders(t testing.TB, ps he.Profiles, n int) (Roster, []*Secrets, map[string]*he.SecretKey) {
	t.Helper()
	names := []string{"ann", "bob", "cal", "dee", "eve"}[:n]
	roster, err := NewRoster(he.HashParts("test"), names)
	if err != nil {
		t.Fatal(err)
	}
	roster.CRS = he.HashParts("test/crs")
	var parties []*Secrets
	sums := map[string]*he.SecretKey{}
	for i := range n {
		seed := he.Seed{byte(i + 1)}
		s := &Secrets{Index: i, Seed: seed,
			Train:   he.NewSecretKey(ps.Train, seed.Stream("train")),
			Release: he.NewSecretKey(ps.Release, seed.Stream("release"))}
		parties = append(parties, s)
		for _, sk := range []*he.SecretKey{s.Train, s.Release} {
			sum := sums[sk.Profile.Name()]
			if sum == nil {
				sum = &he.SecretKey{Profile: sk.Profile, Value: sk.Profile.RingQP().NewPoly()}
				sums[sk.Profile.Name()] = sum
			}
			sk.Profile.RingQP().Add(sum.Value, sk.Value, sum.Value)
		}
	}
	return roster, parties, sums
}

// encryptPhase encrypts coefficients under a secret, as a test's input.
func encryptPhase(p *he.Profile, sk *he.SecretKey, level int, coeffs map[int]int64, label string) *he.Ciphertext {
	r := p.RingQ(level)
	m := r.NewPoly()
	for at, x := range coeffs {
		for i, sub := range r.SubRings[:level+1] {
			m.Coeffs[i][at] = residue(big.NewInt(x), sub.Modulus)
		}
	}
	r.NTT(m, m)
	seed := he.Seed{99}
	pk := he.GenPublicKey(sk, [32]byte{7}, seed.Stream("pk"))
	return pk.Encrypt(m, p.LogScale(), seed.Stream("encrypt", []byte(label)))
}

func coefficients(sk *he.SecretKey, c *he.Ciphertext) []*big.Int {
	out := make([]*big.Int, sk.Profile.N())
	for i := range out {
		out[i] = new(big.Int)
	}
	sk.Profile.RingQ(c.Level()).PolyToBigintCentered(sk.Phase(c), 1, out)
	return out
}

func runRound(t testing.TB, r *Round, parties []*Secrets) ([]*he.Ciphertext, []*big.Int) {
	t.Helper()
	var shares []*MapShare
	for _, s := range parties {
		share, err := r.GenShare(s, &UsedSet{})
		if err != nil {
			t.Fatal(err)
		}
		b := share.Append(nil)
		if share, err = r.m.ParseShare(b); err != nil {
			t.Fatal(err)
		}
		shares = append(shares, share)
	}
	out, remainder, err := r.Finish(shares)
	if err != nil {
		t.Fatal(err)
	}
	return out, remainder
}

// momentum is the shape of a training step's map: three inputs, two outputs
// in train, one in release, and a model.
func momentum(ps he.Profiles, width int) *Map {
	in := Input{Profile: ps.Train, Level: ps.Train.Floor(), LogScale: ps.Train.LogScale(), LogValue: he.LogRefreshValue}
	term := func(input int, f float64) Term { return Periodic(ps.Train, width, input, f) }
	model := []Term{term(0, 1), term(2, -0.375)}
	for i := range model {
		model[i].Stride = 1
	}
	return &Map{Width: width, Inputs: []Input{in, in, in},
		Outputs: []Output{
			{ps.Train, []Term{term(0, 1.7), term(1, -0.7), term(2, 1.7e-3)}},
			{ps.Train, []Term{term(0, 1), term(2, 1e-3)}},
			{ps.Release, []Term{{Input: 1, Factor: 0.5, Stride: 1}, {Input: 2, Factor: 0.25, Offset: 2 * width, Stride: 1, Double: true}}},
		},
		Model: &Model{LogScale: 24, Terms: model},
	}
}

// clear is the output's coefficients on kept coefficients in the clear.
func (o Output) clear(kept [][]float64) []float64 {
	out := make([]float64, o.Profile.N())
	for _, term := range o.Terms {
		for k, x := range kept[term.Input] {
			f := term.Factor
			if term.Double && k > 0 {
				f *= 2
			}
			out[term.Offset+k*term.Stride] += f * x
		}
	}
	return out
}

func TestMapIsTheClearMap(t *testing.T) {
	ps := hetest.Profiles(t)
	const width = 16
	roster, parties, sums := holders(t, ps, 3)
	m := momentum(ps, width)
	rng := rand.New(rand.NewPCG(1, 2))
	stride := ps.Train.TraceStride(width)
	clear := make([][]float64, 3)
	var inputs []*he.Ciphertext
	for j := range clear {
		coeffs := map[int]int64{}
		for k := range width {
			x := rng.Float64()*8 - 4
			clear[j] = append(clear[j], x)
			coeffs[k*stride] = int64(math.Round(x * (1 << 40)))
			coeffs[k*stride+1] = int64(rng.Uint64() >> 30) // what the trace drops
		}
		inputs = append(inputs, encryptPhase(ps.Train, sums["train"], ps.Train.Floor(), coeffs, string(rune('a'+j))))
	}
	r, err := NewRound(roster, he.HashParts("round"), m, inputs)
	if err != nil {
		t.Fatal(err)
	}
	outputs, remainder := runRound(t, r, parties)
	for o, spec := range m.Outputs {
		want := spec.clear(clear)
		for i, v := range coefficients(sums[spec.Profile.Name()], outputs[o]) {
			got := scaled(v, spec.Profile.LogScale())
			if math.Abs(got-want[i]) > 1e-7 {
				t.Fatalf("output %d coefficient %d: %g, want %g", o, i, got, want[i])
			}
		}
	}
	kept := make([]int64, width)
	for k := range kept {
		kept[k] = int64(math.Round((clear[0][k] - 0.375*clear[2][k]) * (1 << 40)))
	}
	weights := slots(t, ps.Train, kept)
	for k := range width {
		sum := new(big.Int).Set(remainder[k])
		for _, s := range parties {
			w, err := r.ModelShare(s)
			if err != nil {
				t.Fatal(err)
			}
			sum.Add(sum, w[k])
		}
		// (n+1)/2 units of rounding, and a little of the inputs' noise.
		if got, want := scaled(sum, 24), weights[k]; math.Abs(got-want) > 2.02/(1<<24) {
			t.Fatalf("weight %d: %g, want %g", k, got, want)
		}
	}
}

func scaled(v *big.Int, logScale int) float64 {
	f := new(big.Float).SetInt(v)
	out, _ := f.SetMantExp(f, -logScale).Float64()
	return out
}

func TestMaskRule(t *testing.T) {
	ps := hetest.Profiles(t)
	in := Input{Profile: ps.Train, Level: 2, LogScale: 40, LogValue: he.LogRefreshValue}
	for _, tc := range []struct {
		parties, level, value int
		want                  int // 0: refused
	}{
		{3, 2, 24, 165}, {20, 2, 24, 162}, {2, 2, 24, 165}, {32, 2, 47, 161},
		{3, 3, 24, 205}, {3, 1, 24, 0}, {3, 2, 55, 165}, {3, 2, 56, 0},
	} {
		in.Level, in.LogValue = tc.level, tc.value
		got, err := in.LogMask(tc.parties)
		if got != tc.want && err == nil || (err != nil) != (tc.want == 0) {
			t.Errorf("%d parties, level %d, value 2^%d: mask %d, %v; want %d", tc.parties, tc.level, tc.value, got, err, tc.want)
		}
	}
}

func TestShareRepeatsAndIsParsedStrictly(t *testing.T) {
	ps := hetest.Profiles(t)
	roster, parties, sums := holders(t, ps, 2)
	m := momentum(ps, 8)
	var inputs []*he.Ciphertext
	for _, l := range []string{"a", "b", "c"} {
		inputs = append(inputs, encryptPhase(ps.Train, sums["train"], 2, map[int]int64{0: 1 << 40}, l))
	}
	bytesOf := func(id string, roster Roster) []byte {
		r, err := NewRound(roster, he.HashParts(id), m, inputs)
		if err != nil {
			t.Fatal(err)
		}
		share, err := r.GenShare(parties[0], &UsedSet{})
		if err != nil {
			t.Fatal(err)
		}
		return share.Append(nil)
	}
	first := bytesOf("r", roster)
	if string(first) != string(bytesOf("r", roster)) {
		t.Error("a repeat gave other bytes")
	}
	if string(first) == string(bytesOf("s", roster)) {
		t.Error("another round gave the same bytes")
	}
	for _, n := range []int{0, 1, len(first) - 1} {
		if _, err := m.ParseShare(first[:n]); err == nil {
			t.Errorf("%d of %d bytes were accepted", n, len(first))
		}
	}
	if _, err := m.ParseShare(append(first, 0)); err == nil {
		t.Error("a trailing byte was accepted")
	}
	if _, err := NewRound(roster, he.Digest{}, m, []*he.Ciphertext{inputs[0], inputs[1], inputs[1]}); err == nil {
		t.Error("one c1 twice was accepted")
	}
	if _, err := NewRound(roster, he.Digest{}, m, []*he.Ciphertext{inputs[0], inputs[1], inputs[2].At(1)}); err == nil {
		t.Error("an input at another level was accepted")
	}
}

func TestJournalRefusesASecondRequest(t *testing.T) {
	ps := hetest.Profiles(t)
	roster, parties, sums := holders(t, ps, 2)
	m := momentum(ps, 8)
	var inputs []*he.Ciphertext
	for _, l := range []string{"a", "b", "c"} {
		inputs = append(inputs, encryptPhase(ps.Train, sums["train"], 2, nil, l))
	}
	used := &UsedSet{}
	for i, want := range []bool{true, true, false} {
		id := he.HashParts("round", []byte{byte(i / 2)})
		r, err := NewRound(roster, id, m, inputs)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.GenShare(parties[0], used); (err == nil) != want {
			t.Errorf("request %d: %v", i, err)
		}
	}
}

// Attack: one common polynomial for two refreshes. The difference of the two
// outputs is the difference of the messages, and no key is needed.
func TestAttackReusedCRP(t *testing.T) {
	ps := hetest.Profiles(t)
	const width = 8
	roster, parties, sums := holders(t, ps, 2)
	p := ps.Train
	in := Input{Profile: p, Level: 2, LogScale: 40, LogValue: he.LogRefreshValue}
	m := &Map{Width: width, Inputs: []Input{in}, Outputs: []Output{{p, []Term{Periodic(p, width, 0, 1)}}}}
	secret := []float64{0.75, -0.5}
	read := func(off defences) float64 {
		var out []*he.Ciphertext
		for i, x := range secret {
			c := encryptPhase(p, sums["train"], 2, map[int]int64{0: int64(x * (1 << 40))}, string(rune('a'+i)))
			r, err := newRound(roster, he.HashParts("round", []byte{byte(i)}), m, []*he.Ciphertext{c}, off)
			if err != nil {
				t.Fatal(err)
			}
			o, _ := runRound(t, r, parties)
			out = append(out, o[0])
		}
		ringQ := p.RingQ(7)
		diff := ringQ.NewPoly()
		ringQ.Sub(out[0].C0, out[1].C0, diff)
		ringQ.INTT(diff, diff)
		return scaled(centred(ringQ, diff, 0), 40)
	}
	if got := read(defences{freshCRP: true}); math.Abs(got-1.25) > 1e-6 {
		t.Fatalf("with one CRP for both the attack should read 1.25, got %g", got)
	}
	if got := read(defences{}); math.Abs(got) < 1e6 {
		t.Errorf("the difference of two refreshes is %g: it says something about the messages", got)
	}
}

func centred(r *ring.Ring, p ring.Poly, at int) *big.Int {
	out := make([]*big.Int, r.N())
	for i := range out {
		out[i] = new(big.Int)
	}
	r.PolyToBigintCentered(p, 1, out)
	return out[at]
}

// Attack: a refresh of sparse values masks only the coefficients that are kept
// and publishes the rest: they open.
func TestAttackSparseRefresh(t *testing.T) {
	ps := hetest.Profiles(t)
	const width, hidden = 8, 0.625
	roster, parties, sums := holders(t, ps, 3)
	p := ps.Train
	c := encryptPhase(p, sums["train"], 2, map[int]int64{0: 5 << 36, 1: int64(hidden * (1 << 40))}, "x")
	in := Input{Profile: p, Level: 2, LogScale: 40, LogValue: he.LogRefreshValue}
	m := &Map{Width: width, Inputs: []Input{in}, Outputs: []Output{{p, []Term{Periodic(p, width, 0, 1)}}}}
	r, err := NewRound(roster, he.HashParts("sparse"), m, []*he.Ciphertext{c})
	if err != nil {
		t.Fatal(err)
	}
	// Defence off: every coefficient of c1·s + e is published, the kept ones masked.
	ringQ := p.RingQ(2)
	sum := ringQ.NewPoly()
	ringQ.INTT(c.C0, sum)
	for _, s := range parties {
		ringQ.Add(sum, noisyPhase(s.Train, c, s.Seed.Stream("map/input-error", r.request[:], index(0))), sum)
	}
	if got := scaled(centred(ringQ, sum, 1), 40); math.Abs(got-hidden) > 1e-6 {
		t.Fatalf("with all coefficients published the attack should read %g, got %g", hidden, got)
	}
	// Defence on: a share holds Width coefficients and nothing else of the input.
	share, err := r.GenShare(parties[0], &UsedSet{})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range share.inputs[0].Rows {
		if len(row) != width {
			t.Errorf("an input share publishes %d coefficients, not %d", len(row), width)
		}
	}
}

// Attack: a value beyond the mask. What is opened, message less masks, tells
// the message.
func TestAttackOutOfBoundRefresh(t *testing.T) {
	ps := hetest.Profiles(t)
	const width = 8
	roster, parties, sums := holders(t, ps, 2)
	p := ps.Train
	const level = 1 // Q = 2^100: the mask has 97 bits, the value nearly as many
	in := Input{Profile: p, Level: level, LogScale: 40, LogValue: 57}
	m := &Map{Width: width, Inputs: []Input{in}, Outputs: []Output{{p, []Term{Periodic(p, width, 0, 1)}}}}
	pk := he.GenPublicKey(sums["train"], [32]byte{7}, he.Seed{9}.Stream("pk"))
	above := func(negative bool) *he.Ciphertext {
		v := new(big.Int).Lsh(big.NewInt(1), 97)
		if negative {
			v.Neg(v)
		}
		ringQ := p.RingQ(level)
		poly := ringQ.NewPoly()
		for i, sub := range ringQ.SubRings[:level+1] {
			poly.Coeffs[i][0] = residue(v, sub.Modulus)
		}
		ringQ.NTT(poly, poly)
		return pk.Encrypt(poly, 40, he.Seed{9}.Stream("e"))
	}
	if _, err := NewRound(roster, he.Digest{}, m, []*he.Ciphertext{above(false)}); err == nil {
		t.Fatal("a value beyond the mask was accepted")
	}
	for _, negative := range []bool{false, true} {
		r, err := newRound(roster, he.HashParts("bound"), m, []*he.Ciphertext{above(negative)}, defences{maskRule: true})
		if err != nil {
			t.Fatal(err)
		}
		r.logMasks[0] = 96
		var shares []*MapShare
		for _, s := range parties {
			share, err := r.GenShare(s, &UsedSet{})
			if err != nil {
				t.Fatal(err)
			}
			shares = append(shares, share)
		}
		if opened := r.opened(0, shares)[0]; (opened.Sign() < 0) != negative {
			t.Errorf("without the rule the sign of the message should show: opened %v", opened)
		}
	}
}

func BenchmarkMapShare(b *testing.B) {
	ps := he.Standard()
	const width = 16
	roster, parties, sums := holders(b, ps, 3)
	in := Input{Profile: ps.Train, Level: 2, LogScale: 40, LogValue: he.LogRefreshValue}
	m := &Map{Width: width, Inputs: []Input{in, in, in}, Outputs: []Output{
		{ps.Train, []Term{Periodic(ps.Train, width, 0, 1)}}, {ps.Train, []Term{Periodic(ps.Train, width, 1, 1)}}}}
	var inputs []*he.Ciphertext
	for _, l := range []string{"a", "b", "c"} {
		inputs = append(inputs, encryptPhase(ps.Train, sums["train"], 2, nil, l))
	}
	var size int
	for b.Loop() {
		r, err := NewRound(roster, he.Digest{}, m, inputs)
		if err != nil {
			b.Fatal(err)
		}
		share, err := r.GenShare(parties[0], &UsedSet{})
		if err != nil {
			b.Fatal(err)
		}
		size = len(share.Append(nil))
	}
	b.ReportMetric(float64(size), "wire-B/share")
}
