package node

import (
	"fmt"
	"slices"

	"github.com/commonseal/commonseal/federation/replay"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/multiparty"
	"github.com/commonseal/commonseal/ledger"
)

// A Reason is why a node refused.
type Reason uint8

const (
	NotYet    Reason = 1 // the ledger or the node is not that far; try again later
	Forbidden Reason = 2 // the sender may not do this
	Malformed Reason = 3 // the blob is not what the post says
	Unknown   Reason = 4 // no such job, task, model or blob
	OverQuota Reason = 5 // beyond what the sender may ask or store
)

// A RefusedError says that the node declined. Unless the reason is NotYet, the
// same will be refused again.
type RefusedError struct {
	Reason Reason
	Detail string // for people; never parsed
}

// Error is the detail.
func (e *RefusedError) Error() string { return e.Detail }

func refused(reason Reason, format string, args ...any) error {
	return &RefusedError{reason, fmt.Sprintf(format, args...)}
}

// Accept says whether a post may be put here now, before a byte of its blob is
// taken. sender is who puts it: nobody puts for another.
func (n *Node) Accept(sender string, p ledger.Post) error {
	v := n.Ledger.View()
	g := ledger.GenesisOf(v)
	name, ok := ledger.Signer(v, p.Sender)
	switch {
	case g == nil || p.Chain != g.Chain:
		return refused(Forbidden, "a post for chain %q; sign it for this one", p.Chain)
	case !ok:
		return refused(Forbidden, "signing key %x is not on the ledger, or was revoked", p.Sender[:6])
	case name != sender:
		return refused(Forbidden, "a post of %s, put by %s; everybody puts their own", name, sender)
	}
	switch p.Kind {
	case ledger.PostPart:
		return acceptPart(v, name, p)
	case ledger.PostManifest, ledger.PostCiphertext:
		return acceptRows(v, name, p)
	case ledger.PostUpdate, ledger.PostShare, ledger.PostOpening, ledger.PostOutput, ledger.PostRemainder:
		return n.acceptJob(v, name, p)
	case ledger.PostQuerierKey:
		if q, ok := ledger.QuerierOf(v, name); !ok || q.Task != p.Scope || q.PublicKey != p.Blob {
			return refused(Forbidden, "this is not the public key that querier %s was admitted with", name)
		}
		return nil
	}
	return refused(Unknown, "a post of kind %d; is the sender newer?", p.Kind)
}

func acceptPart(v ledger.View, name string, p ledger.Post) error {
	y, ok := ledger.CeremonyOf(v, p.Scope)
	switch {
	case !ok:
		return refused(NotYet, "no ceremony %x", p.Scope[:6])
	case y.State == ledger.Failed:
		return refused(Forbidden, "ceremony %x failed: %s", p.Scope[:6], y.Cause)
	case !slices.Contains(y.Parties, name) || p.Epoch != y.Epoch:
		return refused(Forbidden, "%s is no party of ceremony %x", name, p.Scope[:6])
	case int(p.Step) >= len(y.Stages) || p.Index >= y.Stages[p.Step]:
		return refused(Malformed, "stage %d has no part %d", p.Step, p.Index)
	case p.Step > uint16(y.Stage) || p.Step == uint16(y.Stage) && y.State == ledger.Committing:
		return refused(NotYet, "stage %d is not open yet: commitments come first", p.Step)
	}
	return nil
}

func acceptRows(v ledger.View, name string, p ledger.Post) error {
	t, ok := ledger.TaskOf(v, p.Scope)
	if !ok {
		return refused(NotYet, "no task %x", p.Scope[:6])
	}
	x, ok := t.ConsentOf(name)
	use := ledger.ContributionKind(p.Step)
	switch {
	case !ok || x.Local || p.Epoch != t.Epoch:
		return refused(Forbidden, "%s uploads no rows to task %s", name, t.Name)
	case t.State != ledger.TaskReady:
		return refused(NotYet, "task %s has no keys yet", t.Name)
	case use != ledger.Training && use != ledger.Validation:
		return refused(Malformed, "rows for use %d", use)
	}
	return nil
}

func (n *Node) acceptJob(v ledger.View, name string, p ledger.Post) error {
	j, ok := ledger.JobOf(v, p.Scope)
	if !ok {
		return refused(NotYet, "no job %x", p.Scope[:6])
	}
	t, _ := ledger.TaskOf(v, j.Task)
	e, _ := ledger.EpochOf(v, t.Epoch)
	holder := slices.Contains(e.Parties, name)
	x, _ := t.ConsentOf(name)
	ticket, open := ledger.TicketOf(v, j.ID, p.Step)
	switch {
	case p.Epoch != t.Epoch || j.State == ledger.JobAborted:
		return refused(Forbidden, "job %x is of another key epoch, or aborted", j.ID[:6])
	case p.Kind == ledger.PostUpdate && (!x.Local || p.Step == 0 || p.Step > j.Steps || p.Index > 1):
		return refused(Forbidden, "%s owes no update %d of step %d", name, p.Index, p.Step)
	case p.Kind == ledger.PostUpdate && p.Step > j.Step:
		return refused(NotYet, "job %x is at step %d", j.ID[:6], j.Step)
	case p.Kind == ledger.PostUpdate:
		return nil
	case (p.Kind == ledger.PostShare || p.Kind == ledger.PostOpening) && (!holder || p.Index != 0):
		return refused(Forbidden, "%s holds no key of job %x", name, j.ID[:6])
	case (p.Kind == ledger.PostOutput || p.Kind == ledger.PostRemainder) && !slices.Contains(j.Nodes, name):
		return refused(Forbidden, "%s is no node of job %x", name, j.ID[:6])
	case !open:
		return refused(NotYet, "step %d of job %x has no ticket", p.Step, j.ID[:6])
	case p.Previous != ticket.Record:
		return refused(Forbidden, "the ticket of step %d is for record %x, not %x", p.Step, ticket.Record[:6], p.Previous[:6])
	}
	return nil
}

// decodes holds a blob that is here to what its post says it is (law L1). What a
// node cannot judge before it has the keys is judged when it is used.
func (n *Node) decodes(p ledger.Post) error {
	v := n.Ledger.View()
	b, err := n.Store.Blobs.Get(p.Blob)
	if err != nil {
		return err
	}
	if len(b) != int(p.Size) {
		return refused(Malformed, "blob %x has %d bytes; its post says %d", p.Blob[:6], len(b), p.Size)
	}
	switch p.Kind {
	case ledger.PostCiphertext:
		_, err = he.ParseCiphertext(b, n.Profiles.Train, n.Profiles.Train.MaxLevel(), n.Profiles.Train.LogScale())
	case ledger.PostUpdate:
		_, err = he.ParseCiphertext(b, n.Profiles.Train, n.Profiles.Train.Floor(), he.LogGradient)
	case ledger.PostShare:
		j, _ := ledger.JobOf(v, p.Scope)
		t, _ := ledger.TaskOf(v, j.Task)
		e, _ := ledger.EpochOf(v, t.Epoch)
		var job *replay.Job
		if job, err = replay.NewJob(v, j, n.Profiles, multiparty.Roster{Parties: e.Parties}); err == nil {
			err = job.CheckShare(p.Step, b)
		}
	case ledger.PostPart:
		_, _, _, err = multiparty.Describe(b)
	}
	if err != nil {
		return refused(Malformed, "the blob of a post of kind %d: %v", p.Kind, err)
	}
	return nil
}
