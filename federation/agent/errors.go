package agent

import (
	"errors"
	"fmt"

	"github.com/commonseal/commonseal/federation/store"
	"github.com/commonseal/commonseal/ledger"
)

// A RefusedError says that the company does not do a duty, now or later.
type RefusedError struct{ Cause error }

func (e *RefusedError) Error() string { return "refused for good: " + e.Cause.Error() }

// Unwrap is the cause.
func (e *RefusedError) Unwrap() error { return e.Cause }

// never is a refusal with a formatted cause.
func never(format string, args ...any) error { return &RefusedError{fmt.Errorf(format, args...)} }

// ErrDeclined says that the company's policy has no such task, or not such a
// job.
var ErrDeclined = errors.New("the company's policy does not have it; add it there to take part")

// ErrNoTicket says that the ledger does not permit an answer.
var ErrNoTicket = errors.New("no ticket on the ledger permits it")

// A PromiseError says that a party would commit to something else than it did
// before it was started again. To go on could answer two sums with one secret
// (law L5), so the agent stops.
type PromiseError struct {
	Ceremony ledger.Digest
	Stage    int
}

func (e *PromiseError) Error() string {
	return fmt.Sprintf("stage %d of ceremony %x: the commitment differs from the one made before; compare the program's version and its files, then abort the ceremony", e.Stage, e.Ceremony[:6])
}

// A RollbackError says that the ledger shows an answer of this company that its
// journal does not have: it was restored from a backup. With what it forgot it
// could answer twice, so it answers nothing more in the key epoch (law L3).
type RollbackError struct {
	Epoch uint32
	What  string
}

func (e *RollbackError) Error() string {
	return fmt.Sprintf("the journal lacks %s, which the ledger has: it was rolled back; make new keys, this company answers no more in key epoch %d", e.What, e.Epoch)
}

// A ProvenanceError says that a witness came to something else than was
// recorded.
type ProvenanceError struct {
	Job    ledger.Digest
	Step   uint16
	Detail string
}

func (e *ProvenanceError) Error() string {
	return fmt.Sprintf("step %d of job %x is not what was recorded: %s; abort the job and audit its nodes", e.Step, e.Job[:6], e.Detail)
}

// A ResultError says that the ledger refused a transaction.
type ResultError struct{ Result ledger.Result }

func (e *ResultError) Error() string {
	return fmt.Sprintf("the ledger refused it (%d): %s", e.Result.Code, e.Result.Detail)
}

// stops says whether an error stops the agent.
func stops(err error) bool {
	var promise *PromiseError
	var disk *store.DiskError
	return errors.As(err, &promise) || errors.As(err, &disk) || errors.Is(err, store.ErrCrash)
}
