package incentive

import (
	"errors"
	"fmt"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func texts(in []*big.Rat) string {
	out := make([]string, len(in))
	for i, x := range in {
		out[i] = x.RatString()
	}
	return fmt.Sprint(out)
}

// One right glove and two left ones; a runway that is as long as the longest
// plane needs.
func TestTextbookGames(t *testing.T) {
	glove := func(s uint) (*big.Rat, error) {
		if s>>2 == 1 && s&3 != 0 {
			return big.NewRat(1, 1), nil
		}
		return new(big.Rat), nil
	}
	airport := func(s uint) (*big.Rat, error) {
		return big.NewRat([]int64{0, 10, 20, 20, 40, 40, 40, 40}[s], 1), nil
	}
	for _, test := range []struct {
		name  string
		solve func(int, Game) ([]*big.Rat, error)
		game  Game
		want  string
	}{
		{"glove, Shapley", Shapley, glove, "[1/6 1/6 2/3]"},
		{"glove, Banzhaf", Banzhaf, glove, "[1/4 1/4 3/4]"},
		{"airport, Shapley", Shapley, airport, "[10/3 25/3 85/3]"},
	} {
		if got, err := test.solve(3, test.game); err != nil || texts(got) != test.want {
			t.Errorf("%s: %v, %v, want %s", test.name, got, err, test.want)
		}
	}
}

// Of any game, values add up to that of all less that of nobody.
func TestShapleyIsEfficient(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 6).Draw(t, "players")
		values := rapid.SliceOfN(rapid.Int64Range(-100, 100), 1<<n, 1<<n).Draw(t, "values")
		got, err := Shapley(n, func(s uint) (*big.Rat, error) { return big.NewRat(values[s], 1), nil })
		if err != nil {
			t.Fatal(err)
		}
		sum := new(big.Rat)
		for _, x := range got {
			sum.Add(sum, x)
		}
		if sum.Cmp(big.NewRat(values[len(values)-1]-values[0], 1)) != 0 {
			t.Errorf("values of %v add up to %s", values, sum.RatString())
		}
	})
}

func TestShapleyRefuses(t *testing.T) {
	broken := errors.New("the disk is full")
	for _, test := range []struct {
		n    int
		game Game
	}{
		{MostPlayers + 1, nil}, {-1, nil},
		{1, func(uint) (*big.Rat, error) { return nil, broken }},
		{1, func(uint) (*big.Rat, error) { return nil, nil }},
	} {
		if _, err := Shapley(test.n, test.game); err == nil {
			t.Errorf("%d players pass", test.n)
		}
	}
	if _, err := Shapley(2, func(uint) (*big.Rat, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("the error of a game comes back as %v", err)
	}
}

func TestSpearman(t *testing.T) {
	list := func(xs ...int64) []*big.Rat {
		out := make([]*big.Rat, len(xs))
		for i, x := range xs {
			out[i] = big.NewRat(x, 3)
		}
		return out
	}
	for _, test := range []struct {
		x, y []*big.Rat
		want string // ρ·|ρ|
	}{
		{list(1, 2, 3, 4, 5), list(10, 20, 30, 40, 50), "1"},
		{list(1, 2, 3, 4, 5), list(5, 4, 3, 2, 1), "-1"},
		{list(1, 2, 3, 4, 5), list(2, 1, 3, 4, 5), "81/100"},                                                           // 1 − 6·2/(5·24) = 9/10
		{list(1, 2, 3), list(1, 1, 2), "3/4"},                                                                          // √3/2, with a tie
		{list(106, 100, 86, 101, 99, 103, 97, 113, 112, 110), list(7, 27, 2, 50, 28, 29, 20, 12, 6, 17), "-841/27225"}, // −29/165
		{list(1, 1, 1), list(1, 2, 3), "0"},
		{nil, nil, "0"},
	} {
		if got, err := Spearman(test.x, test.y); err != nil || got.RatString() != test.want {
			t.Errorf("Spearman(%v, %v) = %v, %v, want %s", test.x, test.y, got, err, test.want)
		}
	}
	if _, err := Spearman(list(1), nil); err == nil {
		t.Error("lists of different lengths pass")
	}
}
