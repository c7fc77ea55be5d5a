package checker

import "math/big"

// Survives is the chance that a cheat in c of n steps is in none of k that are
// drawn without replacement: C(n−c, k) / C(n, k), exactly. With k steps sampled by
// what nobody knew before the end, that is what a cheat has to count on.
func Survives(n, c, k int64) *big.Rat {
	if c > n || k > n {
		return new(big.Rat)
	}
	return new(big.Rat).SetFrac(new(big.Int).Binomial(n-c, k), new(big.Int).Binomial(n, k))
}
