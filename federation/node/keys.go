package node

import (
	"context"

	"github.com/commonseal/commonseal/federation/replay"
	"github.com/commonseal/commonseal/ledger"
)

// keys are those of a task, added up once.
func (n *Node) keys(ctx context.Context, v ledger.View, t *ledger.Task) (*replay.Keys, error) {
	if k := n.tasks[t.ID]; k != nil {
		return k, nil
	}
	k, err := replay.TaskKeys(v, t, n.Profiles, n.blob(ctx, v))
	if err == nil {
		n.tasks[t.ID] = k
	}
	return k, err
}
