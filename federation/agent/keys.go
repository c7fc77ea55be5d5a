package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/commonseal/commonseal/federation/replay"
	"github.com/commonseal/commonseal/federation/store"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/multiparty"
	"github.com/commonseal/commonseal/ledger"
)

// A keyMaker is a ceremony that is Done, or its observer.
type keyMaker interface {
	EvaluationKeys(p *he.Profile) *he.EvaluationKeys
}

// epochKeys are what a company keeps of a key epoch.
type epochKeys struct {
	number  uint32
	epoch   *multiparty.Epoch
	secrets *multiparty.Secrets
	claims  multiparty.Journal
	intact  map[ledger.Digest]uint16 // by job: the steps that the journal was held to the ledger
}

// taskKeys are what a task's circuits run on.
type taskKeys struct{ train, release *he.EvaluationKeys }

// Where the journal has what is left of a ceremony.
func keysRecord(ceremony ledger.Digest) string    { return fmt.Sprintf("keys/%x", ceremony) }
func secretsRecord(ceremony ledger.Digest) string { return fmt.Sprintf("secrets/%x", ceremony) }

// seal writes down what the company keeps of a ceremony that is Done: digests,
// and of a base ceremony its sealed secrets. Nothing else of the ceremony stays,
// but for the seed of the home, from which all of it could be derived again.
func (a *Agent) seal(y *ledger.Ceremony, machine *multiparty.Ceremony) (ledger.Digest, error) {
	digest := machine.KeyDigest()
	kept := digest[:]
	var records []store.Record
	if y.Task == (ledger.Digest{}) {
		crs := machine.Roster().CRS
		kept = append(slices.Clone(kept), crs[:]...)
		train, release := machine.PublicKeys()
		for _, pk := range []*he.PublicKey{train, release} {
			d, err := a.Store.Blobs.Put(pk.Append(nil))
			if err != nil {
				return digest, err
			}
			kept = append(kept, d[:]...)
		}
		name := secretsRecord(y.ID)
		records = append(records, store.Record{Key: name, Value: conceal(a.Seed, name, machine.Secrets().Append(nil))})
	}
	return digest, a.Store.Journal.PutAll(append(records, store.Record{Key: keysRecord(y.ID), Value: kept}))
}

// sealed is the digest of the keys that a ceremony ended with, if it did.
func (a *Agent) sealed(ceremony ledger.Digest) (ledger.Digest, bool, error) {
	kept, err := a.Store.Journal.Get(keysRecord(ceremony))
	if errors.Is(err, store.ErrNotFound) {
		return ledger.Digest{}, false, nil
	}
	if err == nil && len(kept) < len(ledger.Digest{}) {
		err = &store.CorruptError{What: keysRecord(ceremony), Cause: fmt.Sprintf("%d bytes", len(kept))}
	}
	if err != nil {
		return ledger.Digest{}, false, err
	}
	return ledger.Digest(kept), true, nil
}

// epochOf is what the company keeps of a key epoch that it is a party of.
func (a *Agent) epochOf(ctx context.Context, v ledger.View, number uint32) (*epochKeys, error) {
	if k := a.epochs[number]; k != nil {
		return k, nil
	}
	e, ok := ledger.EpochOf(v, number)
	if !ok {
		return nil, fmt.Errorf("key epoch %d is not on the ledger", number)
	}
	name := secretsRecord(e.Ceremony)
	hidden, err := a.Store.Journal.Get(name)
	if errors.Is(err, store.ErrNotFound) {
		return nil, &RefusedError{&RollbackError{Epoch: number, What: "the secrets of the key epoch"}}
	}
	if err != nil {
		return nil, err
	}
	plain, err := uncover(a.Seed, name, hidden)
	if err != nil {
		return nil, &RefusedError{err}
	}
	k := &epochKeys{number: number, intact: map[ledger.Digest]uint16{}}
	if k.secrets, err = multiparty.ParseSecrets(plain, a.Profiles.Train, a.Profiles.Release); err != nil {
		return nil, &RefusedError{err}
	}
	if k.epoch, err = a.publicSide(ctx, v, e); err != nil {
		return nil, err
	}
	if k.claims, err = newClaims(a.Store.Journal, number); err != nil {
		return nil, err
	}
	a.epochs[number] = k
	return k, nil
}

