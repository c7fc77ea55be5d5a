package ledger

import (
	"slices"
	"strings"
)

// A Power is a validator's weight among those that sign blocks.
type Power struct {
	Name  string
	Vote  Key // its consensus key
	Power int64
}

// Powers are the validators that sign, by name: the members with that role that
// were not revoked, of one vote each. The set after block h signs block h+2; that of
// the genesis signs blocks 1 and 2.
func Powers(v View) (out []Power) {
	each(v, []byte(keyMember), func(_ []byte, m *Member) bool {
		if m.Roles.Has(Validator) && !m.Revoked {
			out = append(out, Power{Name: m.Name, Vote: m.Vote, Power: 1})
		}
		return true
	})
	slices.SortFunc(out, func(a, b Power) int { return strings.Compare(a.Name, b.Name) })
	return out
}
