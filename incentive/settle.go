package incentive

import (
	"cmp"
	"fmt"
	"math/big"
	"math/bits"
	"slices"
	"strings"
)

// A Value is what a provider's data did, in any common unit, and the escrow it
// has to answer for it.
type Value struct {
	ID     string
	Phi    *big.Int
	Escrow uint64
}

// A Settlement is what each value earns and owes, sorted by identity, without
// those of zero units:
//
//	pot + Σ Debits = Σ Credits + Carried
type Settlement struct {
	Credits []Payment
	Debits  []Payment // taken from escrow
	Owed    []Payment // what escrow did not cover; to be kept from what they earn later
	Carried uint64    // into the next pot
}

// Settle divides a pot by values, negative ones included: they are debited, not
// clipped.
//
// With a positive sum P of values, φ is worth pot·φ/P: the credits are pot and
// debits together, so splitting a value into parts of either sign changes
// nothing for its owner or anybody else, as long as escrow covers the debits.
// What it does not cover is owed. It could then pay to split nothing into much
// good and much harm, and to default on the harm; so with N the sum of positive
// values and U the part of the negative ones that is owed, only (N−U)/N of pot
// and debits is credited and the rest carried. Such a split gains at most a
// quarter of the pot (TestAttackDefault).
//
// With a sum of zero or less the data as a whole did harm: nobody is credited,
// and the providers of negative values are debited the pot in proportion. Debits
// are rounded down, credits by largest remainder.
//
// It is an error if an identity occurs twice or a value is nil.
func Settle(pot uint64, values []Value) (Settlement, error) { return settle(pot, values, 0) }

// settle is [Settle], a defence off in tests.
func settle(pot uint64, values []Value, off defence) (Settlement, error) {
	values, err := sortedValues(values)
	if err != nil {
		return Settlement{}, err
	}
	good, harm := new(big.Int), new(big.Int)
	weights := make([]*big.Int, len(values))
	for i, v := range values {
		weights[i] = new(big.Int)
		switch {
		case v.Phi.Sign() > 0:
			good.Add(good, v.Phi)
			weights[i].Set(v.Phi)
		case off != debits:
			harm.Sub(harm, v.Phi)
		}
	}
	sum := new(big.Int).Sub(good, harm)
	unit := sum
	if sum.Sign() <= 0 {
		unit = harm
	}
	var out Settlement
	all, owed := new(big.Int).SetUint64(pot), new(big.Int)
	for _, v := range values {
		if v.Phi.Sign() < 0 && off != debits {
			taken, rest := due(pot, v, unit)
			all.Add(all, new(big.Int).SetUint64(taken))
			owed.Add(owed, rest)
			out.Debits = append(out.Debits, Payment{ID: v.ID, Units: taken})
			out.Owed = append(out.Owed, Payment{ID: v.ID, Units: saturated(rest)})
		}
	}
	if !all.IsUint64() {
		return Settlement{}, fmt.Errorf("the pot and the escrows add up to %v, more than any supply", all)
	}
	fund := new(big.Int)
	if sum.Sign() > 0 && pot > 0 {
		// all·(N−U)/N with U = owed·P/pot
		if off == defaults {
			owed.SetInt64(0)
		}
		whole := new(big.Int).Mul(good, new(big.Int).SetUint64(pot))
		fund.Mul(all, new(big.Int).Sub(whole, owed.Mul(owed, sum))).Quo(fund, whole)
	}
	for i, part := range divide(fund, weights, cmp.Compare[int]) { // sorted by identity
		out.Credits = append(out.Credits, Payment{ID: values[i].ID, Units: part.Uint64()})
	}
	out.Carried = all.Sub(all, fund).Uint64()
	out.Credits, out.Debits, out.Owed = paid(ToProvider, out.Credits), paid(ToProvider, out.Debits), paid(ToProvider, out.Owed)
	return out, nil
}

func sortedValues(values []Value) ([]Value, error) {
	out := slices.SortedFunc(slices.Values(values), func(a, b Value) int { return strings.Compare(a.ID, b.ID) })
	for i, v := range out {
		if i > 0 && v.ID == out[i-1].ID {
			return nil, fmt.Errorf("two values of %q; add them up", v.ID)
		}
		if v.Phi == nil {
			return nil, fmt.Errorf("no value of %q; leave it out or give it zero", v.ID)
		}
	}
	return out, nil
}

// due is what a negative value costs, as far as escrow covers it, and the rest.
func due(pot uint64, v Value, unit *big.Int) (taken uint64, rest *big.Int) {
	cost := new(big.Int).Mul(new(big.Int).SetUint64(pot), new(big.Int).Neg(v.Phi))
	cost.Quo(cost, unit)
	taken = min(saturated(cost), v.Escrow)
	return taken, cost.Sub(cost, new(big.Int).SetUint64(taken))
}

// saturated is x, or the largest there is.
func saturated(x *big.Int) uint64 {
	if !x.IsUint64() {
		return ^uint64(0)
	}
	return x.Uint64()
}

// Vested is how much of an amount granted at start is free at now: linearly over
// length, all of it from start+length on. Rounded down.
func Vested(amount, start, length, now uint64) uint64 {
	switch {
	case now < start:
		return 0
	case now-start >= length:
		return amount
	}
	hi, lo := bits.Mul64(amount, now-start)
	free, _ := bits.Div64(hi, lo, length) // now−start < length: hi < length
	return free
}