// publicSide is the roster and public keys of an epoch, from the journal and
// its blobs, or if these are gone from what all parties published.
func (a *Agent) publicSide(ctx context.Context, v ledger.View, e *ledger.KeyEpoch) (*multiparty.Epoch, error) {
	const size = len(ledger.Digest{})
	kept, err := a.Store.Journal.Get(keysRecord(e.Ceremony))
	if err != nil {
		return nil, err
	}
	if len(kept) != 4*size {
		return nil, &store.CorruptError{What: keysRecord(e.Ceremony), Cause: fmt.Sprintf("%d bytes", len(kept))}
	}
	roster, err := multiparty.NewRoster(e.Ceremony, e.Parties)
	if err != nil {
		return nil, err
	}
	roster.CRS = ledger.Digest(kept[size:])
	out := &multiparty.Epoch{Roster: roster, KeyDigest: ledger.Digest(kept)}
	for i, k := range []struct {
		p  *he.Profile
		to **he.PublicKey
	}{{a.Profiles.Train, &out.Train}, {a.Profiles.Release, &out.Release}} {
		b, err := a.Store.Blobs.Get(ledger.Digest(kept[(2+i)*size:]))
		if err == nil {
			*k.to, err = he.ParsePublicKey(b, k.p)
		}
		if err != nil {
			a.Log.Warn("the public keys are not at hand, and made again", "epoch", e.Number, "cause", err.Error())
			y, _ := ledger.CeremonyOf(v, e.Ceremony)
			o, err := a.observe(ctx, v, y, nil)
			if err != nil {
				return nil, err
			}
			return o.Epoch(), nil
		}
	}
	return out, nil
}

// observe makes the keys of a ceremony that is over from what all parties
// published.
func (a *Agent) observe(ctx context.Context, v ledger.View, y *ledger.Ceremony, epoch *multiparty.Epoch) (*multiparty.Observer, error) {
	plan, err := a.planOf(v, y)
	if err != nil {
		return nil, err
	}
	var o *multiparty.Observer
	if y.Task == (ledger.Digest{}) {
		o, err = multiparty.NewObserver(plan, y.ID, y.Parties)
	} else {
		o, err = multiparty.NewKeySetObserver(plan, y.ID, epoch)
	}
	if err != nil {
		return nil, err
	}
	err = replay.Observe(v, y.ID, o, func(d ledger.Digest) ([]byte, error) { return a.fetch(ctx, v, y.ID, d) })
	if err != nil {
		return nil, err
	}
	return o, nil
}

// wantsKeys says whether the company computes itself: local tasks, and under
// strict provenance all.
func (a *Agent) wantsKeys(v ledger.View) bool {
	if isStrict(v) {
		return true
	}
	for _, t := range a.policy.Tasks {
		if t.Local {
			return true
		}
	}
	return false
}

// taskKeys are the evaluation keys of a task.
func (a *Agent) taskKeys(ctx context.Context, v ledger.View, t *ledger.Task) (taskKeys, error) {
	if k, ok := a.keys[t.ID]; ok {
		return k, nil
	}
	epoch, err := a.epochOf(ctx, v, t.Epoch)
	if err != nil {
		return taskKeys{}, err
	}
	maker := func(id ledger.Digest, of *multiparty.Epoch) (keyMaker, error) {
		if m := a.made[id]; m != nil {
			return m, nil
		}
		y, ok := ledger.CeremonyOf(v, id)
		if !ok {
			return nil, fmt.Errorf("ceremony %x is not on this copy of the ledger", id[:6])
		}
		return a.observe(ctx, v, y, of)
	}
	base, err := maker(epoch.epoch.Roster.Session, nil)
	if err != nil {
		return taskKeys{}, err
	}
	set, err := maker(t.KeySet, epoch.epoch)
	if err != nil {
		return taskKeys{}, err
	}
	out := taskKeys{release: base.EvaluationKeys(a.Profiles.Release)}
	if out.train, err = base.EvaluationKeys(a.Profiles.Train).With(set.EvaluationKeys(a.Profiles.Train)); err != nil {
		return taskKeys{}, err
	}
	a.keys[t.ID] = out
	clear(a.made) // another task's are made again of what was published
	return out, nil
}
