package ledger

import "github.com/commonseal/commonseal/incentive"

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

// Copied says of each of some companies whether it counts with an earlier one:
// pairs form clusters, and all but the first of a cluster are copies. order is in
// which they contributed their rows ([Order]): who copied came later.
func Copied(pairs []Pair, order []uint64) []bool {
	out := make([]bool, len(order))
	clusters, err := incentive.Merge(order, indices(pairs))
	for i := range out {
		out[i] = err == nil && clusters[i] != i // pairs of a record are of the roster
	}
	return out
}

func indices(pairs []Pair) (out [][2]int) {
	for _, p := range pairs {
		out = append(out, [2]int{int(p.First), int(p.Second)})
	}
	return out
}

// Order is in which companies contributed their training rows to a task.
func Order(v View, task Digest, companies []string) []uint64 {
	out := make([]uint64, len(companies))
	for i, name := range companies {
		if c, ok := ContributionOf(v, task, Training, name); ok {
			out[i] = c.Order
		}
	}
	return out
}
