package multiparty

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"

	"github.com/commonseal/commonseal/he"
)

// A Ceremony is one party's side of making the collective keys of an epoch
// (law L5). Four times over, every party commits to something, and reveals it
// once it has seen all N commitments: a nonce, from which the common reference
// string is hashed; its shares of every key; its shares of the second round of
// relinearisation, made of the sums that it added up itself; its openings of a
// test that needs every key. A commitment also says what its sender has seen so
// far, the digest of the finished keys in the end, so that parties that differ
// find out before they reveal.
//
// It is a machine that a driver feeds, used by one goroutine; several parties
// share nothing. The driver loops
//
//	for msgs := c.Send(); len(msgs) > 0; msgs = c.Send() { ... }  // every message to every other party
//	err := c.Receive(from, msg)                                   // in any order, any number of times
//
// until Done or an [*Abort]. On [ErrEarly] it keeps the message and gives it
// again after it has sent or received another. Parties that are driven in step,
// one Send of everybody and then all Receives, never see ErrEarly.
//
//   - Who sent a message, and that it reads the same for all, is the driver's to
//     know: signatures, or a ledger. The ceremony compares what parties have seen.
//   - A message may be lost, delayed and repeated. Send gives each once: the
//     driver keeps it until every other party has it.
//   - A session is used once. The driver writes it down, durably, before it sends
//     anything, and never makes a second Ceremony of it: after a crash the
//     attempt is over, and the next one is another session. Two runs of one
//     session could answer two different sums with one secret, which gives the
//     secret away. Until it ends a Ceremony is a function of its arguments and of
//     the messages accepted, so that a driver with a journal of all of these may
//     replay it instead.
//   - Done is what this party has seen. The keys are fit for use when every
//     party is Done.
//
// Memory: one share of every key, to which the other parties' are added as they
// arrive; a share of relinearisation more in round 2. A message is at most one
// share.
type Ceremony struct {
	plan   Plan
	roster Roster
	self   int
	seed   he.Seed
	off    ceremonyDefences

	stage     stage // stages when done
	exchanges [stages]exchange
	nonces    [][]byte  // by party
	forge     *forge    // from round 1 on
	tests     []keyTest // by part of the end test
	abort     *Abort
}

// ceremonyDefences are switched off by attack tests alone, one at a time.
type ceremonyDefences struct {
	commitment bool // accept a share that is not what was committed
	endTest    bool // accept whatever the end test opens to
}

// NewCeremony begins a party's ceremony of a session. The session names the
// chain, the key epoch and the attempt, and is used once; the secrets are
// derived from the seed, which the driver may erase when the ceremony ends.
//
// It refuses a roster that is none, a party that is not in it, and a plan that
// names a rotation twice or that these parties cannot test.
func NewCeremony(plan Plan, session he.Digest, parties []string, self string, seed he.Seed) (*Ceremony, error) {
	return newCeremony(plan, session, parties, self, seed, ceremonyDefences{})
}

func newCeremony(plan Plan, session he.Digest, parties []string, self string, seed he.Seed, off ceremonyDefences) (*Ceremony, error) {
	roster, err := NewRoster(session, parties)
	if err != nil {
		return nil, fmt.Errorf("ceremony: %w", err)
	}
	index := slices.Index(roster.Parties, self)
	if index < 0 {
		return nil, fmt.Errorf("ceremony: %q is not of the roster %q; only its parties hold keys", self, roster.Parties)
	}
	if err := plan.check(roster.N()); err != nil {
		return nil, fmt.Errorf("ceremony: %w", err)
	}
	plan.TrainRotations, plan.ReleaseRotations = slices.Clone(plan.TrainRotations), slices.Clone(plan.ReleaseRotations)
	c := &Ceremony{plan: plan, roster: roster, self: index, seed: seed, off: off, nonces: make([][]byte, roster.N())}
	for s, parts := range plan.script() {
		c.exchanges[s] = newExchange(stage(s), parts, roster.N())
	}
	rosterDigest, planDigest := roster.Digest(), plan.digest()
	c.enter(nonces, he.HashParts("ceremony/session", rosterDigest[:], planDigest[:]))
	nonce := seed.Derive("ceremony/nonce", c.exchanges[nonces].context[:], []byte(self))
	c.nonces[index] = nonce[:]
	return c, nil
}

// enter begins a stage; context is what all parties must have seen alike.
func (c *Ceremony) enter(s stage, context he.Digest) {
	c.stage, c.exchanges[s].context = s, context
}

// Send returns what this party has to say now, to every other party: at most
// one share a call, nothing if it waits for others. It is where shares are
// made; the first call of a stage takes as long as all of them.
func (c *Ceremony) Send() (msgs [][]byte) {
	if c.abort != nil || c.Done() {
		return nil
	}
	x := &c.exchanges[c.stage]
	if x.promises[c.self] == nil {
		c.makeShares()
		x.promises[c.self] = c.promise()
		msgs = append(msgs, message{stage: c.stage, payload: x.promises[c.self]}.append(nil))
	}
	if next := slices.Index(x.opened[c.self], false); x.committed() && next >= 0 {
		x.opened[c.self][next] = true
		msgs = append(msgs, c.reveal(next))
	}
	return msgs
}

