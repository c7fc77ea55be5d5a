package multiparty

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/commonseal/commonseal/he"
	"github.com/tuneinsight/lattigo/v5/core/rlwe"
	"github.com/tuneinsight/lattigo/v5/ring/ringqp"
)

// labelKeys is what a key digest is a hash under.
const labelKeys = "ceremony/keys"

// sum is the sum of all shares of a part of round 1.
func (c *proceedings) sum(p part) *he.Object {
	x := &c.exchanges[roundOne]
	return x.sums[slices.Index(x.parts, p)]
}

// add takes in another party's part, as it was committed. Sums commute, so the
// order of arrival does not show.
func (c *proceedings) add(party int, m message) error {
	if m.stage == nonces {
		c.nonces[party] = bytes.Clone(m.payload)
		return nil
	}
	x := &c.exchanges[m.stage]
	p := x.parts[m.part]
	share, err := he.ParseObject(m.payload, p.kind, p.profile)
	if err != nil {
		return err
	}
	if share.Level != p.profile.MaxLevel() || share.Element != p.element {
		return fmt.Errorf("%v: a share at level %d of element %d", p, share.Level, share.Element)
	}
	switch { // an observer's first share of a part is the sum to begin with
	case x.sums == nil:
		x.sums = make([]*he.Object, len(x.parts))
		x.sums[m.part] = share
	case x.sums[m.part] == nil:
		x.sums[m.part] = share
	default:
		addObject(x.sums[m.part], share)
	}
	return nil
}

// addObject adds a share to a sum of the same part.
func addObject(sum, share *he.Object) {
	switch p := sum.Profile; sum.Kind {
	case he.KindPublicShare, he.KindOpenShare:
		a := sum.Polys()[0]
		p.RingQ(sum.Level).Add(a, share.Polys()[0], a)
	default:
		polys := sum.PolysQP()
		for i, b := range share.PolysQP() {
			p.RingQP().Add(polys[i], b, polys[i])
		}
	}
}

// finish ends a stage with everybody's parts revealed, and enters the next.
func (c *proceedings) finish() error {
	var seen he.Digest
	switch c.stage {
	case nonces:
		x := &c.exchanges[nonces]
		c.roster.CRS = he.HashParts("ceremony/crs", append([][]byte{x.context[:]}, c.nonces...)...)
		c.root = c.roster.Digest()
		seen = c.root
	case endTest:
		return c.conclude()
	case roundTwo:
		c.foldRelin()
	}
	next := c.script.after(c.stage)
	switch next {
	case roundTwo:
		seen = c.sumsDigest("ceremony/round-1", func(p part) bool { return p.kind == he.KindRelinShare1 })
	case endTest:
		seen = c.sumsDigest(labelKeys, func(part) bool { return true })
	}
	c.enter(next, seen)
	return nil
}

// conclude ends the proceedings if the test of every new key opens.
func (c *proceedings) conclude() error {
	for i, test := range c.keyTests() {
		p := test.ciphertext.Profile
		_, logBound := testBounds(p, c.roster.N(), len(c.plan.elements(p)))
		if got := test.logError(c.exchanges[endTest].sums[i]); got > logBound && !c.off.endTest {
			return c.fail(WrongKey, fmt.Sprintf("the %s test opened within 2^%d of its plaintext, not within 2^%d", p.Name(), got, logBound))
		}
	}
	c.stage, c.exchanges[endTest].sums = stages, nil
	c.nonces, c.tests = nil, nil
	return nil
}

// sumsDigest identifies sums of round 1, and all that led to them.
func (c *proceedings) sumsDigest(label string, which func(part) bool) he.Digest {
	x := &c.exchanges[roundOne]
	digests := [][]byte{c.root[:]}
	for i, p := range x.parts {
		if which(p) {
			d := x.sums[i].Digest()
			digests = append(digests, d[:])
		}
	}
	return he.HashParts(label, digests...)
}

// foldRelin makes relinearisation keys of both rounds' sums: h0 and h1 of round
// 2 added up take the place of h0 of round 1, which nothing needs any more.
func (c *proceedings) foldRelin() {
	x := &c.exchanges[roundTwo]
	for i, p := range x.parts {
		key := c.sum(part{kind: he.KindRelinShare1, profile: p.profile})
		polys, second := key.PolysQP(), x.sums[i].PolysQP()
		for j := 0; j < len(polys); j += 2 {
			p.profile.RingQP().Add(second[j], second[j+1], polys[j])
		}
		key.Kind = he.KindRelinKey
	}
	x.sums = nil
}

// KeyDigest identifies the finished keys: what all parties agreed on before the
// end test. It is zero before round 2 is over.
func (c *proceedings) KeyDigest() he.Digest { return c.exchanges[endTest].context }

// PublicKeys are the collective public keys; nil before the ceremony is Done.
func (c *proceedings) PublicKeys() (train, release *he.PublicKey) {
	if !c.Done() {
		return nil, nil
	}
	return c.publicKey(c.plan.Train), c.publicKey(c.plan.Release)
}

// EvaluationKeys are the keys that circuits of one of the plan's profiles run
// on, made anew by every call and twice the size of what is held of the
// ceremony; nil before it is Done, or if they were not recalled. A key set's are
// its Galois keys alone, to add to the epoch's with [he.EvaluationKeys.With].
func (c *proceedings) EvaluationKeys(p *he.Profile) *he.EvaluationKeys {
	if p = c.plan.own(p); p == nil || !c.Done() {
		return nil
	}
	for i, sum := range c.exchanges[roundOne].sums {
		if sum == nil && c.exchanges[roundOne].parts[i].profile == p {
			return nil
		}
	}
	keys := &he.EvaluationKeys{Profile: p, Relin: c.relinKey(p), Galois: map[uint64]*rlwe.GaloisKey{}}
	for _, element := range c.plan.elements(p) {
		keys.Galois[element] = c.galoisKey(p, element)
	}
	return keys
}

func (c *proceedings) publicKey(p *he.Profile) *he.PublicKey {
	if c.isKeySet() {
		return c.epoch.publicKey(p)
	}
	b := c.sum(part{kind: he.KindPublicShare, profile: p}).Polys()[0]
	return he.NewPublicKey(p, publicSeed(c.root, p), b)
}

// relinKey is nil of a key set, which makes none.
func (c *proceedings) relinKey(p *he.Profile) *rlwe.RelinearizationKey {
	if c.isKeySet() {
		return nil
	}
	polys := c.sum(part{kind: he.KindRelinShare1, profile: p}).PolysQP()
	digits := make([][2]ringqp.Poly, p.Digits())
	for i := range digits {
		digits[i] = [2]ringqp.Poly{*polys[2*i].CopyNew(), *polys[2*i+1].CopyNew()}
	}
	return he.RelinKey(p, digits)
}

func (c *proceedings) galoisKey(p *he.Profile, element uint64) *rlwe.GaloisKey {
	share := part{kind: he.KindGaloisShare, profile: p, element: element}
	digits := make([][2]ringqp.Poly, p.Digits())
	a := crp(c.root, share)
	for i, b := range c.sum(share).PolysQP() {
		digits[i] = [2]ringqp.Poly{*b.CopyNew(), a[i]}
	}
	return he.GaloisKey(p, element, digits)
}
