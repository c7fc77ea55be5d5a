package agent

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/commonseal/commonseal/federation/node"
	"github.com/commonseal/commonseal/federation/store"
	"github.com/commonseal/commonseal/federation/table"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/hetest"
	"github.com/commonseal/commonseal/ledger"
)

const chainName = "agents"

var (
	companies = []string{"ann", "bob", "cal"}
	nodeNames = []string{"north", "south"}
)

// A world is a federation in one goroutine: agents, the real nodes on stores in
// memory, and a ledger of one transaction a block.
type world struct {
	t        *testing.T
	profiles he.Profiles
	now      int64
	tip      *ledger.Memory
	codes    map[ledger.Code]int
	signing  map[string]ed25519.PrivateKey
	nodes    map[string]*node.Node
	stores   map[string]*store.Mem
	agents   map[string]*Agent
	policy   func(company string) Policy
	deaf     map[string]bool                  // nodes that cannot be dialled
	spent    bool                             // nodes say that every quota is used
	tamper   func(body ledger.Body)           // what nodes record, before they sign it
	lie      func(d ledger.Digest) []byte     // what a node gives for a digest, nil: what it has
	puts     []ledger.Post                    // of companies, in order
	bodies   func(from string, b ledger.Body) // is told what is submitted
}

// found makes a world that has no keys yet.
func found(t *testing.T, mode ledger.Mode, policy func(company string) Policy) *world {
	t.Helper()
	w := &world{
		t: t, profiles: hetest.Profiles(t), now: 1_000_000, tip: &ledger.Memory{}, codes: map[ledger.Code]int{}, signing: map[string]ed25519.PrivateKey{},
		nodes: map[string]*node.Node{}, stores: map[string]*store.Mem{}, agents: map[string]*Agent{}, policy: policy, deaf: map[string]bool{},
	}
	g := ledger.Genesis{Chain: chainName, Mode: mode, Quorum: 2, Patience: 1 << 40,
		Train: w.profiles.Train.Digest(), Release: w.profiles.Release.Digest(), Serve: w.profiles.Serve.Digest()}
	for _, who := range []struct {
		name  string
		roles ledger.Roles
	}{{"ann", ledger.Company}, {"bob", ledger.Company}, {"cal", ledger.Company}, {"north", ledger.Aggregator}, {"south", ledger.Aggregator},
		{"order", ledger.Validator}, {"peer", ledger.ModelPeer}} {
		name, roles := who.name, who.roles
		m := ledger.Member{Name: name, Owner: name + " ltd", Roles: roles, Signing: w.key(name), TLS: w.key(name + "/tls")}
		if roles.Has(ledger.Aggregator) || roles.Has(ledger.Validator) {
			m.Address = name + ":1"
		}
		if roles.Has(ledger.Validator) {
			m.Vote = w.key(name + "/vote")
		}
		g.Members = append(g.Members, m)
	}
	writes, err := g.Writes()
	if err != nil {
		t.Fatal(err)
	}
	w.tip.Write(writes)
	for _, name := range slices.Concat(nodeNames, companies) {
		w.stores[name] = store.NewMem()
	}
	w.startAll()
	return w
}

