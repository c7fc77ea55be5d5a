package incentive

import (
	"os"
	"testing"
)

func TestVectors(t *testing.T) {
	for name, want := range map[string]int{"yuma.json": 54, "valuation.json": 12} {
		file, err := os.Open("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		results, err := CheckVectors(file)
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
