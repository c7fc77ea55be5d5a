package table

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// minClass is the least number of rows of a class that can be split: with
// fewer, a score on the test rows is decided by one or two of them.
const minClass = 5

// What a seed is drawn for. Splitting and sharding by one seed are unrelated.
const (
	splitStream = 0x73706c6974 // "split"
	shardStream = 0x7368617264 // "shard"
)

// Split sets test and validation rows aside, each a fraction of every class;
// the rest is for training. Every row is in exactly one of the three, in file
// order, and every part whose fraction is above 0 has both classes. The same
// table and seed give the same parts.
//
// A class of fewer than 5 rows is a [*CellError].
func (t Table) Split(test, validation float64, seed uint64) (trainPart, validationPart, testPart Table, err error) {
	if !(test >= 0) || !(validation >= 0) || !(test+validation <= 0.9) {
		return Table{}, Table{}, Table{}, fmt.Errorf("split: fractions test %v and validation %v; give two numbers from 0 that leave 0.1 for training", test, validation)
	}
	draw := rand.New(rand.NewPCG(seed, splitStream))
	var train, check, tested []int
	for class, rows := range t.byClass() {
		if len(rows) < minClass {
			return Table{}, Table{}, Table{}, t.tooFew(class, len(rows), fmt.Sprintf("a split needs %d", minClass))
		}
		shuffle(rows, draw)
		// Rounding up never takes the last row from a part that comes after.
		nTest := share(len(rows), test)
		nCheck := min(share(len(rows), validation), len(rows)-min(1, nTest)-1)
		nTest = min(nTest, len(rows)-nCheck-1)
		tested = append(tested, rows[:nTest]...)
		check = append(check, rows[nTest:nTest+nCheck]...)
		train = append(train, rows[nTest+nCheck:]...)
	}
	return t.part(train), t.part(check), t.part(tested), nil
}

// share is the number of rows nearest to a fraction of n, at least one unless
// the fraction is 0.
func share(n int, fraction float64) int {
	if fraction == 0 {
		return 0
	}
	return max(1, int(math.Round(fraction*float64(n))))
}

// part is the table of some rows, which it sorts.
func (t Table) part(rows []int) Table {
	slices.Sort(rows)
	return Table{source: t.source, rows: slices.Clip(rows)}
}

func shuffle(rows []int, draw *rand.Rand) {
	draw.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
}

// tooFew says that a class has too few rows for what was asked.
func (t Table) tooFew(class, n int, need string) error {
	if t.source == nil {
		return fmt.Errorf("table: no rows; read a file first")
	}
	s := t.source.schema
	return &CellError{File: t.source.file, Row: t.source.lastLine, Column: s.Label,
		Cause: fmt.Sprintf("%d rows with label %v, but %s", n, s.classValue(class), need),
		Fix:   fmt.Sprintf("add rows with label %v", s.classValue(class))}
}
