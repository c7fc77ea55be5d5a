package ledger

// A Pair is two companies of a roster by index, First the lower, whose
// contributions are near-copies of one another.
type Pair struct{ First, Second uint8 }

// maxPairs is how many pairs a roster has.
const maxPairs = MaxParties * (MaxParties - 1) / 2

func codePairs(c *coder, pairs *[]Pair) {
	list(c, pairs, maxPairs, func(p *Pair) {
		c.u8(&p.First)
		c.u8(&p.Second)
	})
}

// paired says whether pairs are of n companies, each once and in order of the
// second and then the first.
func paired(pairs []Pair, n int) bool {
	before := -1
	for _, p := range pairs {
		at := int(p.Second)*MaxParties + int(p.First)
		if p.First >= p.Second || int(p.Second) >= n || at <= before {
			return false
		}
		before = at
	}
	return true
}

// Copied says of each of n companies whether it counts with an earlier one:
// pairs form clusters, and all but the first of a cluster are copies. Which is
// first the roster says, whose order everybody knew before anybody contributed.
func Copied(pairs []Pair, n int) []bool {
	first := make([]int, n)
	for i := range first {
		first[i] = i
	}
	for _, p := range pairs {
		from, to := max(first[p.First], first[p.Second]), min(first[p.First], first[p.Second])
		for i := range first {
			if first[i] == from {
				first[i] = to
			}
		}
	}
	out := make([]bool, n)
	for i := range out {
		out[i] = first[i] != i
	}
	return out
}
