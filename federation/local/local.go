package local

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/commonseal/commonseal/federation/table"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/circuit"
	"github.com/commonseal/commonseal/he/multiparty"
	"gonum.org/v1/gonum/floats"
)

// Options are a run's parameters.
type Options struct {
	Companies    int      // key holders and providers, 2 to 32
	Local        int      // of them keep their rows in the clear and send gradients
	Steps        int      // gradient steps
	LearningRate float64  // zero: circuit.LearningRate
	Decay        float64  // strength of L2 regularisation, of every weight but the constant's
	Columns      []string // that train, by name; none: all
	Test         float64  // fraction of rows that only the querier asks about
	Seed         uint64   // of the split and of every key: a run is repeatable, and its keys are no secret

	// Keep values companies that are copies of one another too; otherwise a copy
	// of an earlier company's rows is found under encryption and earns nothing.
	KeepCopies bool
	// Noise, if above 0, is the deviation of the noise that every company adds to
	// values before they are opened, as a power of two below the unit they are opened
	// in: LogNoise 20 is 2^-20·η·Width.
	LogNoise int
	Audit    bool       // retrain on every coalition, in the clear
	Shuffle  []int      // companies, from 1, whose rows' labels are shuffled: an experiment
	Copy     []CopyRows // companies that bring another's rows: an experiment

	// Warn, if any, is told the report's warnings before a key is made.
	Warn func(string)
	// Profiles are the parameter sets. The zero value means production.
	Profiles he.Profiles
}

// validation is the fraction of the rows that companies set aside to value
// contributions with. They never train.
const validation = 0.1

// A Progress is told how far a named stage is: done of total.
type Progress func(stage string, done, total int)

// Run trains on data, values and serves, and returns what it measured.
func Run(ctx context.Context, data table.Table, o Options, progress Progress) (*Report, error) {
	start := time.Now()
	f, err := found(data, o, progress)
	if err != nil {
		return nil, err
	}
	for _, w := range f.report.Warnings {
		if o.Warn != nil {
			o.Warn(w)
		}
	}
	if err := f.run(ctx); err != nil {
		return nil, err
	}
	if o.Audit {
		if err := f.audit(); err != nil {
			return nil, err
		}
	}
	f.report.SecondsTotal = time.Since(start).Seconds()
	f.report.PeakRSS = peakRSS()
	return f.report, nil
}

// run goes through all stages.
func (f *federation) run(ctx context.Context) error {
	for _, stage := range []func(context.Context) error{f.makeKeys, f.contribute, f.train, f.findCopies, f.release, f.serve} {
		if err := stage(ctx); err != nil {
			return err
		}
	}
	f.compare()
	f.settle()
	return nil
}

// A federation is one run: the roles, and what passes between them.
type federation struct {
	job       job
	seed      he.Seed
	session   he.Digest
	companies []*company
	node      *node
	copies    map[int]bool    // companies that count with an earlier one
	trained   circuit.Trained // the twin's
	questions he.Rows         // the querier's rows, unsigned, of columns that train
	labels    []float64       // of them, ±1
	uploaded  atomic.Int64
	report    *Report
	progress  Progress
}

// A job is what all roles agree on before they begin.
type job struct {
	id        he.Digest // names it among the jobs of a key epoch
	profiles  he.Profiles
	plan      circuit.Plan
	twin      circuit.Twin
	rows      int // training rows of all companies
	panel     he.Panel
	companies int
	valued    map[int]bool           // steps
	compare   *multiparty.Comparison // nil: copies are not looked for
	logNoise  int
}

// step is step t, whose map is collective.
func (j job) step(t int) multiparty.TrainingStep {
	s := multiparty.TrainingStep{
		Train: j.profiles.Train, Release: j.profiles.Release,
		Width: j.plan.Packing.Width, Rows: j.rows,
		LearningRate: j.twin.LearningRate, Decay: j.twin.Decay, Trains: j.twin.Trains, Momentum: circuit.Momentum(t),
		Interval: float64(j.twin.Interval(t)), Next: float64(j.twin.Interval(t + 1)),
		Shared: t == j.twin.Steps-1,
	}
	if j.valued[t] {
		s.Panel, s.Compare = j.panel, j.compare
	}
	return s
}

