package ledger

import "errors"

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
	case m.Owner == "":
		return "it names no owner"
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
	for _, k := range [][]byte{key(keyMember, m.Name), key(keySigning, m.Signing), key(keyTLS, m.TLS), key(keySigning, m.TLS), key(keyTLS, m.Signing), key(keyQuerier, m.Name)} {
		if s.has(k) {
			return refuse(Conflict, "member %s: its name or one of its keys is taken", m.Name)
		}
	}
	s.put(key(keyMember, m.Name), m)
	s.putRaw(key(keySigning, m.Signing), []byte(m.Name))
	s.putRaw(key(keyTLS, m.TLS), []byte(m.Name))
	return Result{}
}

// Votes are the owners that are for something.
type Votes struct {
	Owners []string
	Record []byte // what is voted on
}

func (v *Votes) code(c *coder) {
	list(c, &v.Owners, MaxMembers, func(o *string) { c.text(o, MaxOwner) })
	c.bytes(&v.Record, MaxTx)
}

// vote counts from's owner once for what stands at digest d, and says whether a
// majority of the companies' owners is for it now.
func (s *state) vote(d Digest, from sender) (bool, Result) {
	if from.member == nil || !from.member.Roles.Has(Company) {
		return false, refuse(Forbidden, "%s has no vote; companies have", from.name)
	}
	votes, ok := load[Votes](s, key(keyVotes, d))
	if !ok {
		votes = &Votes{}
	}
	for _, o := range votes.Owners {
		if o == from.member.Owner {
			return false, refuse(Replayed, "%s has voted for %x already", o, d[:6])
		}
	}
	votes.Owners = append(votes.Owners, from.member.Owner)
	s.put(key(keyVotes, d), votes)
	return 2*len(votes.Owners) > len(s.owners(Company)), Result{}
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
	if from.member != nil {
		return refuse(Conflict, "%s is a member already", from.name)
	}
	m := j.Member
	if why := m.check(); why != "" {
		return refuse(Malformed, "member %s: %s", m.Name, why)
	}
	if m.Revoked || s.has(key(keyMember, m.Name)) {
		return refuse(Conflict, "the name %s is taken", m.Name)
	}
	n := 0
	s.Range([]byte(keyVotes), func(_, _ []byte) bool { n++; return n < MaxMembers })
	if len(Members(s)) >= MaxMembers || n >= MaxMembers {
		return refuse(OverLimit, "%d members or requests; that is all there may be", MaxMembers)
	}
	d := j.Digest()
	if s.has(key(keyVotes, d)) {
		return refuse(Replayed, "%s has asked already", m.Name)
	}
	s.put(key(keyVotes, d), &Votes{Record: appendCoded(nil, &m)})
	return Result{}
}

// Approve is a company's vote for a request to join.
type Approve struct{ Join Digest }

func (*Approve) kind() kind      { return 2 }
func (a *Approve) code(c *coder) { c.digest(&a.Join) }

func (a *Approve) apply(s *state, from sender) Result {
	asked, ok := load[Votes](s, key(keyVotes, a.Join))
	if !ok || asked.Record == nil {
		return refuse(Unknown, "nobody asked to join as %x", a.Join[:6])
	}
	won, r := s.vote(a.Join, from)
	if r.Code != OK || !won {
		return r
	}
	var m Member
	if err := parseCoded(asked.Record, &m); err != nil {
		return refuse(Malformed, "%v", err) // unreachable: Join wrote it
	}
	s.delete(key(keyVotes, a.Join))
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
	d := Hash("revoke", []byte(v.Name))
	won, r := s.vote(d, from)
	if r.Code != OK || !won {
		return r
	}
	s.delete(key(keyVotes, d))
	m.Revoked = true
	s.put(key(keyMember, m.Name), m)
	s.delete(key(keyTLS, m.TLS))
	return Result{}
}

// Renew replaces the sender's own TLS key and address.
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
	if s.has(key(keyTLS, n.TLS)) && n.TLS != m.TLS || s.has(key(keySigning, n.TLS)) {
		return refuse(Conflict, "the TLS key is taken")
	}
	s.delete(key(keyTLS, m.TLS))
	m.TLS, m.Address = n.TLS, n.Address
	if why := m.check(); why != "" {
		return refuse(Malformed, "member %s: %s", m.Name, why)
	}
	s.put(key(keyMember, m.Name), &m)
	s.putRaw(key(keyTLS, m.TLS), []byte(m.Name))
	return Result{}
}
