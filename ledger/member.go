package ledger

import (
	"encoding/binary"
	"slices"
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
	case m.Owner == "" || len(m.Owner) > MaxOwner || !utf8.ValidString(m.Owner):
		return "its owner is not 1 to 64 bytes of text"
	case len(m.Address) > MaxAddress || !utf8.ValidString(m.Address):
		return "its address is not 256 bytes of text at most"
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

// Votes are the owners, or the key holders, that are for something.
type Votes struct {
	Owners []string
	Record []byte // what is voted on
	Opened int64  // block time
}

func (v *Votes) code(c *coder) {
	list(c, &v.Owners, MaxMembers, func(o *string) { c.text(o, MaxOwner) })
	c.bytes(&v.Record, MaxTx)
	c.i64(&v.Opened)
}

// vote counts from's owner for what stands at a key, and says whether a majority
// of the companies' owners is for it now. Owners whose companies were all
// revoked since they voted do not count.
func (s *state) vote(at []byte, from sender) (bool, Result) {
	if from.member == nil || !from.member.Roles.Has(Company) {
		return false, refuse(Forbidden, "%s has no vote; companies have", from.name)
	}
	votes, ok := load[Votes](s, at)
	if !ok {
		votes = &Votes{Opened: s.now}
	}
	again := slices.Contains(votes.Owners, from.member.Owner)
	if !again {
		votes.Owners = append(votes.Owners, from.member.Owner)
	}
	s.put(at, votes)
	companies, in := s.owners(Company), 0
	for _, o := range votes.Owners {
		if companies[o] || !s.on(livingVotes) {
			in++
		}
	}
	won := 2*in > len(companies)
	if again && !won { // one who voted may ask again when the others have become fewer
		return false, refuse(Replayed, "%s has voted for this already", from.member.Owner)
	}
	return won, Result{}
}

// owners are the owners of members with a role that were not revoked.
func (s *state) owners(role Roles) map[string]bool {
	out := map[string]bool{}
	for _, m := range Members(s) {
		if m.Roles.Has(role) && !m.Revoked {
			out[m.Owner] = true
		}
	}
	return out
}

// Join asks to be admitted; it is signed by the newcomer.
type Join struct{ Member Member }

func (*Join) kind() kind      { return 1 }
func (j *Join) code(c *coder) { j.Member.code(c) }

// Digest is what companies approve.
func (j *Join) Digest() Digest { return Hash("join", appendCoded(nil, j)) }

func (j *Join) apply(s *state, from sender) Result {
	m := j.Member
	switch {
	case from.member != nil:
		return refuse(Conflict, "%s is a member already", from.name)
	case m.Signing != from.key && s.on(provenKey):
		return refuse(Forbidden, "member %s: sign with the key that you ask to register", m.Name)
	}
	if why := m.check(); why != "" {
		return refuse(Malformed, "member %s: %s", m.Name, why)
	}
	if m.Revoked || s.taken(m.Name, m.Signing, m.TLS) {
		return refuse(Conflict, "member %s: its name or one of its keys is taken", m.Name)
	}
	at := key(keyRequest, j.Digest())
	if s.has(at) {
		return refuse(Replayed, "%s has asked already", m.Name)
	}
	if r := s.makeRoom(); r.Code != OK {
		return r
	}
	s.put(at, &Votes{Record: appendCoded(nil, &m), Opened: s.now})
	s.putRaw(key(keyUnwanted, s.now, j.Digest()), []byte{1})
	return Result{}
}

// makeRoom counts one request to join more. When there are [MaxRequests], the
// oldest that no company is for gives way: requests cost their senders nothing.
func (s *state) makeRoom() Result {
	n := s.requests()
	if n < MaxRequests {
		s.setRequests(n + 1)
		return Result{}
	}
	var oldest []byte
	s.Range([]byte(keyUnwanted), func(k, _ []byte) bool {
		oldest = append(oldest, k...)
		return false
	})
	if oldest == nil || !s.on(joinRoom) {
		return refuse(OverLimit, "%d requests to join wait for approval; approve some first", n)
	}
	s.delete(oldest)
	s.delete(append([]byte(keyRequest), oldest[len(keyUnwanted)+8:]...))
	return Result{}
}

func (s *state) requests() uint32 {
	if b := s.Get([]byte(keyRequests)); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (s *state) setRequests(n uint32) { s.putRaw([]byte(keyRequests), key("", n)) }

// unwant lets requests give way again that only companies were for which are
// revoked now.
func (s *state) unwant() {
	companies := s.owners(Company)
	each(s, []byte(keyRequest), func(k []byte, v *Votes) bool {
		if !slices.ContainsFunc(v.Owners, func(o string) bool { return companies[o] }) {
			s.putRaw(key(keyUnwanted, v.Opened, Digest(k[len(keyRequest):])), []byte{1})
		}
		return true
	})
}

// Approve is a company's vote for a request to join.
type Approve struct{ Join Digest }

func (*Approve) kind() kind      { return 2 }
func (a *Approve) code(c *coder) { c.digest(&a.Join) }

func (a *Approve) apply(s *state, from sender) Result {
	at := key(keyRequest, a.Join)
	asked, ok := load[Votes](s, at)
	if !ok {
		return refuse(Unknown, "nobody asked to join as %x; ask, or ask again", a.Join[:6])
	}
	s.delete(key(keyUnwanted, asked.Opened, a.Join))
	won, r := s.vote(at, from)
	if r.Code != OK || !won {
		return r
	}
	var m Member
	if err := parseCoded(asked.Record, &m); err != nil {
		return refuse(Malformed, "%v", err) // unreachable: Join wrote it
	}
	s.delete(at)
	s.setRequests(s.requests() - 1)
	return s.admit(&m)
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
