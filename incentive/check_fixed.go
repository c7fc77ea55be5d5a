package incentive

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
)

// The checks of single steps in Q32.32. Their inputs were 32-bit floats
// upstream unless said otherwise.

func (v vector) weightedMedian() error {
	var in struct {
		Stake, Score []number
		Majority     number
		Normalize    bool
	}
	if err := v.read(&in); err != nil {
		return err
	}
	if len(in.Stake) != len(in.Score) {
		return fmt.Errorf("%d stakes for %d scores", len(in.Stake), len(in.Score))
	}
	stake := each(in.Stake, single)
	if in.Normalize {
		stake = normalise(stake)
	}
	minority := One.Sub(single(in.Majority.or(0)))
	return v.only("median", func(raw json.RawMessage) error {
		return v.sameFixed("median", []Fixed{median(stake, each(in.Score, single), minority)}, json.RawMessage("["+string(raw)+"]"), single)
	})
}

func (v vector) weightedMedianColumns() error {
	var in struct {
		Stake    []number
		Weights  [][]number
		Majority number
	}
	if err := v.read(&in); err != nil {
		return err
	}
	columns, err := rectangle(in.Weights, max(len(in.Weights), len(in.Stake))) // rows of nobody do not count
	if err != nil {
		return err
	}
	got := columnMedians(each(in.Stake, single), eachRow(in.Weights, single), columns, single(in.Majority.or(0)))
	return v.only("median", func(raw json.RawMessage) error { return v.sameFixed("median", got, raw, single) })
}

func (v vector) columnClip() error {
	var in struct {
		Matrix    [][]number
		Threshold []number
	}
	if err := v.read(&in); err != nil {
		return err
	}
	columns, err := rectangle(in.Matrix, len(in.Matrix))
	if err != nil {
		return err
	}
	if len(in.Matrix) > 0 && columns != len(in.Threshold) {
		return fmt.Errorf("%d columns and %d thresholds", columns, len(in.Threshold))
	}
	got := clip(eachRow(in.Matrix, single), each(in.Threshold, single))
	return v.only("matrix", func(raw json.RawMessage) error { return v.sameMatrix("matrix", got, raw, single) })
}

// sigmoid's inputs were 64-bit floats, or are given to the bit.
func (v vector) sigmoid() error {
	var in struct {
		Trust      []number
		Rho, Kappa number
		TrustBits  []int64 `json:"trust_q32"`
		RhoBits    *int64  `json:"rho_q32"`
		KappaBits  *int64  `json:"kappa_q32"`
	}
	if err := v.read(&in); err != nil {
		return err
	}
	bits := func(bits *int64, n number) Fixed {
		if bits != nil {
			return Fixed(*bits)
		}
		return nearest(n.or(0))
	}
	trust := each(in.Trust, nearest)
	if in.TrustBits != nil {
		trust = make([]Fixed, len(in.TrustBits))
		for i := range trust {
			trust[i] = Fixed(in.TrustBits[i])
		}
	}
	for i, t := range trust {
		trust[i] = sigmoid(t, bits(in.RhoBits, in.Rho), bits(in.KappaBits, in.Kappa))
	}
	return v.only("consensus", func(raw json.RawMessage) error { return v.sameFixed("consensus", trust, raw, nearest) })
}

// emaAlpha takes alpha as a number, one a column, or one an entry.
func (v vector) emaAlpha() error {
	var in struct {
		F64      bool
		New, Old [][]number
		Alpha    json.RawMessage
	}
	if err := v.read(&in); err != nil {
		return err
	}
	convert := single
	if in.F64 {
		convert = nearest
	}
	columns, err := rectangle(in.New, len(in.Old))
	if err != nil {
		return err
	}
	if c, err := rectangle(in.Old, len(in.New)); err != nil || c != columns {
		return errors.Join(errors.New("new and old differ in shape"), err)
	}
	alpha, err := alphas(in.Alpha, len(in.New), columns, convert)
	if err != nil {
		return err
	}
	fresh, old := eachRow(in.New, convert), eachRow(in.Old, convert)
	for i, row := range fresh {
		for j := range row {
			row[j] = grow(alpha[i][j], row[j], old[i][j])
		}
	}
	return v.only("result", func(raw json.RawMessage) error { return v.sameMatrix("result", fresh, raw, convert) })
}

