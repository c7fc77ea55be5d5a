// Package replay computes what a job's records say: from the ledger it derives
// what a job is, and from recorded inputs it evaluates a step again, to the same
// bytes wherever it is done (law L11). A node runs it to record, a company's
// witness to check before it answers, an auditor afterwards.
package replay

import (
	"errors"
	"fmt"
	"math"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/circuit"
	"github.com/commonseal/commonseal/he/multiparty"
	"github.com/commonseal/commonseal/ledger"
)

// A Job is what everybody derives of a job alike. Step 0 is the start; step t is
// the t-th gradient step. It is immutable.
type Job struct {
	ID       ledger.Digest
	Task     ledger.Task
	Steps    uint16
	Profiles he.Profiles
	Roster   multiparty.Roster
	Plan     circuit.Plan
	Rows     int      // that train, of all companies
	Panel    he.Panel // who values them
	twin     circuit.Twin
	valued   []uint16
	compare  *multiparty.Comparison // nil: contributions are not compared
	noise    uint8                  // on values
	order    []uint64               // in which companies contributed
}

// TaskPlan is how a task whose parties have all consented packs rows and which
// Galois keys it needs.
func TaskPlan(t *ledger.Task, profiles he.Profiles) (circuit.Plan, error) {
	var rows []int
	for _, x := range t.Consents {
		rows = append(rows, int(x.Rows))
	}
	plan, err := circuit.NewPlan(profiles.Train, int(t.Columns), rows)
	if err != nil {
		return circuit.Plan{}, err
	}
	if limit := circuit.ValuedCompanies(profiles.Release, plan.Packing.Width); len(rows) > limit {
		return circuit.Plan{}, fmt.Errorf("%d companies of %d columns; profile %s values up to %d: take fewer columns", len(rows), t.Columns, profiles.Release.Name(), limit)
	}
	return plan, nil
}

// Packing is a plan's packing as the ledger has it.
func Packing(p circuit.Plan) ledger.Packing {
	k := p.Packing
	return ledger.Packing{Width: uint16(k.Width), Baby: uint16(k.Baby), Stack: uint16(k.Stack), Back: k.Back}
}

// NewJob derives job j of the state v for a roster. It refuses an algorithm that it
// does not know, and a task whose recorded packing is not what its consents lead to
// here.
func NewJob(v ledger.View, j *ledger.Job, profiles he.Profiles, roster multiparty.Roster) (*Job, error) {
	t, ok := ledger.TaskOf(v, j.Task)
	if !ok || t.State != ledger.TaskReady {
		return nil, fmt.Errorf("job %x is of a task that is not ready", j.ID[:6])
	}
	if j.Algorithm != ledger.Logistic {
		return nil, fmt.Errorf("job %x trains by algorithm %d, which this version does not have; update it", j.ID[:6], j.Algorithm)
	}
	plan, err := TaskPlan(t, profiles)
	if err != nil {
		return nil, err
	}
	if Packing(plan) != t.Packing {
		return nil, fmt.Errorf("task %s was packed as %+v, but its rows lead to %+v; compare versions", t.Name, t.Packing, Packing(plan))
	}
	var validation []int
	for _, x := range t.Consents {
		validation = append(validation, int(x.Validation))
	}
	rows, _ := t.Rows()
	derived := &Job{
		ID: j.ID, Task: *t, Steps: j.Steps, Profiles: profiles, Roster: roster, Plan: plan,
		Rows: int(rows), Panel: he.NewPanel(profiles.Release, plan.Packing.Width, validation), valued: j.Valued, noise: j.Noise, order: ledger.Order(v, t.ID, roster.Parties),
		twin: circuit.Twin{LearningRate: Rate(j.LearningRate), Decay: Rate(j.Decay), Steps: int(j.Steps), Columns: j.Width(t), Trains: j.Trains(t)},
	}
	if j.Rounds > 0 {
		return derived, derived.comparing(j)
	}
	return derived, nil
}

// Rate is what units of 2^-32 on the ledger come to, of a learning rate or a
// decay; FixedRate is the units of a rate.
func Rate(units uint64) float64 { return math.Ldexp(float64(units), -32) }

// FixedRate is the nearest number of units of 2^-32.
func FixedRate(rate float64) uint64 { return uint64(math.Round(math.Ldexp(rate, 32))) }

// IsValued says whether contributions are valued at a step. Without rows to
// value them by they never are.
func (j *Job) IsValued(step uint16) bool {
	for _, t := range j.valued {
		if t == step {
			return len(j.Panel.Evaluators) > 0
		}
	}
	return false
}

// Interval is that of the polynomial at step t, from 1.
func (j *Job) Interval(step uint16) int { return j.twin.Interval(int(step) - 1) }

// Twin is the job's cleartext twin.
func (j *Job) Twin() circuit.Twin { return j.twin }

// Map is the collective map of a step.
func (j *Job) Map(step uint16) *multiparty.Map {
	if step == 0 {
		return multiparty.StartMap(j.Profiles.Train, j.Plan.Packing.Width)
	}
	if step > j.Steps {
		return j.compareMap(step)
	}
	return j.step(step).Map()
}

// step is a gradient step.
func (j *Job) step(step uint16) multiparty.TrainingStep {
	s := multiparty.TrainingStep{
		Train: j.Profiles.Train, Release: j.Profiles.Release, Width: j.Plan.Packing.Width, Rows: j.Rows,
		LearningRate: j.twin.LearningRate, Decay: j.twin.Decay, Trains: j.twin.Trains, Momentum: circuit.Momentum(int(step) - 1),
		Interval: float64(j.Interval(step)), Next: float64(j.Interval(step + 1)),
		Shared: step == j.Steps,
	}
	if j.IsValued(step) {
		s.Panel, s.Compare = j.Panel, j.compare
	}
	return s
}

