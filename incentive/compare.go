package incentive

import (
	"encoding/json"
	"fmt"
	"math/big"
)

// within says whether got is what is wanted, for a last place of unit.
func (v vector) within(got, want, unit *big.Rat) bool {
	tolerance := v.Tolerance.or(0)
	if tolerance.Cmp(big.NewRat(1, 1)) >= 0 {
		tolerance = new(big.Rat).Mul(tolerance, unit)
	}
	diff := new(big.Rat).Sub(got, want)
	return diff.Abs(diff).Cmp(tolerance) <= 0
}

// sameFixed compares numbers of Q32.32. What is wanted is a rounded decimal, and
// converted first as the inputs are.
func (v vector) sameFixed(name string, got []Fixed, raw json.RawMessage, convert func(*big.Rat) Fixed) error {
	var want []number
	if err := json.Unmarshal(raw, &want); err != nil {
		return fmt.Errorf("expect %s: %w", name, err)
	}
	if len(got) != len(want) {
		return fmt.Errorf("%s has %d entries, want %d", name, len(got), len(want))
	}
	for i, n := range want {
		w := convert(n.or(0))
		if !v.within(got[i].rat(), w.rat(), Fixed(1).rat()) {
			return fmt.Errorf("%s[%d] is %v, want %v", name, i, got[i], w)
		}
	}
	return nil
}

func (v vector) sameMatrix(name string, got [][]Fixed, raw json.RawMessage, convert func(*big.Rat) Fixed) error {
	var want []json.RawMessage
	if err := json.Unmarshal(raw, &want); err != nil {
		return fmt.Errorf("expect %s: %w", name, err)
	}
	if len(got) != len(want) {
		return fmt.Errorf("%s has %d rows, want %d", name, len(got), len(want))
	}
	for i, row := range want {
		if err := v.sameFixed(fmt.Sprintf("%s[%d]", name, i), got[i], row, convert); err != nil {
			return err
		}
	}
	return nil
}

// sameRats compares exact numbers, whose last place is 1.
func (v vector) sameRats(name string, got []*big.Rat, raw json.RawMessage) error {
	var want []number
	if err := json.Unmarshal(raw, &want); err != nil {
		return fmt.Errorf("expect %s: %w", name, err)
	}
	if len(got) != len(want) {
		return fmt.Errorf("%s has %d entries, want %d", name, len(got), len(want))
	}
	for i, w := range want {
		if !v.within(got[i], w.or(0), big.NewRat(1, 1)) {
			return fmt.Errorf("%s[%d] is %s, want %s", name, i, got[i].RatString(), w.or(0).RatString())
		}
	}
	return nil
}

func (v vector) sameInts(name string, got []*big.Int, raw json.RawMessage) error {
	return v.sameRats(name, rats(got), raw)
}

func (v vector) sameUnits(name string, got []uint64, raw json.RawMessage) error {
	out := make([]*big.Rat, len(got))
	for i, x := range got {
		out[i] = new(big.Rat).SetUint64(x)
	}
	return v.sameRats(name, out, raw)
}

// sameNumber compares a single number.
func (v vector) sameNumber(name string, got *big.Rat, raw json.RawMessage) error {
	return v.sameRats(name, []*big.Rat{got}, json.RawMessage("["+string(raw)+"]"))
}

func rats(in []*big.Int) []*big.Rat {
	out := make([]*big.Rat, len(in))
	for i, x := range in {
		out[i] = new(big.Rat).SetInt(x)
	}
	return out
}

// unknown is the error for an expectation that no check reads.
func unknown(name string) error {
	return fmt.Errorf("it expects %q, which this kind does not have", name)
}
