package local

import (
	"context"
	"testing"

	"github.com/commonseal/commonseal/federation/table"
)

func TestValueCorrectness(t *testing.T) {
	data, err := table.Open("../../docs/data/breast_cancer.csv", "benign")
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(context.Background(), data, Options{Companies: 5, Steps: 10, Test: 0.2, Seed: 3, Shuffle: []int{4}, Copy: []CopyRows{{Of: 2, By: 5}}}, silent)
	if err != nil {
		t.Fatal(err)
	}
	hold(t, r)
	t.Logf("copies %v values %v %v ceremony %.1f step %.2f valuation %.1f copies %.1f total %.1f", r.Copies, r.Values, r.ValuesTwin, r.SecondsCeremony, r.SecondsPerStep, r.SecondsValuation, r.SecondsCopies, r.SecondsTotal)
}
