package he_test

import (
	"encoding/binary"
	"flag"
	"math"
	"testing"

	"github.com/commonseal/commonseal/he"
)

// seedFlag makes the random tests repeat, or differ.
var seedFlag = flag.Uint64("seed", 1, "seed of the random tests")

// seed is the test's own seed: another test, other numbers.
func seed(tb testing.TB) he.Seed {
	tb.Helper()
	tb.Logf("-seed %d", *seedFlag)
	return he.Seed{}.Derive(tb.Name(), binary.BigEndian.AppendUint64(nil, *seedFlag))
}

// samples is how many draws a statistic is made of.
func samples() int {
	if testing.Short() {
		return 100_000
	}
	return 1_000_000
}

// chiSquare fails unless counts are what n draws of the probabilities give:
// Pearson's statistic as a standard normal deviate (Wilson and Hilferty, PNAS
// 1931), within 5. Cells that expect fewer than 10 are joined.
func chiSquare(tb testing.TB, what string, counts []int, probability func(cell int) float64) {
	tb.Helper()
	n := 0
	for _, c := range counts {
		n += c
	}
	var stat, restCount, restWant float64
	cells := 0
	add := func(count, want float64) {
		stat += (count - want) * (count - want) / want
		cells++
	}
	for i, c := range counts {
		want := probability(i) * float64(n)
		if want < 10 {
			restCount, restWant = restCount+float64(c), restWant+want
			continue
		}
		add(float64(c), want)
	}
	if restWant >= 10 {
		add(restCount, restWant)
	} else if restCount > restWant+10*math.Sqrt(restWant)+10 {
		tb.Errorf("%s: %v draws in cells that expect %.3g", what, restCount, restWant)
	}
	k := float64(cells - 1)
	z := (math.Cbrt(stat/k) - (1 - 2/(9*k))) / math.Sqrt(2/(9*k))
	tb.Logf("%s: chi-square %.1f on %d degrees, deviate %.2f", what, stat, cells-1, z)
	if !(math.Abs(z) < 5) {
		tb.Errorf("%s: chi-square %.1f on %d degrees of freedom is %.1f deviations off", what, stat, cells-1, z)
	}
}

func uniform(cells int) func(int) float64 { return func(int) float64 { return 1 / float64(cells) } }
