package table

import (
	"cmp"
	"math"
	"slices"
)

// AUC is the area under the ROC curve: the chance that a positive row scores
// higher than a negative one, equal scores counting half (the Mann-Whitney
// statistic with midranks). Labels are -1 or +1, one to a score. It is NaN if a
// class is missing or a score is NaN.
func AUC(scores, labels []float64) float64 {
	order := make([]int, len(scores))
	for i, s := range scores {
		if math.IsNaN(s) {
			return math.NaN()
		}
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(scores[a], scores[b]) })
	var ranks, positives float64 // sum of the positives' ranks, from 1; their number
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && scores[order[j]] == scores[order[i]] {
			j++
		}
		midrank := float64(i+j+1) / 2 // of ranks i+1 … j
		for ; i < j; i++ {
			if labels[order[i]] > 0 {
				ranks += midrank
				positives++
			}
		}
	}
	negatives := float64(len(scores)) - positives
	return (ranks - positives*(positives+1)/2) / (positives * negatives) // 0/0 is NaN
}

// Accuracy is the fraction of rows whose score has the label's sign; 0 counts
// as negative. It is NaN without rows.
func Accuracy(scores, labels []float64) float64 {
	right := 0
	for i, s := range scores {
		if (s > 0) == (labels[i] > 0) {
			right++
		}
	}
	return float64(right) / float64(len(scores))
}
