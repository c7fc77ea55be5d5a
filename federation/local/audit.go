package local

import (
	"errors"
	"fmt"
	"math"
	"math/big"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/incentive"
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
func (f *federation) audit() error {
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
		values, err := shapley(len(counted), f.game(counted, training, checking, game.rows))
		if err != nil {
			return err
		}
		for k, v := range values {
			game.out[counted[k]] = v
		}
	}
	var err, other error
	a.Spearman, err = spearman(f.report.Values, a.Retrained)
	a.SpearmanRenormalised, other = spearman(f.report.Values, a.Renormalised)
	f.report.Audit = a
	return errors.Join(err, other)
}

// game is the loss that each coalition's training takes off, by the coalition's
// bits. Means are over as many rows as rows says of the coalition's own.
func (f *federation) game(counted []int, training, checking []he.Rows, rows func(own int) int) []float64 {
	twin := f.job.twin
	before := twin.Loss(make([]float64, training[0].Columns), checking)
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

// shapley is the exact Shapley value of n players, given each coalition's worth by
// its bits.
func shapley(n int, worth []float64) ([]float64, error) {
	exact, err := incentive.Shapley(n, func(coalition uint) (*big.Rat, error) {
		if r := new(big.Rat).SetFloat64(worth[coalition]); r != nil {
			return r, nil
		}
		return nil, fmt.Errorf("training on coalition %b ran away", coalition)
	})
	out := make([]float64, n)
	for i, v := range exact {
		out[i], _ = v.Float64()
	}
	return out, err
}

// spearman is the rank correlation of two lists.
func spearman(a, b []float64) (float64, error) {
	square, err := incentive.Spearman(rationals(a), rationals(b)) // ρ·|ρ|
	if err != nil {
		return 0, err
	}
	r, _ := square.Float64()
	return math.Copysign(math.Sqrt(math.Abs(r)), r), nil
}

func rationals(x []float64) []*big.Rat {
	out := make([]*big.Rat, len(x))
	for i, v := range x {
		if out[i] = new(big.Rat).SetFloat64(v); out[i] == nil {
			out[i] = new(big.Rat) // no number, no rank
		}
	}
	return out
}
