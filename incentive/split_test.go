package incentive

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func anyShares(t *rapid.T) []Share {
	ids := rapid.SliceOfNDistinct(rapid.IntRange(0, 99), 0, 8, rapid.ID[int]).Draw(t, "ids")
	out := make([]Share, len(ids))
	for i, id := range ids {
		out[i] = Share{ID: fmt.Sprint(id), Weight: rapid.OneOf(rapid.Uint64Range(0, 3), rapid.Uint64()).Draw(t, "weight")}
	}
	return out
}

// To the unit for any pot, never a unit away from the exact part, whatever the
// order; more weight is never less pay.
func TestSplitIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pot, shares := rapid.OneOf(rapid.Uint64Range(0, 10), rapid.Uint64()).Draw(t, "pot"), anyShares(t)
		parts := Split(pot, shares)
		byID := map[string]uint64{}
		total, weight := uint64(0), false
		for i, s := range shares {
			byID[s.ID] = parts[i]
			total += parts[i]
			weight = weight || s.Weight > 0
			for j, other := range shares {
				if s.Weight > other.Weight && parts[i] < parts[j] {
					t.Errorf("%v get %v: more weight, less pay", shares, parts)
				}
			}
		}
		if weight && total != pot || !weight && total != 0 {
			t.Errorf("parts of %d are %v", pot, parts)
		}
		shuffled := rapid.Permutation(shares).Draw(t, "order")
		for i, part := range Split(pot, shuffled) {
			if part != byID[shuffled[i].ID] {
				t.Errorf("%q gets %d in one order and %d in another", shuffled[i].ID, byID[shuffled[i].ID], part)
			}
		}
	})
}

// A pot is paid out to the unit, by role.
func TestPayoutIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := func(name string) Fixed {
			return Fixed(rapid.SampledFrom([]int64{0, 1, int64(One / 3), int64(One / 2), int64(One) - 1, int64(One)}).Draw(t, name))
		}
		rates, pot := Rates{Cut: rate("cut"), Xi: rate("xi"), Lambda: rate("lambda")}, rapid.Uint64().Draw(t, "pot")
		payments, err := Payout(rates, pot, anyShares(t), anyShares(t), anyShares(t))
		if err != nil {
			t.Fatal(err)
		}
		left := pot
		for _, p := range payments {
			if p.Units == 0 || p.Units > left || (p.ID == "") != (p.Role == ToTreasury || p.Role == ToNobody) {
				t.Errorf("payments of %d are %v", pot, payments)
			}
			left -= p.Units
		}
		sorted := slices.IsSortedFunc(payments, func(a, b Payment) int {
			return strings.Compare(fmt.Sprint(a.Role, a.ID), fmt.Sprint(b.Role, b.ID))
		})
		if left != 0 || !sorted {
			t.Errorf("payments of %d leave %d: %v", pot, left, payments)
		}
	})
}

func TestPayout(t *testing.T) {
	two := []Share{{ID: "b", Weight: 1}, {ID: "a", Weight: 1}}
	for _, test := range []struct {
		name string
		rate Rates
		pot  uint64
		data []Share
		want string
	}{
		{"halves of halves", DefaultRates(), 1000, two, "[{2 a 250} {2 b 250} {3 a 125} {3 b 125} {4 a 125} {4 b 125}]"},
		{"an odd unit goes to the first role and identity", DefaultRates(), 5, two, "[{2 a 2} {2 b 1} {3 a 1} {4 a 1}]"},
		{"nobody has data", DefaultRates(), 1000, nil, "[{2 a 250} {2 b 250} {3 a 125} {3 b 125} {5  250}]"},
		{"a tenth is cut first", Rates{Cut: One / 10, Xi: One}, 1000, two, "[{1  100} {2 a 450} {2 b 450}]"},
	} {
		got, err := Payout(test.rate, test.pot, two, two, test.data)
		if err != nil || fmt.Sprint(got) != test.want {
			t.Errorf("%s: %v, %v, want %s", test.name, got, err, test.want)
		}
	}
	if _, err := Payout(DefaultRates(), 1, append(two, two...), nil, nil); err == nil {
		t.Error("two shares of one identity in one role pass")
	}
	if _, err := Payout(Rates{Xi: -1}, 1, nil, nil, nil); err == nil {
		t.Error("a rate below zero passes")
	}
}
