package checker

import (
	"context"
	"time"
)

// idle is how long Run waits for the ledger to move before it looks again: what
// was not available may be.
const idle = 5 * time.Second

// Run works until ctx ends: whenever the ledger has moved, and every now and
// then. changed returns a channel that the next block closes.
func (c *Checker) Run(ctx context.Context, changed func() <-chan struct{}) error {
	for {
		moved := changed() // before the state is read
		did, _ := c.Work(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if did {
			continue
		}
		timer := time.NewTimer(idle)
		select {
		case <-ctx.Done():
		case <-moved:
		case <-timer.C:
		}
		timer.Stop()
	}
}
