package agent

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/commonseal/commonseal/federation"
	"github.com/commonseal/commonseal/federation/store"
	"github.com/commonseal/commonseal/federation/wire"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/gate"
	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

const (
	// maxScored bounds the validation rows that a model is asked about: each is an
	// answer that is paid for.
	maxScored = 1024
	// maxAttempts bounds how often a model is asked anew after a quota ran out:
	// answers that were lost on the way, before either side wrote anything down, are
	// used all the same.
	maxAttempts = 4
)

// An Endpoint is an aggregation node as a querier sees it.
type Endpoint interface {
	Put(ctx context.Context, post ledger.Post, blob []byte) error
	Predict(ctx context.Context, envelope, query []byte) ([]byte, error)
}

// An evaluator is the company as a querier of one model. It asks through the
// endpoint as anybody does, under a name and keys that only who has the seed can
// tell to be of this model.
type evaluator struct {
	name         string
	signing, tls ed25519.PrivateKey
	asker        *wire.Asker
}

func (a *Agent) evaluator(v ledger.View, m *ledger.Model, attempt int) evaluator {
	seed := a.Seed.Derive("agent/evaluate", m.ID[:], []byte{byte(attempt)})
	private := func(label string) ed25519.PrivateKey {
		key := seed.Derive(label)
		return ed25519.NewKeyFromSeed(key[:])
	}
	tag := seed.Derive("name")
	suffix := fmt.Sprintf("-eval-%x", tag[:4])
	e := evaluator{name: a.Name[:min(len(a.Name), ledger.MaxName-len(suffix))] + suffix, signing: private("signing"), tls: private("tls")}
	e.asker = wire.NewAsker(ledger.GenesisOf(v).Chain, e.name, seed, m.Task, a.Profiles.Serve)
	return e
}

// score asks a model about the company's validation rows and writes down what part
// it has in rankings from now on. It is admitted first, by the company itself, at
// the price of as many answers as there are rows.
func (a *Agent) score(ctx context.Context, v ledger.View, d federation.Score) (bool, error) {
	m, ok := ledger.ModelOf(v, d.Model)
	if !ok {
		return false, fmt.Errorf("no model %x", d.Model[:6])
	}
	t, ok := ledger.TaskOf(v, m.Task)
	if !ok {
		return false, fmt.Errorf("no task %x", m.Task[:6])
	}
	if !a.ranks(t) {
		return false, &RefusedError{ErrDeclined}
	}
	r, err := a.readRows(t)
	if err != nil {
		return false, err
	}
	rows, labels := unsigned(r.validation, maxScored)
	j, _ := ledger.JobOf(v, m.Job)
	asked, which := rows.Only(j.Trains(t)).Distinct()
	attempt, err := a.attemptAt(m)
	if err != nil {
		return false, err
	}
	e := a.evaluator(v, m, attempt)
	if _, ok := ledger.QuerierOf(v, e.name); !ok {
		post, _ := e.asker.Announcement(m.Epoch, e.signing)
		return a.submit(ctx, &ledger.AdmitQuerier{Name: e.name, Signing: publicOf(e.signing), TLS: publicOf(e.tls), Task: t.ID,
			PublicKey: post.Blob, Quota: uint64(asked.Len())})
	}
	margins, err := a.ask(ctx, v, m, e, asked)
	if isOverQuota(err) {
		return true, a.Store.Journal.Put(attemptRecord(m, attempt), []byte{1})
	}
	if err != nil {
		return false, err
	}
	all := make([]float64, len(which))
	for i, k := range which {
		all[i] = margins[k]
	}
	part, err := partOf(all, labels)
	if err != nil {
		return false, &RefusedError{err}
	}
	return true, a.Store.Journal.Put("done/"+d.Key(), binary.BigEndian.AppendUint16(nil, part))
}

// ranks says whether the company judges models of a task.
func (a *Agent) ranks(t *ledger.Task) bool {
	mine, ok := a.policy.Tasks[t.Name]
	return ok && !mine.Abstain && a.Asks != nil
}

func publicOf(k ed25519.PrivateKey) ledger.Key { return ledger.Key(k.Public().(ed25519.PublicKey)) }

// attemptRecord is where the journal says that an attempt's quota ran out.
func attemptRecord(m *ledger.Model, attempt int) string {
	return fmt.Sprintf("spent/%x/%d", m.ID, attempt)
}

