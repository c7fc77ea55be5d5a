package table

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// rowsOf is a table of n rows, every one-in-th positive, whose columns are the
// row's number and noise.
func rowsOf(tb testing.TB, n, oneIn int) Table {
	var text strings.Builder
	text.WriteString("small,number,y\n")
	for i := range n {
		label := 0
		if i%oneIn == 0 {
			label = 1
		}
		fmt.Fprintf(&text, "%d,%d,%d\n", (i*7919)%13, i, label)
	}
	return mustRead(tb, text.String())
}

// checkParts fails unless every row of whole is in exactly one of parts, each
// in file order and, if bothClasses, with both classes.
func checkParts(t interface{ Fatalf(string, ...any) }, whole Table, bothClasses bool, parts ...Table) {
	var all []int
	for i, p := range parts {
		if !slices.IsSorted(p.rows) {
			t.Fatalf("part %d is not in file order", i)
		}
		if negative, positive := p.Classes(); bothClasses && (negative == 0 || positive == 0) {
			t.Fatalf("part %d has %d negative and %d positive rows", i, negative, positive)
		}
		all = append(all, p.rows...)
	}
	slices.Sort(all)
	if !slices.Equal(all, whole.rows) {
		t.Fatalf("%d rows in %d parts, not each row of %d once", len(all), len(parts), whole.Len())
	}
}

func TestSplitDealsEveryRowOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		oneIn := rapid.IntRange(2, 9).Draw(rt, "one in")
		n := rapid.IntRange(5*oneIn, 300).Draw(rt, "rows")
		test := rapid.Float64Range(0.01, 0.6).Draw(rt, "test")
		validation := rapid.Float64Range(0.01, 0.3).Draw(rt, "validation")
		seed := rapid.Uint64().Draw(rt, "seed")
		whole := rowsOf(t, n, oneIn)
		train, check, tested, err := whole.Split(test, validation, seed)
		if err != nil {
			rt.Fatalf("Split: %v", err)
		}
		checkParts(rt, whole, true, train, check, tested)
		if n > 60 && math.Abs(float64(tested.Len())/float64(n)-test) > 2/math.Sqrt(float64(n)) {
			rt.Fatalf("%d test rows of %d, asked for %v", tested.Len(), n, test)
		}
		again, _, _, err := whole.Split(test, validation, seed)
		if err != nil || !slices.Equal(again.rows, train.rows) {
			rt.Fatalf("the same seed gives other rows (%v)", err)
		}
	})
}

func TestSplit(t *testing.T) {
	whole := rowsOf(t, 100, 2)
	train, check, tested, err := whole.Split(0.2, 0, 1)
	if err != nil || train.Len() != 80 || check.Len() != 0 || tested.Len() != 20 {
		t.Fatalf("Split(0.2, 0): %d, %d and %d rows, %v", train.Len(), check.Len(), tested.Len(), err)
	}
	other, _, _, err := whole.Split(0.2, 0, 2)
	if err != nil || slices.Equal(other.rows, train.rows) {
		t.Errorf("another seed gives the same rows (%v)", err)
	}
	for _, f := range [][2]float64{{-0.1, 0}, {0, -0.1}, {0.5, 0.5}, {math.NaN(), 0}, {0, math.Inf(1)}} {
		if _, _, _, err := whole.Split(f[0], f[1], 1); err == nil || !strings.HasPrefix(err.Error(), "split: fractions") {
			t.Errorf("Split(%v, %v): %v", f[0], f[1], err)
		}
	}
	// The smallest classes and the greatest fractions leave nobody empty.
	small := rowsOf(t, 10, 2)
	for _, f := range [][2]float64{{0.05, 0.85}, {0.85, 0.05}, {0.45, 0.45}} {
		train, check, tested, err := small.Split(f[0], f[1], 1)
		if err != nil {
			t.Fatal(err)
		}
		checkParts(t, small, true, train, check, tested)
	}
	var cell *CellError
	_, _, _, err = rowsOf(t, 9, 2).Split(0.2, 0, 1)
	if want := `f.csv:10: column "y": 4 rows with label 0, but a split needs 5; add rows with label 0`; !errors.As(err, &cell) || err.Error() != want {
		t.Errorf("a small class: %v, want %s", err, want)
	}
	if _, _, _, err := (Table{}).Split(0.2, 0, 1); err == nil {
		t.Error("the zero table was split")
	}
}

func TestShardDealsEveryRowOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		k := rapid.IntRange(1, 32).Draw(rt, "companies")
		oneIn := rapid.IntRange(2, 6).Draw(rt, "one in")
		n := rapid.IntRange(k*oneIn, k*oneIn+200).Draw(rt, "rows")
		seed := rapid.Uint64().Draw(rt, "seed")
		whole := rowsOf(t, n, oneIn)
		shards, err := whole.Shard(k, seed)
		if err != nil {
			rt.Fatalf("Shard: %v", err)
		}
		checkParts(rt, whole, true, shards...)
		again, err := whole.Shard(k, seed)
		if err != nil {
			rt.Fatalf("Shard: %v", err)
		}
		for i := range shards {
			if !slices.Equal(shards[i].rows, again[i].rows) {
				rt.Fatalf("the same seed gives shard %d other rows", i)
			}
		}
	})
}

// Companies differ in size, in their share of positives and in the stretch of
// the widest column they see.
func TestShardIsSkewed(t *testing.T) {
	whole := rowsOf(t, 4000, 2)
	shards, err := whole.Shard(3, 7)
	if err != nil {
		t.Fatal(err)
	}
	column := whole.widest()
	var sizes, positive, mean []float64
	for _, s := range shards {
		_, p := s.Classes()
		sum := 0.0
		for i := range s.Len() {
			sum += s.Row(i)[column]
		}
		n := float64(s.Len())
		sizes, positive, mean = append(sizes, n/4000), append(positive, float64(p)/n), append(mean, sum/n)
	}
	for i, want := range []float64{0.61, 0.27, 0.12} {
		if math.Abs(sizes[i]-want) > 0.03 {
			t.Errorf("shard %d has %.2f of the rows, want about %.2f", i, sizes[i], want)
		}
	}
	if !(positive[0] > positive[1]+0.05 && positive[1] > positive[2]+0.05) {
		t.Errorf("positives %.2f: not skewed", positive)
	}
	if !(mean[0] < mean[1]-0.2 && mean[1] < mean[2]-0.1) {
		t.Errorf("means %.2f along column %d: not skewed", mean, column)
	}
	other, err := whole.Shard(3, 8)
	if err != nil || slices.Equal(other[0].rows, shards[0].rows) {
		t.Errorf("another seed gives the same shards (%v)", err)
	}
}

func TestShardRefuses(t *testing.T) {
	whole := rowsOf(t, 12, 4) // three positive
	if _, err := whole.Shard(0, 1); err == nil || err.Error() != "shard: 0 companies; give 1 or more" {
		t.Errorf("Shard(0): %v", err)
	}
	_, err := whole.Shard(4, 1)
	if want := `f.csv:13: column "y": 3 rows with label 1, but 4 companies need at least one each; add rows with label 1`; err == nil || err.Error() != want {
		t.Errorf("Shard(4): %v, want %s", err, want)
	}
	if _, err := (Table{}).Shard(1, 1); err == nil {
		t.Error("the zero table was sharded")
	}
}

// The same rows in the same order on every machine: a golden answer.
func TestPartsAreGolden(t *testing.T) {
	whole := rowsOf(t, 24, 2)
	_, _, tested, err := whole.Split(0.25, 0, 42)
	if err != nil {
		t.Fatal(err)
	}
	shards, err := whole.Shard(3, 42)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(tested.rows, shards[1].rows, shards[2].rows)
	if want := "[1 2 12 13 18 19] [5 7 10 12 13 18 19] [4 6 11 15 17]"; got != want {
		t.Errorf("parts %s, want %s", got, want)
	}
}
