package node

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/commonseal/commonseal/federation/wire"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/multiparty"
	"github.com/commonseal/commonseal/ledger"
)

// An Ask puts a query to one server of a model and returns its share of the
// answer.
type Ask func(ctx context.Context, envelope, query []byte) ([]byte, error)

// serving is what the node needs to pass queries on.
type serving struct {
	mu      sync.Mutex // guards all
	servers map[ledger.Digest]map[string]*Ask
	used    map[account]*ledger.Used // not recorded yet
	answers map[numbered]*answer
	order   []numbered // of answers, oldest first
}

type account struct {
	querier string
	model   ledger.Digest
}

// A numbered is one query of a querier by its number.
type numbered struct {
	querier  string
	sequence uint64
}

// An answer is kept a while: a repeat of the query gets the same bytes, and is
// not counted again.
type answer struct {
	query ledger.Digest
	bytes []byte
}

// maxAnswers are kept.
const maxAnswers = 256

// patience is how long all servers of a model have for one query.
const patience = 10 * time.Second

func (s *serving) init() {
	s.servers, s.used, s.answers = map[ledger.Digest]map[string]*Ask{}, map[account]*ledger.Used{}, map[numbered]*answer{}
}

// Enlist adds a server of a model: it is asked from now until leave is called,
// in the place of an earlier stream of its own.
func (n *Node) Enlist(model ledger.Digest, server string, ask Ask) (leave func(), err error) {
	v := n.Ledger.View()
	m, ok := ledger.ModelOf(v, model)
	if !ok {
		return nil, refused(NotYet, "no model %x", model[:6])
	}
	e, _ := ledger.EpochOf(v, m.Epoch)
	if !slices.Contains(e.Parties, server) {
		return nil, refused(Forbidden, "%s holds no share of model %x", server, model[:6])
	}
	s := &n.serving
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.servers[model] == nil {
		s.servers[model] = map[string]*Ask{}
	}
	s.servers[model][server] = &ask
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.servers[model][server] == &ask {
			delete(s.servers[model], server)
		}
	}, nil
}

