// Package checker holds training to what was recorded of it: it evaluates
// recorded steps again, beside consensus, and what a job ended with, shows what is
// wrong in a fraud proof that verifies offline, challenges it and votes on challenges.
//
// [Checker.Work] carries out what [federation.CheckerDuties] says and is all of
// its initiative. It holds no key share and sees ciphertexts only.
package checker

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"

	"github.com/commonseal/commonseal/federation"
	"github.com/commonseal/commonseal/federation/replay"
	"github.com/commonseal/commonseal/federation/store"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/ledger"
)

// A Ledger is the state that the checker re-executed itself. Submit returns once
// the transaction is in a block, with what became of it. Safe for concurrent use.
type Ledger interface {
	View() ledger.View
	Now() int64 // block time
	Submit(ctx context.Context, tx []byte) (ledger.Result, error)
}

// A Node is an aggregation node as its client sees it. Get checks the digest of
// what it returns.
type Node interface {
	Get(ctx context.Context, d ledger.Digest) ([]byte, error)
	Posts(ctx context.Context, scope ledger.Digest, after uint64) (posts []ledger.Post, cursor uint64, err error)
}

// Config is what a checker is made of.
type Config struct {
	Name     string
	Signing  ed25519.PrivateKey
	Profiles he.Profiles
	Journal  *store.Journal
	Ledger   Ledger
	Node     func(name string) (Node, error) // an aggregator, by its name on the ledger
	// Save keeps a fraud proof of a step that was found wrong and returns its
	// digest, before the step is challenged. nil keeps none.
	Save func(ctx context.Context, v ledger.View, job ledger.Digest, step uint16) (ledger.Digest, error)
	Log  *slog.Logger // nil: nothing
}

// A Checker does the duties of one. It is used by one goroutine.
type Checker struct {
	Config
	audit  *Audit // of the job it checked last
	round  uint64 // of Work
	waits  map[string]wait
	frauds map[federation.Check]ledger.Digest // proofs that were saved
}

// A wait is before a duty that could not be done is tried again, in rounds of
// Work: twice as many each time.
type wait struct{ until, length uint64 }

const longest = 64 // rounds

// New is a checker that goes on where its journal ends.
func New(c Config) *Checker {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Checker{Config: c, waits: map[string]wait{}, frauds: map[federation.Check]ledger.Digest{}}
}

// holding is what the checker has done. It has no posts.
type holding struct{ journal *store.Journal }

// Done implements [federation.Holding]. A journal that cannot be read has done
// nothing: then a step is evaluated once more.
func (h holding) Done(key string) bool {
	_, err := h.journal.Get("done/" + key)
	return err == nil
}

// Post implements [federation.Holding].
func (holding) Post(ledger.Digest, ledger.PostKind, uint16, uint16, ledger.Key) (ledger.Post, bool) {
	return ledger.Post{}, false
}

// Work carries out the first duty that can be, and says whether it did any: what
// is more urgent may come up while a step is evaluated. The error, if ctx did not
// cause it, is of what could not be done; call Work again later.
func (c *Checker) Work(ctx context.Context) (did bool, err error) {
	v := c.Ledger.View()
	c.round++
	duties := federation.CheckerDuties(v, c.Name, c.Ledger.Now(), holding{c.Journal})
	if len(duties) == 0 {
		c.audit = nil // keys and rows of a job are much to keep
	}
	for _, d := range duties {
		w := c.waits[d.Key()]
		if w.until > c.round {
			continue
		}
		failed := c.carryOut(ctx, v, d)
		switch {
		case ctx.Err() != nil:
			return false, ctx.Err()
		case errors.Is(failed, store.ErrCrash):
			return false, failed
		case failed == nil:
			delete(c.waits, d.Key())
			c.Log.Info("done", "duty", d.Key())
			return true, err
		}
		w.length = min(2*w.length+1, longest)
		w.until = c.round + w.length
		c.waits[d.Key()] = w
		c.Log.Warn("a duty waits", "duty", d.Key(), "cause", failed.Error())
		err = errors.Join(err, fmt.Errorf("%s: %w", d.Key(), failed))
	}
	return false, err
}

func (c *Checker) carryOut(ctx context.Context, v ledger.View, d federation.Duty) error {
	switch d := d.(type) {
	case federation.Judge:
		wrong, err := c.found(ctx, v, federation.Check(d))
		if err != nil {
			return err // no vote: what cannot be evaluated is neither right nor wrong
		}
		return c.submit(ctx, &ledger.Verdict{Job: d.Job, Step: d.Step, Wrong: wrong})
	case federation.Accuse:
		return c.accuse(ctx, v, d)
	case federation.Check:
		_, err := c.found(ctx, v, d)
		return err
	}
	return fmt.Errorf("a duty of type %T, which is not a checker's", d)
}

// accuse challenges a step, once what shows it wrong is kept.
func (c *Checker) accuse(ctx context.Context, v ledger.View, d federation.Accuse) error {
	fraud, saved := c.frauds[federation.Check(d)]
	if c.Save != nil && !saved {
		var err error
		if fraud, err = c.Save(ctx, v, d.Job, d.Step); err != nil {
			return fmt.Errorf("the fraud proof: %w", err)
		}
		c.frauds[federation.Check(d)] = fraud
	}
	err := c.submit(ctx, &ledger.OpenChallenge{Job: d.Job, Step: d.Step, Fraud: fraud})
	var refused *TxError
	if errors.As(err, &refused) && refused.Result.Code == ledger.Conflict {
		return nil // somebody was faster: the step is challenged
	}
	return err
}

// found says whether a step is wrong: as the journal has it, or evaluated now
// and written down.
func (c *Checker) found(ctx context.Context, v ledger.View, d federation.Check) (wrong bool, err error) {
	has := holding{c.Journal}
	if has.Done(d.Wrong()) || has.Done(d.Key()) {
		return has.Done(d.Wrong()), nil
	}
	if c.audit == nil || c.audit.job != d.Job {
		c.audit = NewAudit(d.Job, c.Profiles, c.Node)
	}
	err = c.audit.Step(ctx, v, d.Step)
	record := store.Record{Key: "done/" + d.Key()}
	var earlier *replay.EarlierError
	switch {
	case errors.As(err, &earlier) && earlier.Step < d.Step:
		_, first := c.found(ctx, v, federation.Check{Job: d.Job, Step: earlier.Step})
		return false, errors.Join(err, first) // what is wrong is that one
	case replay.IsWrong(err):
		c.Log.Warn("a recorded step is wrong", "cause", err.Error())
		wrong, record.Key = true, "done/"+d.Wrong()
	case err != nil:
		return false, err
	}
	return wrong, c.Journal.PutAll([]store.Record{record})
}

// expiry is how long a transaction may wait for its block, in ms.
const expiry = ledger.MaxExpiry / 2

// A TxError says that the ledger refused what the checker recorded.
type TxError struct{ Result ledger.Result }

// Error gives the ledger's reason.
func (e *TxError) Error() string {
	return fmt.Sprintf("the ledger refused (code %d): %s", e.Result.Code, e.Result.Detail)
}

// submit has a body recorded.
func (c *Checker) submit(ctx context.Context, body ledger.Body) error {
	chain := ledger.GenesisOf(c.Ledger.View()).Chain
	r, err := c.Ledger.Submit(ctx, ledger.SignTx(chain, c.Ledger.Now()+expiry, body, c.Signing))
	switch {
	case err != nil:
		return err
	case r.Code == ledger.OK || r.Code == ledger.Replayed:
		return nil
	}
	return &TxError{r}
}
