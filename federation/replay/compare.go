package replay

import (
	"fmt"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/circuit"
	"github.com/commonseal/commonseal/he/multiparty"
	"github.com/commonseal/commonseal/ledger"
)

// CompareRounds are the steps of a job after the last gradient's in which
// contributions are compared, if they are: inner products to pairs, two numbers of
// every pair sharpened to their signs, the signs to the release profile, and the
// opening of a bit a pair (docs/adr/0016).
const CompareRounds = circuit.Signs + 3

// What round of comparing a step is, counted from the last gradient step.
const (
	gramRound  = 1
	crossRound = 2
	lastRound  = CompareRounds - 1
)

// comparing makes the plan of the comparison.
func (j *Job) comparing(record *ledger.Job) error {
	if record.Rounds != CompareRounds {
		return fmt.Errorf("job %x compares in %d rounds; here it takes %d: compare versions", j.ID[:6], record.Rounds, CompareRounds)
	}
	c := &multiparty.Comparison{
		Train: j.Profiles.Train, Release: j.Profiles.Release, Width: j.Plan.Packing.Width, Columns: j.twin.Columns,
		Steps: len(j.valued), Theta: multiparty.DefaultTheta(),
	}
	for _, x := range j.Task.Consents {
		c.Rows = append(c.Rows, int(x.Rows))
	}
	if len(j.Panel.Evaluators) == 0 {
		return fmt.Errorf("job %x compares contributions without a row to value them by", j.ID[:6])
	}
	j.compare = c
	return c.Check()
}

// Opens says whether a step is no map but the release of a bit a pair.
func (j *Job) Opens(step uint16) bool { return j.compare != nil && step == j.Steps+CompareRounds }

// End is the last step that has a ticket of its own before the model.
func (j *Job) End() uint16 {
	if j.compare == nil {
		return j.Steps
	}
	return j.Steps + CompareRounds
}

// compareMap is the map of a round of comparing.
func (j *Job) compareMap(step uint16) *multiparty.Map {
	switch step - j.Steps {
	case gramRound:
		return j.compare.Gram()
	case crossRound:
		return j.compare.First()
	case lastRound:
		return j.compare.Last()
	}
	return j.compare.Next()
}

// Bits is the release of a ticket: of the one input of its record, exactly that
// (law L2).
func (j *Job) Bits(ticket *ledger.Ticket, record *ledger.StepRecord, blob func(ledger.Digest) ([]byte, error)) (*multiparty.Release, error) {
	if ticket.Job != j.ID || !j.Opens(ticket.Step) || record.Digest() != ticket.Record || len(record.Inputs) != 1 {
		return nil, ErrInputs
	}
	b, err := blob(record.Inputs[0])
	if err != nil {
		return nil, err
	}
	bits, err := j.ParseValues(b)
	if err != nil {
		return nil, err
	}
	if bits.Digest() != record.Inputs[0] || bits.C1Digest() != ticket.C1s[0] {
		return nil, ErrInputs
	}
	_, receiver := j.Receiver()
	return multiparty.NewRelease(j.Roster, ticket.Round(), bits, receiver, j.compare.Answers(), j.compare.Flooding())
}

// CheckShare holds a share of a step's ticket to its form.
func (j *Job) CheckShare(step uint16, b []byte) error {
	if !j.Opens(step) {
		_, err := j.Map(step).ParseShare(b)
		return err
	}
	return multiparty.CheckSwitchShare(b, j.Profiles.Release)
}

// Copies adds up the shares of the bits' release and reads the pairs that it
// opens.
func (j *Job) Copies(release *multiparty.Release, shares [][]byte) ([]ledger.Pair, error) {
	parsed := make([]*multiparty.SwitchShare, len(shares))
	for i, b := range shares {
		var err error
		if parsed[i], err = release.ParseShare(b); err != nil {
			return nil, fmt.Errorf("opening of %s: %w", j.Roster.Parties[i], err)
		}
	}
	switched, err := release.Finish(parsed)
	if err != nil {
		return nil, err
	}
	receiver, _ := j.Receiver()
	var out []ledger.Pair
	for _, p := range j.compare.Copies(release.Open(receiver, switched)) {
		out = append(out, ledger.Pair{First: uint8(p.First), Second: uint8(p.Second)})
	}
	return out, nil
}

