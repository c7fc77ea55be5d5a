package agent

import (
	"context"
	"time"
)

// How long Run waits for the ledger to move before it tries again, at first and
// at most.
const (
	retryLeast = 200 * time.Millisecond
	retryMost  = 5 * time.Second
)

// Run works until ctx ends, whose error it then returns, or until something
// stops the agent: whenever the ledger has moved, and after a while if it has
// not. changed returns a channel that the next block closes.
func (a *Agent) Run(ctx context.Context, changed func() <-chan struct{}) error {
	wait := retryLeast
	for {
		next := changed() // before the state is read
		did, err := a.Work(ctx)
		switch {
		case err != nil:
			return err
		case did:
			wait = retryLeast
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-next:
			wait = retryLeast
		case <-timer.C:
			wait = min(2*wait, retryMost)
		}
		timer.Stop()
	}
}
