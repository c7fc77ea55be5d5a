package main

import (
	"fmt"
	"math"

	"github.com/commonseal/commonseal/federation/replay"
	"github.com/commonseal/commonseal/federation/table"
	"github.com/commonseal/commonseal/he/circuit"
	"github.com/commonseal/commonseal/ledger"
)

// A spec is what the flags of train ask for.
type spec struct {
	steps   int
	rate    float64  // 0: by rule
	decay   float64  // strength of L2 regularisation
	columns []string // that train, by name; none: all
	values  bool     // open what each company's rows are worth
	merge   bool     // compare companies before they are valued
	noise   int      // on values: each company's deviation is 2^-noise; 0: none
}

// check refuses what no task's job can be.
func (s spec) check() error {
	units := math.Ldexp(1, 32) // beyond them a rate has no place on the ledger
	switch {
	case s.steps < 1 || s.steps > ledger.MaxSteps || !(s.rate >= 0 && s.rate < units):
		return &usageError{fmt.Sprintf("--steps is %d and --lr %v; give 1 to %d steps and a rate above 0", s.steps, s.rate, ledger.MaxSteps)}
	case !(s.decay >= 0 && s.decay < units) || s.decay > 0 && replay.FixedRate(s.decay) == 0:
		return &usageError{fmt.Sprintf("--decay is %v; give 0, or a number of 2^-32 or more", s.decay)}
	case s.noise != 0 && (s.noise < ledger.MinNoise || s.noise > ledger.MaxNoise):
		return &usageError{fmt.Sprintf("--noise is %d; give %d to %d, or 0 for none", s.noise, ledger.MinNoise, ledger.MaxNoise)}
	}
	if s.merge && !s.values {
		return &usageError{"--merge looks for companies to value once; leave it out, or --values=false"}
	}
	return nil
}

// open is the job of the spec on a task; salt tells it from others of the same spec.
func (s spec) open(t *ledger.Task, salt uint64) (*ledger.OpenJob, error) {
	schema, err := table.ParseSchema(t.Schema)
	if err != nil {
		return nil, fmt.Errorf("task %s: %w", t.Name, err)
	}
	picked, err := schema.Pick(s.columns)
	if err != nil {
		return nil, &usageError{"--columns: " + err.Error()}
	}
	o := &ledger.OpenJob{Task: t.ID, Algorithm: ledger.Logistic, Steps: uint16(s.steps), Decay: replay.FixedRate(s.decay), Nodes: t.Nodes, Quorum: t.Quorum, Salt: salt}
	if s.merge {
		o.Rounds = replay.CompareRounds
	}
	width := int(t.Columns)
	if picked != nil {
		width = len(picked) + 1 // the constant
	}
	for _, c := range picked {
		o.Columns = append(o.Columns, uint16(c))
	}
	rate := s.rate
	if rate == 0 {
		rate = circuit.LearningRate(width, s.steps)
	}
	if rate*s.decay > 1 {
		return nil, &usageError{fmt.Sprintf("--decay %v at learning rate %.3g takes more of a weight off than there is; their product is 1 at most", s.decay, rate)}
	}
	o.LearningRate = replay.FixedRate(rate)
	if s.values {
		o.Noise = uint8(s.noise)
	}
	for step := range s.steps {
		if s.values && circuit.ValuedSteps(s.steps)[step] {
			o.Valued = append(o.Valued, uint16(step+1))
		}
	}
	return o, nil
}
