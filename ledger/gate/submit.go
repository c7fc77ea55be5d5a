package gate

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/commonseal/commonseal/ledger"
	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

const (
	// submitTime is what one validator may take to check a transaction.
	submitTime = 5 * time.Second
	// resubmitAfter is when a transaction that is in no block is handed in
	// again, to another validator: pools lose theirs at a restart.
	resubmitAfter = 3 * time.Second
)

// Submit hands a transaction in, again and again and to one validator after
// another, until the replica has it in a block, and returns its result there.
// The same bytes accepted before are [ledger.OK]. A validator's refusal of what
// none has accepted is returned at once. Run must be running.
//
// The error is ctx's. The transaction may still be accepted after it.
func (f *Follower) Submit(ctx context.Context, tx []byte) (ledger.Result, error) {
	hash := sha256.Sum256(tx)
	included := f.expect(hash)
	defer f.forget(hash, included)
	var accepted, doubted bool
	wait := backoffLeast
	for try := 0; ; try++ {
		// After expect and Changed: no block that comes from now on is missed.
		next := f.Changed()
		if f.rules.Check(f.View(), f.Now(), tx).Code == ledger.Replayed {
			return ledger.Result{}, nil
		}
		r, err := f.offer(ctx, tx, try)
		if err != nil || r.Code != ledger.Replayed {
			next = nil
		}
		switch {
		case err != nil: // nobody there
			f.log.Debug("no validator takes a transaction", "cause", err.Error())
		case r.Code == ledger.OK, r.Code == ledger.Replayed:
			// Replayed: it is in a block that we do not have yet, or somebody lies.
			accepted, doubted = true, false
		case !accepted || doubted:
			return r, nil
		default:
			doubted = true // perhaps refused because it is in a block that we do not have yet
		}
		if err == nil {
			wait = resubmitAfter
		}
		if r, ok, err := await(ctx, included, next, wait); ok || err != nil {
			return r, err
		}
		wait = min(2*wait, backoffMost)
	}
}

// await waits for the result of a transaction, for the next block if next is
// not nil, and no longer than wait.
func await(ctx context.Context, included <-chan ledger.Result, next <-chan struct{}, wait time.Duration) (r ledger.Result, ok bool, err error) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case r = <-included:
		if r.Code == ledger.Replayed {
			r = ledger.Result{}
		}
		return r, true, nil
	case <-next:
		return r, false, nil
	case <-timer.C:
		return r, false, nil
	case <-ctx.Done():
		return r, false, fmt.Errorf("gate: the transaction is in no block yet: %w", context.Cause(ctx))
	}
}

// offer asks one endpoint after another, beginning with number try, until one
// accepts. If none does, it returns the first refusal, or if there is none, why
// nobody answered.
func (f *Follower) offer(ctx context.Context, tx []byte, try int) (ledger.Result, error) {
	var refused *ledger.Result
	var errs []error
	for i := range f.endpoints {
		e := f.endpoints[(try+i)%len(f.endpoints)]
		r, err := submitTo(ctx, e, tx)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("%s: %w", e.Name, err))
		case r.Code == ledger.OK || r.Code == ledger.Replayed:
			return r, nil
		case refused == nil:
			refused = &r
		}
	}
	if refused != nil {
		return *refused, nil
	}
	return ledger.Result{}, errors.Join(errs...)
}

func submitTo(ctx context.Context, e Endpoint, tx []byte) (ledger.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, submitTime)
	defer cancel()
	out, err := e.Service.Submit(ctx, &commonsealv1.SubmitRequest{Tx: tx})
	if err != nil {
		return ledger.Result{}, FromStatus(err)
	}
	return ledger.Result{Code: ledger.Code(out.Code), Detail: out.Detail}, nil
}

// expect returns where the result of a transaction will be.
func (f *Follower) expect(hash ledger.Digest) chan ledger.Result {
	f.mu.Lock()
	defer f.mu.Unlock()
	included := make(chan ledger.Result, 1)
	f.waiting[hash] = append(f.waiting[hash], included)
	return included
}

func (f *Follower) forget(hash ledger.Digest, included chan ledger.Result) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting[hash] = slices.DeleteFunc(f.waiting[hash], func(c chan ledger.Result) bool { return c == included })
	if len(f.waiting[hash]) == 0 {
		delete(f.waiting, hash)
	}
}

// answer gives the results of a block to those who wait. f.mu is held.
func (f *Follower) answer(block ledger.Block, out ledger.Outcome) {
	if len(f.waiting) == 0 {
		return
	}
	for i, r := range out.Results {
		for _, included := range f.waiting[sha256.Sum256(block.Txs[i])] {
			select {
			case included <- r:
			default: // it has the result of an earlier block
			}
		}
	}
}
