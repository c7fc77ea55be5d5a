package checker

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/commonseal/commonseal/federation/replay"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/ledger"
)

// An Audit checks steps of one job, with blobs that its nodes have. It keeps the
// job's keys and contributions, and is used by one goroutine.
type Audit struct {
	job      ledger.Digest
	profiles he.Profiles
	node     func(name string) (Node, error)
	checker  *replay.Checker
	signed   map[string]map[ledger.Digest]bool // blobs, by step and company, that the company signed as its share
}

// NewAudit is an audit of a job. node dials an aggregator.
func NewAudit(job ledger.Digest, profiles he.Profiles, node func(name string) (Node, error)) *Audit {
	return &Audit{job: job, profiles: profiles, node: node}
}

// ErrUnavailable says that no node has what a check needs. It proves nothing, and
// nobody is slashed for it: validators cannot agree on what was not sent to
// somebody.
var ErrUnavailable = errors.New("no node of the task has it; ask their owners, and try again")

// Step evaluates a recorded step again, as the ledger is in v, or holds the model's
// record of a job that is done, the step after the last, to the steps. The error is a
// [*replay.WrongError] if the step is wrong; any other says that it cannot be
// checked.
func (a *Audit) Step(ctx context.Context, v ledger.View, step uint16) error {
	if err := a.open(ctx, v); err != nil {
		return err
	}
	if err := a.checker.Check(step); err != nil || step == 0 {
		return err
	}
	if j, ok := ledger.JobOf(v, a.job); ok && step == j.ValuesStep() {
		return nil // the ledger has the companies' signatures of the shares
	}
	shares, err := named(v, a.job, step)
	if err != nil {
		return err
	}
	return a.vouched(ctx, v, step-1, shares)
}

// named are the shares of the step before that a record goes on from.
func named(v ledger.View, job ledger.Digest, step uint16) ([]ledger.Digest, error) {
	if j, ok := ledger.JobOf(v, job); ok && step == j.ModelStep() {
		record, err := replay.Concluded(v, job)
		if err != nil {
			return nil, err
		}
		return record.Shares, nil
	}
	_, record, err := replay.Ticketed(v, job, step)
	if err != nil {
		return nil, err
	}
	return record.Shares, nil
}

// open points the checker at a view.
func (a *Audit) open(ctx context.Context, v ledger.View) (err error) {
	from := Sources(ctx, v, a.job, a.profiles, a.node)
	if a.checker == nil {
		a.checker, err = replay.NewChecker(a.job, from)
		return err
	}
	a.checker.Sources = from
	return nil
}

// Sources are the ledger and the blobs of the nodes of a job's task.
func Sources(ctx context.Context, v ledger.View, job ledger.Digest, profiles he.Profiles, node func(string) (Node, error)) replay.Sources {
	return replay.Sources{View: v, Profiles: profiles, Blob: func(d ledger.Digest) ([]byte, error) {
		var errs []error
		for _, n := range nodesOf(v, job) {
			p, err := node(n)
			if err == nil {
				var b []byte
				if b, err = p.Get(ctx, d); err == nil {
					return b, nil
				}
			}
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			errs = append(errs, fmt.Errorf("%s: %w", n, err))
		}
		return nil, fmt.Errorf("blob %x: %w (%w)", d[:6], ErrUnavailable, errors.Join(errs...))
	}}
}

// nodesOf are the nodes of a job and of its task: those that were replaced in the
// job included, which may be the only ones to have what it began with.
func nodesOf(v ledger.View, job ledger.Digest) []string {
	j, ok := ledger.JobOf(v, job)
	if !ok {
		return nil
	}
	t, ok := ledger.TaskOf(v, j.Task)
	if !ok {
		return nil
	}
	out := append(slices.Clone(t.Nodes), j.Nodes...)
	slices.Sort(out)
	return slices.Compact(out)
}

// accused are those of them that recorded what has the ticket of a step, what the job
// ended with, or what was opened.
func accused(v ledger.View, job ledger.Digest, step uint16) (out []string) {
	j, ok := ledger.JobOf(v, job)
	if ok && step == j.ValuesStep() {
		m, _ := ledger.ModelOf(v, j.Model)
		for _, n := range nodesOf(v, job) {
			if x, ok := ledger.ValuesOf(v, job, n); ok && m != nil && x.Digest() == m.Record {
				out = append(out, n)
			}
		}
		return out
	}
	if ok && step == j.ModelStep() {
		for _, n := range nodesOf(v, job) {
			if r, ok := ledger.ModelRecordOf(v, job, n); ok && r.Digest() == j.Last {
				out = append(out, n)
			}
		}
		return out
	}
	ticket, ok := ledger.TicketOf(v, job, step)
	if !ok {
		return nil
	}
	for _, n := range nodesOf(v, job) {
		if r, ok := ledger.StepOf(v, job, step, n); ok && r.Digest() == ticket.Record {
			out = append(out, n)
		}
	}
	return out
}

// vouched says whether the shares of a step that a record goes on from are those
// that the companies signed. The ledger has their digests alone: without the
// posts, nodes might have made shares up. One that is missing is no proof of it.
func (a *Audit) vouched(ctx context.Context, v ledger.View, step uint16, shares []ledger.Digest) error {
	j, _ := ledger.JobOf(v, a.job)
	t, ok := ledger.TaskOf(v, j.Task)
	if !ok {
		return fmt.Errorf("no task %x", j.Task[:6])
	}
	e, ok := ledger.EpochOf(v, t.Epoch)
	if !ok || len(e.Parties) != len(shares) {
		return fmt.Errorf("%d shares", len(shares)) // unreachable: the ledger counts them
	}
	for again := range 2 {
		missing := ""
		for i, party := range e.Parties {
			if !a.signed[place(step, party)][shares[i]] {
				missing = party
			}
		}
		switch {
		case missing == "":
			return nil
		case again > 0:
			return fmt.Errorf("%s's signature of its share of step %d: %w", missing, step, ErrUnavailable)
		}
		a.readPosts(ctx, v)
	}
	return nil
}

// place is of a company's share.
func place(step uint16, company string) string { return fmt.Sprintf("%d %s", step, company) }

// readPosts reads all posts of the job that nodes have.
func (a *Audit) readPosts(ctx context.Context, v ledger.View) {
	a.signed = map[string]map[ledger.Digest]bool{}
	for _, n := range nodesOf(v, a.job) {
		p, err := a.node(n)
		if err != nil {
			continue
		}
		for after := uint64(0); ; {
			posts, next, err := p.Posts(ctx, a.job, after)
			if err != nil || len(posts) == 0 {
				break
			}
			after = next
			for _, post := range posts {
				name, ok := signer(v, post.Sender)
				if !ok || post.Kind != ledger.PostShare {
					continue
				}
				at := place(post.Step, name)
				if a.signed[at] == nil {
					a.signed[at] = map[ledger.Digest]bool{}
				}
				a.signed[at][post.Blob] = true
			}
		}
	}
}

// signer is the member with a signing key, also if it was revoked since.
func signer(v ledger.View, key ledger.Key) (string, bool) {
	if name, ok := ledger.Signer(v, key); ok {
		return name, true
	}
	for _, m := range ledger.Members(v) {
		if m.Signing == key {
			return m.Name, true
		}
	}
	return "", false
}
