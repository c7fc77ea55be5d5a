package ledger

// A Request to join waits for companies' votes.
type Request struct {
	Join   Digest // what [Approve] names
	Member Member
	For    []string // owners that are for it
}

// Requests are those that wait, by their digests.
func Requests(v View) (out []Request) {
	each(v, []byte(keyRequest), func(k []byte, votes *Votes) bool {
		r := Request{Join: Digest(k[len(keyRequest):]), For: votes.Owners}
		if parseCoded(votes.Record, &r.Member) == nil { // always: Join wrote it
			out = append(out, r)
		}
		return true
	})
	return out
}

// Voters is how many owners have a vote: those of companies.
func Voters(v View) int {
	owners := map[string]bool{}
	for _, m := range Members(v) {
		if m.Roles.Has(Company) && !m.Revoked {
			owners[m.Owner] = true
		}
	}
	return len(owners)
}
