package node

import (
	"context"
	"fmt"

	"github.com/commonseal/commonseal/federation/replay"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/multiparty"
	"github.com/commonseal/commonseal/ledger"
)

// taskKeys are what the node added up itself from what the parties of a task
// revealed.
type taskKeys struct {
	roster         multiparty.Roster
	public         *he.PublicKey
	train, release *he.EvaluationKeys
}

// keys observes the ceremonies of a task: everybody's commitments and reveals,
// as the ledger has them.
func (n *Node) keys(ctx context.Context, v ledger.View, t *ledger.Task) (*taskKeys, error) {
	if k := n.tasks[t.ID]; k != nil {
		return k, nil
	}
	e, ok := ledger.EpochOf(v, t.Epoch)
	if !ok || t.State != ledger.TaskReady {
		return nil, fmt.Errorf("task %s has no keys yet", t.Name)
	}
	plan := multiparty.Plan{Train: n.Profiles.Train, Release: n.Profiles.Release}
	base, err := multiparty.NewObserver(plan, e.Ceremony, e.Parties)
	if err != nil {
		return nil, err
	}
	blob := n.blob(ctx, v)
	if err := replay.Observe(v, e.Ceremony, base, blob); err != nil {
		return nil, err
	}
	taskPlan, err := replay.TaskPlan(t, n.Profiles)
	if err != nil {
		return nil, err
	}
	plan.TrainRotations = taskPlan.Rotations
	set, err := multiparty.NewKeySetObserver(plan, t.KeySet, base.Epoch())
	if err != nil {
		return nil, err
	}
	if err := replay.Observe(v, t.KeySet, set, blob); err != nil {
		return nil, err
	}
	k := &taskKeys{roster: base.Roster(), release: base.EvaluationKeys(n.Profiles.Release)}
	k.public, _ = base.PublicKeys()
	if k.train, err = base.EvaluationKeys(n.Profiles.Train).With(set.EvaluationKeys(n.Profiles.Train)); err != nil {
		return nil, err
	}
	n.tasks[t.ID] = k
	return k, nil
}
