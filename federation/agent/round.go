package agent

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"github.com/commonseal/commonseal/ledger"
)

// A wait is how long something that failed is let be, in rounds.
type wait struct {
	tries int
	until uint64
}

// longest is log2 of the most rounds between two attempts.
const longest = 6

// later is the wait after one more attempt.
func (w wait) later(round uint64) wait {
	return wait{tries: w.tries + 1, until: round + 1<<min(w.tries, longest)}
}

// attempt does something if it is its turn, and says whether anything was done.
// It sorts what goes wrong: what stops the agent it returns, what is refused for
// good it writes down, all else waits.
func (a *Agent) attempt(ctx context.Context, key string, do func() (bool, error)) (bool, error) {
	if a.waits[key].until > a.round {
		return false, nil
	}
	did, err := do()
	var refused *RefusedError
	switch {
	case err == nil && did:
		a.logOf(key).Info("a duty is done")
		delete(a.waits, key)
		return true, nil
	case err == nil:
	case stops(err) || ctx.Err() != nil:
		return false, err
	case errors.As(err, &refused):
		if !errors.Is(err, ErrDeclined) { // which is no news: it is asked every round
			a.logOf(key).Warn("a duty is refused", "cause", err.Error())
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		a.refused[key] = err
		return false, nil
	default:
		a.logOf(key).Info("a duty waits", "cause", err.Error())
	}
	a.waits[key] = a.waits[key].later(a.round)
	return false, nil
}

// logOf logs about a duty. What is about one job, task or ceremony has one trace
// in the logs of all processes: the first eight bytes of its digest.
func (a *Agent) logOf(key string) *slog.Logger {
	const trace = 16
	log := a.Log.With("duty", key)
	if parts := strings.Split(key, "/"); len(parts) > 1 && len(parts[1]) >= trace {
		log = log.With("trace", parts[1][:trace])
	}
	return log
}

// A holding is what duties ask of an agent.
type holding struct{ *Agent }

// Done implements [federation.Holding].
func (h holding) Done(key string) bool {
	if h.refused[key] != nil {
		return true
	}
	for _, l := range h.outbox {
		if l.duty == key {
			return true
		}
	}
	_, err := h.Store.Journal.Get("done/" + key)
	return err == nil
}

// A post is a node's.
type post = ledger.Post

// Post implements [federation.Holding]. The blob is fetched when it is needed.
func (h holding) Post(scope ledger.Digest, kind ledger.PostKind, step, index uint16, sender ledger.Key) (ledger.Post, bool) {
	p, ok := h.posts[string(ledger.Post{Scope: scope, Kind: kind, Step: step, Index: index, Sender: sender}.Key())]
	return p, ok
}

// forget drops what belongs to ceremonies and jobs that are over.
func (a *Agent) forget(v ledger.View) {
	for id := range a.making {
		if y, ok := ledger.CeremonyOf(v, id); !ok || y.Over() {
			delete(a.making, id)
		}
	}
	for id := range a.jobs {
		if j, ok := ledger.JobOf(v, id); !ok || over(v, j) {
			delete(a.jobs, id)
		}
	}
	for id, r := range a.rows {
		if a.brought(v, id, r) {
			delete(a.rows, id)
		}
	}
	for key, p := range a.posts {
		if j, ok := ledger.JobOf(v, p.Scope); !ok || over(v, j) {
			delete(a.posts, key)
		}
	}
}

// brought says that rows of a task are contributed.
func (a *Agent) brought(v ledger.View, task ledger.Digest, r *rows) bool {
	for use := range r.commitments {
		if _, ok := ledger.ContributionOf(v, task, use, a.Name); !ok && r.of(use).Len() > 0 {
			return false
		}
	}
	return true
}

// over says that a job asks for nothing more.
func over(v ledger.View, j *ledger.Job) bool {
	if j.State == ledger.JobAborted {
		return true
	}
	m, ok := ledger.ModelOf(v, j.Model)
	return ok && (m.Values == ledger.Digest{} || len(m.Opened) > 0)
}
