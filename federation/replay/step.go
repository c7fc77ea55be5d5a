package replay

import (
	"fmt"

	"github.com/commonseal/commonseal/federation"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/circuit"
	"github.com/commonseal/commonseal/ledger"
)

// An Evaluator evaluates a job's steps on contributions. It is used by one
// goroutine and holds all of them, parsed.
type Evaluator struct {
	job     *Job
	public  *he.PublicKey
	steps   *circuit.Evaluator
	values  *circuit.Valuer
	compare *circuit.Comparer
	blocks  map[ledger.ContributionKind][][]circuit.Block // by company, in roster order
	digest  map[*he.Ciphertext]ledger.Digest              // of contributions, hashed once
}

// NewEvaluator takes the keys of the job's task. Without those of the release
// profile it evaluates steps and no values.
func NewEvaluator(job *Job, public *he.PublicKey, train, release *he.EvaluationKeys) (*Evaluator, error) {
	steps, err := circuit.NewEvaluator(job.Plan, train)
	if err != nil {
		return nil, err
	}
	n := job.Roster.N()
	e := &Evaluator{
		job: job, public: public, steps: steps, compare: circuit.NewComparer(train), digest: map[*he.Ciphertext]ledger.Digest{},
		blocks: map[ledger.ContributionKind][][]circuit.Block{ledger.Training: make([][]circuit.Block, n), ledger.Validation: make([][]circuit.Block, n)},
	}
	if release != nil {
		e.values = circuit.NewValuer(release)
	}
	return e, nil
}

// newComparing evaluates rounds of comparing under the train keys and nothing else:
// those need no rotation.
func newComparing(job *Job, train *he.EvaluationKeys) *Evaluator {
	return &Evaluator{job: job, compare: circuit.NewComparer(train)}
}

// newValuing evaluates values, and the bits that are opened, under the release keys
// and nothing else.
func newValuing(job *Job, release *he.EvaluationKeys) *Evaluator {
	return &Evaluator{job: job, values: circuit.NewValuer(release)}
}

// Contribute takes in a pooled company's blocks, by the digests of its
// manifest.
func (e *Evaluator) Contribute(use ledger.ContributionKind, company int, blocks [][]ledger.Digest, blob func(ledger.Digest) ([]byte, error)) error {
	for _, digests := range blocks {
		block := make(circuit.Block, len(digests))
		for i, d := range digests {
			b, err := blob(d)
			if err != nil {
				return err
			}
			if block[i], err = e.job.ParseVector(b); err != nil {
				return err
			}
			if block[i].Digest() != d {
				return fmt.Errorf("ciphertext %x: %w", d[:6], ErrInputs)
			}
			e.digest[block[i]] = d
		}
		if len(block) != e.job.Plan.Packing.Vectors() {
			return fmt.Errorf("a block of %d vectors; the task's have %d", len(block), e.job.Plan.Packing.Vectors())
		}
		e.blocks[use][company] = append(e.blocks[use][company], block)
	}
	return nil
}

// A Step is what a step's evaluation gives: the inputs of its map, and the
// operations that led to them.
type Step struct {
	Inputs []*he.Ciphertext
	Ops    []circuit.Op
}

// Record is what a node records of the step, but for the job's own history.
func (s Step) Record(r *ledger.StepRecord) {
	for _, c := range s.Inputs {
		r.Inputs = append(r.Inputs, c.Digest())
		r.C1s = append(r.C1s, c.C1Digest())
	}
	for _, op := range s.Ops {
		r.Ops = append(r.Ops, op.Digest())
	}
	last := s.Inputs[len(s.Inputs)-1]
	r.Level, r.LogScale = uint8(last.Level()), uint16(last.LogScale)
}

// Start is step 0: an encryption of zero, which everybody makes.
func (e *Evaluator) Start() Step { return Step{Inputs: []*he.Ciphertext{e.job.Start(e.public)}} }

// Step evaluates step t at the point that the step before left: pooled
// companies' blocks here, local companies' updates as they sent them.
func (e *Evaluator) Step(step uint16, point, weights *he.Ciphertext, updates map[federation.Owed]*he.Ciphertext) (Step, error) {
	j, valued := e.job, e.job.IsValued(step)
	var out Step
	own := make([]*he.Ciphertext, j.Roster.N())
	var groups [][]circuit.Block
	var pooled []int
	var all []circuit.Block
	for i, x := range j.Task.Consents {
		if x.Local {
			if own[i] = updates[federation.Owed{Company: x.Company, Index: 0}]; own[i] == nil {
				return Step{}, fmt.Errorf("the update of %s is missing", x.Company)
			}
			continue
		}
		pooled = append(pooled, i)
		groups = append(groups, e.blocks[ledger.Training][i])
		all = append(all, e.blocks[ledger.Training][i]...)
	}
	if len(pooled) > 0 && !valued {
		groups = [][]circuit.Block{all}
	}
	if valued {
		groups = append(groups, e.checks()...)
	}
	xs, err := e.gradients(&out, step, point, groups)
	if err != nil {
		return Step{}, err
	}
	floor := j.Profiles.Train.Floor()
	out.Inputs = []*he.Ciphertext{point.At(floor), weights.At(floor)}
	if !valued {
		for _, u := range own {
			if u != nil {
				xs = append(xs, u)
			}
		}
		out.Inputs = append(out.Inputs, e.sum(&out, xs))
		return out, nil
	}
	for k, i := range pooled {
		own[i] = xs[k]
	}
	out.Inputs = append(out.Inputs, own...)
	return out, e.judge(&out, updates, xs[len(pooled):])
}

