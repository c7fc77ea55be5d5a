package node_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/commonseal/commonseal/federation/agent"
	"github.com/commonseal/commonseal/federation/fedtest"
	"github.com/commonseal/commonseal/federation/node"
	"github.com/commonseal/commonseal/federation/replay"
	"github.com/commonseal/commonseal/federation/table"
	"github.com/commonseal/commonseal/federation/wire"
	"github.com/commonseal/commonseal/he/hetest"
	"github.com/commonseal/commonseal/ledger"
)

var schema = table.Schema{Label: "label", Negative: 0, Positive: 1, Columns: []table.Column{{Name: "x", Min: -1, Max: 1}}}

func rows(company string) string {
	random := rand.New(rand.NewPCG(1, uint64(company[0])))
	var b strings.Builder
	b.WriteString("x,label\n")
	for i := range 30 {
		fmt.Fprintf(&b, "%.2f,%d\n", 2*random.Float64()-1, i%2)
	}
	return b.String()
}

// running is a federation with a job whose step 0 has a ticket.
func running(t *testing.T) (*fedtest.World, *ledger.Job) {
	t.Helper()
	ctx := context.Background()
	w, err := fedtest.New(fedtest.Options{Profiles: hetest.Profiles(t), Mode: ledger.Quorum, Policy: func(company string) agent.Policy {
		return agent.Policy{Tasks: map[string]agent.TaskPolicy{"churn": {
			Rows:  func(s table.Schema) (table.Table, error) { return s.Read(strings.NewReader(rows(company)), company) },
			Local: company == "cal",
		}}}
	}})
	must(t, err)
	must(t, w.Settle(ctx))
	nodes := []string{"north", "south"}
	must(t, w.Record(ctx, "peer", &ledger.OpenTask{Name: "churn", Epoch: 1, Schema: schema.Append(nil), Columns: 2, Nodes: nodes, Quorum: 2}))
	must(t, w.Settle(ctx))
	open := &ledger.OpenJob{Task: ledger.TaskID(w.Genesis.Chain, "churn"), Algorithm: ledger.Logistic, Steps: 5, LearningRate: replay.FixedRate(0.5), Nodes: nodes, Quorum: 2}
	must(t, w.Record(ctx, "peer", open))
	id := ledger.JobID("peer", open)
	must(t, w.Until(ctx, 4000, func(v ledger.View) bool { _, ok := ledger.TicketOf(v, id, 0); return ok }))
	w.CatchUp()
	j, _ := ledger.JobOf(w.View(), id)
	return w, j
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Only the right sender puts the right thing in the right place at the right
// time.
func TestAccept(t *testing.T) {
	w, j := running(t)
	n := w.Nodes["north"].Driver
	ticket, _ := ledger.TicketOf(w.View(), j.ID, 0)
	share := ledger.Post{Chain: w.Genesis.Chain, Epoch: 1, Scope: j.ID, Kind: ledger.PostShare, Blob: sha256.Sum256([]byte("share")), Size: 5, Previous: ticket.Record}
	signed := func(change func(*ledger.Post), by string) ledger.Post {
		p := share
		change(&p)
		return p.Sign(w.Private(by))
	}
	nothing := func(*ledger.Post) {}
	for _, test := range []struct {
		what   string
		sender string
		post   ledger.Post
		want   node.Reason // 0: accepted
	}{
		{"a holder's share of an open ticket", "ann", signed(nothing, "ann"), 0},
		{"a share that another put", "bob", signed(nothing, "ann"), node.Forbidden},
		{"a share signed by a key that is on no ledger", "ann", signed(nothing, "stranger"), node.Forbidden},
		{"a share signed for another chain", "ann", signed(func(p *ledger.Post) { p.Chain = "other" }, "ann"), node.Forbidden},
		{"a share of another key epoch", "ann", signed(func(p *ledger.Post) { p.Epoch = 2 }, "ann"), node.Forbidden},
		{"a share for another record, as of another round", "ann", signed(func(p *ledger.Post) { p.Previous[0]++ }, "ann"), node.Forbidden},
		{"a share of a step without a ticket", "ann", signed(func(p *ledger.Post) { p.Step = 3 }, "ann"), node.NotYet},
		{"a share of a job that is none", "ann", signed(func(p *ledger.Post) { p.Scope[0]++ }, "ann"), node.NotYet},
		{"a second part of a share", "ann", signed(func(p *ledger.Post) { p.Index = 1 }, "ann"), node.Forbidden},
		{"an aggregator's share, which has no key", "south", signed(nothing, "south"), node.Forbidden},
		{"a company's output, which is no node", "ann", signed(func(p *ledger.Post) { p.Kind = ledger.PostOutput }, "ann"), node.Forbidden},
		{"an update of a company that uploads its rows", "ann", signed(func(p *ledger.Post) { p.Kind, p.Step = ledger.PostUpdate, 1 }, "ann"), node.Forbidden},
		{"a local company's update for a step to come", "cal", signed(func(p *ledger.Post) { p.Kind, p.Step = ledger.PostUpdate, 4 }, "cal"), node.NotYet},
		{"rows of a local company", "cal", signed(func(p *ledger.Post) { p.Kind, p.Scope, p.Step = ledger.PostCiphertext, j.Task, 1 }, "cal"), node.Forbidden},
		{"a member's querier key", "ann", signed(func(p *ledger.Post) { p.Kind, p.Scope = ledger.PostQuerierKey, j.Task }, "ann"), node.Forbidden},
		{"a kind that is none", "ann", signed(func(p *ledger.Post) { p.Kind = 99 }, "ann"), node.Unknown},
	} {
		err := n.Accept(test.sender, test.post)
		var r *node.RefusedError
		switch {
		case test.want == 0 && err != nil:
			t.Errorf("%s: %v, want accepted", test.what, err)
		case test.want != 0 && (!errors.As(err, &r) || r.Reason != test.want):
			t.Errorf("%s: %v, want reason %d", test.what, err, test.want)
		}
	}
}

// A company says two different things in one place: the first counts, both are
// kept, and the ledger convicts it.
func TestEquivocationIsEvidence(t *testing.T) {
	ctx := context.Background()
	w, j := running(t)
	north := w.Nodes["north"]
	put := func(text string) error {
		d, err := north.Store.Blobs.Put([]byte(text))
		must(t, err)
		p := ledger.Post{Chain: w.Genesis.Chain, Epoch: 1, Scope: j.Task, Kind: ledger.PostManifest, Step: 2, Blob: d, Size: uint32(len(text))}
		return north.Driver.Keep(ctx, p.Sign(w.Private("bob")))
	}
	must(t, put("one thing"))
	must(t, put("one thing")) // a repeat is harmless
	var e *node.EquivocationError
	if err := put("another"); !errors.As(err, &e) {
		t.Fatalf("another thing in its place: %v, want an EquivocationError", err)
	}
	if got := ledger.Evidences(w.View())["bob"]; got != 1 {
		t.Errorf("the ledger has %d convictions of bob, want 1", got)
	}
	kept, ok := 0, false
	must(t, north.Store.Journal.Range("evidence/", func(_ string, b []byte) bool {
		p, err := ledger.ParsePost(b)
		kept, ok = kept+1, err == nil && p.Sender == w.Public("bob")
		return true
	}))
	if kept != 1 || !ok {
		t.Errorf("%d posts are kept as evidence, want bob's second", kept)
	}
}

// Somebody uploads what another company encrypted, under its own name: a node
// takes rows from whoever put them first, and vouches for nobody else.
func TestAttackCopiedRows(t *testing.T) {
	ctx := context.Background()
	w, j := running(t)
	north := w.Nodes["north"]
	c, ok := ledger.ContributionOf(w.View(), j.Task, ledger.Training, "ann")
	if !ok {
		t.Fatal("ann contributed nothing")
	}
	b, err := north.Store.Blobs.Get(c.Manifest)
	must(t, err)
	m, err := wire.ParseManifest(b)
	must(t, err)
	as := func(key ed25519.PrivateKey, kind ledger.PostKind, index uint16, d ledger.Digest) ledger.Post {
		size, err := north.Store.Blobs.Size(d)
		must(t, err)
		return ledger.Post{Chain: w.Genesis.Chain, Epoch: 1, Scope: j.Task, Kind: kind, Step: 2, Index: index, Blob: d, Size: uint32(size)}.Sign(key)
	}
	bob := w.Private("bob")
	for i, d := range m.Digests {
		var r *node.RefusedError
		if err := north.Driver.Keep(ctx, as(bob, ledger.PostCiphertext, uint16(i), d)); !errors.As(err, &r) || r.Reason != node.Forbidden {
			t.Errorf("ann's ciphertext %d as bob's: %v, want it refused", i, err)
		}
	}
	// Without that, a manifest of bob's own that lists them: its digest is new, and
	// only that each ciphertext is not bob's keeps the node from vouching.
	own := wire.Manifest{Vectors: m.Vectors, Digests: m.Digests[:m.Vectors]}
	if own.Digest() == c.Manifest {
		own = wire.Manifest{Vectors: 1, Digests: m.Digests}
	}
	d, err := north.Store.Blobs.Put(own.Append(nil))
	must(t, err)
	must(t, north.Driver.Keep(ctx, as(bob, ledger.PostManifest, 0, d)))
	if held, _, err := north.Driver.Held(d); err == nil {
		t.Errorf("north vouches for ann's rows as bob's: %+v", held)
	}
	if _, _, err := north.Driver.Held(c.Manifest); err != nil {
		t.Errorf("north does not vouch for ann's rows as ann's any more: %v", err)
	}
}

// A holder's share that does not decode as the map's is refused when it is put,
// and a well-formed one of another meaning stops the round with an error that says
// what is wrong.
func TestWrongShares(t *testing.T) {
	ctx := context.Background()
	w, j := running(t)
	north := w.Nodes["north"]
	ticket, _ := ledger.TicketOf(w.View(), j.ID, 0)
	d, err := north.Store.Blobs.Put([]byte("no share at all"))
	must(t, err)
	p := ledger.Post{Chain: w.Genesis.Chain, Epoch: 1, Scope: j.ID, Kind: ledger.PostShare, Blob: d, Size: 15, Previous: ticket.Record}
	var r *node.RefusedError
	if err := north.Driver.Keep(ctx, p.Sign(w.Private("ann"))); !errors.As(err, &r) || r.Reason != node.Malformed {
		t.Errorf("bytes that are no share: %v, want them refused as malformed", err)
	}
}
