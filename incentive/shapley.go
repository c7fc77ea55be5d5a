package incentive

import (
	"fmt"
	"math/big"
	"math/bits"
	"slices"
)

// MostPlayers is how many players [Shapley] and [Banzhaf] take: they ask for the
// value of all 2^n coalitions.
const MostPlayers = 16

// A Game is the value of a coalition, whose players are the set bits.
type Game func(coalition uint) (*big.Rat, error)

// Shapley is the exact Shapley value of each of n players, however the game is
// defined: an audit of values found otherwise, by retraining on every
// coalition. Each coalition is asked for once, in ascending order.
func Shapley(n int, game Game) ([]*big.Rat, error) {
	return average(n, game, func(size int) *big.Rat { // |S|!·(n−|S|−1)!/n!
		return new(big.Rat).SetFrac(big.NewInt(1), new(big.Int).Mul(big.NewInt(int64(n)), new(big.Int).Binomial(int64(n-1), int64(size))))
	})
}

// Banzhaf is the exact Banzhaf value of each of n players: its marginal
// contribution, averaged over all coalitions of the others alike.
func Banzhaf(n int, game Game) ([]*big.Rat, error) {
	return average(n, game, func(int) *big.Rat { return big.NewRat(1, 1<<(n-1)) })
}

// average is each player's marginal contributions, weighted by the size of the
// coalition joined.
func average(n int, game Game, weight func(size int) *big.Rat) ([]*big.Rat, error) {
	if n < 0 || n > MostPlayers {
		return nil, fmt.Errorf("%d players; exact values take every coalition, so at most %d", n, MostPlayers)
	}
	values := make([]*big.Rat, 1<<n)
	for s := range values {
		v, err := game(uint(s))
		if err != nil {
			return nil, fmt.Errorf("coalition %0*b: %w", n, s, err)
		}
		if v == nil {
			return nil, fmt.Errorf("coalition %0*b has no value", n, s)
		}
		values[s] = v
	}
	out := make([]*big.Rat, n)
	for i := range out {
		// Sum by size first: n multiplications instead of 2^(n−1).
		sums := make([]*big.Rat, n)
		for k := range sums {
			sums[k] = new(big.Rat)
		}
		for s := range values {
			if s>>i&1 == 0 {
				size := bits.OnesCount(uint(s))
				sums[size].Add(sums[size], new(big.Rat).Sub(values[s|1<<i], values[s]))
			}
		}
		out[i] = new(big.Rat)
		for size, sum := range sums {
			out[i].Add(out[i], sum.Mul(sum, weight(size)))
		}
	}
	return out, nil
}

// Spearman is the rank correlation ρ of two lists as ρ·|ρ|, which is rational
// when ρ is not: ρ ≥ 9/10 exactly when the result is at least 81/100. Equal
// numbers share the mean of their ranks. It is zero if either list is constant,
// an error if they differ in length.
func Spearman(x, y []*big.Rat) (*big.Rat, error) {
	if len(x) != len(y) || slices.Contains(x, nil) || slices.Contains(y, nil) {
		return nil, fmt.Errorf("%d numbers against %d, or empty ones", len(x), len(y))
	}
	rx, ry := ranks(x), ranks(y)
	var xy, xx, yy big.Int
	for i := range rx {
		a, b := big.NewInt(rx[i]), big.NewInt(ry[i])
		xy.Add(&xy, new(big.Int).Mul(a, b))
		xx.Add(&xx, new(big.Int).Mul(a, a))
		yy.Add(&yy, new(big.Int).Mul(b, b))
	}
	if xx.Sign() == 0 || yy.Sign() == 0 {
		return new(big.Rat), nil
	}
	square := new(big.Int).Mul(&xy, new(big.Int).Abs(&xy))
	return new(big.Rat).SetFrac(square, new(big.Int).Mul(&xx, &yy)), nil
}

// ranks are twice the ranks, less their mean: below minus above.
func ranks(x []*big.Rat) []int64 {
	out := make([]int64, len(x))
	for i := range x {
		for j := range x {
			out[i] += int64(x[i].Cmp(x[j]))
		}
	}
	return out
}
