package circuit

import (
	"fmt"
	"slices"

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

// Value multiplies the updates by the directions. Both come from the map of one
// step, in the layout of a [he.Panel]; its answers in the result are
// ⟨u_i, g_e − U/2⟩/Width at the sum of both scales: company i's value by evaluator
// e [PROTOCOL §7], but for the factor [Twin.Values] has.
//
// Depth 1, without a rescale. Keys: relinearisation. Results of several steps
// are added up with [he.Add].
func (v *Valuer) Value(updates, directions *he.Ciphertext) (*he.Ciphertext, error) {
	for _, c := range []*he.Ciphertext{updates, directions} {
		if c.Profile.Digest() != v.profile.Digest() || c.Level() != v.profile.MaxLevel() || c.LogScale != v.profile.LogScale() {
			return nil, fmt.Errorf("a value's operand is at level %d and scale 2^%d of %s; it takes the top level and scale of %s", c.Level(), c.LogScale, c.Profile.Name(), v.profile.Name())
		}
	}
	out := relinearised(v.profile, v.keys, v.eval, pair{updates.C0, updates.C1}, pair{directions.C0, directions.C1})
	return &he.Ciphertext{Profile: v.profile, LogScale: 2 * v.profile.LogScale(), C0: out[0], C1: out[1]}, nil
}

// LogValue bounds a kept coefficient of an update in units of η, doubled, and of
// directions, in bits above the scale: mean gradients of rows in [-1, 1] stay
// below 2 wherever the polynomial is a sigmoid.
const LogValue = 3

// ValuedCompanies is how many companies' updates fit one ciphertext.
func ValuedCompanies(release *he.Profile, width int) int { return release.N() / (2 * width) }

// ValuedSteps are the steps at which contributions are valued: the first, the
// middle and the last.
func ValuedSteps(steps int) map[int]bool {
	return map[int]bool{0: true, steps / 2: true, steps - 1: true}
}

// Values is the twin of valuation at point w of an interval: φ_i = ⟨u_i, g_e⟩ − ⟨u_i, U⟩/2η
// for updates u_i = η/n·Σ p(m)·z over a company's rows, U their sum, and the
// mean validation gradient g_e over the rows of evaluator e of the panel, of
// every company's validation rows. Of each evaluator in turn it is the exact
// Shapley value of the loss decrease's quadratic lower bound on its rows, with
// curvature 1/η (INCENTIVES §2: the quotient form).
func (tw Twin) Values(w []float64, interval int, panel he.Panel, companies, validation []he.Rows) []float64 {
	return tw.MergedValues(w, interval, panel, companies, validation, nil)
}

// MergedValues are Values of the companies that are not marked as copies: a copy
// counts as if it had no update, in U too, and earns nothing. Means are over all
// companies' rows still, which trained the model.
func (tw Twin) MergedValues(w []float64, interval int, panel he.Panel, companies, validation []he.Rows, copies map[int]bool) []float64 {
	n := rowCount(companies)
	half := make([]float64, len(w)) // −U/2η, U in units of η
	updates := make([][]float64, len(companies))
	for i, z := range companies {
		updates[i], _ = tw.Gradient(w, interval, z, 1/float64(n))
		if !copies[i] {
			floats.AddScaled(half, -0.5, updates[i])
		}
	}
	out := make([]float64, 0, len(panel.Evaluators)*len(companies))
	for e, members := range panel.Evaluators {
		direction := slices.Clone(half)
		for _, k := range members {
			g, _ := tw.Gradient(w, interval, validation[k], 1/float64(panel.Rows[e]))
			floats.Add(direction, g)
		}
		for i, u := range updates {
			if copies[i] {
				out = append(out, 0)
				continue
			}
			out = append(out, tw.LearningRate*floats.Dot(u, direction))
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
