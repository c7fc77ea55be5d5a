// Package circuit is what is computed under encryption: the gradient step and
// the value of contributions. Each circuit declares its depth, keys and error,
// and has a cleartext twin in float64 that its tests hold it to.
//
// Evaluation is deterministic (law L11): the same inputs give the same bytes on
// any number of cores, so that a [Replayer] can check any recorded operation.
package circuit
