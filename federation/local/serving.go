package local

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/circuit"
	"github.com/commonseal/commonseal/he/multiparty"
)

// A released describes the one release of a run, as every role derives it.
type released struct {
	id        he.Digest
	seed      [32]byte // of the receiver's uniform half
	positions []int
	flooding  multiparty.Flooding
}

// released is the release of the values of all valued steps.
func (f *federation) released() released {
	width := f.job.plan.Packing.Width
	r := released{
		id: f.job.round("values", 0), seed: he.QuerierSeed(f.session, "receiver", 0),
		flooding: multiparty.Flooding{Terms: len(f.job.valued), Width: width, LogA: circuit.LogValue, LogB: circuit.LogValue},
	}
	for i := range f.companies {
		r.positions = append(r.positions, circuit.ValuePosition(width, i))
	}
	return r
}

// parse is the release of the values and to the receiver that came as bytes.
func (r released) parse(roster multiparty.Roster, p *he.Profile, values, receiver []byte) (*multiparty.Release, error) {
	c, err := he.ParseCiphertext(values, p, p.MaxLevel(), 2*p.LogScale())
	if err != nil {
		return nil, err
	}
	pk, err := he.ParseQuerierKey(receiver, p, r.seed)
	if err != nil {
		return nil, err
	}
	return multiparty.NewRelease(roster, r.id, c, pk, r.positions, r.flooding)
}

// release opens the companies' values, summed over steps, to a receiver.
func (f *federation) release(context.Context) error {
	start := time.Now()
	f.progress("value", 0, 1)
	p, r := f.job.profiles.Release, f.released()
	seed := f.seed.Derive("local/receiver")
	sk := he.NewSecretKey(p, seed.Stream("secret"))
	receiver := he.GenPublicKey(sk, r.seed, seed.Stream("public")).Append(nil)
	sum := he.Add(f.node.values...)
	values := sum.Append(nil)
	shares := make([][]byte, len(f.companies))
	err := f.everybody(func(c *company) error {
		b, err := c.switchShare(r, values, receiver)
		shares[c.index] = f.send(b)
		return err
	})
	if err != nil {
		return err
	}
	release, err := r.parse(f.node.roster, p, values, receiver)
	if err != nil {
		return err
	}
	parsed := make([]*multiparty.SwitchShare, len(shares))
	for i, b := range shares {
		if parsed[i], err = release.ParseShare(b); err != nil {
			return err
		}
	}
	switched, err := release.Finish(parsed)
	if err != nil {
		return err
	}
	if switched, err = he.ParseCiphertext(switched.Append(nil), p, p.MaxLevel(), switched.LogScale); err != nil {
		return err
	}
	f.openValues(release.Open(sk, switched), f.everyKey(p).Values(sum, r.positions))
	f.report.SecondsValuation += time.Since(start).Seconds()
	f.progress("value", 1, 1)
	return nil
}

// openValues turns opened coefficients into values: a coefficient is an inner
// product over Width, in units of η.
func (f *federation) openValues(opened, exact []float64) {
	unit := f.job.twin.LearningRate * float64(f.job.plan.Packing.Width)
	for i, v := range opened {
		f.report.Values = append(f.report.Values, unit*v)
		f.report.ReleaseError = max(f.report.ReleaseError, math.Abs(unit*(v-exact[i])))
	}
}

// everyKey is the sum of all companies' secrets, which no deployment has.
func (f *federation) everyKey(p *he.Profile) *he.SecretKey {
	sum := &he.SecretKey{Profile: p, Value: p.RingQP().NewPoly()}
	for _, c := range f.companies {
		p.RingQP().Add(sum.Value, c.secrets.Of(p).Value, sum.Value)
	}
	return sum
}

// serve shares the model among the companies and asks about every test row.
func (f *federation) serve(ctx context.Context) error {
	pairKeys := make([][]byte, len(f.companies))
	if err := f.everybody(func(c *company) (err error) {
		pairKeys[c.index], err = c.keepModel(f.node.model)
		return err
	}); err != nil {
		return err
	}
	remainder, err := multiparty.NewModelShare(f.job.profiles.Serve, f.node.remainder)
	if err != nil {
		return err
	}
	sent := remainder.Append(nil)
	if err := f.everybody(func(c *company) error {
		return c.openServer(f.node.model, sent, pairKeys)
	}); err != nil {
		return err
	}
	start := time.Now()
	scores, err := f.ask(ctx)
	if err != nil {
		return err
	}
	f.report.SecondsAnswers = time.Since(start).Seconds()
	f.report.scores = scores
	return nil
}

// ask is the querier: it encrypts test rows under its own key, has all servers
// answer, and reads the scores. Answers are paid for, so it asks about equal
// rows once.
func (f *federation) ask(ctx context.Context) ([]float64, error) {
	p, width := f.job.profiles.Serve, f.job.plan.Packing.Width
	seed, derived := f.seed.Derive("local/querier"), he.QuerierSeed(f.session, "querier", 0)
	sk := he.NewSecretKey(p, seed.Stream("secret"))
	pk := he.GenPublicKey(sk, derived, seed.Stream("public"))
	key := pk.Append(nil)
	if err := f.everybody(func(c *company) error { return c.admit(key, derived) }); err != nil {
		return nil, err
	}
	asked, question := f.questions.Distinct()
	each := p.N() / width
	queries := (asked.Len() + each - 1) / each
	answers := make([]float64, asked.Len())
	f.progress("answer", 0, asked.Len())
	err := together(queries, func(k int) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		from, to := k*each, min((k+1)*each, asked.Len())
		q, err := he.EncryptQueries(pk, asked.Slice(from, to), width, seed)
		if err != nil {
			return err
		}
		answer, err := f.answer(q.Append(nil), to-from)
		if err == nil {
			copy(answers[from:to], sk.DecryptAnswers(answer, to-from, 0))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	f.progress("answer", asked.Len(), asked.Len())
	f.report.Questions = asked.Len()
	scores := make([]float64, len(question))
	for i, k := range question {
		scores[i] = answers[k]
	}
	return scores, nil
}

// answer has every server answer one query; a node adds the answers up.
func (f *federation) answer(query []byte, rows int) (*he.Answer, error) {
	p, width := f.job.profiles.Serve, f.job.plan.Packing.Width
	shares := make([]*he.Answer, len(f.companies))
	for i, c := range f.companies {
		b, err := c.answer(query, rows)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		if shares[i], err = he.ParseAnswer(b, p, width); err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
	}
	sum, err := multiparty.AddAnswers(f.node.roster, shares)
	if err != nil {
		return nil, err
	}
	return he.ParseAnswer(sum.Append(nil), p, width)
}
