package incentive

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
)

// Values are twice the values of data of one valuation step, 2φ_i = 2p_i − Σ_j
// G_ij, where p_i = ⟨u_i, g⟩ is how far provider i's update goes along the
// validation gradient and G_ij = ⟨u_i, H·u_j⟩ what curvature takes from two of
// them together. Twice, so that they are integers whenever p and G are.
//
// φ_i is the exact Shapley value, and the exact Banzhaf value, of
//
//	v(S) = Σ_{i∈S} p_i − ½·Σ_{i,j∈S} G_ij
//
// a lower bound of how much the updates of S reduce the validation loss. The
// values add up to 2v of all. It is an error if G is not a symmetric n×n matrix.
func Values(p []*big.Int, g [][]*big.Int) ([]*big.Int, error) {
	if err := checkGram(p, g); err != nil {
		return nil, err
	}
	out := make([]*big.Int, len(p))
	for i := range p {
		out[i] = new(big.Int).Lsh(p[i], 1)
		for j := range g[i] {
			out[i].Sub(out[i], g[i][j])
		}
	}
	return out, nil
}

// GramGame is the game that [Values] solves, v(S) with S as bits.
func GramGame(p []*big.Int, g [][]*big.Int) Game {
	return func(coalition uint) (*big.Rat, error) {
		if err := checkGram(p, g); err != nil {
			return nil, err
		}
		twice := new(big.Int)
		for i := range p {
			if coalition>>i&1 == 0 {
				continue
			}
			twice.Add(twice, new(big.Int).Lsh(p[i], 1))
			for j := range p {
				if coalition>>j&1 == 1 {
					twice.Sub(twice, g[i][j])
				}
			}
		}
		return new(big.Rat).SetFrac(twice, big.NewInt(2)), nil
	}
}

// ValuesOf is [Values] of updates given as integer vectors: p_i = ⟨u_i, g⟩ and
// G_ij = ⟨u_i, u_j⟩·c/d, where c/d is the curvature H = (c/d)·I. All is scaled
// by d: the result is 2d·φ.
func ValuesOf(updates [][]*big.Int, gradient []*big.Int, c, d int64) ([]*big.Int, error) {
	if d <= 0 || c < 0 {
		return nil, fmt.Errorf("curvature %d/%d; it needs a positive denominator and is not negative", c, d)
	}
	gram, p, err := Gram(updates, gradient)
	if err != nil {
		return nil, err
	}
	for i := range gram {
		p[i].Mul(p[i], big.NewInt(d))
		for j := range gram[i] {
			gram[i][j].Mul(gram[i][j], big.NewInt(c))
		}
	}
	return Values(p, gram)
}

// Gram is the inner products of updates with each other and with the gradient.
func Gram(updates [][]*big.Int, gradient []*big.Int) (gram [][]*big.Int, p []*big.Int, err error) {
	if slices.Contains(gradient, nil) {
		return nil, nil, errors.New("a gradient with empty coordinates")
	}
	for i, u := range updates {
		if slices.Contains(u, nil) {
			return nil, nil, fmt.Errorf("update %d has empty coordinates", i)
		}
		if len(u) != len(gradient) {
			return nil, nil, fmt.Errorf("update %d has %d coordinates, the gradient has %d; all are of one model", i, len(u), len(gradient))
		}
	}
	gram, p = make([][]*big.Int, len(updates)), make([]*big.Int, len(updates))
	for i, u := range updates {
		p[i], gram[i] = dot(u, gradient), make([]*big.Int, len(updates))
		for j, w := range updates {
			gram[i][j] = dot(u, w)
		}
	}
	return gram, p, nil
}

func dot(a, b []*big.Int) *big.Int {
	sum := new(big.Int)
	for k := range a {
		sum.Add(sum, new(big.Int).Mul(a[k], b[k]))
	}
	return sum
}

func checkGram(p []*big.Int, g [][]*big.Int) error {
	if len(g) != len(p) {
		return fmt.Errorf("a Gram matrix of %d rows for %d providers", len(g), len(p))
	}
	if slices.Contains(p, nil) {
		return errors.New("a provider without an inner product with the gradient")
	}
	return checkSymmetric(g)
}

func checkSymmetric(g [][]*big.Int) error {
	for i, row := range g {
		if len(row) != len(g) || slices.Contains(row, nil) {
			return fmt.Errorf("row %d of a Gram matrix has %d entries of %d, or empty ones", i, len(row), len(g))
		}
	}
	for i := range g {
		for j := range i {
			if g[i][j].Cmp(g[j][i]) != 0 {
				return fmt.Errorf("a Gram matrix that is not symmetric at (%d, %d)", i, j)
			}
		}
	}
	return nil
}

// Join is the value of each provider on which evaluators agree: φ[e][i] is what
// evaluator e found for provider i, and the result for i is the stake-weighted
// median of [Rank], the largest value a strict majority of stake gives at least.
// Nil entries are evaluators that found nothing for i; their stake does not
// count for it. With no stake at all it is zero. Stakes must fit 64 bits
// together.
func Join(stakes []uint64, phi [][]*big.Int) ([]*big.Int, error) {
	if len(stakes) != len(phi) {
		return nil, fmt.Errorf("%d stakes for the values of %d evaluators", len(stakes), len(phi))
	}
	n, all, fits := 0, uint64(0), true
	for e, values := range phi {
		if all, fits = addStake(all, stakes[e]); !fits {
			return nil, errors.New("stakes add up to 2^64 or more; no supply is that large")
		}
		if e > 0 && len(values) != n {
			return nil, fmt.Errorf("evaluator %d values %d providers, the first %d", e, len(values), n)
		}
		n = len(values)
	}
	out := make([]*big.Int, n)
	for i := range out {
		out[i] = joinOne(stakes, phi, i)
	}
	return out, nil
}

func joinOne(stakes []uint64, phi [][]*big.Int, i int) *big.Int {
	best := new(big.Int)
	found := false
	var total uint64
	for e := range phi {
		if phi[e][i] != nil {
			total += stakes[e]
		}
	}
	for e := range phi { // few evaluators: every candidate against all
		candidate := phi[e][i]
		if candidate == nil || found && candidate.Cmp(best) <= 0 {
			continue
		}
		var support uint64
		for f := range phi {
			if phi[f][i] != nil && phi[f][i].Cmp(candidate) >= 0 {
				support += stakes[f]
			}
		}
		if support > total-support {
			best.Set(candidate)
			found = true
		}
	}
	return best
}