// ErrInputs says that a ticket's record and what is at hand are of different
// things.
var ErrInputs = errors.New("the inputs are not those of the record; fetch them again by their digests")

// Round is the map of a ticket applied to the inputs of its record: exactly
// those (law L2), with exactly the c1 that the ticket names.
func (j *Job) Round(ticket *ledger.Ticket, record *ledger.StepRecord, blob func(ledger.Digest) ([]byte, error)) (*multiparty.Round, error) {
	m := j.Map(ticket.Step)
	if ticket.Job != j.ID || record.Digest() != ticket.Record || len(record.Inputs) != len(m.Inputs) {
		return nil, ErrInputs
	}
	inputs := make([]*he.Ciphertext, len(m.Inputs))
	for i, in := range m.Inputs {
		b, err := blob(record.Inputs[i])
		if err != nil {
			return nil, fmt.Errorf("input %d: %w", i, err)
		}
		if inputs[i], err = he.ParseCiphertext(b, in.Profile, in.Level, in.LogScale); err != nil {
			return nil, fmt.Errorf("input %d: %w", i, err)
		}
		if inputs[i].Digest() != record.Inputs[i] || inputs[i].C1Digest() != ticket.C1s[i] {
			return nil, fmt.Errorf("input %d: %w", i, ErrInputs)
		}
	}
	return multiparty.NewRound(j.Roster, ticket.Round(), m, inputs)
}

// Start is the encryption of zero that everybody makes alike, which step 0
// maps to a point and weights whose c1 nobody chose.
func (j *Job) Start(pk *he.PublicKey) *he.Ciphertext {
	p, digest := j.Profiles.Train, j.Roster.Digest()
	return pk.EncryptZero(p.Floor(), p.LogScale(), he.PublicStream("replay/zero", digest[:], j.ID[:]))
}

// ParseOutput decodes what a step's map left at an index.
func (j *Job) ParseOutput(step uint16, index int, b []byte) (*he.Ciphertext, error) {
	p := j.Map(step).Outputs[index].Profile
	return he.ParseCiphertext(b, p, p.MaxLevel(), p.LogScale())
}

// ParseUpdate decodes a local company's gradient.
func (j *Job) ParseUpdate(b []byte) (*he.Ciphertext, error) {
	p := j.Profiles.Train
	return he.ParseCiphertext(b, p, p.Floor(), he.LogGradient)
}

// ParseVector decodes a ciphertext of a contribution.
func (j *Job) ParseVector(b []byte) (*he.Ciphertext, error) {
	p := j.Profiles.Train
	return he.ParseCiphertext(b, p, p.MaxLevel(), p.LogScale())
}

// Receiver is the key that values are opened to. They are for everybody to
// read, so everybody derives it: flooding and cover hide all but the values from
// whoever holds it (PROTOCOL §5.2).
func (j *Job) Receiver() (*he.SecretKey, *he.PublicKey) {
	p := j.Profiles.Release
	seed := he.Seed(he.HashParts("replay/receiver", j.Roster.CRS[:], j.ID[:]))
	sk := he.NewSecretKey(p, seed.Stream("secret"))
	return sk, he.GenPublicKey(sk, he.QuerierSeed(j.Roster.Session, "values", 0), seed.Stream("public"))
}

// Release is the opening of the companies' values by all evaluators under a
// ticket, but for those of copies.
func (j *Job) Release(ticket *ledger.Ticket, values *he.Ciphertext, copies []ledger.Pair) (*multiparty.Release, error) {
	if ticket.Job != j.ID || len(ticket.C1s) != 1 || values.C1Digest() != ticket.C1s[0] {
		return nil, ErrInputs
	}
	counted := j.counted(copies)
	_, receiver := j.Receiver()
	flooding := multiparty.Flooding{Terms: len(j.valued), Width: j.Panel.Width, LogA: circuit.LogValue, LogB: circuit.LogValue, Directions: len(j.Panel.Evaluators)}
	if j.compare != nil { // directions are a sum of outputs of maps: their product is one for each
		flooding.Terms *= 1 + len(counted)
	}
	release, err := multiparty.NewRelease(j.Roster, ticket.Round(), values, receiver, j.Panel.Answers(counted), flooding)
	if err != nil || j.noise == 0 {
		return release, err
	}
	return release.WithNoise(int(j.noise))
}

// ParseValues decodes the sum of the companies' encrypted values.
func (j *Job) ParseValues(b []byte) (*he.Ciphertext, error) {
	p := j.Profiles.Release
	return he.ParseCiphertext(b, p, p.MaxLevel(), 2*p.LogScale())
}

// Opened turns opened coefficients into values in units of 2^-32, all companies'
// in roster order of each evaluator in turn: a coefficient is an inner product
// over Width, in units of η. A copy's are zero.
func (j *Job) Opened(coefficients []float64, copies []ledger.Pair) []int64 {
	values := j.Panel.Values(coefficients, j.counted(copies))
	out := make([]int64, len(values))
	for k, v := range values {
		out[k] = int64(math.Round(math.Ldexp(v*j.twin.LearningRate*float64(j.Panel.Width), ledger.LogUnit)))
	}
	return out
}

// counted are the companies that are no copies, in roster order.
func (j *Job) counted(copies []ledger.Pair) (out []int) {
	for i, copied := range ledger.Copied(copies, j.order) {
		if !copied {
			out = append(out, i)
		}
	}
	return out
}
