package local

import (
	"context"
	"math"
	"time"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/circuit"
	"github.com/commonseal/commonseal/he/multiparty"
	"gonum.org/v1/gonum/floats"
)

// A released describes one release of a run, as every role derives it.
type released struct {
	id        he.Digest
	seed      [32]byte // of the receiver's uniform half
	positions []int
	flooding  multiparty.Flooding
	logNoise  int // 0: none
}

// released is the release of the values of all valued steps.
func (f *federation) released() released {
	panel, counted := f.job.panel, f.counted()
	r := released{
		id: f.job.round("values", 0), seed: he.QuerierSeed(f.session, "receiver", 0), logNoise: f.job.logNoise, positions: panel.Answers(counted),
		flooding: multiparty.Flooding{Terms: len(f.job.valued), Width: panel.Width, LogA: circuit.LogValue, LogB: circuit.LogValue, Directions: len(panel.Evaluators)},
	}
	if f.job.compare != nil { // directions are a sum of outputs of maps: their product is one for each
		r.flooding.Terms *= 1 + len(counted)
	}
	return r
}

// counted are the companies that are no copies.
func (f *federation) counted() (out []int) {
	for i := range f.companies {
		if !f.copies[i] {
			out = append(out, i)
		}
	}
	return out
}

// parse is the release of the ciphertext and to the receiver that came as bytes.
func (r released) parse(roster multiparty.Roster, p *he.Profile, values, receiver []byte) (*multiparty.Release, error) {
	c, err := he.ParseCiphertext(values, p, p.MaxLevel(), 2*p.LogScale())
	if err != nil {
		return nil, err
	}
	pk, err := he.ParseQuerierKey(receiver, p, r.seed)
	if err != nil {
		return nil, err
	}
	release, err := multiparty.NewRelease(roster, r.id, c, pk, r.positions, r.flooding)
	if err != nil || r.logNoise == 0 {
		return release, err
	}
	return release.WithNoise(r.logNoise)
}

// open has all companies switch c to a receiver, who reads r's positions.
func (f *federation) open(r released, c *he.Ciphertext) ([]float64, error) {
	p := f.job.profiles.Release
	seed := f.seed.Derive("local/receiver")
	sk := he.NewSecretKey(p, seed.Stream("secret", r.seed[:]))
	receiver := he.GenPublicKey(sk, r.seed, seed.Stream("public", r.seed[:])).Append(nil)
	sent := c.Append(nil)
	shares := make([][]byte, len(f.companies))
	err := f.everybody(func(c *company) error {
		b, err := c.switchShare(r, sent, receiver)
		shares[c.index] = f.send(b)
		return err
	})
	if err != nil {
		return nil, err
	}
	release, err := r.parse(f.node.roster, p, sent, receiver)
	if err != nil {
		return nil, err
	}
	parsed := make([]*multiparty.SwitchShare, len(shares))
	for i, b := range shares {
		if parsed[i], err = release.ParseShare(b); err != nil {
			return nil, err
		}
	}
	switched, err := release.Finish(parsed)
	if err != nil {
		return nil, err
	}
	if switched, err = he.ParseCiphertext(switched.Append(nil), p, p.MaxLevel(), switched.LogScale); err != nil {
		return nil, err
	}
	return release.Open(sk, switched), nil
}

// release opens the companies' values, summed over steps, to a receiver.
func (f *federation) release(context.Context) error {
	start := time.Now()
	f.progress("value", 0, 1)
	for _, v := range f.node.valued {
		if err := f.node.valueMerged(v, f.copies); err != nil {
			return err
		}
	}
	r, sum := f.released(), he.Add(f.node.values...)
	opened, err := f.open(r, sum)
	if err != nil {
		return err
	}
	f.openValues(opened, f.everyKey(f.job.profiles.Release).Values(sum, r.positions))
	f.report.SecondsValuation += time.Since(start).Seconds()
	f.progress("value", 1, 1)
	return nil
}

// openValues turns opened coefficients into values by every evaluator, and joins
// them. A copy has none.
func (f *federation) openValues(opened, exact []float64) {
	unit, panel, counted := f.unit(), f.job.panel, f.counted()
	values := panel.Values(opened, counted)
	floats.Scale(unit, values)
	f.report.ValuesApart, f.report.Values = f.apart(values), f.join(values)
	for k := range opened {
		f.report.ReleaseError = max(f.report.ReleaseError, math.Abs(unit*(opened[k]-exact[k])))
	}
}

// valueMerged evaluates a valued step in which copies do not count.
func (n *node) valueMerged(v multiparty.Valuation, copies map[int]bool) error {
	parts := []*he.Ciphertext{v.Gradients}
	for i, half := range v.Halves {
		if !copies[i] {
			parts = append(parts, half)
		}
	}
	directions := he.Add(parts...)
	n.record(circuit.Op{Kind: circuit.OpDirect}, parts, []*he.Ciphertext{directions})
	return n.value(v.Updates, directions)
}
