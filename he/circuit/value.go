package circuit

import (
	"fmt"

	"github.com/commonseal/commonseal/he"
	"github.com/tuneinsight/lattigo/v5/core/rlwe"
	"gonum.org/v1/gonum/floats"
)

// A Valuer evaluates the value of contributions under the release keys. It is
// used by one goroutine.
type Valuer struct {
	profile *he.Profile
	keys    *he.EvaluationKeys
	eval    *rlwe.Evaluator
}

// NewValuer takes the release profile's keys; it needs no Galois key.
func NewValuer(keys *he.EvaluationKeys) *Valuer {
	return &Valuer{profile: keys.Profile, keys: keys, eval: rlwe.NewEvaluator(keys.Profile.RLWE(), keys.Set())}
}

// Value multiplies the updates by the direction. Both come from the map of one
// step ([ValuePosition]); coefficient ValuePosition(i) of the result is
// ⟨u_i, g − U/2⟩/Width at the sum of both scales: company i's value
// [PROTOCOL §7], but for the factor [Twin.Values] has.
//
// Depth 1, without a rescale. Keys: relinearisation. Results of several steps
// are added up with [he.Add].
func (v *Valuer) Value(updates, direction *he.Ciphertext) (*he.Ciphertext, error) {
	for _, c := range []*he.Ciphertext{updates, direction} {
		if c.Profile.Digest() != v.profile.Digest() || c.Level() != v.profile.MaxLevel() || c.LogScale != v.profile.LogScale() {
			return nil, fmt.Errorf("a value's operand is at level %d and scale 2^%d of %s; it takes the top level and scale of %s", c.Level(), c.LogScale, c.Profile.Name(), v.profile.Name())
		}
	}
	out := relinearised(v.profile, v.keys, v.eval, pair{updates.C0, updates.C1}, pair{direction.C0, direction.C1})
	return &he.Ciphertext{Profile: v.profile, LogScale: 2 * v.profile.LogScale(), C0: out[0], C1: out[1]}, nil
}

// LogValue bounds a kept coefficient of an update in units of η, doubled, and of
// a direction, in bits above the scale: mean gradients of rows in [-1, 1] stay
// below 2 wherever the polynomial is a sigmoid.
const LogValue = 3

// ValuePosition is where company i's update begins and where its value stands:
// segments are twice as long as an update, so that products with a direction
// of Width coefficients reach no neighbour's.
func ValuePosition(width, i int) int { return 2 * width * i }

// ValuedCompanies is how many companies' updates fit one ciphertext.
func ValuedCompanies(release *he.Profile, width int) int { return release.N() / (2 * width) }

// ValuedSteps are the steps at which contributions are valued: the first, the
// middle and the last.
func ValuedSteps(steps int) map[int]bool {
	return map[int]bool{0: true, steps / 2: true, steps - 1: true}
}

// Values is the twin of valuation at point w of an interval: φ_i = ⟨u_i, g⟩ − ⟨u_i, U⟩/2η
// for updates u_i = η/n·Σ p(m)·z over a company's rows, U their sum, and the
// mean validation gradient g over all companies' validation rows. It is the
// exact Shapley value of the loss decrease's quadratic lower bound, with
// curvature 1/η (INCENTIVES §2: the quotient form).
func (tw Twin) Values(w []float64, interval int, companies, validation []he.Rows) []float64 {
	return tw.MergedValues(w, interval, companies, validation, nil)
}

// MergedValues are Values of the companies that are not marked as copies: a copy
// counts as if it had no update, in U too, and earns nothing. Means are over all
// companies' rows still, which trained the model.
func (tw Twin) MergedValues(w []float64, interval int, companies, validation []he.Rows, copies map[int]bool) []float64 {
	n, m := rowCount(companies), rowCount(validation)
	direction := make([]float64, len(w)) // g − U/2η, U in units of η
	updates := make([][]float64, len(companies))
	for i, z := range companies {
		updates[i], _ = tw.Gradient(w, interval, z, 1/float64(n))
		if !copies[i] {
			floats.AddScaled(direction, -0.5, updates[i])
		}
	}
	for _, z := range validation {
		g, _ := tw.Gradient(w, interval, z, 1/float64(m))
		floats.Add(direction, g)
	}
	out := make([]float64, len(companies))
	for i, u := range updates {
		if !copies[i] {
			out[i] = tw.LearningRate * floats.Dot(u, direction)
		}
	}
	return out
}

func rowCount(parts []he.Rows) (n int) {
	for _, z := range parts {
		n += z.Len()
	}
	return n
}
