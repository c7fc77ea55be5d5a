package he

// A Panel is who values the companies' contributions, and where updates,
// directions and values stand in the release ring (docs/adr/0005, 0021). It is a
// function of the roster, the rows' width and who has validation rows, so
// everybody has the same.
//
// One product of updates with directions holds all values. In segments of
// 2·Width coefficients, company i's update begins at i and the direction of
// evaluator e at p_e: 0 if there is one evaluator, n·(2e+1) of n companies
// otherwise. X^(p_e+k)·X^-(i+k) meets at p_e − i once for every k, the value of i
// by e; all other products of two segments are elsewhere.
type Panel struct {
	Width      int     // of an update
	Companies  int     // that are valued: n
	Evaluators [][]int // of each the companies whose validation rows, together, it values by
	Rows       []int   // how many those are
}

// fewestApart is how many companies with validation rows it takes for each to be an
// evaluator of its own. Values are joined by a median among others than the rows'
// owner. With four, three judge each, and one of less stake than both others together
// moves it no further than their numbers. With three the smaller of two numbers counts,
// and with two one number, so a single evaluator can make another's value negative:
// that is no defence, and it finds honest companies harmful that all rows together
// find useful (docs/adr/0021).
const fewestApart = 4

// NewPanel makes every company that has validation rows an evaluator, in roster
// order. If those are fewer than [fewestApart], or if that many values have no room
// in the ring, it is one evaluator by all rows; without any rows there is none.
func NewPanel(release *Profile, width int, validation []int) Panel {
	p := Panel{Width: width, Companies: len(validation)}
	var all []int
	total := 0
	for i, rows := range validation {
		if rows > 0 {
			p.Evaluators, p.Rows = append(p.Evaluators, []int{i}), append(p.Rows, rows)
			all, total = append(all, i), total+rows
		}
	}
	if len(all) > 0 && (len(all) < fewestApart || !p.fits(release)) {
		p.Evaluators, p.Rows = [][]int{all}, []int{total}
	}
	return p
}

// fits says whether products reach no further than the ring's last coefficient,
// where they would come back.
func (p Panel) fits(release *Profile) bool {
	return 2*len(p.Evaluators)*p.Companies*2*p.Width <= release.N()
}

// Apart says whether there is more than one evaluator.
func (p Panel) Apart() bool { return len(p.Evaluators) > 1 }

// Update is where company i's update begins.
func (p Panel) Update(i int) int { return 2 * p.Width * i }

// Direction is where the direction of evaluator e begins.
func (p Panel) Direction(e int) int {
	if !p.Apart() {
		return 0
	}
	return 2 * p.Width * p.Companies * (2*e + 1)
}

// Answers are the coefficients of the values of companies that count, in roster
// order, by each evaluator in turn.
func (p Panel) Answers(counted []int) []int {
	var out []int
	for e := range p.Evaluators {
		for _, i := range counted {
			at := p.Direction(e) - p.Update(i)
			out = append(out, max(at, -at))
		}
	}
	return out
}

// Values puts what was opened at [Panel.Answers] where all companies' values
// stand, n of each evaluator in turn: nothing is opened of one that does not
// count, and its values are 0.
func (p Panel) Values(opened []float64, counted []int) []float64 {
	out := make([]float64, len(p.Evaluators)*p.Companies)
	for e := range p.Evaluators {
		for k, i := range counted {
			out[e*p.Companies+i] = opened[e*len(counted)+k]
		}
	}
	return out
}
