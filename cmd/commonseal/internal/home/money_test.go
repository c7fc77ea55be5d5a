package home

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/commonseal/commonseal/ledger"
)

// The example founds what it says.
func TestMoneyExample(t *testing.T) {
	dir := t.TempDir()
	f, err := Found(write(t, filepath.Join(dir, "consortium.yaml"), ConsortiumExample), members(t, dir), start)
	if err != nil {
		t.Fatal(err)
	}
	const day = 24 * 3600 * 1000
	want := ledger.Money{Grant: 1_000_000, Bond: 100_000, Fee: 1, Quota: 3000, Price: 1, Escrow: 10_000, Emission: 1_000_000, Halving: 365, Unstake: 7 * day,
		Vesting: 7 * day, Cut: 100_000, Evaluate: 500_000, Provide: 500_000, Penalty: 1_000_000, Smoothing: 100_000, Cap: 490_000, Slash: 100_000,
		Challenge: 1000, Window: 7 * day, Sample: 200_000, Releases: 1}
	if f.Genesis.Money != want || f.Genesis.RewardEpoch != day {
		t.Errorf("founded on %+v, reward epochs of %d ms", f.Genesis.Money, f.Genesis.RewardEpoch)
	}
}

// Without money nothing costs; with wrong rules of it nothing is founded.
func TestFoundMoney(t *testing.T) {
	dir := t.TempDir()
	files := members(t, dir)
	c := filepath.Join(dir, "consortium.yaml")
	for text, want := range map[string]string{
		"":                                  "",
		"money:\n  cut: 101%\n":             `money: cut: "101%" is no part`,
		"money:\n  slash: 0.00001%\n":       "money: slash:",
		"money:\n  cap: -1%\n":              "money: cap:",
		"money:\n  provide: half\n":         "money: provide:",
		"money:\n  grant: -1\n":             "consortium.yaml",
		"money:\n  unstake: -1h\n":          "money: a time of -3600000 ms",
		"money:\n  reward_epoch: 1ms\n":     "money: reward_epoch: 1ms; give 1s",
		"money:\n  grant: 1e300\n":          "consortium.yaml",
		"money:\n  emission: 1" + zeros(18): "money: an amount of 1000000000000000000",
		"money:\n  colour: red\n":           `unknown field "colour"`,
	} {
		f, err := Found(write(t, c, consortium+text), files, start)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
		if err == nil && f.Genesis.Money != (ledger.Money{}) {
			t.Errorf("money without rules: %+v", f.Genesis.Money)
		}
	}
}

func zeros(n int) string { return strings.Repeat("0", n) }
