package agent

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/commonseal/commonseal/federation/replay"
	"github.com/commonseal/commonseal/federation/store"
	"github.com/commonseal/commonseal/federation/table"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/ledger"
)

// A Policy is what a company takes part in. What is not in it is declined.
type Policy struct {
	// Trust names nodes, one of which must be among the recorders of a ticket.
	// None: any will do.
	Trust []string
	Tasks map[string]TaskPolicy // by name
}

// A TaskPolicy is a company's side of a task.
type TaskPolicy struct {
	// Rows reads the company's rows under the task's schema, and refuses what is
	// outside of it. It gives the same rows every time.
	Rows func(table.Schema) (table.Table, error)
	// Local keeps the rows at home and sends gradients.
	Local bool
	// Validation is the fraction of rows that value contributions and never
	// train.
	Validation float64
	// MaxSteps, MaxRate and MaxDecay bound a job. Zero: as the ledger does.
	MaxSteps          uint16
	MaxRate, MaxDecay float64
	// Columns are those that a job may train, by their names in the task's schema.
	// None: any. MinColumns is the fewest: values of a job open what a company's rows
	// are worth along its columns alone.
	Columns    []string
	MinColumns int
	// MaxJobs bounds the jobs of the task that the company ever answers for, from when
	// it is set, and so how much about its rows is opened. Zero: as many as there are.
	MaxJobs int
	// Abstain keeps the company from asking the task's models about its validation
	// rows, and from ranking them by the answers, where a consortium pays for that.
	Abstain bool
}

// takesOn says whether the company takes on a job of a task, and keeps it in mind:
// one of the places that the policy has is the job's for ever.
func (a *Agent) takesOn(t *ledger.Task, id ledger.Digest) (bool, error) {
	most := a.policy.Tasks[t.Name].MaxJobs
	for place := range most {
		var taken *store.ConflictError
		err := a.Store.Journal.Put(fmt.Sprintf("jobs/%x/%d", t.ID, place), id[:])
		if !errors.As(err, &taken) {
			return err == nil, err
		}
	}
	return most == 0, nil
}

// allows says whether the policy has a job of a task.
func (p Policy) allows(t *ledger.Task, j *ledger.Job) bool {
	mine, ok := p.Tasks[t.Name]
	return ok && (mine.MaxSteps == 0 || j.Steps <= mine.MaxSteps) && (mine.MaxRate == 0 || replay.Rate(j.LearningRate) <= mine.MaxRate) &&
		(mine.MaxDecay == 0 || replay.Rate(j.Decay) <= mine.MaxDecay) && j.Width(t) > mine.MinColumns && mine.trains(t, j)
}

// trains says whether a job may train the columns that it does. A policy that names
// a column that the task does not have allows none.
func (p TaskPolicy) trains(t *ledger.Task, j *ledger.Job) bool {
	if len(p.Columns) == 0 {
		return true
	}
	schema, err := table.ParseSchema(t.Schema)
	if err != nil {
		return false
	}
	may, err := schema.Pick(p.Columns)
	switch {
	case err != nil:
		return false
	case may == nil: // it names all
		return true
	}
	return len(j.Columns) > 0 && !slices.ContainsFunc(j.Columns, func(c uint16) bool { return !slices.Contains(may, int(c)) })
}

// rows are what a company brings to a task: signed rows, and a salted commitment
// to each part.
type rows struct {
	training, validation he.Rows
	commitments          map[ledger.ContributionKind]ledger.Digest
}

func (r *rows) of(use ledger.ContributionKind) he.Rows {
	if use == ledger.Validation {
		return r.validation
	}
	return r.training
}

// readRows reads and splits the rows of a task. Rows other than those that the
// company first consented with are refused: what they were valued and trusted for
// is on the ledger.
func (a *Agent) readRows(t *ledger.Task) (*rows, error) {
	if r := a.rows[t.ID]; r != nil {
		return r, nil
	}
	mine, ok := a.policy.Tasks[t.Name]
	if !ok {
		return nil, &RefusedError{ErrDeclined}
	}
	schema, err := table.ParseSchema(t.Schema)
	if err != nil {
		return nil, &RefusedError{err}
	}
	if n := len(schema.Features()) + 1; n != int(t.Columns) {
		return nil, never("task %s has %d columns and a schema of %d", t.Name, t.Columns, n)
	}
	data, err := mine.Rows(schema)
	if err != nil {
		return nil, err // the company may mend its file
	}
	if data.Schema().Digest() != schema.Digest() {
		return nil, never("the rows of task %s were read under another schema; read them under the task's", t.Name)
	}
	var validation table.Table
	if mine.Validation > 0 {
		seed := a.Seed.Derive("agent/split", t.ID[:])
		if data, validation, _, err = data.Split(0, mine.Validation, binary.BigEndian.Uint64(seed[:])); err != nil {
			return nil, err
		}
	}
	out := &rows{training: signed(data, int(t.Columns)), validation: signed(validation, int(t.Columns))}
	if err := a.pin(t, out); err != nil {
		return nil, err
	}
	a.rows[t.ID] = out
	return out, nil
}

// pin holds rows to those of the first time.
func (a *Agent) pin(t *ledger.Task, r *rows) error {
	r.commitments = map[ledger.ContributionKind]ledger.Digest{}
	var record []byte
	for _, use := range []ledger.ContributionKind{ledger.Training, ledger.Validation} {
		salt := a.Seed.Derive("agent/salt", t.ID[:], []byte{byte(use)})
		var b []byte
		for _, x := range r.of(use).Values {
			b = binary.BigEndian.AppendUint64(b, math.Float64bits(x))
		}
		d := ledger.Hash("rows", salt[:], b)
		r.commitments[use] = d
		record = append(record, d[:]...)
	}
	if err := a.Store.Journal.Put(fmt.Sprintf("rows/%x", t.ID), record); err != nil {
		return fmt.Errorf("the rows of task %s are not those of before; restore the file: %w", t.Name, err)
	}
	return nil
}

// signed are rows as training has them.
func signed(t table.Table, columns int) he.Rows {
	x := he.Rows{Columns: columns, Values: make([]float64, 0, t.Len()*columns)}
	for i := range t.Len() {
		x.Values = t.AppendSigned(x.Values, i)
	}
	return x
}

// blocks cuts rows into what a block holds.
func blocks(x he.Rows, capacity int) []he.Rows {
	var out []he.Rows
	for at := 0; at < x.Len(); at += capacity {
		out = append(out, x.Slice(at, min(at+capacity, x.Len())))
	}
	return out
}
