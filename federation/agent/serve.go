package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/commonseal/commonseal/federation"
	"github.com/commonseal/commonseal/federation/store"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/multiparty"
	"github.com/commonseal/commonseal/ledger"
)

// A server answers queries on the company's share of a model, or of a blend.
type server struct {
	*multiparty.Server
	task  ledger.Digest
	blend bool
	width int
	rows  int // that a query holds at most
}

// modelRecord is where the journal has the share of the model that a job left.
func modelRecord(job ledger.Digest) string { return fmt.Sprintf("model/%x", job) }

// keepModel writes down the company's share of the model that the last map
// leaves, before its share of the map leaves.
func (a *Agent) keepModel(w *job, round *multiparty.Round) error {
	weights, err := round.ModelShare(w.keys.secrets)
	if err != nil {
		return &RefusedError{err}
	}
	share, err := multiparty.NewModelShare(a.Profiles.Serve, weights)
	if err != nil {
		return &RefusedError{err}
	}
	name := modelRecord(w.ID)
	return a.Store.Journal.Put(name, conceal(a.Seed, name, share.Append(nil)))
}

// modelShare is the company's share of a model.
func (a *Agent) modelShare(m *ledger.Model) (*multiparty.ModelShare, error) {
	name := modelRecord(m.Job)
	hidden, err := a.Store.Journal.Get(name)
	if errors.Is(err, store.ErrNotFound) {
		return nil, &RefusedError{&RollbackError{Epoch: m.Epoch, What: fmt.Sprintf("the share of model %x", m.ID[:6])}}
	}
	if err != nil {
		return nil, err
	}
	plain, err := uncover(a.Seed, name, hidden)
	if err != nil {
		return nil, &RefusedError{err}
	}
	share, err := multiparty.ParseModelShare(plain, a.Profiles.Serve)
	if err != nil {
		return nil, &RefusedError{err}
	}
	return share, nil
}

// serverSeed is what pair keys and answers are derived from.
func (a *Agent) serverSeed() he.Seed { return a.Seed.Derive("agent/serve") }

// serve says with which pair key the company answers for a model that it has a
// share of.
func (a *Agent) serve(ctx context.Context, v ledger.View, d federation.Serve) (bool, error) {
	m, ok := ledger.ModelOf(v, d.Model)
	if !ok {
		return false, fmt.Errorf("no model %x", d.Model[:6])
	}
	keys, err := a.epochOf(ctx, v, m.Epoch)
	if err != nil {
		return false, err
	}
	if _, err := a.modelShare(m); err != nil {
		return false, err
	}
	if j, ok := ledger.JobOf(v, m.Job); ok {
		if record := concluded(v, j); record != nil {
			if err := a.named(keys, j.ID, j.End(), record.Shares); err != nil {
				return false, err
			}
		}
	}
	if isStrict(v) {
		if err := a.witnessModel(ctx, v, m); err != nil {
			return false, err
		}
	}
	pair, err := multiparty.PairKey(keys.epoch.Roster, m.ID, keys.secrets.Index, a.serverSeed())
	if err != nil {
		return false, &RefusedError{err}
	}
	return a.submit(ctx, &ledger.Serve{Model: m.ID, PairKey: ledger.Digest(pair)})
}

// openServers begins to answer for models that all holders serve.
func (a *Agent) openServers(ctx context.Context, v ledger.View) (did bool, err error) {
	for _, m := range ledger.Models(v) {
		key := fmt.Sprintf("server/%x", m.ID)
		e, ok := ledger.EpochOf(v, m.Epoch)
		if !ok || !m.Served() || !slices.Contains(e.Parties, a.Name) || a.refused[key] != nil || a.serverOf(m.ID) != nil {
			continue
		}
		done, err := a.attempt(ctx, key, func() (bool, error) { return true, a.openServer(ctx, v, &m) })
		if err != nil {
			return did, err
		}
		did = did || done
	}
	return did, nil
}