// Answer passes a query on to every server of its model, or blend, and adds their
// answers up. querier is who calls; only it can read what comes back. Every answer is
// counted; a repeat gets the same bytes and is not.
func (n *Node) Answer(ctx context.Context, querier string, envelope, query []byte) ([]byte, error) {
	v := n.Ledger.View()
	q, asked, err := n.admit(v, querier, envelope, query)
	if err != nil {
		return nil, err
	}
	e, _ := ledger.EpochOf(v, asked.Keys)
	parties, width := e.Parties, widthOf(v, asked)
	at := numbered{querier, q.Sequence}
	if b, err := n.repeated(at, q); b != nil || err != nil {
		return b, err
	}
	asks, err := n.serversOf(asked.Parts[0].Model, parties) // who answers for it answers for the blend
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	shares := make([]*he.Answer, len(asks))
	errs := make([]error, len(asks))
	var wg sync.WaitGroup
	for i, ask := range asks {
		wg.Go(func() {
			b, err := ask(ctx, envelope, query)
			if err == nil {
				shares[i], err = he.ParseAnswer(b, n.Profiles.Serve, width)
			}
			if err != nil {
				errs[i] = fmt.Errorf("%s: %w", parties[i], err)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	sum, err := multiparty.AddAnswers(multiparty.Roster{Parties: parties}, shares)
	if err != nil {
		return nil, err
	}
	b := sum.Append(nil)
	n.count(at, q, b)
	return b, nil
}

// admit parses a query and holds its querier to what it was admitted for.
func (n *Node) admit(v ledger.View, querier string, envelope, query []byte) (q wire.Query, asked *ledger.Asked, err error) {
	q, err = wire.ParseQuery(ledger.GenesisOf(v).Chain, envelope)
	if err != nil {
		return q, nil, refused(Malformed, "%v", err)
	}
	asked, r := ledger.AskedOf(v, q.Model)
	if r.Code == ledger.Unknown {
		return q, nil, refused(Unknown, "%s", r.Detail)
	}
	x, ok := ledger.QuerierOf(v, querier)
	switch {
	case !ok || x.Signing != q.Querier:
		err = refused(Forbidden, "%s is no querier, or did not sign this query", querier)
	case r.Code != ledger.OK:
		err = refused(NotYet, "%s", r.Detail)
	case x.Task != asked.Task:
		err = refused(Forbidden, "%s was admitted to another task than that of model %x", querier, q.Model[:6])
	case sha256.Sum256(query) != q.Digest:
		err = refused(Malformed, "the query is not the one that was signed")
	case int(q.Rows) > n.Profiles.Serve.N()/widthOf(v, asked):
		err = refused(Malformed, "%d rows; a query of width %d has up to %d", q.Rows, widthOf(v, asked), n.Profiles.Serve.N()/widthOf(v, asked))
	case x.Used+n.pending(querier)+uint64(q.Rows) > x.Quota:
		err = refused(OverQuota, "%d of %d answers are used; ask %s for more", x.Used, x.Quota, x.Sponsor)
	}
	return q, asked, err
}

// widthOf is how wide the rows are that a query asks about.
func widthOf(v ledger.View, asked *ledger.Asked) int {
	t, _ := ledger.TaskOf(v, asked.Task)
	return int(t.Packing.Width)
}

// repeated is the answer that a query got before. The same number for another
// query is refused.
func (n *Node) repeated(at numbered, q wire.Query) ([]byte, error) {
	s := &n.serving
	s.mu.Lock()
	defer s.mu.Unlock()
	switch before := s.answers[at]; {
	case before == nil:
		return nil, nil
	case before.query != q.Digest:
		return nil, refused(Forbidden, "query %d of %s was another one; number the next %d or more", at.sequence, at.querier, at.sequence+1)
	default:
		return before.bytes, nil
	}
}

// serversOf are all servers of a model, in roster order.
func (n *Node) serversOf(model ledger.Digest, parties []string) ([]Ask, error) {
	s := &n.serving
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Ask
	for _, p := range parties {
		ask := s.servers[model][p]
		if ask == nil {
			return nil, refused(NotYet, "%s, which holds a share of model %x, is not connected; try again", p, model[:6])
		}
		out = append(out, *ask)
	}
	return out, nil
}

// pending are a querier's answers that are not recorded yet.
func (n *Node) pending(querier string) (answers uint64) {
	s := &n.serving
	s.mu.Lock()
	defer s.mu.Unlock()
	for at, u := range s.used {
		if at.querier == querier {
			answers += u.Answers
		}
	}
	return answers
}

// count notes an answer that was given.
func (n *Node) count(at numbered, q wire.Query, b []byte) {
	s := &n.serving
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.answers[at] != nil {
		return
	}
	s.answers[at] = &answer{q.Digest, b}
	s.order = append(s.order, at)
	if len(s.order) > maxAnswers {
		delete(s.answers, s.order[0])
		s.order = s.order[1:]
	}
	who := account{at.querier, q.Model}
	u := s.used[who]
	if u == nil {
		u = &ledger.Used{Querier: at.querier, Model: q.Model}
		s.used[who] = u
	}
	u.Answers += uint64(q.Rows)
	u.Queries = ledger.Hash("queries", u.Queries[:], q.Digest[:])
}

// Bill records the answers that were given since the last time. Call it every
// few seconds, from one goroutine: it is off the path of queries. A record that
// may or may not have reached the ledger is sent again, the same.
func (n *Node) Bill(ctx context.Context) error {
	if n.unpaid == nil {
		n.unpaid = n.bill()
	}
	if n.unpaid == nil {
		return nil
	}
	if err := n.submit(ctx, n.unpaid); err != nil {
		return err
	}
	s := &n.serving
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range n.unpaid.Entries {
		at := account{e.Querier, e.Model}
		if s.used[at].Answers -= e.Answers; s.used[at].Answers == 0 {
			delete(s.used, at)
		}
	}
	n.unpaid = nil
	return nil
}

// bill is the next usage record, nil if there is nothing to record.
func (n *Node) bill() *ledger.Usage {
	s := &n.serving
	s.mu.Lock()
	body := &ledger.Usage{Batch: 1}
	for _, u := range s.used {
		body.Entries = append(body.Entries, *u)
	}
	s.mu.Unlock()
	if len(body.Entries) == 0 {
		return nil
	}
	slices.SortFunc(body.Entries, func(a, b ledger.Used) int {
		return cmp.Or(cmp.Compare(a.Querier, b.Querier), slices.Compare(a.Model[:], b.Model[:]))
	})
	body.Entries = body.Entries[:min(len(body.Entries), ledger.MaxEntries)]
	for v := n.Ledger.View(); ; body.Batch++ {
		if _, ok := ledger.UsageOf(v, n.Name, body.Batch); !ok {
			return body
		}
	}
}