// round is the digest of a round's descriptor.
func (j job) round(purpose string, t int) he.Digest {
	return he.HashParts("local/round", j.id[:], []byte(purpose), binary.BigEndian.AppendUint64(nil, uint64(t)))
}

// found deals rows out and makes the plan; nobody has a key yet.
func found(data table.Table, o Options, progress Progress) (*federation, error) {
	if o.Profiles.Train == nil {
		o.Profiles = he.Standard()
	}
	twin, err := o.twin(data.Schema())
	if err != nil {
		return nil, err
	}
	training, checking, test, err := data.Split(o.Test, validation, o.Seed)
	if err != nil {
		return nil, err
	}
	shards, err := training.Shard(o.Companies, o.Seed)
	if err != nil {
		return nil, err
	}
	// A class with fewer rows than companies leaves some without any to check with.
	checks, err := checking.Shard(min(o.Companies, min(checking.Classes())), o.Seed)
	if err != nil {
		return nil, err
	}
	f := &federation{
		seed:      he.Seed(he.HashParts("local/seed", binary.BigEndian.AppendUint64(nil, o.Seed))),
		questions: rowsOf(test, table.Table.AppendRow).Only(twin.Trains), labels: test.Labels(),
		progress: progress,
	}
	f.session = he.HashParts("local/session", binary.BigEndian.AppendUint64(nil, o.Seed))
	f.deal(shards, checks, o)
	if err := f.experiment(o); err != nil {
		return nil, err
	}
	if o.Audit && o.Companies > maxAudited {
		return nil, fmt.Errorf("an audit of %d companies trains 2^%d models; it takes up to %d companies", o.Companies, o.Companies, maxAudited)
	}
	rows, total := f.trainingRows()
	plan, err := circuit.NewPlan(o.Profiles.Train, data.Columns()+1, rows)
	if err != nil {
		return nil, err
	}
	if limit := circuit.ValuedCompanies(o.Profiles.Release, plan.Packing.Width); o.Companies > limit {
		return nil, fmt.Errorf("%d companies of %d columns; profile %s values up to %d: take fewer columns or companies", o.Companies, data.Columns(), o.Profiles.Release.Name(), limit)
	}
	schema := data.Schema().Digest()
	f.job = job{
		id: he.HashParts("local/job", f.session[:], schema[:], fmt.Appendf(nil, "%d/%+v/%v/%v/%v/%t/%d/%v/%v",
			o.Local, twin, o.Test, rows, plan.Packing, o.KeepCopies, o.LogNoise, o.Shuffle, o.Copy)),
		profiles: o.Profiles, plan: plan, companies: o.Companies, twin: twin,
		rows: total, panel: he.NewPanel(o.Profiles.Release, plan.Packing.Width, f.validationRows()), valued: circuit.ValuedSteps(o.Steps), logNoise: o.LogNoise,
	}
	f.report = &Report{
		Rows: data.Len(), Columns: data.Columns(), TrainRows: total, Validation: checking.Len(), TestRows: test.Len(),
		Companies: o.Companies, Local: o.Local, Steps: o.Steps, LearningRate: twin.LearningRate, Decay: twin.Decay, Trained: twin.Columns - 1, Interval: f.job.twin.Interval(o.Steps - 1),
		CompanyRows: rows, Plan: plan.String(), ValuedSteps: len(f.job.valued), Warnings: []string{}, Copies: []CopyRows{},
	}
	if !o.KeepCopies {
		f.compareCompanies(rows)
	}
	return f, f.rehearse()
}

// twin is the run in the clear.
func (o Options) twin(schema table.Schema) (circuit.Twin, error) {
	columns := len(schema.Features()) + 1
	picked, err := schema.Pick(o.Columns)
	if err != nil {
		return circuit.Twin{}, err
	}
	tw := circuit.Twin{LearningRate: o.LearningRate, Decay: o.Decay, Steps: o.Steps, Columns: columns}
	if picked != nil {
		tw.Columns, tw.Trains = len(picked)+1, make([]bool, columns)
		for _, j := range append(picked, 0) { // the constant always trains
			tw.Trains[j] = true
		}
	}
	if tw.LearningRate == 0 {
		tw.LearningRate = circuit.LearningRate(tw.Columns, o.Steps)
	}
	if tw.LearningRate*tw.Decay > 1 {
		return tw, fmt.Errorf("decay %.3g at learning rate %.3g takes more of a weight off than there is; their product is 1 at most", tw.Decay, tw.LearningRate)
	}
	return tw, nil
}

