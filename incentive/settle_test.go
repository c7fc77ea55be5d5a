package incentive

import (
	"fmt"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func anyValues(t *rapid.T) []Value {
	ids := rapid.SliceOfNDistinct(rapid.IntRange(0, 99), 0, 6, rapid.ID[int]).Draw(t, "ids")
	out := make([]Value, len(ids))
	for i, id := range ids {
		out[i] = Value{
			ID: fmt.Sprint("c", id), Phi: big.NewInt(rapid.OneOf(rapid.Int64Range(-5, 20), rapid.Int64()).Draw(t, "phi")),
			Escrow: rapid.OneOf(rapid.Just(uint64(0)), rapid.Uint64Range(0, 1<<50)).Draw(t, "escrow"),
		}
	}
	return out
}

// Not a unit is lost or made, nobody is debited more than its escrow, good is
// not debited and harm not credited.
func TestSettleBalances(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pot, values := rapid.Uint64Range(0, 1<<60).Draw(t, "pot"), anyValues(t)
		s, err := Settle(pot, values)
		if err != nil {
			t.Fatal(err)
		}
		by := map[string]Value{}
		for _, v := range values {
			by[v.ID] = v
		}
		in, out := pot, s.Carried
		for _, p := range s.Debits {
			in += p.Units
			if by[p.ID].Phi.Sign() >= 0 || p.Units > by[p.ID].Escrow {
				t.Errorf("%+v is debited to %+v", p, by[p.ID])
			}
		}
		for _, p := range s.Credits {
			out += p.Units
			if by[p.ID].Phi.Sign() <= 0 {
				t.Errorf("%+v is credited to %+v", p, by[p.ID])
			}
		}
		if in != out {
			t.Errorf("%d goes in, %d comes out: %+v", in, out, s)
		}
		shuffled, err := Settle(pot, rapid.Permutation(values).Draw(t, "order"))
		if err != nil || fmt.Sprint(shuffled) != fmt.Sprint(s) {
			t.Errorf("in another order %v, %v, not %v", shuffled, err, s)
		}
	})
}

func TestSettle(t *testing.T) {
	for _, test := range []struct {
		name   string
		pot    uint64
		phi    []int64
		escrow uint64
		want   string
	}{
		{"good data", 100, []int64{3, 1}, 0, "{[{4 c0 75} {4 c1 25}] [] [] 0}"},
		{"harm is debited and goes to the good", 100, []int64{3, 3, -2}, 100, "{[{4 c0 75} {4 c1 75}] [{4 c2 50}] [] 0}"},
		{"harm without escrow is owed", 100, []int64{3, 3, -2}, 0, "{[{4 c0 33} {4 c1 33}] [] [{4 c2 50}] 34}"},
		{"harm in all: nobody is paid", 90, []int64{1, -2, -1}, 100, "{[] [{4 c1 60} {4 c2 30}] [] 180}"},
		{"nothing", 90, []int64{0, 0}, 100, "{[] [] [] 90}"},
		{"no pot", 0, []int64{2, -1}, 100, "{[] [] [] 0}"},
	} {
		values := make([]Value, len(test.phi))
		for i, phi := range test.phi {
			values[i] = Value{ID: fmt.Sprint("c", i), Phi: big.NewInt(phi), Escrow: test.escrow}
		}
		if got, err := Settle(test.pot, values); err != nil || fmt.Sprint(got) != test.want {
			t.Errorf("%s: %v, %v, want %s", test.name, got, err, test.want)
		}
	}
}

