package multiparty

import (
	"errors"
	"reflect"
	"testing"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/hetest"
	"github.com/tuneinsight/lattigo/v5/ring"
)

const cal = 2 // the attacker, last in the roster of three

// parsed decodes a message on its way.
func parsed(t *testing.T, c *Ceremony, msg []byte) message {
	t.Helper()
	m, err := parseMessage(c.script, msg)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// parsedShare decodes the share in a message.
func parsedShare(t *testing.T, c *Ceremony, m message) *he.Object {
	t.Helper()
	p := c.script[m.stage][m.part]
	o, err := he.ParseObject(m.payload, p.kind, p.profile)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// lastRevealer is cal waiting for all others' shares of a part before it
// chooses its own: choose gets cal's honest share and the sum of the others',
// and changes the first.
type lastRevealer struct {
	t      *testing.T
	cal    *Ceremony
	others map[part]*he.Object
	choose map[part]func(own, others *he.Object)
}

func (a *lastRevealer) tamper(from int, msg []byte) []byte {
	m := parsed(a.t, a.cal, msg)
	if !m.reveal || m.stage == nonces {
		return msg
	}
	p := a.cal.script[m.stage][m.part]
	choose := a.choose[p]
	switch {
	case choose == nil:
	case from != cal && a.others[p] == nil:
		a.others[p] = parsedShare(a.t, a.cal, m)
	case from != cal:
		addObject(a.others[p], parsedShare(a.t, a.cal, m))
	default:
		choose(a.cal.exchanges[m.stage].sums[m.part], a.others[p])
		return a.cal.reveal(m.part)
	}
	return msg
}

// subtract takes the residues of b from those of a.
func subtract(a, b *he.Object) {
	polys := a.PolysQP
	if a.Kind == he.KindPublicShare || a.Kind == he.KindOpenShare {
		a.Profile.RingQ(a.Level).Sub(a.Polys()[0], b.Polys()[0], a.Polys()[0])
		return
	}
	for i, q := range b.PolysQP() {
		a.Profile.RingQP().Sub(polys()[i], q, polys()[i])
	}
}

// ternary reads the coefficients of a polynomial in the NTT domain, given by
// its residues modulo the first prime, as multiples of unit.
func ternary(p *he.Profile, row []uint64, unit int64) []int64 {
	sub, out := p.RingQ(0).SubRings[0], make([]int64, p.N())
	coeffs := make([]uint64, p.N())
	sub.INTT(row, coeffs)
	for i, x := range coeffs {
		v := int64(x)
		if x > sub.Modulus/2 {
			v = -int64(sub.Modulus - x)
		}
		if out[i] = (v + unit/2) / unit; v < -unit/2 {
			out[i] = (v - unit/2) / unit
		}
	}
	return out
}

// keyOf reads the coefficients of a secret.
func keyOf(sk *he.SecretKey) []int64 {
	sub, row := sk.Profile.RingQ(0).SubRings[0], make([]uint64, sk.Profile.N())
	sub.IMForm(sk.Value.Q.Coeffs[0], row)
	return ternary(sk.Profile, row, 1)
}

// Attack: the last to reveal chooses its public-key share so that the sum is
// its own key, and its opening share so that the end test opens. It then
// decrypts alone what everybody encrypts under the "collective" key.
func TestAttackLastRevealer(t *testing.T) {
	ps := hetest.Profiles(t)
	attack := func(off ceremonyDefences) ([]*Ceremony, *Abort) {
		parties := convene(t, testPlan(ps), "epoch", 3, off)
		a := &lastRevealer{t: t, cal: parties[cal], others: map[part]*he.Object{}, choose: map[part]func(own, others *he.Object){
			{kind: he.KindPublicShare, profile: ps.Train}: subtract,
			{kind: he.KindOpenShare, profile: ps.Train}: func(own, others *he.Object) {
				test, r := parties[cal].tests[0], ps.Train.RingQ(ps.Train.MaxLevel())
				r.Sub(test.want, test.ciphertext.C0, own.Polys()[0])
				r.INTT(own.Polys()[0], own.Polys()[0])
				subtract(own, others)
			},
		}}
		return parties, inStep(t, parties, a.tamper)
	}

	parties, abort := attack(ceremonyDefences{commitment: true})
	if abort != nil || !parties[0].Done() {
		t.Fatalf("without commitments the attack should pass unseen: %v", abort)
	}
	const secret = 12345 << 20
	message := ps.Train.SmallQ(3, append([]int64{secret}, make([]int64, ps.Train.N()-1)...))
	pk, _ := parties[0].PublicKeys()
	phase := parties[cal].forge.secrets.Train.Phase(pk.Encrypt(message, 0, he.Seed{8}.Stream("row")))
	if got := centred(ps.Train.RingQ(3), phase, 0).Int64() >> 20; got != secret>>20 && got != secret>>20-1 {
		t.Fatalf("cal alone should decrypt %d, got %d", secret>>20, got)
	}

	_, abort = attack(ceremonyDefences{})
	checkAbort(t, abort, Mismatched, "cal")
}

func checkAbort(t *testing.T, err error, cause Cause, culprits ...string) {
	t.Helper()
	var abort *Abort
	if !errors.As(err, &abort) || abort == nil {
		t.Fatalf("%v, want an abort: %v", err, cause)
	}
	if abort.Cause != cause || !reflect.DeepEqual(abort.Culprits, culprits) {
		t.Errorf("%v; want %q naming %q", abort, cause, culprits)
	}
}

// Attack: the last to reveal chooses its share of round 1 so that the sum is a
// constant. Round 2 then multiplies each party's key by it.
func TestAttackForgedRelinRound1(t *testing.T) {
	ps := hetest.Profiles(t)
	const unit = 1 << 20 // above any error
	attack := func(off ceremonyDefences) (parties []*Ceremony, roundTwoOfAnn *he.Object, abort *Abort) {
		parties = convene(t, testPlan(ps), "epoch", 3, off)
		a := &lastRevealer{t: t, cal: parties[cal], others: map[part]*he.Object{}, choose: map[part]func(own, others *he.Object){
			{kind: he.KindRelinShare1, profile: ps.Train}: func(own, others *he.Object) {
				for _, row := range own.Rows {
					for i := range row {
						row[i] = unit // the NTT of a constant
					}
				}
				subtract(own, others)
			},
		}}
		abort = inStep(t, parties, func(from int, msg []byte) []byte {
			if m := parsed(t, parties[cal], msg); from == 0 && m.reveal && m.stage == roundTwo && m.part == 0 {
				roundTwoOfAnn = parsedShare(t, parties[cal], m)
			}
			return a.tamper(from, msg)
		})
		return parties, roundTwoOfAnn, abort
	}

	twin := convene(t, testPlan(ps), "epoch", 3, ceremonyDefences{})
	finishAll(t, twin)
	annsKey := keyOf(twin[0].Secrets().Train)
	_, share, abort := attack(ceremonyDefences{commitment: true})
	if got := ternary(ps.Train, share.Rows[0], unit); !reflect.DeepEqual(got, annsKey) {
		t.Fatal("without commitments round 2 should give away ann's key")
	}
	checkAbort(t, abort, WrongKey) // too late

	_, share, abort = attack(ceremonyDefences{})
	checkAbort(t, abort, Mismatched, "cal")
	if share != nil {
		t.Error("ann answered round 2 of a forged round 1")
	}
}

// spoil makes a party commit to another share than its own and reveal that.
func spoil(t *testing.T, c *Ceremony, who int, p part, change func(o *he.Object)) func(from int, msg []byte) []byte {
	return func(from int, msg []byte) []byte {
		m := parsed(t, c, msg)
		x := &c.exchanges[m.stage]
		for i := range x.parts {
			if from == who && !m.reveal && x.parts[i] == p {
				change(x.sums[i])
				x.promises[who] = c.promise()
				m.payload = x.promises[who]
				return m.append(nil)
			}
		}
		return msg
	}
}

// Attack: a party that runs a session twice has the same nonce, and so, if the
// others repeat theirs, the same reference string and the same secrets. One
// attempt with an honest round 1 and one with a changed one differ by a
// multiple of its key. A new session is a new reference string and a new key.
func TestAttackReusedCRS(t *testing.T) {
	ps := hetest.Profiles(t)
	const unit = 1 << 20
	attempt := func(session string, change uint64) (Roster, *Secrets, *he.Object) {
		parties := convene(t, testPlan(ps), session, 3, ceremonyDefences{})
		forged := spoil(t, parties[cal], cal, part{kind: he.KindRelinShare1, profile: ps.Train}, func(o *he.Object) {
			for i := range o.Rows[0] {
				o.Rows[0][i] = ring.CRed(o.Rows[0][i]+change, ps.Train.RingQ(0).SubRings[0].Modulus)
			}
		})
		var roster Roster
		var secrets *Secrets
		var share *he.Object
		inStep(t, parties, func(from int, msg []byte) []byte {
			if m := parsed(t, parties[cal], msg); from == 0 && m.reveal && m.stage == roundTwo && m.part == 0 {
				roster, secrets, share = parties[0].Roster(), parties[0].forge.secrets, parsedShare(t, parties[cal], m)
			}
			return forged(from, msg)
		})
		return roster, secrets, share
	}
	difference := func(a, b *he.Object) []int64 {
		row := make([]uint64, ps.Train.N())
		ps.Train.RingQ(0).SubRings[0].Sub(a.Rows[0], b.Rows[0], row)
		return ternary(ps.Train, row, unit)
	}

	roster, secrets, first := attempt("epoch", 0)
	again, _, second := attempt("epoch", unit)
	if again.CRS != roster.CRS || !reflect.DeepEqual(difference(second, first), keyOf(secrets.Train)) {
		t.Fatal("a session run twice should give away ann's key")
	}

	next, others, second := attempt("epoch, attempt 2", unit)
	if next.CRS == roster.CRS || reflect.DeepEqual(keyOf(others.Train), keyOf(secrets.Train)) ||
		reflect.DeepEqual(keyOf(others.Release), keyOf(secrets.Release)) || others.Seed == secrets.Seed {
		t.Error("another session has the same reference string or secrets")
	}
	for _, key := range []*he.SecretKey{secrets.Train, others.Train} {
		if reflect.DeepEqual(difference(second, first), keyOf(key)) {
			t.Error("two sessions give away a key")
		}
	}
}

// A retry with other nonces, be it only another party's, has other secrets and
// common polynomials, even if this party's own session is the same.
func TestOtherNoncesAreOtherSecrets(t *testing.T) {
	ps := hetest.Profiles(t)
	plan, seed := testPlan(ps), he.Seed{1}
	roster, err := NewRoster(he.HashParts("epoch"), company[:2])
	if err != nil {
		t.Fatal(err)
	}
	roster.CRS = he.HashParts("one")
	a := newForge(seed, plan, roster, 0)
	roster.CRS = he.HashParts("two")
	b := newForge(seed, plan, roster, 0)
	for _, p := range plan.profiles() {
		if reflect.DeepEqual(keyOf(a.secrets.Of(p)), keyOf(b.secrets.Of(p))) {
			t.Errorf("%s: one secret under two reference strings", p.Name())
		}
		if publicSeed(a.root, p) == publicSeed(b.root, p) {
			t.Errorf("%s: one public-key polynomial under two reference strings", p.Name())
		}
		share := part{kind: he.KindRelinShare1, profile: p}
		if crp(a.root, share)[0].Q.Coeffs[0][0] == crp(b.root, share)[0].Q.Coeffs[0][0] {
			t.Errorf("%s: one common polynomial under two reference strings", p.Name())
		}
	}
	if reflect.DeepEqual(keyOf(a.secrets.Train), keyOf(a.secrets.Release)) {
		t.Error("one secret in two profiles")
	}
}

// Attack: a share that is wrong, committed to and revealed as committed. Only
// the end test sees it.
func TestAttackWrongGaloisShare(t *testing.T) {
	ps := hetest.Profiles(t)
	plan := Plan{Train: ps.Train, Release: ps.Release, TrainRotations: []int{1}}
	script := plan.script()
	for s := roundOne; s < stages; s++ {
		for _, p := range script[s] {
			if testing.Short() && p.profile == ps.Release {
				continue // the same again, in other primes
			}
			attack := func(off ceremonyDefences) ([]*Ceremony, *Abort) {
				parties := convene(t, plan, "epoch", 3, off)
				return parties, inStep(t, parties, spoil(t, parties[cal], cal, p, func(o *he.Object) {
					last := o.Rows[len(o.Rows)-1]
					last[0] ^= 1
				}))
			}
			parties, abort := attack(ceremonyDefences{endTest: true})
			if abort != nil || !parties[0].Done() || parties[0].KeyDigest() != parties[1].KeyDigest() {
				t.Fatalf("%v: without the end test one wrong residue should pass unseen: %v", p, abort)
			}
			_, abort = attack(ceremonyDefences{})
			checkAbort(t, abort, WrongKey)
		}
	}
}

// Attack: an opening share without flooding, divided by c1.
func TestAttackUnfloodedOpening(t *testing.T) {
	ps := hetest.Profiles(t)
	parties := convene(t, testPlan(ps), "epoch", 2, ceremonyDefences{})
	finishAll(t, parties)
	secrets := parties[0].Secrets()
	f := &forge{secrets: secrets, seed: he.Seed{5}}
	p := ps.Release
	pk := parties[0].publicKey(p)
	c := pk.EncryptZero(p.MaxLevel(), 0, he.Seed{6}.Stream("c"))
	logFlood, _ := testBounds(p, 2, 1)
	divided := func(logFlood int) []int64 {
		sub := p.RingQ(0).SubRings[0]
		row := make([]uint64, p.N())
		sub.NTT(f.openShare(part{kind: he.KindOpenShare, profile: p}, c, logFlood).Rows[0], row)
		for i, c1 := range c.C1.Coeffs[0] {
			inverse := ring.ModExp(c1, sub.Modulus-2, sub.Modulus)
			row[i] = ring.BRed(row[i], inverse, sub.Modulus, sub.BRedConstant)
		}
		return ternary(p, row, 1)
	}
	if !reflect.DeepEqual(divided(-1), keyOf(secrets.Release)) {
		t.Fatal("without flooding one division should give away the key")
	}
	if reflect.DeepEqual(divided(logFlood), keyOf(secrets.Release)) {
		t.Error("a flooded opening gives away the key")
	}
}
