package local

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/commonseal/commonseal/federation/table"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/circuit"
	"github.com/commonseal/commonseal/he/hetest"
)

// synthetic is a table of n rows and d features whose label leans on a few.
func synthetic(t testing.TB, n, d int) table.Table {
	t.Helper()
	rng := rand.New(rand.NewPCG(7, uint64(d)))
	var b strings.Builder
	for j := range d {
		fmt.Fprintf(&b, "x%d,", j)
	}
	b.WriteString("y\n")
	for range n {
		score := 0.4 * rng.NormFloat64()
		for j := range d {
			x := rng.Float64()*2 - 1
			score += x / float64(j+1)
			fmt.Fprintf(&b, "%.4f,", x)
		}
		y := 0
		if score > 0 {
			y = 1
		}
		fmt.Fprintf(&b, "%d\n", y)
	}
	out, err := table.Read(strings.NewReader(b.String()), "synthetic.csv", "y")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func silent(string, int, int) {}

// hold holds a report to what every run must keep.
func hold(t *testing.T, r *Report) {
	t.Helper()
	for _, bound := range []struct {
		what       string
		got, limit float64
	}{
		{"|auc_encrypted − auc_twin|", math.Abs(r.AUCEncrypted - r.AUCTwin), 0.001},
		{"max_weight_error", r.MaxWeightError, 0.001},
		{"answer_error", r.AnswerError, math.Exp2(-15)},
		{"release_error", r.ReleaseError, math.Exp2(-16)},
	} {
		if bound.what == "release_error" && r.Noise != nil {
			continue // it is the noise
		}
		if !(bound.got <= bound.limit) {
			t.Errorf("%s is %g, above %g", bound.what, bound.got, bound.limit)
		}
	}
	if r.Beyond <= 1 && math.Abs(r.AUCEncrypted-r.AUCPlaintext) > 0.01 {
		t.Errorf("auc_encrypted %g is not within 0.01 of exact %g", r.AUCEncrypted, r.AUCPlaintext)
	}
	for i := range r.Values {
		if d := math.Abs(r.Values[i] - r.ValuesTwin[i]); !(d <= r.ValuesBound) {
			t.Errorf("value of company %d: encrypted %g, twin %g: off by %g, bound %g", i+1, r.Values[i], r.ValuesTwin[i], d, r.ValuesBound)
		}
	}
	for e, of := range r.ValuesApart {
		for i, v := range of {
			if d := math.Abs(v - r.twinApart[e][i]); !(d <= r.ValuesBound) {
				t.Errorf("value of company %d by evaluator %d of %d: encrypted %g, twin %g: bound %g", i+1, e+1, len(r.ValuesApart), v, r.twinApart[e][i], r.ValuesBound)
			}
		}
	}
	t.Logf("%d evaluators, %s: auc %.4f twin %.4f exact %.4f, weights 2^%.1f, answers 2^%.1f, release 2^%.1f, values %.4g twin %.4g bound %.2g",
		len(r.ValuesApart), r.Plan, r.AUCEncrypted, r.AUCTwin, r.AUCPlaintext, math.Log2(r.MaxWeightError), math.Log2(r.AnswerError), math.Log2(r.ReleaseError), r.Values, r.ValuesTwin, r.ValuesBound)
}

func TestRun(t *testing.T) {
	for _, tc := range []struct {
		rows, columns, companies, local, steps int
		trained                                []string
		decay                                  float64
	}{
		{rows: 1500, columns: 3, companies: 2, steps: 4},
		{rows: 400, columns: 9, companies: 3, local: 1, steps: 5},
		{rows: 300, columns: 5, companies: 3, local: 3, steps: 3},
		{rows: 4000, columns: 16, companies: 5, local: 2, steps: 3},
		{rows: 200, columns: 1, companies: 2, local: 1, steps: 1},
		{rows: 120, columns: 30, companies: 4, steps: 2},
		{rows: 400, columns: 9, companies: 3, local: 1, steps: 5, decay: 0.3},
		{rows: 400, columns: 9, companies: 3, local: 1, steps: 5, trained: []string{"x0", "x5", "x8"}},
		{rows: 1500, columns: 5, companies: 2, steps: 4, trained: []string{"x2"}, decay: 0.1},
	} {
		if testing.Short() && tc.rows > 2000 {
			continue
		}
		t.Run(fmt.Sprintf("rows=%d/columns=%d/companies=%d/local=%d/steps=%d/trained=%d/decay=%v", tc.rows, tc.columns, tc.companies, tc.local, tc.steps, len(tc.trained), tc.decay), func(t *testing.T) {
			f, err := found(synthetic(t, tc.rows, tc.columns),
				Options{Companies: tc.companies, Local: tc.local, Steps: tc.steps, Columns: tc.trained, Decay: tc.decay, Test: 0.2, Seed: 3, Profiles: hetest.Profiles(t)}, silent)
			if err != nil {
				t.Fatal(err)
			}
			if err := f.run(context.Background()); err != nil {
				t.Fatal(err)
			}
			hold(t, f.report)
			zero := 0
			for _, w := range f.sharedWeights()[:tc.columns+1] {
				if w == 0 {
					zero++
				}
			}
			if left := tc.columns - len(tc.trained); tc.trained != nil && zero != left || tc.trained == nil && zero != 0 {
				t.Errorf("%d weights are zero; %d of %d columns train", zero, len(tc.trained), tc.columns)
			}
		})
	}
}

// The data sets, on the production parameters: pooled, local and mixed.
func TestDataSets(t *testing.T) {
	if testing.Short() {
		t.Skip("minutes") // TestRun is the same on small rings
	}
	for _, tc := range []struct {
		file, label      string
		companies, local int
		derived, columns []string
		decay            float64
	}{
		{file: "infant_mortality_2014", label: "IMORT", companies: 3, local: 1},
		{file: "breast_cancer", label: "benign", companies: 3},
		{file: "edinburgh_mi", label: "mi", companies: 4, local: 4},
		{file: "digits_3_8", label: "is_8", companies: 3, local: 2},
		{file: "edinburgh_mi", label: "mi", companies: 2, local: 1, derived: []string{"x1*x9", "x7^2"}, columns: []string{"x1", "x5", "x9*x1", "x9"}, decay: 0.1},
	} {
		t.Run(tc.file, func(t *testing.T) {
			data, err := table.Open("../../docs/data/"+tc.file+".csv", tc.label, tc.derived...)
			if err != nil {
				t.Fatal(err)
			}
			r, err := Run(context.Background(), data, Options{Companies: tc.companies, Local: tc.local, Steps: 10, Columns: tc.columns, Decay: tc.decay, Test: 0.2, Seed: 1}, silent)
			if err != nil {
				t.Fatal(err)
			}
			hold(t, r)
		})
	}
}

// The same seed and inputs give the same operations on any number of cores.
func TestSameDigestsOnAnyCores(t *testing.T) {
	run := func(procs int) *Report {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
		r, err := Run(context.Background(), synthetic(t, 300, 6),
			Options{Companies: 3, Local: 1, Steps: 3, Test: 0.2, Seed: 5, Profiles: hetest.Profiles(t)}, silent)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	one, two := run(1), run(2)
	if len(one.OpDigests) == 0 || !slices.Equal(one.OpDigests, two.OpDigests) {
		t.Errorf("one core %v, two %v", one.OpDigests, two.OpDigests)
	}
	if !slices.Equal(one.Values, two.Values) {
		t.Errorf("values %v and %v", one.Values, two.Values)
	}
}

// Every operation of a run can be done again from its record and the blobs.
func TestRunReplays(t *testing.T) {
	f, err := found(synthetic(t, 300, 6), Options{Companies: 3, Local: 1, Steps: 3, Test: 0.2, Seed: 5, Profiles: hetest.Profiles(t)}, silent)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if err := f.makeKeys(ctx); err != nil {
		t.Fatal(err)
	}
	blobs := map[he.Digest][]byte{}
	f.node.keep = func(c *he.Ciphertext) { blobs[c.Digest()] = c.Append(nil) }
	if err := errors.Join(f.contribute(ctx), f.train(ctx), f.findCopies(ctx), f.release(ctx)); err != nil {
		t.Fatal(err)
	}
	replayer := &circuit.Replayer{Steps: f.node.evaluator, Values: f.node.valuer, Copies: f.node.comparer, Blob: func(d he.Digest) ([]byte, error) {
		if b, ok := blobs[d]; ok {
			return b, nil
		}
		return nil, errors.New("not kept")
	}}
	for i, op := range f.node.ops {
		if err := replayer.Replay(op); err != nil {
			t.Errorf("operation %d: %v", i, err)
		}
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	_, err := Run(ctx, synthetic(t, 200, 3), Options{Companies: 2, Steps: 50, Test: 0.2, Profiles: hetest.Profiles(t)},
		func(stage string, done, _ int) {
			if stage == "train" && done == 2 {
				cancel()
			}
		})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("an interrupted run ends with %v", err)
	}
}

// A rate that drives margins out of the interval is warned of; one that has no
// bound at all is refused before a key is made.
func TestRunWarnsOfMargins(t *testing.T) {
	data := synthetic(t, 300, 4)
	options := Options{Companies: 2, Steps: 6, Test: 0.2, Seed: 1, Profiles: hetest.Profiles(t)}
	for _, tc := range []struct {
		rate float64
		want string
	}{{0, ""}, {20, "no sigmoid"}, {25, "runs away"}} {
		options.LearningRate = tc.rate
		r, err := Run(context.Background(), data, options, silent)
		if err != nil {
			t.Fatal(err)
		}
		if warned := strings.Join(r.Warnings, " "); (r.Beyond > 1) != (tc.want != "") || !strings.Contains(warned, tc.want) || (warned == "") != (tc.want == "") {
			t.Errorf("rate %g, %.2f times the interval: warnings %q, want %q", tc.rate, r.Beyond, warned, tc.want)
		}
	}
	options.LearningRate = 1e90
	keys := false
	if _, err := Run(context.Background(), data, options, func(string, int, int) { keys = true }); err == nil || !strings.Contains(err.Error(), "runs away") || keys {
		t.Errorf("rate 1e90: error %v, keys made %v", err, keys)
	}
}

// Outliers among the rows that value are warned of too.
func TestRunWarnsOfValidationMargins(t *testing.T) {
	var b strings.Builder
	b.WriteString("a,b,c,d,y\n")
	for i := range 400 {
		y := i % 2
		x := 0.2 * float64(2*y-1)
		if i == 7 || i == 8 { // these set the scale
			x *= 5
		}
		fmt.Fprintf(&b, "%g,%g,%g,%g,%d\n", x, x, x, x, y)
	}
	data, err := table.Read(strings.NewReader(b.String()), "outliers.csv", "y")
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(200) {
		f, err := found(data, Options{Companies: 2, Steps: 20, LearningRate: 3, Test: 0.2, Seed: seed, Profiles: hetest.Profiles(t)}, silent)
		if err != nil || f.trained.Beyond > 1 || f.report.Beyond == f.trained.Beyond {
			continue // an outlier trains, or neither one values
		}
		if len(f.report.Warnings) != 1 {
			t.Errorf("seed %d: margins of %.2f intervals train and %.2f value: warnings %q", seed, f.trained.Beyond, f.report.Beyond, f.report.Warnings)
		}
		return
	}
	t.Error("no seed puts an outlier among the rows that value")
}

// Two jobs of one key epoch have no round in common: the journal would refuse
// the second's.
func TestJobsHaveRoundsOfTheirOwn(t *testing.T) {
	options := Options{Companies: 2, Steps: 2, Test: 0.2, Seed: 1, Profiles: hetest.Profiles(t)}
	rounds := map[he.Digest]bool{}
	for _, steps := range []int{2, 3} {
		options.Steps = steps
		f, err := found(synthetic(t, 200, 3), options, silent)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []he.Digest{f.job.round("start", 0), f.job.round("step", 0), f.job.round("step", 1), f.job.round("values", 0)} {
			if rounds[id] {
				t.Errorf("round %x twice", id[:6])
			}
			rounds[id] = true
		}
	}
}
