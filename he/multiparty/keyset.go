package multiparty

import (
	"errors"
	"fmt"

	"github.com/commonseal/commonseal/he"
)

// An Epoch is what everybody has of a base ceremony that is Done, and what key
// sets are added to. It is immutable.
type Epoch struct {
	Roster         Roster
	KeyDigest      he.Digest // of the base ceremony
	Train, Release *he.PublicKey
}

// publicKey is the epoch's in a profile.
func (e *Epoch) publicKey(p *he.Profile) *he.PublicKey {
	if p.Digest() == e.Train.Profile.Digest() {
		return e.Train
	}
	return e.Release
}

// Epoch is the key epoch that the ceremony began, or that the key set is added
// to; nil before it is Done.
func (c *proceedings) Epoch() *Epoch {
	switch {
	case !c.Done():
		return nil
	case c.isKeySet():
		return c.epoch
	}
	train, release := c.PublicKeys()
	return &Epoch{Roster: c.roster, KeyDigest: c.KeyDigest(), Train: train, Release: release}
}

// NewKeySet begins a party's side of adding the Galois keys of the plan's
// rotations to a key epoch: every share is committed to and revealed, and every
// new key goes through an end test. It is driven as a base ceremony is.
//
// Common polynomials come from the roster, the epoch's keys, the plan and the
// id (law L6), errors from κ and all of these (law L3). The id names the chain,
// the task and the attempt. After a crash a driver may run a key set again from
// its beginning, with the commitments that were recorded the first time: it
// says the same bytes again. Were others free to commit anew, the last to
// reveal would be one that knows this party's shares already (law L5).
//
// An aborted key set harms neither the epoch nor its secrets; the next attempt
// is another id. Each attempt takes one of the 2^[he.LogRefreshes] openings that
// the flooding of an epoch is made for.
//
// It refuses a plan of no rotation, one that names a rotation twice, and
// profiles or secrets that are not the epoch's.
func NewKeySet(plan Plan, id he.Digest, epoch *Epoch, secrets *Secrets) (*Ceremony, error) {
	return newKeySet(plan, id, epoch, secrets, ceremonyDefences{})
}

func newKeySet(plan Plan, id he.Digest, epoch *Epoch, secrets *Secrets, off ceremonyDefences) (*Ceremony, error) {
	seen, err := convokeKeySet(plan, id, epoch, off)
	if err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	if secrets == nil || secrets.Index < 0 || secrets.Index >= epoch.Roster.N() || secrets.Of(plan.Train) == nil || secrets.Of(plan.Release) == nil {
		return nil, errors.New("key set: these are not the secrets of a party of the epoch; give those of its base ceremony")
	}
	seen.self = secrets.Index
	bound := seen.root
	if off.binding {
		bound = epoch.Roster.Digest()
	}
	return &Ceremony{proceedings: seen, forge: &forge{
		secrets: secrets, seed: secrets.Seed.Derive("ceremony/key-set", bound[:]), root: seen.root, bound: bound,
	}}, nil
}

// convokeKeySet begins the proceedings of a key set.
func convokeKeySet(plan Plan, id he.Digest, epoch *Epoch, off ceremonyDefences) (proceedings, error) {
	if epoch == nil {
		return proceedings{}, errors.New("there is no epoch to add it to; finish the base ceremony first")
	}
	if err := plan.check(epoch.Roster.N()); err != nil {
		return proceedings{}, err
	}
	switch {
	case len(plan.TrainRotations)+len(plan.ReleaseRotations) == 0:
		return proceedings{}, errors.New("no rotation is named; there is nothing to make")
	case plan.Train.Digest() != epoch.Train.Profile.Digest(), plan.Release.Digest() != epoch.Release.Profile.Digest():
		return proceedings{}, fmt.Errorf("profiles %s and %s are not the epoch's", plan.Train.Name(), plan.Release.Name())
	}
	c := newProceedings(plan, plan.keySetScript(), epoch.Roster, off)
	c.epoch = epoch
	roster, planDigest := epoch.Roster.Digest(), c.script.digest()
	c.root = he.HashParts("ceremony/key-set", roster[:], epoch.KeyDigest[:], planDigest[:], id[:])
	c.enter(roundOne, c.root)
	return c, nil
}
