package agent

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commonseal/commonseal/ledger"
)

// A quiet ledger has no block yet and counts how often it is looked at.
type quiet struct {
	ledger.Memory
	mu      sync.Mutex // guards what follows
	looked  int
	changed chan struct{}
}

func (q *quiet) View() ledger.View {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.looked++
	return &q.Memory
}

func (q *quiet) Changed() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.changed
}

// move closes the channel, and returns how often was looked before.
func (q *quiet) move() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	close(q.changed)
	q.changed = make(chan struct{})
	return q.looked
}

func (q *quiet) looks() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.looked
}

func (q *quiet) Now() int64 { return 0 }
func (q *quiet) Submit(context.Context, []byte) (ledger.Result, error) {
	return ledger.Result{}, errors.New("nothing is to be submitted before the first block")
}

// TestRun works when the ledger moves and, ever more rarely, when it does not,
// and ends with its context.
func TestRun(t *testing.T) {
	w := found(t, ledger.Quorum, pooled)
	synctest.Test(t, func(t *testing.T) {
		q := &quiet{changed: make(chan struct{})}
		a := w.agents["ann"]
		a.Ledger = q
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- a.Run(ctx, q.Changed) }()
		synctest.Wait()
		if q.looks() == 0 {
			t.Error("it does not work when it starts")
		}
		before := q.move()
		synctest.Wait()
		if q.looks() == before {
			t.Error("it does not work when the ledger moves")
		}
		before = q.looks()
		<-time.After(time.Minute)
		if n := q.looks() - before; n < 12 || n > 80 {
			t.Errorf("it looked %d times in a quiet minute", n)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("it ends with %v", err)
		}
	})
}
