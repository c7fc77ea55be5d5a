package incentive

import (
	"cmp"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// A Share is somebody's part of something to divide.
type Share struct {
	ID     string
	Weight uint64
}

// Split divides pot in proportion to weights: what each gets, in the order of
// shares. Each gets the whole units of its exact part, and the units that are
// left go one each to the largest remainders, among equal ones to the smaller
// ID. The result adds up to pot, unless nobody has weight: then all get zero.
//
// It does not depend on the order of shares as long as no ID occurs twice; a
// second share of the same ID comes after the first.
func Split(pot uint64, shares []Share) []uint64 {
	weights := make([]*big.Int, len(shares))
	for i, s := range shares {
		weights[i] = new(big.Int).SetUint64(s.Weight)
	}
	parts := divide(new(big.Int).SetUint64(pot), weights, func(a, b int) int { return strings.Compare(shares[a].ID, shares[b].ID) })
	out := make([]uint64, len(shares))
	for i, part := range parts {
		out[i] = part.Uint64()
	}
	return out
}

// divide is largest remainder on weights of any size, none negative; ties says
// who of two comes first among equal remainders.
func divide(pot *big.Int, weights []*big.Int, ties func(a, b int) int) []*big.Int {
	out, rests := make([]*big.Int, len(weights)), make([]*big.Int, len(weights))
	total := new(big.Int)
	for i, w := range weights {
		total.Add(total, w)
		out[i] = new(big.Int)
	}
	if total.Sign() == 0 {
		return out
	}
	left := new(big.Int).Set(pot)
	order := make([]int, len(weights))
	for i, w := range weights {
		rests[i], order[i] = new(big.Int), i
		out[i].QuoRem(new(big.Int).Mul(pot, w), total, rests[i])
		left.Sub(left, out[i])
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Or(rests[b].Cmp(rests[a]), ties(a, b)) })
	one := big.NewInt(1)
	for _, i := range order[:int(left.Int64())] { // fewer than there are remainders
		out[i].Add(out[i], one)
	}
	return out
}

// Rates say how a pot is divided among roles:
//
//	E = cut + ξ·evaluators + (1−ξ)·[(1−λ)·peers + λ·providers]
type Rates struct{ Cut, Xi, Lambda Fixed }

// DefaultRates are no cut and halves.
func DefaultRates() Rates { return Rates{Xi: One / 2, Lambda: One / 2} }

// A Role is what somebody is paid for. The numbers are part of the ledger's
// encoding: never reuse or renumber one.
type Role uint8

// Roles.
const (
	ToTreasury  Role = 1 // the cut
	ToEvaluator Role = 2 // dividends
	ToPeer      Role = 3 // incentives
	ToProvider  Role = 4 // data
	ToNobody    Role = 5 // what has nobody to go to, carried into the next pot
)

// A Payment is units to an identity, empty for the treasury and for nobody.
type Payment struct {
	Role  Role
	ID    string
	Units uint64
}

// Pools are what each role gets of a pot together.
type Pools struct{ Cut, Evaluators, Peers, Providers uint64 }

// Pools divides pot among roles by largest remainder, ties in the order of
// roles. It is an error if a rate is not in [0, 1].
func (r Rates) Pools(pot uint64) (Pools, error) {
	if err := errors.Join(unit("cut", r.Cut), unit("xi", r.Xi), unit("lambda", r.Lambda)); err != nil {
		return Pools{}, err
	}
	product := func(factors ...Fixed) *big.Int {
		out := big.NewInt(1)
		for _, f := range factors {
			out.Mul(out, big.NewInt(int64(f)))
		}
		return out
	}
	rest := One - r.Cut
	parts := divide(new(big.Int).SetUint64(pot), []*big.Int{
		product(r.Cut, One, One), product(rest, r.Xi, One), product(rest, One-r.Xi, One-r.Lambda), product(rest, One-r.Xi, r.Lambda),
	}, cmp.Compare[int])
	return Pools{Cut: parts[0].Uint64(), Evaluators: parts[1].Uint64(), Peers: parts[2].Uint64(), Providers: parts[3].Uint64()}, nil
}

// Payout divides pot by rates, and each role's part by its shares. Payments are
// sorted by role and identity, those of zero units left out, and add up to pot
// exactly: what a role without anybody would get is one payment [ToNobody].
// An identity may be paid in several roles, and in one role once. It is an error
// if a rate is not in [0, 1] or an identity has two shares of a role.
func Payout(rates Rates, pot uint64, dividends, incentives, data []Share) ([]Payment, error) {
	pools, err := rates.Pools(pot)
	if err != nil {
		return nil, err
	}
	out := paid(ToTreasury, []Payment{{ID: "", Units: pools.Cut}})
	var nobody uint64
	for _, role := range []struct {
		role   Role
		pool   uint64
		shares []Share
	}{{ToEvaluator, pools.Evaluators, dividends}, {ToPeer, pools.Peers, incentives}, {ToProvider, pools.Providers, data}} {
		shares := slices.SortedFunc(slices.Values(role.shares), func(a, b Share) int { return strings.Compare(a.ID, b.ID) })
		payments, left := make([]Payment, len(shares)), role.pool
		for i, units := range Split(role.pool, shares) {
			if i > 0 && shares[i].ID == shares[i-1].ID {
				return nil, fmt.Errorf("two shares of %q in one role; add them up", shares[i].ID)
			}
			payments[i] = Payment{ID: shares[i].ID, Units: units}
			left -= units
		}
		out = append(out, paid(role.role, payments)...)
		nobody += left
	}
	return append(out, paid(ToNobody, []Payment{{ID: "", Units: nobody}})...), nil
}

// paid is payments of a role, those of something.
func paid(role Role, payments []Payment) []Payment {
	out := slices.DeleteFunc(payments, func(p Payment) bool { return p.Units == 0 })
	for i := range out {
		out[i].Role = role
	}
	return out
}
