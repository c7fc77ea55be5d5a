package circuit

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// The table is least squares, and as close to the sigmoid as it says.
func TestSigmoids(t *testing.T) {
	const points = 4001
	for interval, worst := range map[int]float64{4: 0.003, 5: 0.008, 6: 0.015, 7: 0.023, 8: 0.032} {
		a, y := mat.NewDense(points, 4, nil), mat.NewVecDense(points, nil)
		at := func(i int) float64 { return 2*float64(i)/(points-1) - 1 }
		exact := func(u float64) float64 { return Twin{Exact: true}.Error(float64(interval)*u, interval) }
		for i := range points {
			for k, p := 0, at(i); k < 4; k, p = k+1, p*at(i)*at(i) {
				a.Set(i, k, p)
			}
			y.SetVec(i, exact(at(i))-0.5)
		}
		var c mat.VecDense
		if err := c.SolveVec(a, y); err != nil {
			t.Fatal(err)
		}
		for k, got := range coefficients(interval) {
			if math.Abs(got-c.AtVec(k)) > 1e-8 {
				t.Errorf("interval %d: coefficient %d is %.8f, least squares gives %.8f", interval, k, got, c.AtVec(k))
			}
		}
		for i := range points {
			if d := math.Abs(Twin{}.Error(float64(interval)*at(i), interval) - exact(at(i))); d > worst {
				t.Fatalf("interval %d: off by %.4f at %.3f, more than %g", interval, d, at(i)*float64(interval), worst)
			}
		}
	}
}

func TestInterval(t *testing.T) {
	rule := LearningRate(10, 20)
	for _, tc := range []struct {
		t    int
		rate float64
		want int
	}{{0, rule, 4}, {4, rule, 4}, {5, rule, 5}, {19, rule, 7}, {20, rule, 8}, {999, rule, 8}, {0, rule / 9, 4}, {0, 1.5 * rule, 6}, {0, 9 * rule, 8}} {
		if got := Interval(tc.t, 10, tc.rate); got != tc.want {
			t.Errorf("step %d at rate %g: interval %d, want %d", tc.t, tc.rate, got, tc.want)
		}
	}
}

// Up to MaxBeyond intervals an error is bounded; MaxError is what the bound of a
// gradient in a map and of values in a release are made for.
func TestMaxError(t *testing.T) {
	for interval := minInterval; interval <= maxInterval; interval++ {
		for u := -MaxBeyond; u <= MaxBeyond; u += 1.0 / 256 {
			if e := (Twin{}).Error(u*float64(interval), interval); math.Abs(e) > MaxError {
				t.Fatalf("interval %d: error %.2f at %.2f intervals", interval, e, u)
			}
		}
	}
}
