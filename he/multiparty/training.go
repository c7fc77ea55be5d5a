package multiparty

import (
	"slices"

	"github.com/commonseal/commonseal/he"
)

// A TrainingStep is one step's collective map: gradient to next weights and
// point and weights and, where the step is valued, companies' updates and the directions
// they are valued in to the release profile (PROTOCOL §3 and §7).
//
// Inputs, all of the train profile at its floor: the point v/R at which the
// gradient was taken, in units of the step's interval, and the weights w, as the
// step before left them; then gradients at scale 2^64, class sums over all rows:
// one of all companies, or, valued, one of each company and one of each
// evaluator's validation rows. Outputs: the next v/R and w; valued, updates and
// directions.
type TrainingStep struct {
	Train, Release *he.Profile
	Width          int
	Rows           int      // the companies' rows together
	LearningRate   float64  // η
	Decay          float64  // λ: every weight but the constant's loses η·λ of itself
	Trains         []bool   // whether a column trains, by its place in a row; nil: all do
	Momentum       float64  // Nesterov's coefficient of this step
	Interval, Next float64  // R of this step and of the next
	Panel          he.Panel // who values whom at a valued step; without evaluators it is none
	Shared         bool     // leave shares of the model: the last step
	// Compare, of a valued step, leaves out the directions, which are known when
	// copies are, and leaves what they are made of and what finds copies
	// ([TrainingStep.Valuation]); nil: updates and directions.
	Compare *Comparison
}

// Map is the step's map. The weights and the point of columns that do not train
// are zero after it, whatever the gradients are, and so are updates and directions:
// nobody is valued by them. Nor by the decay, which is nobody's row.
//
// Factors turn a gradient's kept coefficients into those of the mean over rows: the
// sum over slots equal mod Width is Slots/Width times them.
func (s TrainingStep) Map() *Map {
	state := Input{Profile: s.Train, Level: s.Train.Floor(), LogScale: s.Train.LogScale(), LogValue: he.LogRefreshValue}
	gradient := state
	gradient.LogScale, gradient.LogValue = he.LogGradient, he.LogGradientValue
	m := &Map{Width: s.Width, Inputs: []Input{state, state}}
	for range max(1, s.valued()) {
		m.Inputs = append(m.Inputs, gradient)
	}

	gamma, eta := s.Momentum, s.LearningRate*s.mean(s.Rows)
	kept := 1 - float64(s.LearningRate*s.Decay) // of a weight; float64 forbids a fused multiply-add
	next := []Term{s.term(0, kept*s.Interval)}
	ahead := []Term{s.term(0, kept*(1+gamma)*s.Interval/s.Next), s.term(1, -gamma/s.Next)}
	if s.Decay != 0 {
		next = append(next, s.constant(0, (1-kept)*s.Interval))
		ahead = append(ahead, s.constant(0, (1-kept)*(1+gamma)*s.Interval/s.Next))
	}
	for i := 2; i < len(m.Inputs); i++ {
		next = append(next, s.term(i, eta))
		ahead = append(ahead, s.term(i, (1+gamma)*eta/s.Next))
	}
	m.Outputs = []Output{{s.Train, ahead}, {s.Train, next}}
	if s.valued() > 0 {
		for range s.Panel.Evaluators {
			m.Inputs = append(m.Inputs, gradient)
		}
		m.Outputs = append(m.Outputs, s.updates())
		if s.Compare == nil {
			m.Outputs = append(m.Outputs, s.directions())
		} else {
			m.Outputs = append(append(m.Outputs, s.parts()...), s.Compare.outputs(s.mean(s.Rows), s.slots())...)
		}
	}
	if s.Shared {
		weights := slices.Clone(next)
		for i := range weights {
			weights[i].Stride = 1
		}
		m.Model = &Model{LogScale: he.LogWeights, Terms: weights}
	}
	return m
}

// term is of the columns that train.
func (s TrainingStep) term(input int, factor float64) Term {
	t := Periodic(s.Train, s.Width, input, factor)
	t.Slots = s.slots()
	return t
}