func alphas(raw json.RawMessage, rows, columns int, convert func(*big.Rat) Fixed) ([][]Fixed, error) {
	var one number
	var perColumn []number
	var all [][]number
	switch {
	case json.Unmarshal(raw, &one) == nil:
		perColumn = slices.Repeat([]number{one}, columns)
		fallthrough
	case json.Unmarshal(raw, &perColumn) == nil:
		all = slices.Repeat([][]number{perColumn}, rows)
	default:
		if err := json.Unmarshal(raw, &all); err != nil {
			return nil, fmt.Errorf("alpha: %w", err)
		}
	}
	if c, err := rectangle(all, rows); err != nil || rows > 0 && c != columns {
		return nil, errors.Join(errors.New("alpha differs in shape"), err)
	}
	return eachRow(all, convert), nil
}

// emissionSplit is the cut of an owner, and halves of the rest.
func (v vector) emissionSplit() error {
	var in struct {
		Out number `json:"alpha_out"`
		Cut number `json:"owner_cut_u16"`
	}
	if err := v.read(&in); err != nil {
		return err
	}
	out, err := in.Out.integer("alpha_out")
	if err != nil {
		return err
	}
	cut, err := in.Cut.integer("owner_cut_u16")
	if err != nil {
		return err
	}
	if cut.Sign() < 0 || cut.Cmp(big.NewInt(maxU16)) > 0 || !out.IsUint64() {
		return errors.New("the cut is no share, or the emission not a number of units")
	}
	rates := Rates{Cut: Ratio(cut.Uint64(), maxU16), Xi: One / 2}
	pools, err := rates.Pools(out.Uint64())
	if err != nil {
		return err
	}
	names := map[string]uint64{"owner": pools.Cut, "server": pools.Peers, "validator": pools.Evaluators}
	return v.all(func(name string, raw json.RawMessage) error {
		units, known := names[name]
		if !known {
			return unknown(name)
		}
		return v.sameNumber(name, new(big.Rat).SetUint64(units), raw)
	})
}

// prune is whom upstream removes for a newcomer: the least emission, then the
// oldest, then the smallest uid, of those not immune if enough of them stay;
// else of the immune. We remove nobody.
func (v vector) prune() error {
	type node struct {
		UID              int64
		Emission         number
		Block            uint64 `json:"reg_block"`
		Immune, Immortal bool
	}
	var in struct {
		Nodes []node
		Keep  int `json:"min_non_immune"`
	}
	if err := v.read(&in); err != nil {
		return err
	}
	free := 0
	var best [2]*node // not immune, immune
	before := func(a, b *node) bool {
		if c := a.Emission.or(0).Cmp(b.Emission.or(0)); c != 0 {
			return c < 0
		}
		return a.Block < b.Block || a.Block == b.Block && a.UID < b.UID
	}
	for i := range in.Nodes {
		n := &in.Nodes[i]
		if n.Immortal {
			continue
		}
		k := 1
		if !n.Immune {
			k = 0
			free++
		}
		if best[k] == nil || before(n, best[k]) {
			best[k] = n
		}
	}
	chosen := best[1]
	if best[0] != nil && free > in.Keep {
		chosen = best[0]
	}
	return v.only("uid", func(raw json.RawMessage) error {
		if chosen == nil || string(raw) == "null" {
			if chosen != nil || string(raw) != "null" {
				return fmt.Errorf("uid is not %s", raw)
			}
			return nil
		}
		return v.sameNumber("uid", new(big.Rat).SetInt64(chosen.UID), raw)
	})
}

// only checks the one expectation a kind has.
func (v vector) only(name string, check func(json.RawMessage) error) error {
	return v.all(func(n string, raw json.RawMessage) error {
		if n != name {
			return unknown(n)
		}
		return check(raw)
	})
}

// all checks every expectation, by name.
func (v vector) all(check func(name string, raw json.RawMessage) error) error {
	want, err := v.expected()
	if err != nil {
		return err
	}
	var problems []error
	for _, name := range sortedKeys(want) {
		problems = append(problems, check(name, want[name]))
	}
	return errors.Join(problems...)
}

// rectangle is the width of a matrix of so many rows.
func rectangle[T any](m [][]T, rows int) (columns int, err error) {
	if len(m) != rows {
		return 0, fmt.Errorf("a matrix of %d rows, want %d", len(m), rows)
	}
	for i, row := range m {
		if len(row) != len(m[0]) {
			return 0, fmt.Errorf("row %d has %d entries, the first %d", i, len(row), len(m[0]))
		}
		columns = len(row)
	}
	return columns, nil
}
