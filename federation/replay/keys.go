package replay

import (
	"fmt"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/multiparty"
	"github.com/commonseal/commonseal/ledger"
)

// Keys are a task's public keys, as anybody adds them up from what its parties
// revealed.
type Keys struct {
	Roster         multiparty.Roster
	Public         *he.PublicKey // of the train profile
	Train, Release *he.EvaluationKeys
}

// TaskKeys observes the ceremonies of a task: its key epoch's, and its key
// set's.
func TaskKeys(v ledger.View, t *ledger.Task, profiles he.Profiles, blob func(ledger.Digest) ([]byte, error)) (*Keys, error) {
	e, ok := ledger.EpochOf(v, t.Epoch)
	if !ok || t.State != ledger.TaskReady {
		return nil, fmt.Errorf("task %s has no keys yet", t.Name)
	}
	plan := multiparty.Plan{Train: profiles.Train, Release: profiles.Release}
	base, err := multiparty.NewObserver(plan, e.Ceremony, e.Parties)
	if err != nil {
		return nil, err
	}
	if err := Observe(v, e.Ceremony, base, blob); err != nil {
		return nil, err
	}
	taskPlan, err := TaskPlan(t, profiles)
	if err != nil {
		return nil, err
	}
	plan.TrainRotations = taskPlan.Rotations
	set, err := multiparty.NewKeySetObserver(plan, t.KeySet, base.Epoch())
	if err != nil {
		return nil, err
	}
	if err := Observe(v, t.KeySet, set, blob); err != nil {
		return nil, err
	}
	k := &Keys{Roster: base.Roster(), Release: base.EvaluationKeys(profiles.Release)}
	k.Public, _ = base.PublicKeys()
	k.Train, err = base.EvaluationKeys(profiles.Train).With(set.EvaluationKeys(profiles.Train))
	return k, err
}
