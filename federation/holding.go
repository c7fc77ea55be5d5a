package federation

import (
	"fmt"

	"github.com/commonseal/commonseal/ledger"
)

// A Holding is what a driver has: its own journal, and posts.
type Holding interface {
	// Done says whether the duty of a key was carried out.
	Done(key string) bool
	// Post is the post a sender made in a place, if it is held with its blob.
	Post(scope ledger.Digest, kind ledger.PostKind, step, index uint16, sender ledger.Key) (ledger.Post, bool)
}

// A Duty is one thing to do. The set is closed.
type Duty interface {
	// Key names the duty in the journal, once it is done.
	Key() string
}

// place names a step of a scope in keys.
func place(what string, scope ledger.Digest, step uint16) string {
	return fmt.Sprintf("%s/%x/%d", what, scope, step)
}

// A company's duties.
type (
	// OpenRoster begins a key epoch: there is none, and nobody has begun.
	OpenRoster struct {
		Epoch   uint32
		Attempt uint32
		Parties []string
	}
	// CommitStage commits to a stage of a ceremony.
	CommitStage struct {
		Ceremony ledger.Digest
		Stage    uint8
	}
	// RevealStage reveals it.
	RevealStage struct {
		Ceremony ledger.Digest
		Stage    uint8
	}
	// Acknowledge ends a ceremony with the digest of its keys.
	Acknowledge struct{ Ceremony ledger.Digest }
	// AbortLate ends a ceremony whose deadline is past.
	AbortLate struct{ Ceremony ledger.Digest }
	// Consent takes part in a task, if the company's policy has it.
	Consent struct{ Task ledger.Digest }
	// OpenKeySet begins the ceremony of a task's Galois keys.
	OpenKeySet struct {
		Task    ledger.Digest
		Attempt uint32
	}
	// Contribute encrypts, uploads and records rows.
	Contribute struct {
		Task ledger.Digest
		Use  ledger.ContributionKind
	}
	// Approve consents to answer for a job, if the company's policy allows it.
	Approve struct{ Job ledger.Digest }
	// Update sends a local company's gradient at a point that enough nodes
	// signed.
	Update struct {
		Job   ledger.Digest
		Step  uint16
		Point ledger.Digest // blob that step Step-1 left
	}
	// Witness replays a recorded step, under strict provenance.
	Witness struct {
		Job  ledger.Digest
		Step uint16
	}
	// Share answers a ticket: once, for ever (laws L2 and L3).
	Share struct {
		Job  ledger.Digest
		Step uint16
	}
	// Opening answers the ticket of a release.
	Opening struct{ Job ledger.Digest }
	// Serve says with which pair key a share of a model answers.
	Serve struct{ Model ledger.Digest }
)

// Key implements [Duty].
func (d OpenRoster) Key() string  { return fmt.Sprintf("roster/%d/%d", d.Epoch, d.Attempt) }
func (d CommitStage) Key() string { return place("commit", d.Ceremony, uint16(d.Stage)) }
func (d RevealStage) Key() string { return place("reveal", d.Ceremony, uint16(d.Stage)) }
func (d Acknowledge) Key() string { return place("acknowledge", d.Ceremony, 0) }
func (d AbortLate) Key() string   { return place("late", d.Ceremony, 0) }
func (d Consent) Key() string     { return place("consent", d.Task, 0) }
func (d OpenKeySet) Key() string  { return place("keyset", d.Task, uint16(d.Attempt)) }
func (d Contribute) Key() string  { return place("contribute", d.Task, uint16(d.Use)) }
func (d Approve) Key() string     { return place("approve", d.Job, 0) }
func (d Update) Key() string      { return place("update", d.Job, d.Step) }
func (d Witness) Key() string     { return place("witness", d.Job, d.Step) }
func (d Share) Key() string       { return place("share", d.Job, d.Step) }
func (d Opening) Key() string     { return place("opening", d.Job, 0) }
func (d Serve) Key() string       { return place("serve", d.Model, 0) }

// An aggregation node's duties.
type (
	// Finish adds up the shares of a step's map, in roster order.
	Finish struct {
		Job  ledger.Digest
		Step uint16
	}
	// Record evaluates a step and records it.
	Record struct {
		Job  ledger.Digest
		Step uint16
	}
	// Conclude records the model and the values to open.
	Conclude struct{ Job ledger.Digest }
	// OpenValues adds up the shares of the release and records what it opens.
	OpenValues struct{ Job ledger.Digest }
	// Pause says that a job's deadline is past.
	Pause struct {
		Job  ledger.Digest
		Step uint16
	}
)

// Key implements [Duty].
func (d Finish) Key() string     { return place("finish", d.Job, d.Step) }
func (d Record) Key() string     { return place("record", d.Job, d.Step) }
func (d Conclude) Key() string   { return place("conclude", d.Job, 0) }
func (d OpenValues) Key() string { return place("values", d.Job, 0) }
func (d Pause) Key() string      { return place("pause", d.Job, d.Step) }
