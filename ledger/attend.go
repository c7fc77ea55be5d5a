package ledger

import (
	"crypto/ed25519"
	"slices"
)

// Attend is a validator's own word whether it signs blocks. One that was admitted
// after the founding counts from the block after the next once it has said so: an
// absent one would count against the two thirds. One that leaves for maintenance
// says so too; the last one cannot.
type Attend struct{ On bool }

func (*Attend) kind() kind      { return 42 }
func (a *Attend) code(c *coder) { c.flag(&a.On) }

func (a *Attend) apply(s *state, from sender) Result {
	if from.member == nil || !from.member.Roles.Has(Validator) {
		return refuse(Forbidden, "%s is no validator", from.name)
	}
	idle := key(keyIdle, from.name)
	switch {
	case a.On && s.has(key(keyMisbehaved, from.member.Vote)):
		return refuse(Forbidden, "%s has signed twice, and never signs again; ask to join with other keys", from.name)
	case a.On != s.has(idle):
		return refuse(Replayed, "%s has said so already", from.name)
	case a.On && len(Powers(s)) >= MaxPowers:
		return refuse(OverLimit, "%d validators sign; that is all there may be at a time", MaxPowers)
	case !a.On && s.lastValidator(from.name):
		return refuse(WrongState, "%s is the last validator; admit another first", from.name)
	case a.On:
		s.delete(idle)
	default:
		s.putRaw(idle, []byte{1})
	}
	return Result{}
}

// Announce says where the other validators reach one as a peer. The peer key
// proves that it is the validator's: nobody takes another's connections.
type Announce struct {
	Peer    Key
	Address string // host:port
	Proof   Signature
}

func (*Announce) kind() kind { return 41 }
func (a *Announce) code(c *coder) {
	c.digest(&a.Peer)
	c.text(&a.Address, MaxAddress)
	c.signature(&a.Proof)
}

// NewAnnounce is what a validator of a name says of itself on a chain.
func NewAnnounce(chain, name, address string, peer ed25519.PrivateKey) *Announce {
	a := &Announce{Peer: Key(peer.Public().(ed25519.PublicKey)), Address: address}
	a.Proof = Signature(ed25519.Sign(peer, a.signed(chain, name)))
	return a
}

func (a *Announce) signed(chain, name string) []byte {
	return signing("announce", key("", chain, name, a.Address))
}

func (a *Announce) apply(s *state, from sender) Result {
	if from.member == nil || !from.member.Roles.Has(Validator) {
		return refuse(Forbidden, "%s is no validator", from.name)
	}
	if a.Address == "" || len(a.Address) > MaxAddress || !plain(a.Address) {
		return refuse(Malformed, "an address among validators is 1 to %d bytes of one line", MaxAddress)
	}
	if !ed25519.Verify(a.Peer[:], a.signed(s.genesis.Chain, from.name), a.Proof[:]) && s.on(provenPeer) {
		return refuse(BadSignature, "the peer key did not sign this; sign chain, name and address with it")
	}
	if now, ok := load[Contact](s, key(keyContact, from.name)); ok && now.Peer == a.Peer && now.Address == a.Address {
		return refuse(Replayed, "%s is announced at %s already", from.name, a.Address)
	}
	if slices.ContainsFunc(Contacts(s), func(c Contact) bool { return c.Peer == a.Peer && c.Name != from.name }) {
		return refuse(Conflict, "the peer key is another's; make one of your own")
	}
	s.put(key(keyContact, from.name), &Contact{Name: from.name, Peer: a.Peer, Address: a.Address})
	return Result{}
}

// A Contact is a validator as others of its kind reach it.
type Contact struct {
	Name    string
	Peer    Key    // that it proves as a peer
	Address string // host:port
}

func (x *Contact) code(c *coder) {
	c.name(&x.Name)
	c.digest(&x.Peer)
	c.text(&x.Address, MaxAddress)
}

// Contacts are the validators that announced themselves and were not shut out, by
// name. Those of the genesis need not: their network file has them.
func Contacts(v View) (out []Contact) {
	each(v, []byte(keyContact), func(_ []byte, c *Contact) bool {
		if m, ok := MemberOf(v, c.Name); ok && !m.Revoked && v.Get(key(keyMisbehaved, m.Vote)) == nil {
			out = append(out, *c)
		}
		return true
	})
	return out
}
