package circuit

import "math"

// The error of a row with margin m is σ(−m). Under encryption it is a
// polynomial of degree seven in u = m/R,
//
//	1/2 + c_1·u + c_3·u³ + c_5·u⁵ + c_7·u⁷,
//
// the least-squares fit of σ(−R·u) on [−1, 1]. Weights begin at zero and grow,
// so the interval [−R, R] begins small, where the fit is closest, and widens
// step by step.
const (
	minInterval = 4
	maxInterval = 8
)

// sigmoids are the coefficients c_1, c_3, c_5, c_7 by interval, from
// minInterval on. The fits are off by 0.003, 0.008, 0.015, 0.023 and 0.032 at
// most. TestSigmoids recomputes them.
var sigmoids = [maxInterval - minInterval + 1][4]float64{
	{-0.98764639, 1.11610274, -0.96901278, 0.36136604},
	{-1.21083820, 1.86016915, -1.92175449, 0.78659936},
	{-1.41098342, 2.66477908, -3.06416374, 1.32723844},
	{-1.58552790, 3.45702285, -4.26514087, 1.91736965},
	{-1.73500748, 4.19397839, -5.43286360, 2.50613457},
}

// MaxBeyond is how far, in intervals, a margin may go: up to there an error is
// below [MaxError], which the bounds of maps and releases assume; from there on
// the polynomial grows as its seventh power and training runs away.
const (
	MaxBeyond = 1.25
	MaxError  = 4
)

// coefficients are those of an interval, which is one of the table's.
func coefficients(interval int) [4]float64 { return sigmoids[interval-minInterval] }

// validInterval is whether the table has it.
func validInterval(interval int) bool { return minInterval <= interval && interval <= maxInterval }

// Interval is R at step t of rows of columns values, the constant included: one
// more every five steps at the rule's learning rate, in proportion at a higher
// one.
func Interval(t, columns int, learningRate float64) int {
	scale := max(1, learningRate/LearningRate(columns, 1))
	return int(min(maxInterval, math.Floor(scale*(minInterval+float64(t)/5))))
}

// ruleSteps is how many steps at the full rate leave margins inside the widest
// interval on rows that can be separated.
const ruleSteps = 20

// LearningRate is the rate used when none is given: 5/d for d columns, the
// constant included. Rows lie in [−1, 1]^d, so the loss's curvature is at most
// d/4, and Nesterov's steps are stable below 4/3 of its inverse whatever the
// data. Progress grows as η·steps²; where the rows can be separated margins
// grow with it, so from twenty steps on η falls as their inverse square.
func LearningRate(columns, steps int) float64 {
	early := min(1, float64(ruleSteps)/float64(steps))
	return 5 / float64(columns) * float64(early*early)
}

// Momentum is Nesterov's coefficient of step t: t/(t+3).
func Momentum(t int) float64 { return float64(t) / float64(t+3) }