// constant is a term of the constant alone.
func (s TrainingStep) constant(input int, factor float64) Term {
	t := Periodic(s.Train, s.Width, input, factor)
	t.Slots = make([]bool, s.Width)
	t.Slots[0] = true
	return t
}

// slots are those of the columns that train, nil for all.
func (s TrainingStep) slots() []bool {
	if s.Trains == nil {
		return nil
	}
	return append(slices.Clone(s.Trains), make([]bool, s.Width-len(s.Trains))...)
}

func (s TrainingStep) mean(rows int) float64 {
	return float64(s.Train.Slots()) / float64(s.Width) / float64(rows)
}

// valued is how many companies' updates are kept apart.
func (s TrainingStep) valued() int {
	if len(s.Panel.Evaluators) == 0 {
		return 0
	}
	return s.Panel.Companies
}

// updates puts company i's update, in units of η, where the panel has it. A
// coefficient k stands for X^k + X^-k and 0 for 1 alone, so a product with a
// direction that begins at 0 finds every company's but the first's once where it
// finds the first's twice; with directions further up it finds each once.
func (s TrainingStep) updates() Output {
	out := Output{Profile: s.Release}
	for i := range s.valued() {
		out.Terms = append(out.Terms, Term{Input: 2 + i, Factor: s.mean(s.Rows), Offset: s.Panel.Update(i), Stride: 1, Double: i > 0 || s.Panel.Apart(), Slots: s.slots()})
	}
	return out
}

// directions are g_e − U/2 of every evaluator e, U in units of η.
func (s TrainingStep) directions() Output {
	out := Output{Profile: s.Release}
	for i := range s.valued() {
		out.Terms = append(out.Terms, s.half(i)...)
	}
	out.Terms = append(out.Terms, s.gradients()...)
	return out
}

// gradients are g_e, each where its direction is.
func (s TrainingStep) gradients() (out []Term) {
	for e, rows := range s.Panel.Rows {
		out = append(out, Term{Input: 2 + s.valued() + e, Factor: s.mean(rows), Offset: s.Panel.Direction(e), Stride: 1, Slots: s.slots()})
	}
	return out
}

// half is −u_i/2, where every direction is.
func (s TrainingStep) half(i int) (out []Term) {
	for e := range s.Panel.Evaluators {
		out = append(out, Term{Input: 2 + i, Factor: -s.mean(s.Rows) / 2, Offset: s.Panel.Direction(e), Stride: 1, Slots: s.slots()})
	}
	return out
}

// parts are the g_e together and −u_i/2 for each company: with the −u_i/2 of those
// that count, they add up to the directions.
func (s TrainingStep) parts() []Output {
	out := []Output{{Profile: s.Release, Terms: s.gradients()}}
	for i := range s.valued() {
		out = append(out, Output{Profile: s.Release, Terms: s.half(i)})
	}
	return out
}

// A Valuation is what a valued step leaves for later if copies are looked for.
type Valuation struct {
	Updates   *he.Ciphertext   // of all companies, release profile
	Gradients *he.Ciphertext   // of every evaluator's validation rows, likewise
	Halves    []*he.Ciphertext // −u_i/2 of each company, likewise
	Rows      *he.Ciphertext   // of the comparison
	Columns   []*he.Ciphertext // likewise
}

// Valuation names the outputs of a step's map, beside point and weights.
func (s TrainingStep) Valuation(outputs []*he.Ciphertext) Valuation {
	rest := outputs[2:]
	rows := 2 + s.valued()
	return Valuation{Updates: rest[0], Gradients: rest[1], Halves: rest[2:rows], Rows: rest[rows], Columns: rest[rows+1:]}
}

// StartMap is the map of step 0's state: from an encryption of zero to a point
// and weights whose c1 nobody chose.
func StartMap(train *he.Profile, width int) *Map {
	in := Input{Profile: train, Level: train.Floor(), LogScale: train.LogScale(), LogValue: he.LogRefreshValue}
	zero := Output{train, []Term{Periodic(train, width, 0, 1)}}
	return &Map{Width: width, Inputs: []Input{in}, Outputs: []Output{zero, zero}}
}
