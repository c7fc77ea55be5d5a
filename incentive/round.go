package incentive

import (
	"cmp"
	"math/bits"
	"slices"
)

// A round is the arithmetic of one epoch, rows of evaluators against columns of
// peers. The steps are numbered as in the package's specification.
type round struct {
	counted []uint64 // stakes that count for the strict majority; zero if not active
	stake   []Fixed  // S
	active  []Fixed  // A
	weights [][]Fixed
	bonds   [][]Fixed // B, then B'

	consensus, trust, ranks, incentive []Fixed // of peers
	evaluatorTrust, dividends          []Fixed // of evaluators
}

// newRound takes stakes to step 1: S, and A, which is S masked and renormalised.
func newRound(evaluators []Evaluator, counted []uint64, weights, bonds [][]Fixed, peers int) *round {
	n := len(evaluators)
	r := &round{
		counted: make([]uint64, n), stake: make([]Fixed, n), active: make([]Fixed, n), weights: weights, bonds: bonds,
		consensus: make([]Fixed, peers), trust: make([]Fixed, peers),
	}
	var total uint64
	for _, c := range counted {
		total += c // countStakes has checked that it fits
	}
	for i, e := range evaluators {
		r.stake[i] = Ratio(counted[i], total)
		if !e.Inactive && !e.Barred {
			r.counted[i], r.active[i] = counted[i], r.stake[i]
		}
	}
	r.active = normalise(r.active)
	return r
}

// run is steps 3 to 9.
func (r *round) run(params Params) {
	before := r.columns(r.weights)
	clipped := r.weights
	if params.Whitepaper != nil {
		r.whitepaper(*params.Whitepaper, before)
	} else {
		r.consensus = r.medians(params.Majority)
		if params.on(clipping) {
			clipped = clip(r.weights, r.consensus)
		}
		r.ranks = r.columns(clipped)
		for j := range r.ranks {
			r.trust[j] = r.ranks[j].Div(before[j])
		}
		r.incentive = normalise(r.ranks)
	}
	r.evaluatorTrust = make([]Fixed, len(r.active))
	for i, row := range clipped {
		r.evaluatorTrust[i] = sum(row)
	}
	bought := interpolate(r.weights, clipped, params.Penalty)
	if params.PerPair {
		r.bondsPerPair(params, bought)
	} else {
		r.bondsOfColumns(params.Alpha, bought)
	}
}

// columns is step 6, Σ_i A_i·m_ij.
func (r *round) columns(m [][]Fixed) []Fixed {
	out := make([]Fixed, len(r.consensus))
	for i, row := range m {
		for j, x := range row {
			out[j] = out[j].Add(r.active[i].Mul(x))
		}
	}
	return out
}

// medians is step 3, for every peer the largest weight a majority stands behind.
func (r *round) medians(majority Fixed) []Fixed {
	if majority != 0 {
		return columnMedians(r.active, r.weights, len(r.consensus), majority)
	}
	out := make([]Fixed, len(r.consensus))
	for j := range out {
		out[j] = strictMedian(r.counted, column(r.weights, j))
	}
	return out
}

// columnMedians is upstream's median of each column, among rows with stake.
func columnMedians(stake []Fixed, m [][]Fixed, columns int, majority Fixed) []Fixed {
	var rows []int
	var used []Fixed
	for i, s := range stake {
		if s > 0 {
			rows, used = append(rows, i), append(used, s)
		}
	}
	used = normalise(used) // stakes are normalised already; upstream does it again
	out, scores := make([]Fixed, columns), make([]Fixed, len(rows))
	for j := range out {
		for k, i := range rows {
			scores[k] = m[i][j]
		}
		out[j] = median(used, scores, sum(used).Sub(majority))
	}
	return out
}

func column(m [][]Fixed, j int) []Fixed {
	out := make([]Fixed, len(m))
	for i, row := range m {
		out[i] = row[j]
	}
	return out
}

// median is the lowest score with more than minority of the stake at it or
// below: the largest that the rest, a majority, gives at least. It is the
// highest score if there is none, 0 of no scores.
func median(stake, score []Fixed, minority Fixed) Fixed {
	if len(score) == 0 {
		return 0
	}
	order := byScore(score)
	var below Fixed
	for k, i := range order {
		below = below.Add(stake[i])
		last := k+1 == len(order)
		if last || score[order[k+1]] != score[i] && below > minority {
			return score[i]
		}
	}
	return 0 // unreachable: the last returns
}

// strictMedian is the largest score w with 2·Σ stake[score ≥ w] > Σ stake, 0 if
// nobody has stake. The sums must fit 64 bits.
func strictMedian(stake []uint64, score []Fixed) Fixed {
	var total uint64
	for _, s := range stake {
		total += s
	}
	var support uint64
	for _, i := range slices.Backward(byScore(score)) {
		support += stake[i]
		if support > total-support { // 2·support > total, without overflow
			return score[i]
		}
	}
	return 0
}

// byScore is the order of indices by ascending score.
func byScore(score []Fixed) []int {
	order := make([]int, len(score))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(score[a], score[b]) })
	return order
}