// openServer begins to answer for a model; the first party adds the public
// remainder to its share.
func (a *Agent) openServer(ctx context.Context, v ledger.View, m *ledger.Model) error {
	keys, err := a.epochOf(ctx, v, m.Epoch)
	if err != nil {
		return err
	}
	share, err := a.modelShare(m)
	if err != nil {
		return err
	}
	if keys.secrets.Index == 0 {
		b, err := a.fetch(ctx, v, m.Job, m.Remainder)
		if err != nil {
			return err
		}
		rest, err := multiparty.ParseModelShare(b, a.Profiles.Serve)
		if err != nil {
			return &RefusedError{err}
		}
		if share, err = share.Plus(rest); err != nil {
			return &RefusedError{err}
		}
	}
	var pairs [][]byte
	for _, p := range keys.epoch.Roster.Parties {
		pair, ok := ledger.PairKeyOf(v, m.ID, p)
		if !ok {
			return fmt.Errorf("the pair key of %s is not on this copy of the ledger", p)
		}
		pairs = append(pairs, pair[:])
	}
	s, err := multiparty.NewServer(keys.epoch.Roster, m.ID, keys.secrets.Index, a.serverSeed(), share, pairs)
	if err != nil {
		return &RefusedError{err}
	}
	t, ok := ledger.TaskOf(v, m.Task)
	if !ok {
		return fmt.Errorf("no task %x", m.Task[:6])
	}
	width := int(t.Packing.Width)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.chain = ledger.GenesisOf(v).Chain
	a.servers[m.ID] = &server{Server: s, task: m.Task, width: width, rows: a.Profiles.Serve.N() / width}
	return nil
}

// openBlends begins to answer for the blends in force whose models the company
// answers for, and ends to for those that were replaced.
func (a *Agent) openBlends(v ledger.View) (did bool) {
	for _, t := range ledger.Tasks(v) {
		b, ok := ledger.BlendOf(v, t.ID)
		if !ok || a.refused[blendKey(b)] != nil || a.serverOf(b.Digest()) != nil {
			continue
		}
		s, err := a.blend(b)
		switch {
		case err != nil:
			a.Log.Warn("a blend is not served", "task", t.Name, "cause", err.Error())
			a.mu.Lock()
			a.refused[blendKey(b)] = &RefusedError{err}
			a.mu.Unlock()
		case s != nil:
			a.replaceBlend(b, s)
			did = true
		}
	}
	return did
}

func blendKey(b *ledger.Blend) string { return fmt.Sprintf("blend/%x", b.Digest()) }

// blend is a server of a blend, nil while one of its models has none.
func (a *Agent) blend(b *ledger.Blend) (*server, error) {
	var parts []multiparty.Part
	var first *server
	for _, p := range b.Parts {
		s := a.serverOf(p.Model)
		if s == nil {
			return nil, nil
		}
		if first == nil {
			first = s
		}
		parts = append(parts, multiparty.Part{Server: s.Server, Parts: p.Part})
	}
	s, err := multiparty.Blend(b.Digest(), parts)
	if err != nil {
		return nil, err
	}
	return &server{Server: s, task: b.Task, blend: true, width: first.width, rows: first.rows}, nil
}

// replaceBlend answers for a task by a blend, and by no other any more.
func (a *Agent) replaceBlend(b *ledger.Blend, s *server) {
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.DeleteFunc(a.servers, func(_ ledger.Digest, had *server) bool { return had.blend && had.task == b.Task })
	a.servers[b.Digest()] = s
}

// serverOf is the server of a model or blend.
func (a *Agent) serverOf(of ledger.Digest) *server {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.servers[of]
}

// Serves are the models that the company answers for.
func (a *Agent) Serves() (out []ledger.Digest) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, s := range a.servers {
		if !s.blend {
			out = append(out, id)
		}
	}
	return out
}
