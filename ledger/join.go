package ledger

import (
	"encoding/binary"
	"slices"
)

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
	if m.Roles.Has(Validator) && s.on(presentPower) { // until it says that it is there
		s.putRaw(key(keyIdle, m.Name), []byte{1})
	}
	return s.admit(&m)
}