// checks are the pooled blocks that each evaluator values by, of those that have
// any.
func (e *Evaluator) checks() (groups [][]circuit.Block) {
	for _, members := range e.job.Panel.Evaluators {
		var blocks []circuit.Block
		for _, i := range members {
			blocks = append(blocks, e.blocks[ledger.Validation][i]...)
		}
		if len(blocks) > 0 {
			groups = append(groups, blocks)
		}
	}
	return groups
}

// judge appends the gradient of each evaluator: of the pooled blocks that it values
// by, and of local companies' rows as they sent it.
func (e *Evaluator) judge(out *Step, updates map[federation.Owed]*he.Ciphertext, pooled []*he.Ciphertext) error {
	for _, members := range e.job.Panel.Evaluators {
		var terms []*he.Ciphertext
		inPool := false
		for _, i := range members {
			company := e.job.Task.Consents[i].Company
			u := updates[federation.Owed{Company: company, Index: 1}]
			switch {
			case u != nil:
				terms = append(terms, u)
			case len(e.blocks[ledger.Validation][i]) > 0:
				inPool = true
			default:
				return fmt.Errorf("the validation rows of %s are missing", company)
			}
		}
		if inPool {
			terms, pooled = append(terms, pooled[0]), pooled[1:]
		}
		out.Inputs = append(out.Inputs, e.sum(out, terms))
	}
	return nil
}

// gradients evaluates groups of blocks, and notes the operation.
func (e *Evaluator) gradients(out *Step, step uint16, point *he.Ciphertext, groups [][]circuit.Block) ([]*he.Ciphertext, error) {
	if len(groups) == 0 {
		return nil, nil
	}
	xs, err := e.steps.Gradient(point, e.job.Interval(step), groups)
	if err != nil {
		return nil, err
	}
	op := circuit.Op{Kind: circuit.OpGradient, Interval: e.job.Interval(step), Inputs: []he.Digest{point.Digest()}}
	for _, g := range groups {
		op.Groups = append(op.Groups, len(g))
		for _, b := range g {
			for _, c := range b {
				op.Inputs = append(op.Inputs, e.digest[c])
			}
		}
	}
	out.note(op, nil, xs)
	return xs, nil
}

// sum adds gradients up, and notes the operation.
func (e *Evaluator) sum(out *Step, xs []*he.Ciphertext) *he.Ciphertext {
	sum := he.Add(xs...)
	out.note(circuit.Op{Kind: circuit.OpSum}, xs, []*he.Ciphertext{sum})
	return sum
}

// Values are the companies' encrypted values summed over the valued steps, from
// what their maps left; nil if no step is valued. Copies do not count.
func (e *Evaluator) Values(left Left, copies []ledger.Pair) (*he.Ciphertext, []circuit.Op, error) {
	if e.job.compare != nil {
		return e.mergedValues(left, copies)
	}
	var updates, directions []*he.Ciphertext
	for _, t := range e.job.valued {
		if !e.job.IsValued(t) {
			continue
		}
		outputs, err := left(t)
		if err != nil {
			return nil, nil, err
		}
		updates, directions = append(updates, outputs[2]), append(directions, outputs[3])
	}
	return e.sumValues(updates, directions)
}

// sumValues are the values of steps, each with its updates and its directions.
func (e *Evaluator) sumValues(updates, directions []*he.Ciphertext) (*he.Ciphertext, []circuit.Op, error) {
	var out Step
	var terms []*he.Ciphertext
	for i := range updates {
		v, err := e.values.Value(updates[i], directions[i])
		if err != nil {
			return nil, nil, err
		}
		out.note(circuit.Op{Kind: circuit.OpValue}, []*he.Ciphertext{updates[i], directions[i]}, []*he.Ciphertext{v})
		terms = append(terms, v)
	}
	if len(terms) == 0 {
		return nil, nil, nil
	}
	sum := he.Add(terms...)
	out.note(circuit.Op{Kind: circuit.OpTotal}, terms, []*he.Ciphertext{sum})
	return sum, out.Ops, nil
}

// note adds an operation with the digests of what went in and came out.
func (s *Step) note(op circuit.Op, inputs, outputs []*he.Ciphertext) {
	for _, c := range inputs {
		op.Inputs = append(op.Inputs, c.Digest())
	}
	for _, c := range outputs {
		op.Outputs = append(op.Outputs, c.Digest())
	}
	s.Ops = append(s.Ops, op)
}

// Replayer does recorded operations of the job again; blob gives what is named
// by digest.
func (e *Evaluator) Replayer(blob func(ledger.Digest) ([]byte, error)) *circuit.Replayer {
	return &circuit.Replayer{Steps: e.steps, Values: e.values, Copies: e.compare, Blob: blob}
}