// clip is step 4, no weight above its column's limit.
func clip(m [][]Fixed, limit []Fixed) [][]Fixed {
	out := matrix(len(m), len(limit))
	for i, row := range m {
		for j, x := range row {
			out[i][j] = min(x, limit[j])
		}
	}
	return out
}

// interpolate is step 8, a + ratio·(b − a), exact at both ends.
func interpolate(a, b [][]Fixed, ratio Fixed) [][]Fixed {
	switch ratio {
	case 0:
		return a
	case One:
		return b
	}
	out := make([][]Fixed, len(a))
	for i, row := range a {
		out[i] = make([]Fixed, len(row))
		for j, x := range row {
			out[i][j] = x.Add(ratio.Mul(b[i][j].Sub(x)))
		}
	}
	return out
}

// whitepaper is ranks, trust, consensus and incentive by the old rule.
func (r *round) whitepaper(rule Whitepaper, ranks []Fixed) {
	r.ranks = normalise(ranks)
	shares := make([]Fixed, len(ranks))
	for j := range ranks {
		for i := range r.weights {
			if r.weights[i][j] > 0 {
				r.trust[j] = r.trust[j].Add(r.active[i])
			}
		}
		r.consensus[j] = sigmoid(r.trust[j], rule.Rho, rule.Kappa)
		shares[j] = r.ranks[j].Mul(r.consensus[j])
	}
	r.incentive = normalise(shares)
}

// bondsOfColumns is step 9: bonds are shares of a peer.
func (r *round) bondsOfColumns(alpha Fixed, bought [][]Fixed) {
	delta := make([][]Fixed, len(bought))
	for i, row := range bought {
		delta[i] = make([]Fixed, len(row))
		for j, x := range row {
			delta[i][j] = x.Mul(r.active[i])
		}
	}
	delta, old := columnNormalise(delta), columnNormalise(r.bonds)
	for i, row := range delta {
		for j, x := range row {
			row[j] = alpha.Mul(x).Add((One - alpha).Mul(old[i][j]))
		}
	}
	r.bonds = columnNormalise(delta)
	r.dividends = normalise(rowsTimes(r.bonds, r.incentive))
}

// bondsPerPair is upstream's third version: a bond on a peer grows by alpha
// toward its weight's share of 1, whoever else holds some.
func (r *round) bondsPerPair(params Params, bought [][]Fixed) {
	liquid := params.Liquid
	if !slices.ContainsFunc(r.consensus, func(c Fixed) bool { return c != 0 }) {
		liquid = nil
	}
	grown := make([][]Fixed, len(bought))
	for i, row := range bought {
		grown[i] = make([]Fixed, len(row))
		for j, x := range row {
			alpha := params.Alpha
			if liquid != nil {
				alpha = liquid.alpha(r.consensus[j], x, r.bonds[i][j])
			}
			grown[i][j] = grow(alpha, x, r.bonds[i][j])
		}
	}
	r.bonds = grown
	dividends := rowsTimes(columnNormalise(grown), r.incentive)
	for i := range dividends {
		dividends[i] = dividends[i].Mul(r.active[i])
	}
	r.dividends = normalise(dividends)
}

// grow is α·bought + (1−α)·held, at most 1.
func grow(alpha, bought, held Fixed) Fixed {
	return min(One, (One - alpha).Mul(held).Add(max(0, alpha.Mul(bought))))
}

// alpha is between Low and High by how much is bought above consensus, or sold
// below the bond.
func (l Liquid) alpha(consensus, weight, bond Fixed) Fixed {
	diff := weight.Sub(consensus)
	if weight < bond {
		diff = bond.Sub(weight)
	}
	diff = min(max(diff, 0), One)
	e, _ := exp(l.Steepness.Div(-100 * One).Mul(diff.Sub(One / 2))) // 0 if out of range, as upstream
	share := One.Div(One.Add(e))
	return min(max(l.Low.Add(share.Mul(l.High.Sub(l.Low))), l.Low), l.High)
}

// columnNormalise divides each column by its sum; a zero column stays.
func columnNormalise(m [][]Fixed) [][]Fixed {
	out := make([][]Fixed, len(m))
	var sums []Fixed
	for i, row := range m {
		out[i] = make([]Fixed, len(row))
		if sums == nil {
			sums = make([]Fixed, len(row))
		}
		for j, x := range row {
			sums[j] = sums[j].Add(x)
		}
	}
	for i, row := range m {
		for j, x := range row {
			out[i][j] = x.Div(sums[j])
		}
	}
	return out
}

// rowsTimes is m·v.
func rowsTimes(m [][]Fixed, v []Fixed) []Fixed {
	out := make([]Fixed, len(m))
	for i, row := range m {
		for j, x := range row {
			out[i] = out[i].Add(x.Mul(v[j]))
		}
	}
	return out
}

// addStake is a + b and whether it fits.
func addStake(a, b uint64) (uint64, bool) {
	total, carry := bits.Add64(a, b, 0)
	return total, carry == 0
}
