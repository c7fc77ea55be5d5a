package he_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/hetest"
	"pgregory.net/rapid"
)

// Who has rows values; fewer than four, or where there is no room, all together.
func TestPanel(t *testing.T) {
	small, production := hetest.Profiles(t).Release, he.Standard().Release
	for _, tc := range []struct {
		release    *he.Profile
		width      int
		validation []int
		want       [][]int
		rows       []int
	}{
		{small, 8, []int{3, 4, 5, 6}, [][]int{{0}, {1}, {2}, {3}}, []int{3, 4, 5, 6}},
		{small, 8, []int{3, 0, 5, 1, 2}, [][]int{{0}, {2}, {3}, {4}}, []int{3, 5, 1, 2}},
		{small, 8, []int{3, 4, 5}, [][]int{{0, 1, 2}}, []int{12}}, // two would judge each
		{small, 8, []int{3, 0, 5}, [][]int{{0, 2}}, []int{8}},
		{small, 8, []int{3, 0, 5, 4, 0}, [][]int{{0, 2, 3}}, []int{12}}, // who values counts, not who trains
		{small, 8, []int{0, 4, 0}, [][]int{{1}}, []int{4}},
		{small, 8, []int{0, 0}, nil, nil},
		{small, 16, []int{1, 2, 3, 4}, [][]int{{0}, {1}, {2}, {3}}, []int{1, 2, 3, 4}}, // 2·4·4 segments of 32
		{small, 16, []int{1, 2, 3, 4, 0}, [][]int{{0, 1, 2, 3}}, []int{10}},            // 40 of 32
		{production, 32, slices.Repeat([]int{9}, 11), [][]int{{0}, {1}, {2}, {3}, {4}, {5}, {6}, {7}, {8}, {9}, {10}}, slices.Repeat([]int{9}, 11)},
		{production, 32, slices.Repeat([]int{9}, 12), [][]int{{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}}, []int{108}},
		{production, 256, []int{7, 8, 9, 1}, [][]int{{0}, {1}, {2}, {3}}, []int{7, 8, 9, 1}},
		{production, 256, []int{7, 8, 9, 1, 1}, [][]int{{0, 1, 2, 3, 4}}, []int{26}},
	} {
		p := he.NewPanel(tc.release, tc.width, tc.validation)
		if fmt.Sprint(p.Evaluators) != fmt.Sprint(tc.want) || !slices.Equal(p.Rows, tc.rows) {
			t.Errorf("width %d, rows %v: evaluators %v by %v rows, want %v by %v", tc.width, tc.validation, p.Evaluators, p.Rows, tc.want, tc.rows)
		}
	}
}

// Every value has a coefficient of its own, and comes back to its place, by as many
// evaluators as the ring has room for.
func TestPanelAnswers(t *testing.T) {
	release := hetest.Profiles(t).Release
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 8).Draw(t, "companies")
		p := he.NewPanel(release, 1<<rapid.IntRange(0, 5).Draw(t, "log width"), rapid.SliceOfN(rapid.IntRange(0, 2), n, n).Draw(t, "rows"))
		if room := release.N() / (4 * n * p.Width); rapid.Bool().Draw(t, "apart") {
			p.Evaluators, p.Rows = nil, nil
			for e := range rapid.IntRange(0, min(n, room)).Draw(t, "evaluators") {
				p.Evaluators, p.Rows = append(p.Evaluators, []int{e}), append(p.Rows, 1)
			}
		}
		var counted []int
		for i := range n {
			if rapid.Bool().Draw(t, "counts") {
				counted = append(counted, i)
			}
		}
		answers := p.Answers(counted)
		if distinct := slices.Compact(slices.Sorted(slices.Values(answers))); len(distinct) != len(answers) || len(answers) != len(p.Evaluators)*len(counted) {
			t.Fatalf("answers %v", answers)
		}
		opened := make([]float64, len(answers))
		for k, at := range answers {
			if at < 0 || at >= release.N() || at%(2*p.Width) != 0 {
				t.Fatalf("an answer at %d", at)
			}
			opened[k] = float64(k + 1)
		}
		values, k := p.Values(opened, counted), 0.0
		for at, v := range values {
			if !slices.Contains(counted, at%n) {
				if v != 0 {
					t.Fatalf("value %d is %g, of a company that does not count", at, v)
				}
			} else if k++; v != k {
				t.Fatalf("value %d is %g, want %g", at, v, k)
			}
		}
	})
}
