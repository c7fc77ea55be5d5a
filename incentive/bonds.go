package incentive

import (
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strings"
)

// A Model is what its rankings gave a model and what its providers' data did
// for it.
type Model struct {
	ID        string
	Incentive Fixed
	Values    []Value
}

// SettleModels divides the providers' pot among models by incentive, to the
// unit, and each model's part by its data bonds: provider i earns pot·I_p·φ̂_ip
// of model p ([Settle]). An escrow answers for all models, in the order of their
// IDs; a provider's must be the same in all. What a provider earns of one model
// and is debited for another is settled in one sum.
func SettleModels(pot uint64, models []Model) (Settlement, error) {
	models = slices.SortedFunc(slices.Values(models), func(a, b Model) int { return strings.Compare(a.ID, b.ID) })
	shares := make([]Share, len(models))
	for i, m := range models {
		if i > 0 && m.ID == models[i-1].ID {
			return Settlement{}, fmt.Errorf("two records of model %q; keep one", m.ID)
		}
		shares[i] = Share{ID: m.ID, Weight: uint64(max(m.Incentive, 0))}
	}
	books := map[string]*account{}
	out := Settlement{Carried: pot}
	for i, part := range Split(pot, shares) {
		out.Carried -= part
		values, err := withEscrow(books, models[i])
		if err != nil {
			return Settlement{}, err
		}
		s, err := Settle(part, values)
		if err != nil {
			return Settlement{}, fmt.Errorf("model %q: %w", models[i].ID, err)
		}
		out.Carried += s.Carried
		for _, p := range s.Credits {
			books[p.ID].credit += p.Units // of pot and escrows, which fit together
		}
		for _, p := range s.Debits {
			books[p.ID].debit += p.Units
		}
		for _, p := range s.Owed {
			books[p.ID].owed = saturate(books[p.ID].owed, p.Units)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(books)) {
		out.add(id, *books[id])
	}
	return out, nil
}

// An account is a provider's over all models.
type account struct{ escrow, credit, debit, owed uint64 }

// withEscrow is a model's values with the escrow that is left for it.
func withEscrow(books map[string]*account, m Model) ([]Value, error) {
	values := slices.Clone(m.Values)
	for k, v := range values {
		if books[v.ID] == nil {
			books[v.ID] = &account{escrow: v.Escrow}
		}
		if books[v.ID].escrow != v.Escrow {
			return nil, fmt.Errorf("provider %q has an escrow of %d in one model and of %d in another", v.ID, books[v.ID].escrow, v.Escrow)
		}
		values[k].Escrow -= books[v.ID].debit
	}
	return values, nil
}

// add nets an account: what is owed and what was debited come out of credits
// first.
func (s *Settlement) add(id string, a account) {
	give := func(to *[]Payment, units uint64) {
		if units > 0 {
			*to = append(*to, Payment{Role: ToProvider, ID: id, Units: units})
		}
	}
	back := min(a.debit, a.credit)
	a.debit, a.credit = a.debit-back, a.credit-back
	kept := min(a.owed, a.credit)
	s.Carried += kept
	give(&s.Credits, a.credit-kept)
	give(&s.Debits, a.debit)
	give(&s.Owed, a.owed-kept)
}

func saturate(a, b uint64) uint64 {
	total, carry := bits.Add64(a, b, 0)
	if carry != 0 {
		return ^uint64(0)
	}
	return total
}
