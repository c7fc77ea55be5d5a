package local

import (
	"context"
	"math"
	"testing"

	"github.com/commonseal/commonseal/federation/table"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/hetest"
	"gonum.org/v1/gonum/floats"
)

// Attack: a company whose labels are shuffled sets rows with such labels aside, as
// many as it likes, so that its updates go their way. Valued by all validation rows
// together it is paid for harm; apart it judges others, and not itself.
func TestAttackOwnValidationRows(t *testing.T) {
	data, err := table.Open("../../docs/data/breast_cancer.csv", "benign")
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(6) {
		f, err := found(data, Options{Companies: 5, Steps: 10, Test: 0.2, Seed: seed, Profiles: he.Standard(), Shuffle: []int{4}}, silent)
		if err != nil {
			t.Fatal(err)
		}
		mallory := f.companies[3]
		var training, checking []he.Rows
		for _, c := range f.companies {
			training, checking = append(training, c.training), append(checking, c.validation)
		}
		checking[3] = he.Rows{Columns: mallory.training.Columns}
		for range 20 {
			checking[3].Values = append(checking[3].Values, mallory.training.Values...)
		}
		worth := func(evaluators [][]int, rows []int) float64 {
			f.job.panel.Evaluators, f.job.panel.Rows = evaluators, rows
			return f.join(f.valuesTwin(training, checking))[3]
		}
		var apart [][]int
		var rows []int
		total := 0
		for i, z := range checking {
			apart, rows, total = append(apart, []int{i}), append(rows, z.Len()), total+z.Len()
		}
		if v := worth([][]int{{0, 1, 2, 3, 4}}, []int{total}); v <= 0 {
			t.Fatalf("seed %d: valued by its own rows among all, shuffled labels are worth %g; the attack should be paid", seed, v)
		}
		if v := worth(apart, rows); v > 0 {
			t.Errorf("seed %d: shuffled labels are worth %g", seed, v)
		}
	}
}

// What several numbers a company tell, as docs/adr/0021 says: two evaluators that
// compare what they found have the inner product of anybody's update with a vector
// that they know, at the first step exactly.
func TestTwoEvaluatorsReadAnInnerProduct(t *testing.T) {
	f, err := found(synthetic(t, 600, 6), Options{Companies: 4, Steps: 1, Test: 0.2, Seed: 2, Profiles: hetest.Profiles(t)}, silent)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.run(context.Background()); err != nil {
		t.Fatal(err)
	}
	mean := func(z he.Rows) []float64 { // a gradient where all errors are a half
		out := make([]float64, z.Columns)
		for i := range z.Len() {
			floats.AddScaled(out, 0.5/float64(z.Len()), z.Row(i))
		}
		return out
	}
	known, update := mean(f.companies[0].validation), mean(f.companies[2].training)
	floats.Sub(known, mean(f.companies[1].validation))
	want := f.job.twin.LearningRate * float64(f.companies[2].training.Len()) / float64(f.job.rows) * floats.Dot(update, known)
	if got := f.report.ValuesApart[0][2] - f.report.ValuesApart[1][2]; math.Abs(got-want) > 1e-5 || math.Abs(want) < 1e-3 {
		t.Errorf("two evaluators read %g of the third company's update; it is %g", got, want)
	}
}

// Honest companies, on twins. By all validation rows together each is worth
// something, as retraining says. Apart evaluators judge by rows that are unlike one
// another's: two or three of them find honest companies harmful, so they value
// together; from four on a company that one misjudges has two others, and they value
// apart. docs/adr/0021 has these figures.
func TestEvaluatorsOnDataSets(t *testing.T) {
	harmful, of := map[int]int{}, map[int]int{} // by how many companies there are
	for file, label := range map[string]string{"infant_mortality_2014": "IMORT", "breast_cancer": "benign", "edinburgh_mi": "mi", "digits_3_8": "is_8"} {
		data, err := table.Open("../../docs/data/"+file+".csv", label)
		if err != nil {
			t.Fatal(err)
		}
		for n := 2; n <= 5; n++ {
			f, err := found(data, Options{Companies: n, Steps: 10, Test: 0.2, Seed: 1, Profiles: he.Standard()}, silent)
			if err != nil {
				t.Fatal(err)
			}
			var training, checking []he.Rows
			var each [][]int
			var all, rows []int
			total := 0
			for i, c := range f.companies {
				training, checking = append(training, c.training), append(checking, c.validation)
				each, rows = append(each, []int{i}), append(rows, c.validation.Len())
				all, total = append(all, i), total+c.validation.Len()
			}
			by := func(evaluators [][]int, rows []int) []float64 {
				f.job.panel.Evaluators, f.job.panel.Rows = evaluators, rows
				return f.join(f.valuesTwin(training, checking))
			}
			if got := len(f.job.panel.Evaluators); n < 4 && got != 1 || n >= 4 && got != n {
				t.Fatalf("%s, %d companies: %d evaluators", file, n, got)
			}
			apart, together := by(each, rows), by([][]int{all}, []int{total})
			for i := range all {
				if together[i] <= 0 {
					t.Errorf("%s: company %d of %d is worth %g by all rows together", file, i+1, n, together[i])
				}
				of[n]++
				if apart[i] <= 0 {
					harmful[n]++
				}
			}
			t.Logf("%s, %d companies: together %.4f, apart %.4f", file, n, together, apart)
		}
	}
	t.Logf("found harmful, by the number of companies: %v of %v", harmful, of)
	if harmful[4]+harmful[5] > 2 {
		t.Error("four evaluators or more find honest companies harmful by habit")
	}
	if harmful[2]+harmful[3] < 8 {
		t.Error("two or three evaluators no longer find honest companies harmful; they could value apart")
	}
}
