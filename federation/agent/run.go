package agent

import (
	"context"
	"slices"
	"time"

	"github.com/commonseal/commonseal/ledger"
)

// How long Run waits for the ledger to move before it works again: while
// something goes on at nodes, and otherwise, more and more.
const (
	busy      = 100 * time.Millisecond
	idleLeast = 200 * time.Millisecond
	idleMost  = 5 * time.Second
)

// Run works until ctx ends, whose error it then returns, or until something
// stops the agent: whenever the ledger has moved, and every now and then. changed
// returns a channel that the next block closes.
func (a *Agent) Run(ctx context.Context, changed func() <-chan struct{}) error {
	idle := idleLeast
	for {
		moved := changed() // before the state is read
		did, err := a.Work(ctx)
		switch {
		case err != nil:
			return err
		case did:
			idle = idleLeast
			continue
		}
		wait := idle
		if a.listens() {
			wait = busy
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-moved:
			idle = idleLeast
		case <-timer.C:
			idle = min(2*idle, idleMost)
		}
		timer.Stop()
	}
}

// listens says whether the company waits for what nodes have and the ledger does
// not show: points to take gradients at, and their word for contributions.
func (a *Agent) listens() bool {
	if len(a.uploads) > 0 {
		return true
	}
	v := a.Ledger.View()
	return slices.ContainsFunc(ledger.Jobs(v), func(j ledger.Job) bool {
		t, ok := ledger.TaskOf(v, j.Task)
		if !ok || !j.State.Works() {
			return false
		}
		mine, _ := t.ConsentOf(a.Name)
		return mine.Local
	})
}