// A Left gives what a step's map left, all of its outputs.
type Left func(step uint16) ([]*he.Ciphertext, error)

// Compare evaluates a round of comparing on what steps before it left.
func (e *Evaluator) Compare(step uint16, left Left) (Step, error) {
	var out Step
	if step-e.job.Steps == gramRound {
		err := e.gram(&out, left)
		return out, err
	}
	before, err := left(step - 1)
	if err != nil {
		return Step{}, err
	}
	switch round := int(step - e.job.Steps); round {
	case crossRound:
		c, err := e.compare.Cross(before[0], before[1], before[2])
		if err != nil {
			return Step{}, err
		}
		out.note(circuit.Op{Kind: circuit.OpCross}, before[:3], []*he.Ciphertext{c})
		out.Inputs = []*he.Ciphertext{c, before[0].At(e.job.Profiles.Train.CompareLevel())}
	case CompareRounds:
		c, err := e.values.Both(before[0], before[1])
		if err != nil {
			return Step{}, err
		}
		out.note(circuit.Op{Kind: circuit.OpBoth}, before, []*he.Ciphertext{c})
		out.Inputs = []*he.Ciphertext{c}
	default:
		for _, x := range before {
			k := round - crossRound - 1
			c, err := e.compare.Sharpen(x, k)
			if err != nil {
				return Step{}, err
			}
			out.note(circuit.Op{Kind: circuit.OpSharpen, Interval: k}, []*he.Ciphertext{x}, []*he.Ciphertext{c})
			out.Inputs = append(out.Inputs, c)
		}
	}
	return out, nil
}

// gram evaluates the products of rows and columns of all valued steps.
func (e *Evaluator) gram(out *Step, left Left) error {
	valuations, err := e.valuations(left)
	if err != nil {
		return err
	}
	for g := range e.job.compare.Groups() {
		var rows, columns, inputs []*he.Ciphertext
		for _, v := range valuations {
			rows, columns = append(rows, v.Rows), append(columns, v.Columns[g])
			inputs = append(inputs, v.Rows, v.Columns[g])
		}
		c, err := e.compare.Gram(rows, columns)
		if err != nil {
			return err
		}
		out.note(circuit.Op{Kind: circuit.OpGram}, inputs, []*he.Ciphertext{c})
		out.Inputs = append(out.Inputs, c)
	}
	return nil
}

// valuations are what valued steps of a job that compares left.
func (e *Evaluator) valuations(left Left) ([]multiparty.Valuation, error) {
	var out []multiparty.Valuation
	for _, t := range e.job.valued {
		outputs, err := left(t)
		if err != nil {
			return nil, err
		}
		out = append(out, e.job.step(t).Valuation(outputs))
	}
	return out, nil
}

// mergedValues are Values of a job that compares: directions leave copies out.
func (e *Evaluator) mergedValues(left Left, copies []ledger.Pair) (*he.Ciphertext, []circuit.Op, error) {
	valuations, err := e.valuations(left)
	if err != nil {
		return nil, nil, err
	}
	var out Step
	var updates, directions []*he.Ciphertext
	for _, v := range valuations {
		parts := []*he.Ciphertext{v.Gradients}
		for _, i := range e.job.counted(copies) {
			parts = append(parts, v.Halves[i])
		}
		direction := he.Add(parts...)
		out.note(circuit.Op{Kind: circuit.OpDirect}, parts, []*he.Ciphertext{direction})
		updates, directions = append(updates, v.Updates), append(directions, direction)
	}
	sum, ops, err := e.sumValues(updates, directions)
	return sum, append(out.Ops, ops...), err
}