// deal gives every company its shards.
func (f *federation) deal(shards, checks []table.Table, o Options) {
	for i, shard := range shards {
		c := newCompany(i, len(shards), i >= o.Companies-o.Local, f.seed)
		c.training = rowsOf(shard, table.Table.AppendSigned)
		c.validation = he.Rows{Columns: c.training.Columns}
		if i < len(checks) {
			c.validation = rowsOf(checks[i], table.Table.AppendSigned)
		}
		f.companies = append(f.companies, c)
	}
}

// runsAway is how many intervals a margin reaches before a run is refused: the
// polynomial's seventh power is without bound soon after.
const runsAway = 1 << 10

// rehearse trains the cleartext twin, before anybody makes a key: a run whose
// margins, those of validation rows included, leave the polynomial's interval is
// warned of, and one that runs away altogether is refused.
func (f *federation) rehearse() error {
	training := make([]he.Rows, len(f.companies))
	for i, c := range f.companies {
		training[i] = c.training
	}
	f.trained = f.job.twin.Train(training)
	twin, beyond, sum := f.job.twin, f.trained.Beyond, floats.Sum(f.trained.Weights)
	for t, w := range f.trained.Points {
		for _, c := range f.companies {
			if f.job.valued[t] {
				_, margin := twin.Gradient(w, twin.Interval(t), c.validation, 1)
				beyond = max(beyond, margin/float64(twin.Interval(t)))
			}
		}
	}
	rate := twin.LearningRate
	f.report.MarginMax, f.report.Beyond = f.trained.MarginMax, beyond
	switch {
	case !(beyond < runsAway) || math.IsNaN(sum) || math.IsInf(sum, 0):
		return fmt.Errorf("training runs away at learning rate %.3g: its margins have no bound; use a lower rate, such as %.3g, or fewer steps", rate, circuit.LearningRate(twin.Columns, twin.Steps))
	case beyond > circuit.MaxBeyond:
		f.report.Warnings = append(f.report.Warnings, fmt.Sprintf("margins reach %.1f, %.2g times their step's interval: the polynomial is no sigmoid there, training runs away, and between real companies values could leave their masks; use a lower learning rate than %.3g or fewer steps", f.trained.MarginMax, beyond, rate))
	case beyond > 1:
		f.report.Warnings = append(f.report.Warnings, fmt.Sprintf("margins reach %.1f, %.2f times their step's interval, where the polynomial is no sigmoid; use a lower learning rate than %.3g or fewer steps", f.trained.MarginMax, beyond, rate))
	}
	return nil
}

// rowsOf packs a table's rows as one of its append methods has them.
func rowsOf(t table.Table, add func(table.Table, []float64, int) []float64) he.Rows {
	x := he.Rows{Columns: t.Columns() + 1, Values: make([]float64, 0, t.Len()*(t.Columns()+1))}
	for i := range t.Len() {
		x.Values = add(t, x.Values, i)
	}
	return x
}

// together calls do(0..n-1) on all cores, as that many roles would on machines
// of their own, and returns the error of the lowest index.
func together(n int, do func(i int) error) error {
	errs := make([]error, n)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				errs[i] = do(i)
			}
		}()
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// everybody calls do for all companies at once.
func (f *federation) everybody(do func(c *company) error) error {
	return together(len(f.companies), func(i int) error {
		if err := do(f.companies[i]); err != nil {
			return fmt.Errorf("%s: %w", f.companies[i].name, err)
		}
		return nil
	})
}

// send counts what a company uploads and passes it on.
func (f *federation) send(b []byte) []byte {
	f.uploaded.Add(int64(len(b)))
	return b
}
