package local

import (
	"context"
	"fmt"
	"time"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/multiparty"
)

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
		pairKeys[c.index], err = c.pairKey(f.node.model)
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