// startAll starts every process on its store.
func (w *world) startAll() {
	w.t.Helper()
	for _, n := range nodeNames {
		var err error
		w.nodes[n], err = node.New(node.Config{Name: n, Signing: w.signing[n], Profiles: w.profiles, Store: w.stores[n].Store, Ledger: follower{w, n},
			Peer: func(other string) (node.Peer, error) { return link{w, n, other}, nil }})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	for _, c := range companies {
		w.start(c)
	}
}

// start starts a company's agent, anew if it ran before.
func (w *world) start(c string) *Agent {
	w.t.Helper()
	a, err := New(Company{Name: c, Signing: w.signing[c], Profiles: w.profiles, Seed: he.Seed(ledger.Hash("test/seed", []byte(c))),
		Store: w.stores[c].Store, Ledger: follower{w, c}, Peers: func() map[string]Peer { return w.peers(c) }, Asks: w.endpoints, Policy: func() (Policy, error) { return w.policy(c), nil }})
	if err != nil {
		w.t.Fatal(err)
	}
	w.agents[c] = a
	return a
}

// restart starts an agent on what is durable.
func (w *world) restart(c string) *Agent {
	w.t.Helper()
	w.stores[c] = w.stores[c].Restart()
	return w.start(c)
}

func (w *world) peers(from string) map[string]Peer {
	out := map[string]Peer{}
	for _, n := range nodeNames {
		if !w.deaf[n] {
			out[n] = link{w, from, n}
		}
	}
	return out
}

func (w *world) key(name string) ledger.Key {
	seed := ledger.Hash("test/key", []byte(name))
	w.signing[name] = ed25519.NewKeyFromSeed(seed[:])
	return ledger.Key(w.signing[name].Public().(ed25519.PublicKey))
}

// A follower is a process's copy of the ledger: up to date.
type follower struct {
	w    *world
	name string
}

func (f follower) View() ledger.View { return f.w.tip }
func (f follower) Now() int64        { return f.w.now }

func (f follower) Submit(_ context.Context, tx []byte) (ledger.Result, error) {
	w := f.w
	parsed, err := ledger.ParseTx(tx)
	if err != nil {
		return ledger.Result{}, err
	}
	if w.bodies != nil {
		w.bodies(f.name, parsed.Body)
	}
	if w.tamper != nil && w.nodes[f.name] != nil {
		w.tamper(parsed.Body)
		tx = ledger.SignTx(chainName, parsed.Expiry, parsed.Body, w.signing[f.name])
	}
	w.now += 100
	out := ledger.Apply(w.tip, ledger.Block{Time: w.now, Txs: [][]byte{tx}})
	w.tip = w.tip.Clone() // views are snapshots
	w.tip.Write(out.Writes)
	w.codes[out.Results[0].Code]++
	return out.Results[0], nil
}

// record has somebody record a body.
func (w *world) record(who string, body ledger.Body) {
	w.t.Helper()
	r, _ := follower{w, who}.Submit(context.Background(), ledger.SignTx(chainName, w.now+1000, body, w.signing[who]))
	if r.Code != ledger.OK {
		w.t.Fatalf("%s: %T is refused: %d %s", who, body, r.Code, r.Detail)
	}
}

// A link is one process's connection to a node.
type link struct {
	w        *world
	from, to string
}

func (l link) Put(ctx context.Context, p ledger.Post, blob []byte) error {
	n := l.w.nodes[l.to]
	if err := n.Accept(l.from, p); err != nil {
		return err
	}
	if _, err := l.w.stores[l.to].Blobs.Put(blob); err != nil {
		return err
	}
	l.w.puts = append(l.w.puts, p)
	return n.Keep(ctx, p)
}

func (l link) Get(_ context.Context, d ledger.Digest) ([]byte, error) {
	if l.w.lie != nil {
		if b := l.w.lie(d); b != nil {
			return b, nil
		}
	}
	return l.w.stores[l.to].Blobs.Get(d)
}

func (l link) Posts(_ context.Context, scope ledger.Digest, after uint64) ([]ledger.Post, uint64, error) {
	posts, cursor := l.w.nodes[l.to].Posts(scope, nil, after, 64)
	return posts, cursor, nil
}

func (l link) Held(_ context.Context, manifest ledger.Digest) (ledger.Held, uint64, error) {
	return l.w.nodes[l.to].Held(manifest)
}

// work lets an agent work once.
func (w *world) work(c string) bool {
	w.t.Helper()
	did, err := w.agents[c].Work(context.Background())
	if err != nil {
		w.t.Fatalf("%s: %v", c, err)
	}
	return did
}

// turn lets everybody work once.
func (w *world) turn() (did bool) {
	w.t.Helper()
	for _, n := range nodeNames {
		d, _ := w.nodes[n].Work(context.Background()) // what is missing comes
		did = did || d
	}
	for _, c := range companies {
		did = w.work(c) || did
	}
	return did
}

// until takes turns until the ledger is as asked.
func (w *world) until(what string, so func() bool) {
	w.t.Helper()
	for range 400 {
		if so() {
			return
		}
		w.turn()
	}
	for _, c := range companies {
		for duty, err := range w.agents[c].Refused() {
			w.t.Logf("%s: %s: %v", c, duty, err)
		}
	}
	w.t.Fatalf("%s: not so after 400 turns; codes %v", what, w.codes)
}

// idle takes turns until nobody does anything any more.
func (w *world) idle() {
	w.t.Helper()
	for still := 0; still < 80; still++ {
		if w.turn() {
			still = 0
		}
	}
}

const columns = 4

// schema is that of every task here.
func schema() table.Schema {
	s := table.Schema{Label: "y", Negative: 0, Positive: 1}
	for i := range columns - 1 {
		s.Columns = append(s.Columns, table.Column{Name: fmt.Sprintf("x%d", i), Min: -1, Max: 1})
	}
	return s
}

// rowsFor are 40 rows of a company's own.
func rowsFor(company string) func(table.Schema) (table.Table, error) {
	return func(s table.Schema) (table.Table, error) {
		random := rand.New(rand.NewPCG(1, uint64(company[0])))
		var b strings.Builder
		b.WriteString("x0,x1,x2,y\n")
		for range 40 {
			x := [3]float64{random.Float64()*2 - 1, random.Float64()*2 - 1, random.Float64()*2 - 1}
			y := 0
			if x[0]+x[1]/2+random.NormFloat64()/4 > 0 {
				y = 1
			}
			fmt.Fprintf(&b, "%.4f,%.4f,%.4f,%d\n", x[0], x[1], x[2], y)
		}
		return s.Read(strings.NewReader(b.String()), company+".csv")
	}
}

// pooled is the policy of everybody with a task "churn"; oneLocal keeps cal's
// rows at home.
func pooled(company string) Policy {
	return Policy{Tasks: map[string]TaskPolicy{"churn": {Rows: rowsFor(company), Validation: 0.25, MaxSteps: 10, MaxRate: 4}}}
}

func oneLocal(company string) Policy {
	p := pooled(company)
	t := p.Tasks["churn"]
	t.Local = company == "cal"
	p.Tasks["churn"] = t
	return p
}

// keyed is a world whose base ceremony is over.
func keyed(t *testing.T, mode ledger.Mode, policy func(string) Policy) *world {
	t.Helper()
	w := found(t, mode, policy)
	w.until("key epoch 1", func() bool { _, ok := ledger.CurrentEpoch(w.tip); return ok })
	return w
}

var taskID = ledger.TaskID(chainName, "churn")

// A base is where worlds with contributions begin.
type base struct {
	now    int64
	tip    *ledger.Memory
	stores map[string]*store.Mem
}

// bases are made once, by what they differ in.
var bases = map[string]base{}

// ready is a world with the contributions of a task, every process just started.
func ready(t *testing.T, mode ledger.Mode, policy func(string) Policy) *world {
	t.Helper()
	kind := fmt.Sprint(mode, policy("cal").Tasks["churn"].Local)
	if _, ok := bases[kind]; !ok {
		w := brought(t, mode, policy)
		bases[kind] = base{w.now, w.tip, w.stores}
	}
	w, from := found(t, mode, policy), bases[kind]
	w.now, w.tip = from.now, from.tip.Clone()
	for name, s := range from.stores {
		w.stores[name] = s.Clone()
	}
	w.startAll()
	return w
}

// brought takes a world from its founding to the contributions of a task.
func brought(t *testing.T, mode ledger.Mode, policy func(string) Policy) *world {
	t.Helper()
	w := keyed(t, mode, policy)
	w.openTask()
	w.until("contributions", func() bool {
		for _, c := range companies {
			if _, ok := ledger.ContributionOf(w.tip, taskID, ledger.Validation, c); !ok {
				return false
			}
			if _, ok := ledger.ContributionOf(w.tip, taskID, ledger.Training, c); !ok {
				return false
			}
		}
		return true
	})
	return w
}

func (w *world) openTask() {
	w.t.Helper()
	w.record("peer", &ledger.OpenTask{Name: "churn", Epoch: 1, Schema: schema().Append(nil), Columns: columns, Nodes: nodeNames, Quorum: 2})
}

// openJob opens a job of some steps, valued at the last.
func (w *world) openJob(steps uint16) ledger.Digest {
	w.t.Helper()
	body := &ledger.OpenJob{Task: taskID, Algorithm: ledger.Logistic, Steps: steps, LearningRate: 1 << 32, Valued: []uint16{steps}, Nodes: nodeNames, Quorum: 2}
	w.record("peer", body)
	return ledger.JobID("peer", body)
}

func (w *world) job(id ledger.Digest) *ledger.Job {
	w.t.Helper()
	j, ok := ledger.JobOf(w.tip, id)
	if !ok {
		w.t.Fatalf("no job %x", id[:6])
	}
	return j
}
