package local

import (
	"math"
	"math/bits"
	"slices"

	"github.com/commonseal/commonseal/he"
	"gonum.org/v1/gonum/stat"
)

// maxAudited is how many companies an audit takes: it trains 2^n models.
const maxAudited = 10

// An Audit holds the values of a run against the exact Shapley values of
// training itself, in the clear. The game is the loss that training takes off the
// validation rows, on the rows of every coalition of companies that count; a copy
// is in none and has 0.
type Audit struct {
	Coalitions int `json:"coalitions"` // models trained, twice
	// Retrained takes the run's own steps: a company that is not in a coalition
	// leaves its gradients out, and means are over all rows still. It is the game
	// that values approximate.
	Retrained []float64 `json:"retrained"`
	Spearman  float64   `json:"spearman"` // rank correlation of values and Retrained
	// Renormalised takes means over the coalition's rows alone, as if it had begun
	// by itself: a small company then takes steps as long as a large one's, and its
	// rank follows its rows' quality, not their number.
	Renormalised         []float64 `json:"renormalised"`
	SpearmanRenormalised float64   `json:"spearman_renormalised"`
}

// audit retrains on every coalition.
func (f *federation) audit() {
	var counted []int
	training, checking := make([]he.Rows, len(f.companies)), make([]he.Rows, len(f.companies))
	for i, c := range f.companies {
		training[i], checking[i] = c.training, c.validation
		if !f.copies[i] {
			counted = append(counted, i)
		}
	}
	a := &Audit{Coalitions: 1 << len(counted), Retrained: make([]float64, len(training)), Renormalised: make([]float64, len(training))}
	for _, game := range []struct {
		rows func(own int) int
		out  []float64
	}{{func(int) int { return f.job.rows }, a.Retrained}, {func(own int) int { return own }, a.Renormalised}} {
		for k, v := range shapley(len(counted), f.game(counted, training, checking, game.rows)) {
			game.out[counted[k]] = v
		}
	}
	a.Spearman, a.SpearmanRenormalised = spearman(f.report.Values, a.Retrained), spearman(f.report.Values, a.Renormalised)
	f.report.Audit = a
}

// game is the loss that each coalition's training takes off, by the coalition's
// bits. Means are over as many rows as rows says of the coalition's own.
func (f *federation) game(counted []int, training, checking []he.Rows, rows func(own int) int) []float64 {
	twin := f.job.twin
	before := twin.Loss(make([]float64, twin.Columns), checking)
	worth := make([]float64, 1<<len(counted))
	_ = together(len(worth)-1, func(k int) error { // trains and never fails
		coalition, own := k+1, 0
		var members []he.Rows
		for b, i := range counted {
			if coalition>>b&1 == 1 {
				members = append(members, training[i])
				own += training[i].Len()
			}
		}
		worth[coalition] = before - twin.Loss(twin.TrainAmong(members, rows(own)).Weights, checking)
		return nil
	})
	return worth
}

// shapley is every player's mean marginal worth over all orders of n players,
// given each coalition's worth by its bits.
func shapley(n int, worth []float64) []float64 {
	weight := make([]float64, n) // of coalitions of a size: s!·(n−s−1)!/n!
	for s := range weight {
		weight[s] = 1 / (float64(n) * choose(n-1, s))
	}
	out := make([]float64, n)
	for coalition := range worth {
		for i := range out {
			if coalition>>i&1 == 0 {
				out[i] += weight[bits.OnesCount(uint(coalition))] * (worth[coalition|1<<i] - worth[coalition])
			}
		}
	}
	return out
}

// choose is the number of k-subsets of n.
func choose(n, k int) float64 {
	out := 1.0
	for i := range k {
		out = out * float64(n-i) / float64(i+1)
	}
	return out
}

// spearman is the rank correlation of two lists, equals sharing their mean rank;
// 0 if either is constant.
func spearman(a, b []float64) float64 {
	r := stat.Correlation(ranks(a), ranks(b), nil)
	if math.IsNaN(r) {
		return 0
	}
	return r
}

func ranks(x []float64) []float64 {
	sorted := slices.Sorted(slices.Values(x))
	out := make([]float64, len(x))
	for i, v := range x {
		first, _ := slices.BinarySearch(sorted, v)
		last := first
		for last+1 < len(sorted) && sorted[last+1] == v {
			last++
		}
		out[i] = float64(first+last) / 2
	}
	return out
}
