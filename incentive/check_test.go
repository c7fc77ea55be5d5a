package incentive

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func readVectors(tb testing.TB, name string) []byte {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

func TestVectors(t *testing.T) {
	for name, want := range map[string]int{"yuma.json": 54, "valuation.json": 12, "more.json": 4} {
		results, err := CheckVectors(strings.NewReader(string(readVectors(t, name))))
		if err != nil {
			t.Fatal(err)
		}
		if len(results) != want {
			t.Errorf("%s has %d vectors, want %d", name, len(results), want)
		}
		for _, r := range results {
			if r.Problem != "" {
				t.Errorf("%s: %s", r.ID, r.Problem)
			}
		}
	}
}

// Every expectation of every vector is looked at: with any number in it
// changed by more than the tolerance, the vector fails.
func TestVectorsFailWhenChanged(t *testing.T) {
	for _, name := range []string{"yuma.json", "valuation.json", "more.json"} {
		var file struct{ Vectors []map[string]any }
		if err := json.Unmarshal(readVectors(t, name), &file); err != nil {
			t.Fatal(err)
		}
		for _, v := range file.Vectors {
			whole, err := json.Marshal(v["expect"])
			if err != nil {
				t.Fatal(err)
			}
			for k := 0; ; k++ {
				var expect any
				if err := json.Unmarshal(whole, &expect); err != nil {
					t.Fatal(err)
				}
				n := k
				if expect = change(expect, &n); n >= 0 {
					break // there is no k-th number
				}
				v["expect"] = expect
				text, err := json.Marshal(map[string]any{"vectors": []any{v}})
				if err != nil {
					t.Fatal(err)
				}
				results, err := CheckVectors(strings.NewReader(string(text)))
				if err != nil || results[0].Problem == "" {
					t.Errorf("%s passes with number %d of what is expected changed, %v", v["id"], k, err)
				}
			}
		}
	}
}

// change adds 7 to the n-th number of a JSON value, and leaves n negative if
// there is one.
func change(x any, n *int) any {
	switch x := x.(type) {
	case float64:
		*n--
		if *n == -1 {
			return x + 7
		}
	case []any:
		for i := range x {
			x[i] = change(x[i], n)
		}
	case map[string]any:
		for _, name := range sortedKeys(x) {
			x[name] = change(x[name], n)
		}
	}
	return x
}

// What the published vectors do not reach: the empty, the missing, the wrong.
func TestCheckVectors(t *testing.T) {
	for _, test := range []struct{ kind, input, expect, want string }{
		{"weighted_median", `{"stake": [], "score": []}`, `{"median": 0}`, ""},
		{"weighted_median", `{"stake": [0.5, 0.5], "score": [0.2, 0.8], "majority": 2}`, `{"median": 0.2}`, ""},
		{"weighted_median", `{"stake": [0.5, 0.5], "score": [0.2, 0.8], "majority": 0}`, `{"median": 0.8}`, ""},
		{"weighted_median", `{"stake": [0.51, 0.49], "score": [0.5, 1], "majority": 0.51}`, `{"median": 0.5}`, ""},
		{"weighted_median", `{"stake": [0.49, 0.01, 0.5], "score": [0.5, 0.7, 1], "majority": 0.51}`, `{"median": 0.7}`, ""},
		{"weighted_median", `{"stake": [0.2, 0.2, 0.2, 0.2, 0.2], "score": [0.8, 0.2, 1, 0.6, 0.4], "majority": 0.51}`, `{"median": 0.6}`, ""},
		{"weighted_median", `{"stake": [1], "score": []}`, `{"median": 0}`, "1 stakes for 0 scores"},
		{"weighted_median_col", `{"stake": [], "weights": [], "majority": 0.5}`, `{"median": []}`, ""},
		{"weighted_median_col", `{"stake": [], "weights": [[]], "majority": 0.5}`, `{"median": []}`, ""},
		{"weighted_median_col", `{"stake": [0, 0.75, 0.25, 0], "weights": [[0, 0.1, 0], [0, 0.2, 0.4], [0, 0.3, 0.1], [0, 0.4, 0.5]], "majority": 0.76}`, `{"median": [0, 0.2, 0.1]}`, ""},
		{"weighted_median_col", `{"stake": [1, 1], "weights": [[1]], "majority": 0.5}`, `{"median": []}`, "a matrix of 1 rows, want 2"},
		{"col_clip", `{"matrix": [], "threshold": [1]}`, `{"matrix": []}`, ""},
		{"col_clip", `{"matrix": [[1, 2], [3]], "threshold": [1, 1]}`, `{"matrix": []}`, "row 1 has 1 entries, the first 2"},
		{"col_clip", `{"matrix": [[1, 2]], "threshold": [1]}`, `{"matrix": []}`, "2 columns and 1 thresholds"},
		{"ema_alpha", `{"new": [[1, 0]], "old": [[0, 1]], "alpha": 0.25}`, `{"result": [[0.25, 0.75]]}`, ""},
		{"ema_alpha", `{"new": [[1, 0]], "old": [[0, 1]], "alpha": [0.25, 0.5]}`, `{"result": [[0.25, 0.5]]}`, ""},
		{"ema_alpha", `{"new": [[1, 0]], "old": [[0, 1]], "alpha": [[0.25, 0.5]]}`, `{"result": [[0.25, 0.5]]}`, ""},
		{"ema_alpha", `{"new": [], "old": [], "alpha": []}`, `{"result": []}`, ""},
		{"ema_alpha", `{"new": [[1]], "old": [[0], [1]], "alpha": 1}`, `{"result": [[1]]}`, "a matrix of 1 rows, want 2"},
		{"ema_alpha", `{"new": [[1]], "old": [[0]], "alpha": "x"}`, `{"result": [[1]]}`, "alpha: "},
		{"sigmoid", `{"trust": [], "rho": 10, "kappa": 0.5}`, `{"consensus": []}`, ""},
		{"sigmoid", `{"trust": [0.5], "rho": 10, "kappa": 0.5}`, `{"consensus": [0.5]}`, ""},
		{"epoch_v1", `{"stake": [], "weights_sparse_u16": []}`, `{"R": []}`, ""},
		{"epochs", `{"stake": [], "epochs": [{}]}`, `[{"E": []}]`, ""},
		{"epochs", `{"stake": [0, 0], "epochs": [{}]}`, `[{"E": [0, 0], "dividends_u16": [0, 0]}]`, ""},
		{"epochs", `{"stake": [0.5, 1.5], "epochs": [{}]}`, `[{"E": [250000000, 750000000], "S": [0.25, 0.75], "stake_u16": [16383, 49151]}]`, ""},
		{"epochs", `{"stake": [1, 1], "epochs": [{"inactive": [true, true]}]}`, `[{"E": [500000000, 500000000], "A": [0, 0], "validator_E": [500000000, 500000000], "server_E": [0, 0]}]`, ""},
		{"epochs", `{"stake": [1, 0], "params": {"emission": 10}, "epochs": [{"set_weights": {"0": [[1, 7]]}}, {"reset_bonds_col": 1}]}`,
			`[{"E": [5, 5], "R": [0, 1], "T": [0, 1], "Tv": [1, 0], "rank_u16": [0, 65535], "bonds_at": {"0,1": 65535}, "incentive_prop": [0, 1]}]`, ""},
		{"epochs", `{"stake": [1], "epochs": []}`, `[{"E": [1]}]`, "0 epochs, 1 expectations"},
		{"epochs", `{"stake": [1], "epochs": [{}]}`, `[{}]`, "it expects nothing"},
		{"epochs", `{"stake": [1], "epochs": [{}]}`, `[{"entropy": [1]}]`, `epoch 0: it expects "entropy"`},
		{"epochs", `{"stake": [-1], "epochs": [{}]}`, `[{"E": [1]}]`, "stake 0, -1, is negative"},
		{"epochs", `{"stake": [1], "epochs": [{"set_weights": {"1": []}}]}`, `[{"E": [1]}]`, `weights of "1"`},
		{"epochs", `{"stake": [1], "epochs": [{"set_weights": {"0": [[1, 1]]}}]}`, `[{"E": [1]}]`, "weight 1 on 1"},
		{"epochs", `{"stake": [1], "epochs": [{"reset_bonds_col": 1}]}`, `[{"E": [1]}]`, "bonds on 1"},
		{"epochs", `{"stake": [1], "epochs": [{}]}`, `[{"bonds_at": {"0,1": 0}}]`, "no such pair"},
		{"epochs", `{"stake": [1], "epochs": [{}]}`, `[{"bonds_prop": [[0], [0]]}]`, "larger than the subnet"},
		{"emission_split", `{"alpha_out": 0, "owner_cut_u16": 0}`, `{"owner": 0, "server": 0, "validator": 0}`, ""},
		{"emission_split", `{"alpha_out": 1, "owner_cut_u16": 65536}`, `{"owner": 0}`, "the cut is no share"},
		{"emission_split", `{"owner_cut_u16": 1}`, `{"owner": 0}`, "alpha_out is not an integer"},
		{"prune", `{"nodes": []}`, `{"uid": null}`, ""},
		{"prune", `{"nodes": [{"uid": 3, "immune": true, "emission": 2}, {"uid": 4, "immune": true, "emission": 1}]}`, `{"uid": 4}`, ""},
		{"prune", `{"nodes": [{"uid": 0, "emission": 1}, {"uid": 1, "immune": true}], "min_non_immune": 1}`, `{"uid": 1}`, ""},
		{"prune", `{"nodes": [{"uid": 0, "emission": 1}], "min_non_immune": 1}`, `{"uid": 0}`, "uid is not 0"},
		{"whitepaper", `{"stake": [], "weights": []}`, `{"R": [], "I": []}`, ""},
		{"whitepaper", `{"stake": [0], "weights": [[0]]}`, `{"R": [0], "T": [0], "I": [0]}`, ""},
		{"whitepaper", `{"stake": [1], "weights": []}`, `{"R": []}`, "a matrix of 0 rows"},
		{"stake_race", `{"stake_A": 0.5, "stake_B": 0.5, "tau": 0.1, "temp": 10}`, `{"cabal_share": [0.5, 0.5]}`, ""},
		{"stake_race", `{"stake_A": 1, "stake_B": 0, "tau": 0.1, "temp": 1e9}`, `{"cabal_share": [0]}`, ""},
		{"two_team", `{"S_H": 1, "W_H": 1, "W_C": 0.5}`, `{"E_H": 1}`, ""},
		{"two_team", `{"S_H": 0.6, "W_H": 0.6, "W_C": 1, "xi": 1}`, `{"E_H": "15/19"}`, ""},
		{"gram_shapley", `{"p": [], "G": []}`, `{"two_phi": [], "two_vN": 0}`, ""},
		{"gram_shapley", `{"p": [1], "G": [[1]]}`, `{"three_phi": [1]}`, `it expects "three_phi"`},
		{"gram_shapley", `{"p": [0.5], "G": [[1]]}`, `{"two_phi": [0]}`, "p[0] is not an integer"},
		{"gram_shapley", `{"p": [1, 1], "G": [[1, 2], [3, 4]]}`, `{"two_phi": [0, 0]}`, "not symmetric"},
		{"split", `{"p": [2], "G": [[0]], "p_split": [1, 1], "G_split": [[0, 0], [0, 0]], "parts_of_0": [0, 1]}`, `{"two_phi": [4], "two_phi_split": [2, 2]}`, ""},
		{"split", `{"p": [2], "G": [[0]], "p_split": [1, 2], "G_split": [[0, 0], [0, 0]], "parts_of_0": [0, 1]}`, `{"two_phi": [4]}`, "are worth 6/2, it was 4/2"},
		{"split", `{"p": [2, 1], "G": [[0, 0], [0, 0]], "p_split": [2, 2], "G_split": [[0, 0], [0, 0]], "parts_of_0": [0]}`, `{"two_phi": [4, 2]}`, "the split changed what others are worth"},
		{"split", `{"p": [], "G": [], "p_split": [], "G_split": [], "parts_of_0": [0]}`, `{"two_phi": []}`, "provider 0 of 0"},
		{"duplicate", `{"p": [1, 1], "G": [[1, 1], [1, 1]], "heights": [5, 4]}`, `{"clusters": [[0, 1]], "two_phi_quotient_clusters": [1], "two_phi_quotient": [0, 1]}`, ""},
		{"duplicate", `{"p": [1], "G": [[1]], "theta": [2, 1]}`, `{"clusters": [[0]]}`, "a bound of 2/1"},
		{"duplicate", `{"p": [], "G": []}`, `{"clusters": [], "two_phi_raw": []}`, ""},
		{"largest_remainder", `{"pot": 0, "weights": []}`, `{"pay": []}`, ""},
		{"largest_remainder", `{"pot": 3, "weights": [1, 1]}`, `{"pay": [2, 1]}`, ""},
		{"largest_remainder", `{"pot": 1e30, "weights": [1e25, 3e25], "keys": ["a", "b"]}`, `{"pay": [25e28, 75e28]}`, ""},
		{"largest_remainder", `{"pot": 1, "weights": [-1, 2]}`, `{"pay": [0, 1]}`, "below zero"},
		{"largest_remainder", `{"pot": 1, "weights": [1], "keys": []}`, `{"pay": [1]}`, "0 keys for 1 weights"},
		{"general_shapley", `{"n": 0, "values": {}}`, `{"shapley": [], "banzhaf": []}`, ""},
		{"general_shapley", `{"n": 1, "values": {"": 1, "0": "3/2"}}`, `{"shapley": ["1/2"], "banzhaf": [0.5], "honest_1_players": ["1/2"]}`, ""},
		{"general_shapley", `{"n": 99}`, `{"shapley": []}`, "99 players, at most 16"},
		{"general_shapley", `{"n": 2, "values": {"2": 1}}`, `{"shapley": [0, 0]}`, `coalition "2"`},
		{"general_shapley", `{"n": 2}`, `{"honest_3_players": [0, 0]}`, "honest_3_players of 2"},
		{"nonsense", `{}`, `{"x": 1}`, `unknown kind "nonsense"`},
		{"prune", `null`, `{"uid": 1}`, "it has no input"},
		{"prune", `[]`, `{"uid": 1}`, "input: "},
		{"prune", `{}`, `{}`, "it expects nothing"},
		{"prune", `{}`, `[]`, "expect: "},
		{"stake_race", `{"tau": 1e999999999}`, `{"cabal_share": [0]}`, "exponent within"},
	} {
		text := fmt.Sprintf(`{"vectors": [{"id": "x", "kind": %q, "tolerance": "1e-12", "input": %s, "expect": %s}]}`, test.kind, test.input, test.expect)
		results, err := CheckVectors(strings.NewReader(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if p := results[0].Problem; (p == "") != (test.want == "") || !strings.Contains(p, test.want) {
			t.Errorf("%s: %q, want %q", text, p, test.want)
		}
	}
}

// Whatever is in a file, its vectors pass or fail; nothing panics.
func FuzzCheckVectors(f *testing.F) {
	for _, name := range []string{"yuma.json", "valuation.json", "more.json"} {
		var file struct{ Vectors []json.RawMessage }
		if err := json.Unmarshal(readVectors(f, name), &file); err != nil {
			f.Fatal(err)
		}
		for _, v := range file.Vectors {
			if len(v) < 3000 {
				f.Add([]byte(fmt.Sprintf(`{"vectors": [%s]}`, v)))
			}
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 4000 {
			return
		}
		results, err := CheckVectors(strings.NewReader(string(text)))
		if err != nil && results != nil {
			t.Errorf("results %v and an error %v", results, err)
		}
	})
}
