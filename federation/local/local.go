package local

import (
	"context"
	"encoding/hex"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/commonseal/commonseal/federation/table"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/circuit"
	"github.com/commonseal/commonseal/he/multiparty"
)

// Options are a run's parameters.
type Options struct {
	Companies    int     // key holders and providers, 2 to 32
	Local        int     // of them keep their rows in the clear and send gradients
	Steps        int     // gradient steps
	LearningRate float64 // zero: circuit.LearningRate of the width
	Test         float64 // fraction of rows that only the querier asks about
	Seed         uint64  // of the split and of every key: a run is repeatable, and its keys are no secret

	// Profiles are the parameter sets. The zero value means production.
	Profiles he.Profiles
}

// Validation is the fraction of a company's rows that it sets aside to value
// contributions with. They never train.
const Validation = 0.1

// A Progress is told how far a named stage is: done of total.
type Progress func(stage string, done, total int)

// Run trains on data, values and serves, and returns what it measured.
func Run(ctx context.Context, data *table.Table, o Options, progress Progress) (*Report, error) {
	start := time.Now()
	f, err := found(data, o, progress)
	if err != nil {
		return nil, err
	}
	for _, stage := range []func(context.Context) error{f.ceremony, f.contribute, f.train, f.release, f.serve, f.compare} {
		if err := stage(ctx); err != nil {
			return nil, err
		}
	}
	f.report.SecondsTotal = time.Since(start).Seconds()
	f.report.PeakRSS = peakRSS()
	return f.report, nil
}

// A federation is one run: the roles, and what passes between them.
type federation struct {
	options   Options
	profiles  he.Profiles
	plan      circuit.Plan
	seed      he.Seed
	roster    multiparty.Roster
	companies []*company
	node      *node
	test      he.Rows // the querier's rows, unsigned
	labels    []float64
	twin      twin
	report    *Report
	progress  Progress
}
