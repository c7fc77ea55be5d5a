package replay

import (
	"fmt"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/multiparty"
	"github.com/commonseal/commonseal/ledger"
)

// Blobs is a blob by its digest. What it returns has the digest.
type Blobs = func(ledger.Digest) ([]byte, error)

// Keys are a task's public keys, as anybody adds them up from what its parties
// revealed.
type Keys struct {
	Roster         multiparty.Roster
	Public         *he.PublicKey // of the train profile
	Train, Release *he.EvaluationKeys
}

// TaskKeys observes the ceremonies of a task: its key epoch's, and its key
// set's.
func TaskKeys(v ledger.View, t *ledger.Task, profiles he.Profiles, blob Blobs) (*Keys, error) {
	base, set, err := Observers(v, t, profiles, blob)
	if err != nil {
		return nil, err
	}
	k := &Keys{Roster: base.Roster(), Release: base.EvaluationKeys(profiles.Release)}
	k.Public, _ = base.PublicKeys()
	k.Train, err = base.EvaluationKeys(profiles.Train).With(set.EvaluationKeys(profiles.Train))
	return k, err
}

// Observers are those of a task's two ceremonies, when both are over: the key
// epoch's, and the key set's.
func Observers(v ledger.View, t *ledger.Task, profiles he.Profiles, blob Blobs) (base, set *multiparty.Observer, err error) {
	e, plan, err := ceremonies(v, t, profiles)
	if err != nil {
		return nil, nil, err
	}
	if base, err = multiparty.NewObserver(without(plan), e.Ceremony, e.Parties); err != nil {
		return nil, nil, err
	}
	if err := Observe(v, e.Ceremony, base, blob); err != nil {
		return nil, nil, err
	}
	if set, err = multiparty.NewKeySetObserver(plan, t.KeySet, base.Epoch()); err != nil {
		return nil, nil, err
	}
	return base, set, Observe(v, t.KeySet, set, blob)
}

// ceremonies are a task's key epoch, and the plan of its key set.
func ceremonies(v ledger.View, t *ledger.Task, profiles he.Profiles) (*ledger.KeyEpoch, multiparty.Plan, error) {
	e, ok := ledger.EpochOf(v, t.Epoch)
	if !ok || t.State != ledger.TaskReady {
		return nil, multiparty.Plan{}, fmt.Errorf("task %s has no keys yet", t.Name)
	}
	plan, err := TaskPlan(t, profiles)
	if err != nil {
		return nil, multiparty.Plan{}, err
	}
	return e, multiparty.Plan{Train: profiles.Train, Release: profiles.Release, TrainRotations: plan.Rotations}, nil
}

// without is the plan of a key epoch, which has no rotations.
func without(p multiparty.Plan) multiparty.Plan {
	p.TrainRotations = nil
	return p
}

// Lists name the keys of a task's two ceremonies.
type Lists struct{ Base, Set multiparty.KeyList }

// RecallRoster is the roster of a task's keys, and their public key, from their
// list and that key.
func RecallRoster(v ledger.View, t *ledger.Task, profiles he.Profiles, lists Lists, part Blobs) (*Keys, error) {
	base, _, err := recallBase(v, t, profiles, lists, part)
	if err != nil {
		return nil, err
	}
	k := &Keys{Roster: base.Roster()}
	k.Public, _ = base.PublicKeys()
	return k, nil
}

// RecallKeys are the keys that training steps of a task run on, from their lists
// and parts of them: no others are asked for. Those of the release profile are
// nil.
func RecallKeys(v ledger.View, t *ledger.Task, profiles he.Profiles, lists Lists, part Blobs) (*Keys, error) {
	base, plan, err := recallBase(v, t, profiles, lists, part, profiles.Train)
	if err != nil {
		return nil, err
	}
	y, err := over(v, t.KeySet)
	if err != nil {
		return nil, err
	}
	set, err := multiparty.RecallKeySetObserver(plan, t.KeySet, base.Epoch(),
		multiparty.Recall{List: lists.Set, Keys: y.Keys, Part: part, Circuits: []*he.Profile{profiles.Train}})
	if err != nil {
		return nil, err
	}
	k := &Keys{Roster: base.Roster()}
	k.Public, _ = base.PublicKeys()
	k.Train, err = base.EvaluationKeys(profiles.Train).With(set.EvaluationKeys(profiles.Train))
	return k, err
}

// RecallProducts are the keys that products under one profile take, from their list
// and parts of it: no rotations.
func RecallProducts(v ledger.View, t *ledger.Task, profiles he.Profiles, lists Lists, part Blobs, profile *he.Profile) (*he.EvaluationKeys, error) {
	base, _, err := recallBase(v, t, profiles, lists, part, profile)
	if err != nil {
		return nil, err
	}
	return base.EvaluationKeys(profile), nil
}

func recallBase(v ledger.View, t *ledger.Task, profiles he.Profiles, lists Lists, part Blobs, circuits ...*he.Profile) (*multiparty.Observer, multiparty.Plan, error) {
	e, plan, err := ceremonies(v, t, profiles)
	if err != nil {
		return nil, plan, err
	}
	y, err := over(v, e.Ceremony)
	if err != nil {
		return nil, plan, err
	}
	base, err := multiparty.RecallObserver(without(plan), e.Ceremony, e.Parties, multiparty.Recall{List: lists.Base, Keys: y.Keys, Part: part, Circuits: circuits})
	return base, plan, err
}

// over is a ceremony that is.
func over(v ledger.View, id ledger.Digest) (*ledger.Ceremony, error) {
	y, ok := ledger.CeremonyOf(v, id)
	if !ok || y.State != ledger.Active {
		return nil, fmt.Errorf("ceremony %x is not over", id[:6])
	}
	return y, nil
}
