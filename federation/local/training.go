package local

import (
	"context"
	"fmt"
	"time"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/circuit"
	"github.com/commonseal/commonseal/he/multiparty"
)

// contribute has every pooled company encrypt and send its blocks, and every
// local one encode its own.
func (f *federation) contribute(ctx context.Context) error {
	start := time.Now()
	total, done := 0, 0
	for _, c := range f.companies {
		total += len(c.blocks(c.training)) + len(c.blocks(c.validation))
	}
	f.progress("encrypt", 0, total)
	for i, c := range f.companies {
		if c.local {
			if err := c.encode(); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			done += len(c.trainingBlocks) + len(c.validationBlocks)
			f.progress("encrypt", done, total)
			continue
		}
		for _, set := range []struct {
			kind string
			rows he.Rows
			to   *[]circuit.Block
		}{{"training", c.training, &f.node.blocks[i]}, {"validation", c.validation, &f.node.validation[i]}} {
			for b, x := range c.blocks(set.rows) {
				if err := ctx.Err(); err != nil {
					return err
				}
				vectors, err := c.encrypt(set.kind, b, x)
				if err != nil {
					return fmt.Errorf("%s: %w", c.name, err)
				}
				for _, v := range vectors {
					f.send(v)
				}
				if err := f.node.accept(set.to, vectors); err != nil {
					return fmt.Errorf("%s: %w", c.name, err)
				}
				done++
				f.progress("encrypt", done, total)
			}
		}
	}
	f.report.SecondsEncrypt = time.Since(start).Seconds()
	return nil
}

// train runs every step, and the map before the first.
func (f *federation) train(ctx context.Context) error {
	train := f.job.profiles.Train
	zero := f.node.start()
	start, err := f.exchange(f.job.round("start", 0), multiparty.StartMap(train, f.job.plan.Packing.Width), []*he.Ciphertext{zero})
	if err != nil {
		return err
	}
	f.node.point, f.node.weights = start[0], start[1]
	steps := f.job.twin.Steps
	var plain, valued time.Duration
	f.progress("train", 0, steps)
	for t := range steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		start := time.Now()
		if err := f.step(t); err != nil {
			return fmt.Errorf("step %d: %w", t+1, err)
		}
		if f.job.valued[t] {
			valued += time.Since(start)
		} else {
			plain += time.Since(start)
		}
		f.progress("train", t+1, steps)
	}
	f.report.pace(plain, valued, steps, len(f.job.valued))
	return f.everybody((*company).keepWeights)
}

// step is one gradient step: pooled companies' blocks at the node, local
// companies' at home, then one round of everybody.
func (f *federation) step(t int) error {
	n, valued := f.node, f.job.valued[t]
	own, checks, err := f.updates(t, valued)
	if err != nil {
		return err
	}
	var groups [][]circuit.Block // of pooled companies: apart, if their values are asked for
	var pooled []int
	var all []circuit.Block
	for i, c := range f.companies {
		if c.local {
			continue
		}
		pooled = append(pooled, i)
		groups = append(groups, n.blocks[i])
		all = append(all, n.blocks[i]...)
	}
	if valued {
		groups = append(groups, n.checks()...)
	} else if len(pooled) > 0 {
		groups = [][]circuit.Block{all}
	}
	xs, err := n.gradients(t, groups)
	if err != nil {
		return err
	}
	floor := f.job.profiles.Train.Floor()
	inputs := []*he.Ciphertext{n.point.At(floor), n.weights.At(floor)}
	if !valued {
		for _, u := range own {
			if u != nil {
				xs = append(xs, u)
			}
		}
		inputs = append(inputs, n.sum(xs))
	} else {
		for k, i := range pooled {
			own[i] = xs[k]
		}
		inputs = append(append(inputs, own...), n.judge(checks, xs[len(pooled):])...)
	}
	step := f.job.step(t)
	outputs, err := f.exchange(f.job.round("step", t), step.Map(), inputs)
	if err != nil {
		return err
	}
	n.point, n.weights = outputs[0], outputs[1]
	switch {
	case !valued:
		return nil
	case step.Compare != nil:
		n.valued = append(n.valued, step.Valuation(outputs))
		return nil
	}
	return n.value(outputs[2], outputs[3])
}

// updates are the local companies' gradients and, if the step is valued, those of
// their validation rows, by company.
func (f *federation) updates(t int, valued bool) (own, checks []*he.Ciphertext, err error) {
	own, checks = make([]*he.Ciphertext, len(f.companies)), make([]*he.Ciphertext, len(f.companies))
	point := f.node.point.Append(nil)
	for i, c := range f.companies {
		if !c.local {
			continue
		}
		for _, set := range []struct {
			kind   string
			blocks []circuit.PlainBlock
		}{{"training", c.trainingBlocks}, {"validation", c.validationBlocks}} {
			check := set.kind == "validation"
			if check && (!valued || len(set.blocks) == 0) {
				continue
			}
			b, err := c.update(t, point, set.blocks)
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %w", c.name, err)
			}
			u, err := f.node.parseUpdate(f.send(b))
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %w", c.name, err)
			}
			if check {
				checks[i] = u
			} else {
				own[i] = u
			}
		}
	}
	return own, checks, nil
}

// exchange runs one round: the node sends the inputs, every company its share.
func (f *federation) exchange(id he.Digest, m *multiparty.Map, inputs []*he.Ciphertext) ([]*he.Ciphertext, error) {
	sent := make([][]byte, len(inputs))
	for i, c := range inputs {
		sent[i] = c.Append(nil)
	}
	shares := make([][]byte, len(f.companies))
	err := f.everybody(func(c *company) error {
		b, err := c.mapShare(id, m, sent)
		shares[c.index] = f.send(b)
		return err
	})
	if err != nil {
		return nil, err
	}
	return f.node.finish(id, m, inputs, shares)
}
