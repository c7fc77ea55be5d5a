package agent

import (
	"context"
	"fmt"

	"github.com/commonseal/commonseal/federation"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/circuit"
	"github.com/commonseal/commonseal/ledger"
)

// local is what a company evaluates itself.
type local struct {
	evaluator *circuit.Evaluator
	blocks    [2][]circuit.PlainBlock // of training and validation rows
}

// localOf encodes the rows of a job once.
func (a *Agent) localOf(ctx context.Context, v ledger.View, w *job) (*local, error) {
	if w.local != nil {
		return w.local, nil
	}
	r, err := a.readRows(w.task)
	if err != nil {
		return nil, err
	}
	keys, err := a.taskKeys(ctx, v, w.task)
	if err != nil {
		return nil, err
	}
	p := a.Profiles.Train
	capacity := w.Plan.Packing.Capacity(p.Slots())
	plan := w.Plan.Own(len(blocks(r.training, capacity)))
	out := &local{}
	if out.evaluator, err = circuit.NewEvaluator(plan, keys.train); err != nil {
		return nil, &RefusedError{err}
	}
	encoder := he.NewEncoder(p)
	for i, x := range []he.Rows{r.training, r.validation} {
		for _, part := range blocks(x, capacity) {
			block, err := circuit.NewPlainBlock(encoder, plan, part)
			if err != nil {
				return nil, &RefusedError{err}
			}
			out.blocks[i] = append(out.blocks[i], block)
		}
	}
	w.local = out
	return out, nil
}

// update sends the company's gradient at the point that its own map of the step
// before left: with any other c1 the evaluation could be in the clear.
func (a *Agent) update(ctx context.Context, v ledger.View, d federation.Update) (bool, error) {
	j, ok := ledger.JobOf(v, d.Job)
	if !ok || !j.State.Works() || j.Step != d.Step || d.Step == 0 {
		return false, never("step %d of job %x takes no update", d.Step, d.Job[:6])
	}
	w, err := a.jobOf(ctx, v, j)
	if err != nil {
		return false, err
	}
	own, err := a.localOf(ctx, v, w)
	if err != nil {
		return false, err
	}
	round, err := a.roundOf(ctx, v, w, d.Step-1)
	if err != nil {
		return false, err
	}
	b, err := a.fetch(ctx, v, j.ID, d.Point)
	if err != nil {
		return false, err
	}
	point, err := w.ParseOutput(d.Step-1, 0, b)
	if err != nil {
		return false, &RefusedError{err}
	}
	c1 := round.OutputC1(0)
	if a.off.point {
		c1 = point.C1
	}
	// That of training rows last: with it the duty is done.
	for index := 1; index >= 0; index-- {
		if len(own.blocks[index]) == 0 || index == 1 && !w.IsValued(d.Step) {
			continue
		}
		x, err := own.evaluator.LocalGradient(point, w.Interval(d.Step), c1, own.blocks[index], w.keys.epoch.Train, a.Seed.Derive("agent/update"))
		if err != nil {
			return false, &RefusedError{fmt.Errorf("update of step %d: %w", d.Step, err)}
		}
		if _, err := a.write(v, ledger.Post{Epoch: w.keys.number, Profile: a.Profiles.Train.Digest(), Scope: j.ID, Kind: ledger.PostUpdate,
			Step: d.Step, Index: uint16(index), Previous: d.Point}, x.Append(nil)); err != nil {
			return false, err
		}
	}
	return true, nil
}
