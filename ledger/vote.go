package ledger

import "slices"

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
