package multiparty

import (
	"fmt"
	"slices"

	"github.com/commonseal/commonseal/he"
)

// A Roster is the sorted parties of one key epoch and its common reference
// string. It is fixed for the epoch (law L4: N of N, no retries).
type Roster struct {
	Session he.Digest // chain and key epoch
	CRS     he.Digest // hash of all committed nonces; zero until they are open
	Parties []string  // sorted, distinct
}

// NewRoster sorts the parties and refuses fewer than two, more than
// [he.MaxParties], and repeats.
func NewRoster(session he.Digest, parties []string) (Roster, error) {
	sorted := slices.Clone(parties)
	slices.Sort(sorted)
	switch distinct := slices.Compact(slices.Clone(sorted)); {
	case len(sorted) < 2 || len(sorted) > he.MaxParties:
		return Roster{}, fmt.Errorf("a roster of %d parties; it takes 2 to %d", len(sorted), he.MaxParties)
	case len(distinct) != len(sorted):
		return Roster{}, fmt.Errorf("a roster names a party twice; every company joins once")
	}
	return Roster{Session: session, Parties: sorted}, nil
}

// N is the number of parties.
func (r Roster) N() int { return len(r.Parties) }

// Digest identifies the roster and its common reference string.
func (r Roster) Digest() he.Digest {
	parts := [][]byte{r.Session[:], r.CRS[:]}
	for _, p := range r.Parties {
		parts = append(parts, []byte(p))
	}
	return he.HashParts("roster", parts...)
}
