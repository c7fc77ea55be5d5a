package table

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

const (
	// sizeRatio is how many times larger the first shard is than the last:
	// three shards hold about 61, 27 and 12 % of the rows.
	sizeRatio = 5.0
	// labelSkew tilts the classes: the first shard draws 1+labelSkew times its
	// size in positive rows and 1−labelSkew times in negative ones, the last the
	// other way round.
	labelSkew = 0.3
)

// Shard deals the rows out to k companies as companies differ: the first has
// the most rows and the largest share of positives, and along the column with
// the greatest spread each has another stretch, overlapping with its
// neighbours'. Every row is in exactly one shard, in file order, and every
// shard has both classes. The same table, k and seed give the same shards.
//
// A class of fewer than k rows is a [*CellError].
func (t Table) Shard(k int, seed uint64) ([]Table, error) {
	if k < 1 {
		return nil, fmt.Errorf("shard: %d companies; give 1 or more", k)
	}
	draw := rand.New(rand.NewPCG(seed, shardStream))
	column := t.widest()
	parts := make([][]int, k)
	for class, rows := range t.byClass() {
		if len(rows) < k {
			return nil, t.tooFew(class, len(rows), fmt.Sprintf("%d companies need at least one each", k))
		}
		rows = t.alongColumn(rows, column, draw)
		for i, n := range deal(len(rows), weights(k, class)) {
			parts[i] = append(parts[i], rows[:n]...)
			rows = rows[n:]
		}
	}
	out := make([]Table, k)
	for i, rows := range parts {
		out[i] = t.part(rows)
	}
	return out, nil
}

// widest is the column of greatest variance after scaling, the first of equals.
func (t Table) widest() int {
	d := t.Columns()
	sum, squares := make([]float64, d), make([]float64, d)
	for i := range t.Len() {
		for j, x := range t.Row(i) {
			sum[j] += x
			squares[j] += float64(x * x)
		}
	}
	best, most := 0, math.Inf(-1)
	for j := range d {
		// n² times the variance. Here and above float64() forbids fused
		// multiply-adds: every machine must choose the same column.
		v := float64(float64(t.Len())*squares[j]) - float64(sum[j]*sum[j])
		if v > most {
			best, most = j, v
		}
	}
	return best
}

// alongColumn orders rows loosely by a column: by rank plus a random number
// as large as the ranks.
func (t Table) alongColumn(rows []int, column int, draw *rand.Rand) []int {
	d := t.Columns()
	shuffle(rows, draw) // equal values in no order of the file's
	slices.SortStableFunc(rows, func(a, b int) int {
		return cmp.Compare(t.source.values[a*d+column], t.source.values[b*d+column])
	})
	type ranked struct{ key, row int }
	order := make([]ranked, len(rows))
	for rank, row := range rows {
		order[rank] = ranked{rank + draw.IntN(len(rows)), row}
	}
	slices.SortStableFunc(order, func(a, b ranked) int { return cmp.Compare(a.key, b.key) })
	for i, o := range order {
		rows[i] = o.row
	}
	return rows
}

// weights are the sizes of k shards of a class, up to a common factor.
func weights(k, class int) []float64 {
	out := make([]float64, k)
	for i := range out {
		at := 0.0 // 0 for the first shard, 1 for the last
		if k > 1 {
			at = float64(i) / float64(k-1)
		}
		tilt := labelSkew * (1 - 2*at)
		if class == 0 {
			tilt = -tilt
		}
		out[i] = math.Pow(sizeRatio, -at) * (1 + tilt)
	}
	return out
}

// deal divides n into len(weights) counts of at least one, the rest by weight,
// largest remainders first. n is at least len(weights).
func deal(n int, weights []float64) []int {
	total := 0.0
	for _, w := range weights {
		total += w
	}
	counts, left := make([]int, len(weights)), n
	remainder := make([]float64, len(weights))
	byRemainder := make([]int, len(weights))
	for i, w := range weights {
		exact := float64(n-len(weights)) * w / total
		whole := math.Floor(exact)
		counts[i], remainder[i], byRemainder[i] = 1+int(whole), exact-whole, i
		left -= counts[i]
	}
	slices.SortStableFunc(byRemainder, func(a, b int) int { return cmp.Compare(remainder[b], remainder[a]) })
	for _, i := range byRemainder[:left] {
		counts[i]++
	}
	return counts
}