// promise is this party's commitment: what it has seen, and the digest of each
// part it is going to reveal.
func (c *Ceremony) promise() []byte {
	x := &c.exchanges[c.stage]
	out := slices.Clone(x.context[:])
	for i := range x.parts {
		d := x.digest(c.self, i, c.reveal(i)[messageHeader:])
		out = append(out, d[:]...)
	}
	return out
}

// reveal is the message that reveals this party's share of a part, as long as
// no other's has been added to it.
func (c *Ceremony) reveal(i int) []byte {
	x := &c.exchanges[c.stage]
	out := message{stage: c.stage, reveal: true, part: i}.append(make([]byte, 0, messageHeader+x.parts[i].size()))
	if c.stage == nonces {
		return append(out, c.nonces[c.self]...)
	}
	return x.sums[i].Append(out)
}

// Receive takes a message from another party. A message that was accepted
// before is harmless, and after Done everything is.
//
// It returns [ErrEarly] if other messages come first, an [*Abort] if the
// ceremony is over, now or before, and any other error if the sender is none of
// the other parties.
func (c *Ceremony) Receive(from string, msg []byte) error {
	party := slices.Index(c.roster.Parties, from)
	switch {
	case party < 0 || party == c.self:
		return fmt.Errorf("ceremony: %q is none of the other parties; drop its message", from)
	case c.abort != nil:
		return c.abort
	case c.Done():
		return nil
	}
	m, err := parseMessage(c.plan.script(), msg)
	switch {
	case err != nil:
		return c.fail(Malformed, err.Error(), from)
	case m.stage > c.stage:
		return ErrEarly
	case m.reveal:
		return c.receiveReveal(party, m)
	default:
		return c.receivePromise(party, m)
	}
}

func (c *Ceremony) receivePromise(party int, m message) error {
	x, from := &c.exchanges[m.stage], c.roster.Parties[party]
	switch prior := x.promises[party]; {
	case bytes.Equal(prior, m.payload):
		return nil
	case prior != nil:
		return c.fail(Equivocated, fmt.Sprintf("commitment of %v", m.stage), from)
	case !bytes.HasPrefix(m.payload, x.context[:]):
		// One of two told others something else; it may be a third.
		return c.fail(Disagreed, fmt.Sprintf("before %v, %s has seen something else than this party; compare plans, rosters and what was sent", m.stage, from))
	}
	x.promises[party] = bytes.Clone(m.payload)
	return nil
}

func (c *Ceremony) receiveReveal(party int, m message) error {
	x, from := &c.exchanges[m.stage], c.roster.Parties[party]
	// This party's share is what others are added to: it must be out first.
	if !x.committed() || !x.opened[c.self][m.part] {
		return ErrEarly
	}
	d := x.digest(party, m.part, m.payload)
	asPromised := d == x.promised(party, m.part)
	switch what := fmt.Sprintf("%v, %v", m.stage, x.parts[m.part]); {
	case x.opened[party][m.part] && asPromised:
		return nil
	case x.opened[party][m.part]:
		return c.fail(Equivocated, what, from)
	case !asPromised && !c.off.commitment:
		return c.fail(Mismatched, what, from)
	}
	if err := c.add(party, m); err != nil {
		return c.fail(Malformed, err.Error(), from)
	}
	x.opened[party][m.part] = true
	if x.finished() {
		return c.finish()
	}
	return nil
}

// Expire says that the driver waits no longer. It returns the [*Abort] that
// names the parties this one waited for, or nil if the ceremony is Done.
func (c *Ceremony) Expire() error {
	switch {
	case c.abort != nil:
		return c.abort
	case c.Done():
		return nil
	}
	x := &c.exchanges[c.stage]
	var absent []string
	for party, name := range c.roster.Parties {
		if party != c.self && !x.has(party) {
			absent = append(absent, name)
		}
	}
	return c.fail(Absent, c.stage.String(), absent...)
}

// fail ends the ceremony and forgets its secrets.
func (c *Ceremony) fail(cause Cause, detail string, culprits ...string) error {
	c.abort = &Abort{Culprits: culprits, Cause: cause, Detail: detail}
	c.forget()
	c.forge, c.exchanges = nil, [stages]exchange{}
	return c.abort
}

// forget drops what only a ceremony that still runs may need: whatever its
// errors and ephemerals could be drawn from again.
func (c *Ceremony) forget() {
	c.seed, c.nonces, c.tests = he.Seed{}, nil, nil
	if c.forge != nil {
		c.forge.seed = he.Seed{}
	}
}

// String tells where the party is, and no secret.
func (c *Ceremony) String() string {
	where := "done"
	switch {
	case c.abort != nil:
		where = c.abort.Error()
	case !c.Done():
		where = c.stage.String()
	}
	return fmt.Sprintf("ceremony of %s: %s", c.roster.Parties[c.self], where)
}

// GoString hides what String hides.
func (c *Ceremony) GoString() string { return c.String() }

// LogValue hides what String hides.
func (c *Ceremony) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Done says that the keys opened the end test. It does not become false again.
func (c *Ceremony) Done() bool { return c.stage == stages }

// Roster is the roster of the epoch; its reference string is zero until all
// nonces are open.
func (c *Ceremony) Roster() Roster { return c.roster }
