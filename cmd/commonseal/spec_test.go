package main

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/commonseal/commonseal/federation/replay"
	"github.com/commonseal/commonseal/federation/table"
	"github.com/commonseal/commonseal/ledger"
)

// What the flags of train ask for is one job of the task, or one line about a flag.
func TestSpec(t *testing.T) {
	s := table.Schema{Label: "y", Positive: 1, Columns: []table.Column{{Name: "age", Max: 100}, {Name: "dose", Max: 5}},
		Derived: []table.Derived{{Operation: table.Product, Of: 0, By: 1}}}
	task := &ledger.Task{Name: "churn", Schema: s.Append(nil), Columns: 4, Nodes: []string{"north", "south"}, Quorum: 2}
	for _, test := range []struct {
		spec    spec
		columns []uint16
		rate    float64 // 5 over the columns that train, the constant included
	}{
		{spec{values: true, steps: 3}, nil, 5.0 / 4},
		{spec{values: true, steps: 3, columns: []string{"dose*age", "age"}, decay: 0.5}, []uint16{1, 3}, 5.0 / 3},
		{spec{values: true, steps: 3, columns: []string{"dose", "dose*age", "age"}}, nil, 5.0 / 4},
		{spec{values: true, steps: 3, columns: []string{"dose"}, rate: 0.25, decay: 4}, []uint16{2}, 0.25},
	} {
		if err := test.spec.check(); err != nil {
			t.Errorf("%+v: %v", test.spec, err)
		}
		o, err := test.spec.open(task, 7)
		if err != nil {
			t.Errorf("%+v: %v", test.spec, err)
			continue
		}
		if !slices.Equal(o.Columns, test.columns) || o.LearningRate != replay.FixedRate(test.rate) || o.Decay != replay.FixedRate(test.spec.decay) ||
			o.Algorithm != ledger.Logistic || o.Steps != 3 || !slices.Equal(o.Valued, []uint16{1, 2, 3}) || o.Salt != 7 || o.Quorum != 2 {
			t.Errorf("%+v opens %+v", test.spec, o)
		}
	}
	for _, test := range []struct {
		spec spec
		want string
	}{
		{spec{steps: 1, merge: true}, "--merge looks for companies to value once"},
		{spec{steps: 0}, "--steps is 0 and --lr 0; give 1 to 1000 steps"},
		{spec{steps: 1001}, "--steps is 1001"},
		{spec{steps: 1, rate: math.NaN()}, "--lr NaN"},
		{spec{steps: 1, rate: 1e10}, "--lr 1e+10"},
		{spec{steps: 1, decay: -1}, "--decay is -1"},
		{spec{steps: 1, decay: math.Inf(1)}, "--decay is +Inf"},
		{spec{steps: 1, decay: 1e-12}, "--decay is 1e-12; give 0, or a number of 2^-32 or more"},
		{spec{steps: 1, rate: 1, decay: 1.5}, "--decay 1.5 at learning rate 1 takes more"},
		{spec{steps: 1, columns: []string{"aeg", "dose"}}, `--columns: no column "aeg"; choose one of "age", "dose", "age*dose"`},
		{spec{steps: 1, columns: []string{"age>5"}}, `--columns: column "age>5" is not among the task's derived columns`},
	} {
		err := test.spec.check()
		if err == nil {
			_, err = test.spec.open(task, 7)
		}
		var usage *usageError
		if !errors.As(err, &usage) || !strings.HasPrefix(err.Error(), test.want) && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v, want %s", test.spec, err, test.want)
		}
	}
	if _, err := (spec{steps: 1}).open(&ledger.Task{Name: "old", Schema: []byte("none")}, 0); err == nil {
		t.Error("a task without a schema is opened")
	}
}
