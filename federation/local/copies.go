package local

import (
	"context"
	"fmt"
	"time"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/circuit"
	"github.com/commonseal/commonseal/he/multiparty"
	"github.com/commonseal/commonseal/ledger"
)

// compareCompanies makes the plan of the near-copy test, or says why there is
// none.
func (f *federation) compareCompanies(rows []int) {
	j := &f.job
	c := multiparty.Comparison{
		Train: j.profiles.Train, Release: j.profiles.Release, Width: j.plan.Packing.Width, Columns: j.twin.Columns,
		Steps: len(j.valued), Rows: rows, Theta: multiparty.DefaultTheta(),
	}
	if err := c.Check(); err != nil {
		f.report.Warnings = append(f.report.Warnings, fmt.Sprintf("copies are not looked for: %v", err))
		return
	}
	j.compare = &c
}

// findCopies compares every pair of companies under encryption, opens one bit a
// pair, and marks all companies but the first of those that are alike.
func (f *federation) findCopies(ctx context.Context) error {
	c := f.job.compare
	if c == nil {
		return nil
	}
	start := time.Now()
	both, err := f.bits(ctx)
	if err != nil {
		return err
	}
	opened, err := f.open(f.comparison(), both)
	if err != nil {
		return err
	}
	f.mark(c.Copies(opened))
	f.report.SecondsCopies = time.Since(start).Seconds()
	return nil
}

// comparison is the release of every pair's bit.
func (f *federation) comparison() released {
	c := f.job.compare
	return released{
		id: f.job.round("copies", 0), seed: he.QuerierSeed(f.session, "receiver", 1),
		positions: c.Answers(), flooding: c.Flooding(),
	}
}

// bits is the encrypted bit of every pair: its numbers, sharpened to their signs
// by turns of everybody's maps and the node's products.
func (f *federation) bits(ctx context.Context) (*he.Ciphertext, error) {
	c, n := f.job.compare, f.node
	signs, err := f.numbers()
	if err != nil {
		return nil, err
	}
	m := c.First()
	for k := range circuit.Signs {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		f.progress("compare", k, circuit.Signs)
		numbers, err := f.exchange(f.job.round("sign", k), m, signs)
		if err != nil {
			return nil, err
		}
		if signs, err = n.sharpen(numbers, k); err != nil {
			return nil, err
		}
		m = c.Next()
	}
	halves, err := f.exchange(f.job.round("signs", 0), c.Last(), signs)
	if err != nil {
		return nil, err
	}
	f.progress("compare", circuit.Signs, circuit.Signs)
	return n.both(halves)
}

// numbers are the two of every pair whose signs are its bit.
func (f *federation) numbers() ([]*he.Ciphertext, error) {
	c, n := f.job.compare, f.node
	gram, err := n.gram(c.Groups())
	if err != nil {
		return nil, err
	}
	xyz, err := f.exchange(f.job.round("gram", 0), c.Gram(), gram)
	if err != nil {
		return nil, err
	}
	e, err := n.cross(xyz)
	if err != nil {
		return nil, err
	}
	return []*he.Ciphertext{e, xyz[0].At(c.Train.CompareLevel())}, nil
}

// mark marks the companies that count with an earlier one, who committed before
// them.
func (f *federation) mark(pairs []multiparty.Pair) {
	f.copies = map[int]bool{}
	var recorded []ledger.Pair
	for _, p := range pairs {
		f.report.Copies = append(f.report.Copies, CopyRows{Of: p.First + 1, By: p.Second + 1})
		recorded = append(recorded, ledger.Pair{First: uint8(p.First), Second: uint8(p.Second)})
	}
	for i, copied := range ledger.Copied(recorded, inOrder(len(f.companies))) {
		if copied {
			f.copies[i] = true
		}
	}
}

// inOrder is 1 to n: companies contribute in the order of the roster here.
func inOrder(n int) []uint64 {
	out := make([]uint64, n)
	for i := range out {
		out[i] = uint64(i + 1)
	}
	return out
}

// gram evaluates the products of all valued steps, one for each group of
// columns, and records them.
func (n *node) gram(groups int) (out []*he.Ciphertext, err error) {
	for g := range groups {
		var rows, columns, inputs []*he.Ciphertext
		for _, v := range n.valued {
			rows, columns = append(rows, v.Rows), append(columns, v.Columns[g])
			inputs = append(inputs, v.Rows, v.Columns[g])
		}
		c, err := n.comparer.Gram(rows, columns)
		if err != nil {
			return nil, err
		}
		n.record(circuit.Op{Kind: circuit.OpGram}, inputs, []*he.Ciphertext{c})
		out = append(out, c)
	}
	return out, nil
}

func (n *node) cross(xyz []*he.Ciphertext) (*he.Ciphertext, error) {
	e, err := n.comparer.Cross(xyz[0], xyz[1], xyz[2])
	if err != nil {
		return nil, err
	}
	n.record(circuit.Op{Kind: circuit.OpCross}, xyz, []*he.Ciphertext{e})
	return e, nil
}

func (n *node) sharpen(numbers []*he.Ciphertext, k int) ([]*he.Ciphertext, error) {
	out := make([]*he.Ciphertext, len(numbers))
	for i, x := range numbers {
		var err error
		if out[i], err = n.comparer.Sharpen(x, k); err != nil {
			return nil, err
		}
		n.record(circuit.Op{Kind: circuit.OpSharpen, Interval: k}, []*he.Ciphertext{x}, []*he.Ciphertext{out[i]})
	}
	return out, nil
}

func (n *node) both(halves []*he.Ciphertext) (*he.Ciphertext, error) {
	b, err := n.valuer.Both(halves[0], halves[1])
	if err != nil {
		return nil, err
	}
	n.record(circuit.Op{Kind: circuit.OpBoth}, halves, []*he.Ciphertext{b})
	return b, nil
}
