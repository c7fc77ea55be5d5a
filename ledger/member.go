package ledger

import (
	"errors"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Roles are what a member does; several may be combined.
type Roles uint8

const (
	Company    Roles = 1 // holds a key share
	Aggregator Roles = 2 // stores ciphertexts and evaluates
	Validator  Roles = 4 // orders blocks
	ModelPeer  Roles = 8 // submits specs
)

// Has says whether r contains all of other.
func (r Roles) Has(other Roles) bool { return r&other == other }

// A Member is one process of a legal entity that takes part.
type Member struct {
	Name    string
	Owner   string // the legal entity: quorums count owners, not names
	Roles   Roles
	Signing Key
	TLS     Key
	Address string // host:port of an aggregator's node or a validator's door, else ""
	Vote    Key    // a validator's consensus key, else zero
	Revoked bool
}

func (m *Member) code(c *coder) {
	c.name(&m.Name)
	c.text(&m.Owner, MaxOwner)
	c.u8((*uint8)(&m.Roles))
	c.digest(&m.Signing)
	c.digest(&m.TLS)
	c.text(&m.Address, MaxAddress)
	c.digest(&m.Vote)
	c.flag(&m.Revoked)
}

// check says what is wrong with a member's record, or "".
func (m *Member) check() string {
	switch {
	case !ValidName(m.Name):
		return "its name is not 1 to 32 of a-z, 0-9 and inner hyphens"
	case m.Owner == "" || len(m.Owner) > MaxOwner || !plain(m.Owner):
		return "its owner is not 1 to 64 bytes of one line, without space around"
	case len(m.Address) > MaxAddress || !plain(m.Address):
		return "its address is not 256 bytes of one line at most"
	case m.Roles == 0 || m.Roles > Company|Aggregator|Validator|ModelPeer:
		return "it has no role, or an unknown one"
	case m.Roles.Has(Company) && m.Roles.Has(Aggregator):
		return "a company holds keys and an aggregator must not; make two members"
	case m.Signing == Key{} || m.TLS == Key{} || m.Signing == m.TLS:
		return "it needs two keys, one to sign and one for TLS"
	case (m.Roles.Has(Aggregator) || m.Roles.Has(Validator)) && m.Address == "":
		return "it has no address, and others dial it"
	case m.Roles.Has(Validator) != (m.Vote != Key{}):
		return "validators, and nobody else, have a consensus key"
	}
	return ""
}

// plain says whether people can tell a text from others: it is one line of UTF-8
// without control characters, and without space around it.
func plain(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl) && strings.TrimSpace(s) == s
}

// Check says what is wrong with a member's record by itself; what it shares with
// others' is for who has them all.
func (m *Member) Check() error {
	if why := m.check(); why != "" {
		return errors.New(why)
	}
	return nil
}

// admit writes a member.
func (s *state) admit(m *Member) Result {
	if why := m.check(); why != "" {
		return refuse(Malformed, "member %s: %s", m.Name, why)
	}
	if s.taken(m.Name, m.Signing, m.TLS) {
		return refuse(Conflict, "member %s: its name or one of its keys is taken", m.Name)
	}
	others := Members(s)
	if len(others) >= MaxMembers {
		return refuse(OverLimit, "%d members; that is all there may ever be", MaxMembers)
	}
	if m.Roles.Has(Validator) && slices.ContainsFunc(others, func(o Member) bool { return o.Vote == m.Vote }) {
		return refuse(Conflict, "member %s: its consensus key is another's", m.Name)
	}
	s.put(key(keyMember, m.Name), m)
	s.putRaw(key(keySigning, m.Signing), []byte(m.Name))
	s.putRaw(key(keyTLS, m.TLS), []byte(m.Name))
	return Result{}
}

// taken says whether a name or key was ever anybody's, for whatever use.
func (s *state) taken(name string, keys ...Key) bool {
	taken := s.has(key(keyMember, name)) || s.has(key(keyQuerier, name))
	for _, k := range keys {
		taken = taken || s.has(key(keySigning, k)) || s.has(key(keyTLS, k))
	}
	return taken
}

// Revoke is a company's vote to shut a member out.
type Revoke struct{ Name string }

func (*Revoke) kind() kind      { return 3 }
func (v *Revoke) code(c *coder) { c.name(&v.Name) }

func (v *Revoke) apply(s *state, from sender) Result {
	m, ok := load[Member](s, key(keyMember, v.Name))
	if !ok {
		return refuse(Unknown, "no member %s", v.Name)
	}
	if m.Revoked {
		return refuse(Replayed, "%s was revoked already", v.Name)
	}
	at := key(keyVotes, Hash("revoke", []byte(v.Name)))
	won, r := s.vote(at, from)
	if r.Code != OK || !won {
		return r
	}
	if s.lastValidator(m.Name) {
		return refuse(WrongState, "%s is the last validator; admit another first", v.Name)
	}
	s.delete(at)
	m.Revoked = true
	s.put(key(keyMember, m.Name), m)
	s.unwant()
	if !s.on(retiredKeys) {
		s.delete(key(keyTLS, m.TLS))
	}
	return Result{}
}

// Renew replaces the sender's own TLS key and address. A key that was replaced is
// never registered again, by anybody.
type Renew struct {
	TLS     Key
	Address string
}

func (*Renew) kind() kind { return 4 }
func (n *Renew) code(c *coder) {
	c.digest(&n.TLS)
	c.text(&n.Address, MaxAddress)
}

func (n *Renew) apply(s *state, from sender) Result {
	if from.member == nil {
		return refuse(Forbidden, "%s is no member", from.name)
	}
	m := *from.member
	if m.TLS == n.TLS && m.Address == n.Address {
		return refuse(Replayed, "%s has this key and address", m.Name)
	}
	if n.TLS != m.TLS && s.taken("", n.TLS) {
		return refuse(Conflict, "the TLS key is taken, or was replaced; make a new one")
	}
	if !s.on(retiredKeys) {
		s.delete(key(keyTLS, m.TLS))
	}
	m.TLS, m.Address = n.TLS, n.Address
	if why := m.check(); why != "" {
		return refuse(Malformed, "member %s: %s", m.Name, why)
	}
	s.put(key(keyMember, m.Name), &m)
	s.putRaw(key(keyTLS, m.TLS), []byte(m.Name))
	return Result{}
}
