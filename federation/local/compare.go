package local

import (
	"encoding/hex"
	"fmt"
	"math"
	"math/big"
	"slices"

	"github.com/commonseal/commonseal/federation/table"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/circuit"
	"gonum.org/v1/gonum/floats"
)

// compare runs the cleartext twins and measures the encrypted run against
// them. It adds up all shares of the model, which no deployment may.
func (f *federation) compare() {
	r, twin := f.report, f.job.twin
	training, checking := make([]he.Rows, len(f.companies)), make([]he.Rows, len(f.companies))
	for i, c := range f.companies {
		training[i], checking[i] = c.training, c.validation
	}
	weights := f.trained.Weights
	apart := f.valuesTwin(training, checking)
	r.ValuesTwin, r.twinApart = f.join(apart), f.apart(apart)
	r.ValuesBound = f.valuesBound()

	shared := f.sharedWeights()
	r.MaxWeightError = floats.Distance(shared[:len(weights)], weights, math.Inf(1))
	r.AnswerError = floats.Distance(r.scores, circuit.Scores(shared[:len(weights)], f.questions), math.Inf(1))

	exact := twin
	exact.Exact = true
	plaintext := exact.Train(training)
	auc := func(w []float64) float64 { return table.AUC(circuit.Scores(w, f.questions), f.labels) }
	r.AUCEncrypted, r.AccuracyEncrypted = table.AUC(r.scores, f.labels), table.Accuracy(r.scores, f.labels)
	r.AUCTwin, r.AUCPlaintext = auc(weights), auc(plaintext.Weights)
	if off := math.Abs(r.AUCEncrypted - r.AUCTwin); !(off <= 0.001) {
		r.Warnings = append(r.Warnings, fmt.Sprintf("the encrypted AUC is %.4f off the twin's: scores differ by less than answers can tell; use a higher learning rate or more steps", off))
	}
	for i := range training {
		alone := exact.Train(training[i : i+1])
		r.SoloAUC = append(r.SoloAUC, auc(alone.Weights))
	}
	r.BytesUploaded = f.uploaded.Load()
	for _, op := range f.node.ops {
		d := op.Digest()
		r.OpDigests = append(r.OpDigests, hex.EncodeToString(d[:]))
	}
}

// sharedWeights adds up all shares of the model.
func (f *federation) sharedWeights() []float64 {
	out := make([]float64, len(f.node.remainder))
	for j, v := range f.node.remainder {
		sum := new(big.Int).Set(v)
		for _, c := range f.companies {
			sum.Add(sum, c.weights[j])
		}
		w, _ := new(big.Float).SetInt(sum).Float64()
		out[j] = math.Ldexp(w, -he.LogWeights)
	}
	return out
}

// valuesBound is the declared bound of |values − values_twin|: the circuits'
// and the opening's.
func (f *federation) valuesBound() float64 {
	j := f.job
	load := circuit.Load{Rows: j.rows, Validation: slices.Min(j.panel.Rows), Parties: j.companies}
	for _, c := range f.companies {
		load.Blocks += len(c.blocks(c.training)) + len(c.blocks(c.validation))
	}
	opened, err := f.released().flooding.ValueError(j.profiles.Release, j.companies)
	if err != nil {
		return math.NaN() // unreachable: the release went through
	}
	if j.logNoise > 0 {
		opened += noiseTail * math.Ldexp(math.Sqrt(float64(j.companies)), -j.logNoise)
	}
	return j.plan.ValueError(j.twin, j.valued, load) + opened*f.unit()
}

// noiseTail is how many deviations noise stays within but once in 10^15 values.
const noiseTail = 8
