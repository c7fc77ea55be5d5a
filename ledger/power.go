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

// Powers are the validators that sign, by name, of one vote each: the members
// with that role that were not revoked, attend, and never signed twice. The set
// after block h signs block h+2; that of the genesis signs blocks 1 and 2.
func Powers(v View) (out []Power) {
	each(v, []byte(keyMember), func(_ []byte, m *Member) bool {
		if m.Roles.Has(Validator) && !m.Revoked && v.Get(key(keyIdle, m.Name)) == nil && v.Get(key(keyMisbehaved, m.Vote)) == nil {
			out = append(out, Power{Name: m.Name, Vote: m.Vote, Power: 1})
		}
		return true
	})
	slices.SortFunc(out, func(a, b Power) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// lastValidator says whether nobody would sign without a member.
func (s *state) lastValidator(name string) bool {
	powers := Powers(s)
	return s.on(someoneSigns) && len(powers) == 1 && powers[0].Name == name
}

// repowered are the validators whose power a block changed, by name; 0 removes.
func (s *state) repowered() (out []Power) {
	if len(s.below(keyMember))+len(s.below(keyMisbehaved))+len(s.below(keyIdle)) == 0 {
		return nil
	}
	before, after := Powers(s.view), Powers(s)
	for _, p := range before {
		if !slices.Contains(after, p) {
			out = append(out, Power{Name: p.Name, Vote: p.Vote})
		}
	}
	for _, p := range after {
		if !slices.Contains(before, p) {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b Power) int { return strings.Compare(a.Name, b.Name) })
	return out
}
