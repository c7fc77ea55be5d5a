package multiparty

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/commonseal/commonseal/he"
)

// The proceedings of a ceremony or a key set are what everybody knows who gets
// every party's messages, a party or not. They hold no secret but, until it is
// out, a party's own nonce.
//
// Memory: one sum of every key, to which shares are added as they arrive; of
// round 2 one more of relinearisation.
type proceedings struct {
	plan   Plan
	script script
	roster Roster
	epoch  *Epoch // that a key set is added to; nil of a base ceremony
	self   int    // the party whose proceedings they are, or nobody
	off    ceremonyDefences

	stage     stage // stages when done
	exchanges [stages]exchange
	nonces    [][]byte  // by party
	root      he.Digest // what common polynomials are derived from, once it is known
	tests     []keyTest // by part of the end test, once they are made
	abort     *Abort
}

// nobody is self of an observer.
const nobody = -1

// ceremonyDefences are switched off by attack tests alone, one at a time.
type ceremonyDefences struct {
	commitment bool // accept a share that is not what was committed
	endTest    bool // accept whatever the end test opens to
	binding    bool // draw a key set's errors without regard to its id
}

// convoke begins the proceedings of a base ceremony.
func convoke(plan Plan, session he.Digest, parties []string, off ceremonyDefences) (proceedings, error) {
	roster, err := NewRoster(session, parties)
	if err != nil {
		return proceedings{}, err
	}
	if err := plan.check(roster.N()); err != nil {
		return proceedings{}, err
	}
	c := newProceedings(plan, plan.script(), roster, off)
	rosterDigest, planDigest := roster.Digest(), c.script.digest()
	c.enter(nonces, he.HashParts("ceremony/session", rosterDigest[:], planDigest[:]))
	return c, nil
}

func newProceedings(plan Plan, s script, roster Roster, off ceremonyDefences) proceedings {
	plan.TrainRotations, plan.ReleaseRotations = slices.Clone(plan.TrainRotations), slices.Clone(plan.ReleaseRotations)
	c := proceedings{plan: plan, script: s, roster: roster, self: nobody, off: off, nonces: make([][]byte, roster.N())}
	for number, parts := range s {
		c.exchanges[number] = newExchange(stage(number), parts, roster.N())
	}
	return c
}

// isKeySet tells a key set from a base ceremony.
func (c *proceedings) isKeySet() bool { return c.epoch != nil }

// enter begins a stage; context is what all parties must have seen alike.
func (c *proceedings) enter(s stage, context he.Digest) {
	c.stage, c.exchanges[s].context = s, context
}

// Receive takes a message from a party, of the other ones if it is a party's
// own ceremony. A message that was accepted before is harmless, and after Done
// everything is.
//
// It returns [ErrEarly] if other messages come first, an [*Abort] if the
// ceremony is over, now or before, and any other error if the sender is none of
// these parties.
func (c *proceedings) Receive(from string, msg []byte) error {
	party := slices.Index(c.roster.Parties, from)
	switch {
	case party < 0 || party == c.self:
		return fmt.Errorf("ceremony: %q is none of the parties to hear; drop its message", from)
	case c.abort != nil:
		return c.abort
	case c.Done():
		return nil
	}
	m, err := parseMessage(c.script, msg)
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

func (c *proceedings) receivePromise(party int, m message) error {
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

func (c *proceedings) receiveReveal(party int, m message) error {
	x, from := &c.exchanges[m.stage], c.roster.Parties[party]
	switch {
	case !x.committed():
		return ErrEarly
	case c.self != nobody && !x.opened[c.self][m.part]: // a party's own share is what others are added to
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

// fail ends the proceedings.
func (c *proceedings) fail(cause Cause, detail string, culprits ...string) error {
	c.abort = &Abort{Culprits: culprits, Cause: cause, Detail: detail}
	c.exchanges, c.nonces, c.tests = [stages]exchange{}, nil, nil
	return c.abort
}

// Done says that the keys opened the end test. It does not become false again.
func (c *proceedings) Done() bool { return c.stage == stages }

// Roster is the roster of the epoch; its reference string is zero until all
// nonces are open.
func (c *proceedings) Roster() Roster { return c.roster }

// String tells how far it is, and no key.
func (c *proceedings) String() string {
	switch {
	case c.abort != nil:
		return c.abort.Error()
	case !c.Done():
		return c.stage.String()
	}
	return "done"
}
