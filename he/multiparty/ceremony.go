package multiparty

import (
	"fmt"
	"log/slog"
	"slices"

	"github.com/commonseal/commonseal/he"
)

// A Ceremony is one party's side of making the collective keys of an epoch (law
// L5). Four times over, every party commits to something, and reveals it once it
// has seen all N commitments: a nonce, from which the common reference string is
// hashed; its shares of every key; its shares of the second round of
// relinearisation, made of the sums that it added up itself; its openings of a
// test that needs every key. A commitment also says what its sender has seen so
// far, the digest of the finished keys in the end, so that parties that differ
// find out before they reveal. A key set, which adds Galois keys to an epoch, is
// the same with the second and the last time alone; see [NewKeySet].
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
	proceedings
	seed  he.Seed // of the base ceremony alone
	forge *forge  // from round 1 on
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
	seen, err := convoke(plan, session, parties, off)
	if err != nil {
		return nil, fmt.Errorf("ceremony: %w", err)
	}
	if seen.self = slices.Index(seen.roster.Parties, self); seen.self == nobody {
		return nil, fmt.Errorf("ceremony: %q is not of the roster %q; only its parties hold keys", self, seen.roster.Parties)
	}
	nonce := seed.Derive("ceremony/nonce", seen.exchanges[nonces].context[:], []byte(self))
	seen.nonces[seen.self] = nonce[:]
	return &Ceremony{proceedings: seen, seed: seed}, nil
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

// makeShares makes this party's shares of the stage, once.
func (c *Ceremony) makeShares() {
	x := &c.exchanges[c.stage]
	if c.stage == nonces || x.sums != nil {
		return
	}
	if c.forge == nil {
		c.forge = newForge(c.seed, c.plan, c.roster, c.self)
	}
	for _, p := range x.parts {
		x.sums = append(x.sums, c.makeShare(p))
	}
}

func (c *Ceremony) makeShare(p part) *he.Object {
	switch p.kind {
	case he.KindPublicShare:
		return c.forge.publicShare(p.profile)
	case he.KindRelinShare1:
		return c.forge.relinShare1(p.profile)
	case he.KindGaloisShare:
		return c.forge.galoisShare(p)
	case he.KindRelinShare2:
		return c.forge.relinShare2(p.profile, c.sum(part{kind: he.KindRelinShare1, profile: p.profile}))
	default: // he.KindOpenShare
		test := c.keyTests()[slices.Index(c.exchanges[endTest].parts, p)]
		logFlood, _ := testBounds(p.profile, c.roster.N(), len(c.plan.elements(p.profile)))
		return c.forge.openShare(p, test.ciphertext, logFlood)
	}
}

// Receive takes a message from another party. A message that was accepted
// before is harmless, and after Done everything is.
//
// It returns [ErrEarly] if other messages come first, an [*Abort] if the
// ceremony is over, now or before, and any other error if the sender is none of
// the other parties.
func (c *Ceremony) Receive(from string, msg []byte) error {
	err := c.proceedings.Receive(from, msg)
	c.forget()
	return err
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
	err := c.fail(Absent, c.stage.String(), absent...)
	c.forget()
	return err
}

// forget drops what only a ceremony that still runs may need: whatever its
// errors and ephemerals could be drawn from again, and after an abort the
// secrets.
func (c *Ceremony) forget() {
	switch {
	case c.abort != nil:
		c.seed, c.forge = he.Seed{}, nil
	case c.Done():
		c.seed, c.forge.seed = he.Seed{}, he.Seed{}
	}
}

// Secrets are what this party keeps of a ceremony that is Done: the same every
// time, and nil before.
func (c *Ceremony) Secrets() *Secrets {
	if !c.Done() {
		return nil
	}
	return c.forge.secrets
}

// String tells where the party is, and no secret.
func (c *Ceremony) String() string {
	return fmt.Sprintf("ceremony of %s: %v", c.roster.Parties[c.self], &c.proceedings)
}

// GoString hides what String hides.
func (c *Ceremony) GoString() string { return c.String() }

// LogValue hides what String hides.
func (c *Ceremony) LogValue() slog.Value { return slog.StringValue(c.String()) }