func TestSettleRefuses(t *testing.T) {
	one := big.NewInt(1)
	for _, test := range []struct {
		values []Value
		want   string
	}{
		{[]Value{{ID: "a", Phi: one}, {ID: "a", Phi: one}}, `two values of "a"`},
		{[]Value{{ID: "a"}}, `no value of "a"`},
		{[]Value{{ID: "a", Phi: big.NewInt(1 << 40)}, {ID: "b", Phi: big.NewInt(1 - 1<<40), Escrow: ^uint64(0)}}, "more than any supply"},
	} {
		if _, err := Settle(1<<63, test.values); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("Settle(%v): %v, want %q", test.values, err, test.want)
		}
		if _, err := SettleModels(1<<63, []Model{{ID: "m", Incentive: One, Values: test.values}}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("SettleModels(%v): %v, want %q", test.values, err, test.want)
		}
	}
	for _, models := range [][]Model{
		{{ID: "m"}, {ID: "m"}},
		{{ID: "m", Values: []Value{{ID: "a", Phi: one, Escrow: 1}}}, {ID: "n", Values: []Value{{ID: "a", Phi: one, Escrow: 2}}}},
	} {
		if _, err := SettleModels(1, models); err == nil {
			t.Errorf("SettleModels(%v) passes", models)
		}
	}
}

// Data bonds: a provider earns of each model what the model earns times its
// part in it, and harm to one model comes out of what another pays.
func TestSettleModels(t *testing.T) {
	a := func(phi int64) Value { return Value{ID: "a", Phi: big.NewInt(phi), Escrow: 1000} }
	b := func(phi int64) Value { return Value{ID: "b", Phi: big.NewInt(phi), Escrow: 1000} }
	for _, test := range []struct {
		name   string
		models []Model
		want   string
	}{
		{"by incentive and value", []Model{{"m", One / 4, []Value{a(1), b(1)}}, {"n", 3 * One / 4, []Value{a(2), b(1)}}}, "{[{4 a 625} {4 b 375}] [] [] 0}"},
		{"harm to one is kept of the other", []Model{{"m", One / 2, []Value{a(3), b(-1)}}, {"n", One / 2, []Value{a(1), b(1)}}}, "{[{4 a 1000}] [] [] 0}"},
		{"a model without data carries", []Model{{"m", One / 2, nil}, {"n", One / 2, []Value{a(1)}}}, "{[{4 a 500}] [] [] 500}"},
		{"no model", nil, "{[] [] [] 1000}"},
	} {
		if got, err := SettleModels(1000, test.models); err != nil || fmt.Sprint(got) != test.want {
			t.Errorf("%s: %v, %v, want %s", test.name, got, err, test.want)
		}
	}
}

// Over any models not a unit is lost, and nobody is debited more than its
// escrow.
func TestSettleModelsBalances(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		escrows := map[string]uint64{}
		var models []Model
		for i := range rapid.IntRange(0, 4).Draw(t, "models") {
			m := Model{ID: fmt.Sprint(i), Incentive: Fixed(rapid.Int64Range(-1, int64(One)).Draw(t, "incentive")), Values: anyValues(t)}
			for k, v := range m.Values {
				if _, known := escrows[v.ID]; !known {
					escrows[v.ID] = v.Escrow
				}
				m.Values[k].Escrow = escrows[v.ID]
			}
			models = append(models, m)
		}
		pot := rapid.Uint64Range(0, 1<<60).Draw(t, "pot")
		s, err := SettleModels(pot, models)
		if err != nil {
			t.Fatal(err)
		}
		in, out := pot, s.Carried
		for _, p := range s.Debits {
			in += p.Units
			if p.Units > escrows[p.ID] {
				t.Errorf("%+v is debited of an escrow of %d", p, escrows[p.ID])
			}
		}
		for _, p := range s.Credits {
			out += p.Units
		}
		if in != out {
			t.Errorf("%d goes in, %d comes out: %+v", in, out, s)
		}
	})
}

func TestVested(t *testing.T) {
	for _, test := range []struct{ amount, start, length, now, want uint64 }{
		{100, 5, 10, 4, 0}, {100, 5, 10, 5, 0}, {100, 5, 10, 6, 10}, {100, 5, 10, 15, 100}, {100, 5, 10, ^uint64(0), 100},
		{100, 5, 0, 5, 100}, {^uint64(0), 0, ^uint64(0), 7, 7}, {3, 0, 2, 1, 1},
	} {
		if got := Vested(test.amount, test.start, test.length, test.now); got != test.want {
			t.Errorf("Vested(%d, %d, %d, %d) = %d, want %d", test.amount, test.start, test.length, test.now, got, test.want)
		}
	}
}
