package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/commonseal/commonseal/federation"
	"github.com/commonseal/commonseal/federation/store"
	"github.com/commonseal/commonseal/ledger"
)

// A letter is a post that is said again, with its blob, until the ledger shows
// that it was heard.
type letter struct {
	post ledger.Post
	duty string // that it does
	sent int    // how often a node took it since the start
	wait wait
}

// letters are where posts are in the journal.
const letters = "post/"

// write makes a post of a blob, for ever: another in the same place is refused.
// It is on disk, digest and bytes, before it can leave.
func (a *Agent) write(v ledger.View, p ledger.Post, blob []byte) (*letter, error) {
	p.Chain, p.Blob, p.Size = ledger.GenesisOf(v).Chain, sha256.Sum256(blob), uint32(len(blob))
	p = p.Sign(a.Signing)
	if _, err := a.Store.Blobs.Put(blob); err != nil {
		return nil, err
	}
	key := string(p.Key())
	err := a.Store.Journal.Put(letters+hex.EncodeToString([]byte(key)), p.Append(nil))
	if err != nil && !a.off.journal {
		var conflict *store.ConflictError
		if errors.As(err, &conflict) {
			return nil, &RefusedError{err}
		}
		return nil, err
	}
	if a.outbox[key] == nil {
		a.outbox[key] = &letter{post: p, duty: dutyOf(p)}
	}
	return a.outbox[key], nil
}

// dutyOf is the key of the duty that a post does, if it alone does one.
func dutyOf(p ledger.Post) string {
	switch {
	case p.Kind == ledger.PostShare:
		return federation.Share{Job: p.Scope, Step: p.Step}.Key()
	case p.Kind == ledger.PostUpdate && p.Index == 0: // written last
		return federation.Update{Job: p.Scope, Step: p.Step}.Key()
	case p.Kind == ledger.PostOpening:
		return federation.Opening{Job: p.Scope}.Key()
	}
	return ""
}

// wrote is what the journal has in the place of p.
func (a *Agent) wrote(p ledger.Post) (ledger.Post, bool, error) {
	p.Sender = a.key()
	b, err := a.Store.Journal.Get(letters + hex.EncodeToString(p.Key()))
	if err != nil {
		if errors.Is(err, store.ErrNotFound) {
			err = nil
		}
		return ledger.Post{}, false, err
	}
	p, err = ledger.ParsePost(b)
	return p, err == nil, err
}

// reload fills the outbox from the journal. Of a letter without its blob the
// duty is done again, which gives the same bytes.
func (a *Agent) reload() error {
	var damaged error
	err := a.Store.Journal.Range(letters, func(key string, value []byte) bool {
		p, err := ledger.ParsePost(value)
		if err != nil {
			damaged = fmt.Errorf("journal record %q: %w", key, err)
			return false
		}
		if has, err := a.Store.Blobs.Has(p.Blob); err != nil || !has {
			damaged = err
			return err == nil
		}
		a.outbox[string(p.Key())] = &letter{post: p, duty: dutyOf(p)}
		return true
	})
	return errors.Join(err, damaged)
}

// settled says that the ledger shows a post's effect, or that it has none any
// more.
func settled(v ledger.View, p ledger.Post) bool {
	switch p.Kind {
	case ledger.PostPart:
		y, ok := ledger.CeremonyOf(v, p.Scope)
		return ok && y.Over()
	case ledger.PostManifest:
		_, ok := ledger.HasManifest(v, p.Blob)
		return ok
	}
	j, ok := ledger.JobOf(v, p.Scope)
	switch {
	case !ok:
		return false // this copy of the ledger is behind
	case p.Kind == ledger.PostUpdate:
		return j.Step > p.Step || j.State == ledger.JobAborted
	case p.Kind == ledger.PostShare:
		return j.Step > p.Step+1 || j.State == ledger.JobDone || j.State == ledger.JobAborted
	}
	return over(v, j)
}

// deliver sends letters whose time has come, and drops those that are settled:
// to nodes that have not had them, ever more rarely.
func (a *Agent) deliver(ctx context.Context, v ledger.View) (did bool, err error) {
	for _, key := range slices.Sorted(maps.Keys(a.outbox)) {
		l := a.outbox[key]
		if settled(v, l.post) {
			if err := a.file(l); err != nil {
				return did, err
			}
			delete(a.outbox, key)
			continue
		}
		if l.wait.until > a.round {
			continue
		}
		first := l.sent == 0
		switch err := a.send(ctx, v, l); {
		case err == nil:
			did = did || first
		case stops(err) || ctx.Err() != nil:
			return did, err
		case lost(err):
			a.remake(key, l)
		default:
			a.Log.Info("a post waits", "kind", l.post.Kind, "step", l.post.Step, "cause", err.Error())
		}
	}
	return did, nil
}

// send gives a letter to one more node.
func (a *Agent) send(ctx context.Context, v ledger.View, l *letter) error {
	blob, err := a.Store.Blobs.Get(l.post.Blob)
	if err != nil {
		return err
	}
	l.wait = l.wait.later(a.round)
	if err := a.put(ctx, v, l.post, blob, l.sent); err != nil {
		return err
	}
	l.sent++
	l.wait = wait{tries: max(l.wait.tries, patience)}.later(a.round)
	return nil
}

// patience is log2 of the rounds that a node has to copy what another took,
// before it is sent the same.
const patience = 5

// lost says that a blob is not in the store any more.
func lost(err error) bool {
	var rotten *store.CorruptError
	return errors.Is(err, store.ErrNotFound) || errors.As(err, &rotten)
}

// remake forgets a letter whose blob is lost, and whatever would keep its duty
// from being done again, to the same bytes.
func (a *Agent) remake(key string, l *letter) {
	delete(a.outbox, key)
	delete(a.making, l.post.Scope)
	for d := range a.uploads {
		if d.Task == l.post.Scope {
			delete(a.uploads, d)
		}
	}
}

// file ends a letter. Of what it did only its digest stays, in the journal: a
// share can be made again to the same bytes, and nobody asks for it any more.
func (a *Agent) file(l *letter) error {
	if l.post.Kind == ledger.PostOpening { // which the ledger's state goes on to ask for
		if err := a.Store.Journal.Put("done/"+l.duty, []byte{1}); err != nil {
			return err
		}
	}
	return a.Store.Blobs.Delete(l.post.Blob)
}
