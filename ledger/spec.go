package ledger

import "math/bits"

// An Algorithm is how a job trains. The numbers are part of the record.
type Algorithm uint8

// Logistic is logistic regression by gradient steps, all companies' rows in each
// (PROTOCOL §3).
const Logistic Algorithm = 1

// Trains says of each of a task's columns, by its place in a row, whether a job
// trains it; nil if it trains all.
func (j *Job) Trains(t *Task) []bool {
	if len(j.Columns) == 0 {
		return nil
	}
	out := make([]bool, t.Columns)
	out[0] = true // the constant
	for _, c := range j.Columns {
		out[c] = true // checkSpec has seen that it is one of the task's
	}
	return out
}

// Width is how many columns of a task a job trains, the constant included.
func (j *Job) Width(t *Task) int {
	if len(j.Columns) == 0 {
		return int(t.Columns)
	}
	return 1 + len(j.Columns)
}

// checkSpec refuses what no job of a task can train.
func (o *OpenJob) checkSpec(t *Task) Result {
	last := t.Columns - 1
	switch {
	case o.Algorithm != Logistic:
		return refuse(Unknown, "algorithm %d; this version trains by %d, logistic regression", o.Algorithm, Logistic)
	case o.Steps < 1 || o.Steps > MaxSteps || o.LearningRate == 0:
		return refuse(OverLimit, "%d steps at rate %d; there are 1 to %d, at a positive rate", o.Steps, o.LearningRate, MaxSteps)
	case shrinksPast(o.LearningRate, o.Decay):
		return refuse(OverLimit, "a decay of %d at rate %d turns weights round; their product is 1 at most", o.Decay, o.LearningRate)
	case !rising(o.Valued, o.Steps):
		return refuse(Malformed, "valued steps are rising and of 1 to %d", o.Steps)
	case !rising(o.Columns, last):
		return refuse(Malformed, "columns are rising and of 1 to %d; the constant is always in", last)
	case len(o.Columns) == int(last):
		return refuse(Malformed, "all %d columns are named; name none for all", last)
	}
	return Result{}
}

// shrinksPast says whether a rate times a decay, each in units of 2^-32, is above
// 1: a step would then take more of a weight off than there is.
func shrinksPast(rate, decay uint64) bool {
	hi, lo := bits.Mul64(rate, decay)
	return hi > 1 || hi == 1 && lo > 0
}
