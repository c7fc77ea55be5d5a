package node

import (
	"context"
	"time"

	"github.com/commonseal/commonseal/ledger"
)

// How often a node looks again when nothing told it to.
const (
	busy = 100 * time.Millisecond // peers may have posts of a job or ceremony that goes on
	idle = 2 * time.Second
	bill = 2 * time.Second // between usage records
)

// Run works until ctx ends: whenever the ledger or the posts change, and every
// now and then. changed is closed when the ledger does. It returns when all it
// started has.
func (n *Node) Run(ctx context.Context, changed func() <-chan struct{}) error {
	billed := time.Now()
	for {
		onLedger, onPosts := changed(), n.Changed()
		did, _ := n.Work(ctx) // which logs what waits, and why
		if ctx.Err() != nil {
			return nil
		}
		if time.Since(billed) > bill {
			billed = time.Now()
			if err := n.Bill(ctx); err != nil {
				n.Log.Warn("usage not recorded", "error", err)
			}
		}
		if did {
			continue
		}
		wait := time.NewTimer(n.interval())
		select {
		case <-ctx.Done():
			wait.Stop()
			return nil
		case <-onLedger:
		case <-onPosts:
		case <-wait.C:
		}
		wait.Stop()
	}
}

func (n *Node) interval() time.Duration {
	v := n.Ledger.View()
	if len(ledger.Ceremonies(v)) > 0 {
		return busy
	}
	for _, j := range ledger.Jobs(v) {
		if j.State.Works() {
			return busy
		}
	}
	return idle
}
