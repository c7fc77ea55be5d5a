package incentive

import (
	"cmp"
	"fmt"
	"math/big"
	"slices"
)

// Clusters say for each provider which one it counts as: itself, or the one of
// its near-copies that committed first.
type Clusters []int

// Merge joins near-copies. Being one is not transitive, being joined is: two
// providers that are none of each other fall together if a third is one of both. heights are when each provider committed to its rows;
// copies are the pairs found to be near-copies, in any order, and what is joined
// to the same is joined. A cluster is named by its member of the smallest height,
// the first of those listed among equal ones. It is an error if a pair names
// nobody.
func Merge(heights []uint64, copies [][2]int) (Clusters, error) {
	c := make(Clusters, len(heights))
	for i := range c {
		c[i] = i
	}
	first := func(a, b int) bool { return cmp.Or(cmp.Compare(heights[a], heights[b]), cmp.Compare(a, b)) < 0 }
	for _, pair := range copies {
		for _, i := range pair {
			if i < 0 || i >= len(c) {
				return nil, fmt.Errorf("a pair of copies names provider %d of %d", i, len(c))
			}
		}
		a, b := c.root(pair[0]), c.root(pair[1])
		if first(b, a) {
			a, b = b, a
		}
		c[b] = a
	}
	for i := range c {
		c[i] = c.root(i)
	}
	return c, nil
}

// root follows i to the provider that counts for it.
func (c Clusters) root(i int) int {
	for c[i] != i {
		c[i] = c[c[i]] // halve the path
		i = c[i]
	}
	return i
}

// Members are the clusters as lists of providers, in order.
func (c Clusters) Members() [][]int {
	at := map[int]int{}
	var out [][]int
	for i, root := range c {
		k, known := at[root]
		if !known {
			k, at[root] = len(out), len(out)
			out = append(out, nil)
		}
		out[k] = append(out[k], i)
	}
	return out
}

// A Cosine is the bound a/b above which the updates of two providers are near-copies of
// each other.
type Cosine struct{ Num, Den int64 }

// NearCopies are the pairs i < j whose updates have a cosine of at least the
// bound: G_ij > 0 and G_ij²·b² ≥ a²·G_ii·G_jj, without a root.
func (bound Cosine) NearCopies(gram [][]*big.Int) ([][2]int, error) {
	if err := checkSymmetric(gram); err != nil {
		return nil, err
	}
	if bound.Den <= 0 || bound.Num <= 0 || bound.Num > bound.Den {
		return nil, fmt.Errorf("a bound of %d/%d on cosines; it is in (0, 1]", bound.Num, bound.Den)
	}
	var out [][2]int
	for i := range gram {
		for j := i + 1; j < len(gram); j++ {
			if bound.Copies(gram[i][j], gram[i][i], gram[j][j]) {
				out = append(out, [2]int{i, j})
			}
		}
	}
	return out, nil
}

// Copies says whether two updates with inner product xy and squared lengths xx
// and yy are near-copies.
func (bound Cosine) Copies(xy, xx, yy *big.Int) bool {
	if xy.Sign() <= 0 {
		return false
	}
	left := new(big.Int).Mul(xy, big.NewInt(bound.Den))
	right := new(big.Int).Mul(xx, yy)
	right.Mul(right, big.NewInt(bound.Num)).Mul(right, big.NewInt(bound.Num))
	return left.Mul(left, left).Cmp(right) >= 0
}

// Credit is what each provider is credited with: its own value if it counts for
// its cluster, zero if another does. phi must be the values of the game in which
// only those that count play ([Quotient] if the inner products are known; else
// the valuation is run without the copies): entries of the others are not read
// and may be nil.
func Credit(phi []*big.Int, clusters Clusters) ([]*big.Int, error) {
	if len(phi) != len(clusters) {
		return nil, fmt.Errorf("%d values for %d providers", len(phi), len(clusters))
	}
	out := make([]*big.Int, len(phi))
	for i, root := range clusters {
		out[i] = new(big.Int)
		if root != i {
			continue
		}
		if phi[i] == nil {
			return nil, fmt.Errorf("no value of provider %d, which counts for its cluster", i)
		}
		out[i].Set(phi[i])
	}
	return out, nil
}

// Quotient is p and G of those that count only, in order, for [Values]; roots
// are their indices.
func (c Clusters) Quotient(p []*big.Int, g [][]*big.Int) (qp []*big.Int, qg [][]*big.Int, roots []int, err error) {
	if err := checkGram(p, g); err != nil {
		return nil, nil, nil, err
	}
	if len(c) != len(p) {
		return nil, nil, nil, fmt.Errorf("clusters of %d providers, values of %d", len(c), len(p))
	}
	for i, root := range c {
		if root == i {
			roots = append(roots, i)
		}
	}
	roots = slices.Clip(roots)
	for _, i := range roots {
		qp = append(qp, p[i])
		row := make([]*big.Int, len(roots))
		for k, j := range roots {
			row[k] = g[i][j]
		}
		qg = append(qg, row)
	}
	return qp, qg, roots, nil
}
