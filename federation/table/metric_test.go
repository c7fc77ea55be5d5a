package table

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestMetrics(t *testing.T) {
	labels := []float64{-1, -1, 1, 1}
	for _, test := range []struct {
		name          string
		scores        []float64
		auc, accuracy float64
	}{
		{"perfect", []float64{-2, -1, 1, 2}, 1, 1},
		{"reversed", []float64{2, 1, -1, -2}, 0, 0},
		{"all equal", []float64{0, 0, 0, 0}, 0.5, 0.5},
		{"one tie across classes", []float64{-1, 3, 3, 4}, 0.875, 0.75},
		{"infinite", []float64{math.Inf(-1), 0, 1, math.Inf(1)}, 1, 1},
	} {
		if got := AUC(test.scores, labels); got != test.auc {
			t.Errorf("%s: AUC %v, want %v", test.name, got, test.auc)
		}
		if got := Accuracy(test.scores, labels); got != test.accuracy {
			t.Errorf("%s: accuracy %v, want %v", test.name, got, test.accuracy)
		}
	}
	for name, got := range map[string]float64{
		"AUC of one class":     AUC([]float64{1, 2}, []float64{1, 1}),
		"AUC of a NaN":         AUC([]float64{1, math.NaN()}, []float64{-1, 1}),
		"AUC of nothing":       AUC(nil, nil),
		"accuracy of nothing":  Accuracy(nil, nil),
		"AUC without positive": AUC([]float64{1}, []float64{-1}),
	} {
		if !math.IsNaN(got) {
			t.Errorf("%s: %v, want NaN", name, got)
		}
	}
}

// The rank formula equals the definition: all pairs, a tie half.
func TestAUCCountsPairs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 60).Draw(t, "rows")
		scores, labels := make([]float64, n), make([]float64, n)
		for i := range n {
			scores[i] = float64(rapid.IntRange(-4, 4).Draw(t, "score"))
			labels[i] = float64(rapid.IntRange(0, 1).Draw(t, "label")*2 - 1)
		}
		labels[0], labels[1] = -1, 1
		won, pairs := 0.0, 0.0
		for i := range n {
			for j := range n {
				if labels[i] > labels[j] {
					pairs++
					switch {
					case scores[i] > scores[j]:
						won++
					case scores[i] == scores[j]:
						won += 0.5
					}
				}
			}
		}
		if got := AUC(scores, labels); math.Abs(got-won/pairs) > 1e-12 {
			t.Fatalf("AUC %v, %v by pairs", got, won/pairs)
		}
	})
}
