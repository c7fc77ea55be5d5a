// Package demo runs a whole federation as separate processes on this machine:
// validators, aggregators of different owners, the agents of companies, a model
// peer and a querier, each with a home of its own. It writes no file of theirs
// and speaks for none of them: it starts the commands that a user would type.
//
// What it adds is what no deployment may: it reads every home, to compare what
// was computed under encryption with the same in the clear.
package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/commonseal/commonseal/clients"
)

// Options are what is shown.
type Options struct {
	Program   string // the commonseal binary
	Folder    string // for the demonstration's own; "" is the system's for temporary files
	Data      string // CSV; "" is the embedded table
	Label     string // "" only with the embedded table
	Companies int    // 2 to 32
	Local     int    // of them keep their rows at home
	Steps     int
	Rewards   bool // with money: the model is ranked and a pot is paid
	Keep      bool // goes on until the context ends, and leaves the folder
}

// Progress tells how far a stage is: done of total.
type Progress func(stage string, done, total int)

// A run is one demonstration.
type run struct {
	Options
	progress Progress
	dir      string
	cast     cast
	rows     *deal
	crew     *crew
	ledger   *clients.Client // follows, and records nothing
	report   *Report
}

// Run shows a federation from its founding to a receipt, and calls shown with
// what it measured while everything still runs. No process is left when it
// returns. The error is a [*DeadError] if a process ended that should not have.
func Run(ctx context.Context, o Options, progress Progress, shown func(*Report) error) (err error) {
	began := time.Now()
	dir, err := os.MkdirTemp(o.Folder, "commonseal-demo-")
	if err != nil {
		return err
	}
	if !o.Keep {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	outer := ctx
	ctx, fail := context.WithCancelCause(ctx)
	r := &run{Options: o, progress: progress, dir: dir, report: &Report{Companies: o.Companies, Local: o.Local, Steps: o.Steps, Folder: dir}}
	r.crew = newCrew(o.Program, filepath.Join(dir, "logs"), grace, fail)
	var parts sync.WaitGroup
	defer func() {
		fail(nil)
		parts.Wait()
		r.crew.stop()
	}()
	if err := os.Mkdir(r.crew.logs, 0o700); err != nil {
		return err
	}
	parts.Go(func() { r.crew.measure(ctx) })
	err = r.show(ctx, func() { r.follow(ctx, &parts, fail) })
	if err == nil {
		r.report.SecondsTotal = time.Since(began).Seconds()
		r.report.Processes, r.report.PeakPSS = r.crew.counts()
		err = shown(r.report)
	}
	if err == nil && o.Keep {
		<-ctx.Done()
	}
	if cause := context.Cause(ctx); cause != nil && outer.Err() == nil {
		return cause // a process ended, and what came of it is no news
	}
	return err
}

// show is the demonstration, phase by phase. follow begins to follow the ledger,
// once there is one.
func (r *run) show(ctx context.Context, follow func()) error {
	type phase struct {
		name string
		do   func(ctx context.Context) error
	}
	phases := []phase{
		{"homes", r.found},
		{"processes", r.start},
		{"keys", func(ctx context.Context) error {
			follow()
			return r.makeKeys(ctx)
		}},
		{"contributions", r.contribute},
		{"training", r.train},
		{"answers", r.ask},
		{"audit", r.audit},
	}
	if r.Rewards {
		phases = append(phases, phase{"rewards", r.reward})
	}
	for _, phase := range phases {
		start := time.Now()
		if err := phase.do(ctx); err != nil {
			return err
		}
		r.report.Phases = append(r.report.Phases, Phase{phase.name, time.Since(start).Seconds()})
	}
	// The nodes record what they answered every few seconds.
	if err := together(ctx, r.bill, func(context.Context) error { return r.compare() }); err != nil {
		return err
	}
	return r.takeStock()
}

// together runs all of some things at once, and returns when all have ended:
// the first error ends the others.
func together(ctx context.Context, all ...func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var parts sync.WaitGroup
	for _, do := range all {
		parts.Go(func() {
			if err := do(ctx); err != nil {
				cancel(err)
			}
		})
	}
	parts.Wait()
	return context.Cause(ctx)
}

// path is a name in the demonstration's folder.
func (r *run) path(name string) string { return filepath.Join(r.dir, name) }

// command runs one command of commonseal to its end.
func (r *run) command(ctx context.Context, args ...string) ([]byte, error) {
	return r.crew.do(ctx, duty{name: args[0], args: args})
}

// company names company i of n. Names sort as indices do.
func company(i, n int) string { return fmt.Sprintf("company-%0*d", len(fmt.Sprint(n)), i+1) }