// attemptAt is the attempt that a model is asked in now.
func (a *Agent) attemptAt(m *ledger.Model) (int, error) {
	for n := range maxAttempts {
		_, err := a.Store.Journal.Get(attemptRecord(m, n))
		if errors.Is(err, store.ErrNotFound) {
			return n, nil
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, never("model %x was paid for %d times and never answered all rows; look into the nodes, it is not ranked", m.ID[:6], maxAttempts)
}

func isOverQuota(err error) bool {
	var r *gate.Refusal
	return errors.As(err, &r) && r.Code == commonsealv1.RefusalCode_REFUSAL_CODE_OVER_LIMIT
}

// ask puts rows to a model. Queries are numbered from 1: who is started again says
// the same bytes, which are free as long as those who answer remember them.
func (a *Agent) ask(ctx context.Context, v ledger.View, m *ledger.Model, e evaluator, rows he.Rows) ([]float64, error) {
	nodes, done := a.Asks(e.tls)
	defer done()
	each := func(names []string, do func(Endpoint) error) error {
		errs := []error{errNobody}
		for _, n := range names {
			if nodes[n] == nil {
				continue
			}
			err := do(nodes[n])
			if err == nil {
				return nil
			}
			errs = append(errs, fmt.Errorf("%s: %w", n, err))
		}
		return errors.Join(errs[min(1, len(errs)-1):]...)
	}
	post, key := e.asker.Announcement(m.Epoch, e.signing)
	t, _ := ledger.TaskOf(v, m.Task)
	if err := each(t.Nodes, func(n Endpoint) error { return n.Put(ctx, post, key) }); err != nil {
		return nil, err
	}
	sequence := uint64(0)
	number := func() uint64 { sequence++; return sequence }
	return e.asker.Predict(v, m.ID, rows, e.signing, number, func(names []string, envelope, query []byte) (answer []byte, err error) {
		err = each(names, func(n Endpoint) (err error) {
			answer, err = n.Predict(ctx, envelope, query)
			return err
		})
		return answer, err
	})
}

// unsigned are rows as queries have them, and their labels: up to limit of them,
// evenly spread.
func unsigned(x he.Rows, limit int) (he.Rows, []float64) {
	n := min(x.Len(), limit)
	out, labels := he.Rows{Columns: x.Columns, Values: make([]float64, 0, n*x.Columns)}, make([]float64, 0, n)
	for i := range n {
		row := x.Row(i * x.Len() / n)
		y := row[0] // of y·(1, x)
		labels = append(labels, y)
		for _, v := range row {
			out.Values = append(out.Values, y*v)
		}
	}
	return out, labels
}

// partOf is a model's part in a ranking: of the log loss of somebody who knows no
// more than how many rows have each label, the fraction that the model's scores save
// (McFadden's R²), in units of 1/65535. A model that saves nothing has none.
func partOf(margins, labels []float64) (uint16, error) {
	n, positive, loss := float64(len(labels)), 0.0, 0.0
	for i, y := range labels {
		positive += (1 + y) / 2
		z := -y * margins[i]
		loss += max(z, 0) + math.Log1p(math.Exp(-math.Abs(z))) // log(1 + e^z)
	}
	if positive == 0 || positive == n {
		return 0, errors.New("validation rows of one class tell nothing of a model")
	}
	known := -positive*math.Log(positive/n) - (n-positive)*math.Log(1-positive/n)
	saved := 1 - loss/known
	if !(saved > 0) {
		return 0, nil
	}
	return uint16(math.Round(min(saved, 1) * math.MaxUint16)), nil
}

// scored is the part of each model that has one, in the order given.
func (a *Agent) scored(models []ledger.Digest) (out []ledger.Weight, err error) {
	for _, m := range models {
		b, err := a.Store.Journal.Get("done/" + federation.Score{Model: m}.Key())
		switch {
		case errors.Is(err, store.ErrNotFound):
			continue
		case err != nil:
			return nil, err
		case len(b) != 2:
			return nil, never("the score of model %x is damaged; restore the journal", m[:6])
		}
		if part := binary.BigEndian.Uint16(b); part > 0 {
			out = append(out, ledger.Weight{Model: m, Part: part})
		}
	}
	return slices.Clip(out), nil
}
