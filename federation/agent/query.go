package agent

import (
	"context"
	"crypto/sha256"
	"maps"
	"sync"

	"github.com/commonseal/commonseal/federation/wire"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/gate"
	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

// window is how far behind its latest a querier's sequence number may be.
const window = 1024

// A querier is what a company remembers of one that asks it.
type querier struct {
	mu   sync.Mutex // guards what follows, and a fetch of the key
	key  *he.PublicKey
	used uint64                   // answers: on the ledger when it first asked, and given since
	last uint64                   // latest sequence number
	seen map[uint64]ledger.Digest // envelope by sequence number, of the window
}

// Answer is the company's share of the answer to an encrypted query. A repeat of
// the same envelope is free and gives the same bytes. What is not answered is a
// [*gate.Refusal]. Safe for concurrent use.
func (a *Agent) Answer(ctx context.Context, envelope, query []byte) ([]byte, error) {
	v, chain := a.Ledger.View(), a.chainName()
	if chain == "" {
		return nil, gate.Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_NOT_READY, "ask again later", "this company has no copy of the ledger yet")
	}
	e, err := wire.ParseQuery(chain, envelope)
	if err != nil {
		return nil, gate.Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_MALFORMED, "", "%v", err)
	}
	if sha256.Sum256(query) != e.Digest {
		return nil, gate.Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_WRONG_DIGEST, "send the query that the envelope names", "the query is not that of its envelope")
	}
	s := a.serverOf(e.Model)
	switch _, r := ledger.AskedOf(v, e.Model); {
	case r.Code == ledger.WrongState:
		return nil, gate.Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_NOT_READY, "", "%s", r.Detail)
	case s == nil:
		return nil, gate.Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_NOT_READY, "wait until all holders serve it", "this company does not serve model %x", e.Model[:6])
	}
	name, _ := ledger.Signer(v, e.Querier)
	q, ok := ledger.QuerierOf(v, name)
	switch {
	case !ok:
		return nil, gate.Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_UNKNOWN, "have a company admit it", "key %x is no querier's", e.Querier[:6])
	case q.Task != s.task:
		return nil, gate.Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_FORBIDDEN, "", "%s is not admitted to the task of model %x", name, e.Model[:6])
	case int(e.Rows) > s.rows:
		return nil, gate.Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_TOO_LARGE, "", "%d rows in a query that holds %d", e.Rows, s.rows)
	}
	parsed, err := he.ParseQuery(query, a.Profiles.Serve, s.width)
	if err != nil {
		return nil, gate.Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_MALFORMED, "", "%v", err)
	}
	who := a.querierOf(q)
	key, err := a.admit(ctx, v, chain, q, who, e, sha256.Sum256(envelope))
	if err != nil {
		return nil, err
	}
	answer, err := s.Answer(key, parsed, int(e.Rows))
	if err != nil {
		return nil, gate.Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_MALFORMED, "", "%v", err)
	}
	return answer.Append(nil), nil
}

// chainName is the chain's, once there is one. To read it in every query, with all
// members of the genesis, would cost more than the rest of the envelope.
func (a *Agent) chainName() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.chain
}

// querierOf is what is remembered of a querier. One that was admitted anew, with
// another key, is another.
func (a *Agent) querierOf(q *ledger.Querier) *querier {
	a.mu.Lock()
	defer a.mu.Unlock()
	id := q.Name + string(q.PublicKey[:])
	if a.queriers[id] == nil {
		a.queriers[id] = &querier{used: q.Used, seen: map[uint64]ledger.Digest{}}
	}
	return a.queriers[id]
}

// admit lets a query in, once, and counts it.
func (a *Agent) admit(ctx context.Context, v ledger.View, chain string, q *ledger.Querier, who *querier, e wire.Query, envelope ledger.Digest) (*he.PublicKey, error) {
	who.mu.Lock()
	defer who.mu.Unlock()
	if who.key == nil {
		b, err := a.fetch(ctx, v, q.Task, q.PublicKey)
		if err != nil {
			return nil, gate.Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_NOT_READY, "put the key to a node of the task", "the public key of %s: %v", q.Name, err)
		}
		seed := he.QuerierSeed(wire.QuerierSession(chain, q.Task), q.Name, 0)
		if who.key, err = he.ParseQuerierKey(b, a.Profiles.Serve, seed); err != nil {
			return nil, gate.Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_FORBIDDEN, "make the key for this task and have it admitted", "the public key of %s: %v", q.Name, err)
		}
	}
	had, repeats := who.seen[e.Sequence]
	used := max(who.used, q.Used)
	switch {
	case repeats && had == envelope:
		return who.key, nil
	case repeats:
		return nil, gate.Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_CONFLICT, "number each query anew", "%s asked something else as number %d", q.Name, e.Sequence)
	case who.last >= window && e.Sequence <= who.last-window:
		return nil, gate.Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_LATE, "number each query anew", "number %d is %d or more behind %d", e.Sequence, window, who.last)
	case used+uint64(e.Rows) > q.Quota:
		return nil, gate.Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_OVER_LIMIT, "have the quota raised", "%d of %d answers of %s are used, %d more are too many", used, q.Quota, q.Name, e.Rows)
	}
	who.used = used + uint64(e.Rows)
	who.seen[e.Sequence] = envelope
	who.last = max(who.last, e.Sequence)
	if len(who.seen) > 2*window { // once in a while: each time would cost more than the answer
		maps.DeleteFunc(who.seen, func(n uint64, _ ledger.Digest) bool { return who.last >= window && n <= who.last-window })
	}
	return who.key, nil
}
