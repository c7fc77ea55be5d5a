// Package fedtest runs a whole federation in one goroutine on a seeded
// scheduler: the real nodes and agents, on stores in memory, with messages lost,
// late and out of order, and processes that crash at any write. A seed is a run:
// the same seed fails the same way.
package fedtest

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"fmt"
	"math/rand/v2"

	"github.com/commonseal/commonseal/federation/agent"
	"github.com/commonseal/commonseal/federation/checker"
	"github.com/commonseal/commonseal/federation/node"
	"github.com/commonseal/commonseal/federation/store"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/ledger"
)

// Options are what a world is like. The same options and seed are the same
// world.
type Options struct {
	Profiles  he.Profiles
	Companies []string // in roster order; none: three
	Seed      uint64
	// Faults loses, delays and reorders messages and crashes processes; without,
	// everything goes well.
	Faults   bool
	Policy   func(company string) agent.Policy
	Mode     ledger.Mode
	Patience int64 // ms of block time that a stage or a step is waited for; 0: for ever
	Money    ledger.Money
	Reward   int64    // ms of block time of a reward epoch; 0: as the ledger has it
	Checkers []string // validators beside the one that orders, who check
}

// A World is a federation.
type World struct {
	Options
	Genesis ledger.Genesis
	Nodes   map[string]*Process[*node.Node]
	Agents  map[string]*Process[*agent.Agent]
	// Checkers are those of the options.
	Checkers map[string]*Process[*checker.Checker]
	Crashes  int
	Absent   map[string]bool // gets no turn
	// Tamper, if not nil, is what a sender makes of a post before it puts it.
	Tamper func(from string, p ledger.Post, blob []byte) (ledger.Post, []byte)
	CutOff map[string]bool // sees no block, and cannot submit; the nodes it reaches
	// Forge, if not nil, is what a process records instead of what it would.
	Forge   func(from string, body ledger.Body) ledger.Body
	random  *rand.Rand
	chain   *chain
	order   []string
	asking  bool                     // a query is on its way: nothing of it is lost between node and holders
	peer    *follower                // of the model peer, who opens tasks and jobs
	said    map[string]ledger.Digest // blobs of posts, by natural key
	planned bool                     // CrashAt says where
	fault   error                    // what no process may do was done
}

// A Process is a driver, its store, and its copy of the ledger. A driver that
// is down is nil.
type Process[D comparable] struct {
	Driver D
	Store  *store.Mem
	name   string
	ledger *follower
	start  func(*store.Mem) (D, error)
}

// Companies of a world whose options name none, and nodes of every world. Only the
// last company is local, if its policy says so.
var (
	companies = []string{"ann", "bob", "cal"}
	nodes     = []string{"north", "south"}
)

// New founds a world: nobody has keys yet.
func New(o Options) (*World, error) {
	if len(o.Companies) == 0 {
		o.Companies = companies
	}
	w := empty(o)
	w.Genesis = ledger.Genesis{
		Chain: "fedtest", Mode: o.Mode, Quorum: 2, Patience: cmp.Or(o.Patience, ledger.MaxPatience), Money: o.Money, RewardEpoch: o.Reward,
		Train: o.Profiles.Train.Digest(), Release: o.Profiles.Release.Digest(), Serve: o.Profiles.Serve.Digest(),
	}
	member := func(name string, roles ledger.Roles) {
		m := ledger.Member{Name: name, Owner: name + " ltd", Roles: roles, Signing: w.Public(name), TLS: w.Public(name + "/tls")}
		if roles.Has(ledger.Aggregator) || roles.Has(ledger.Validator) {
			m.Address = name + ":1"
		}
		if roles.Has(ledger.Validator) {
			m.Vote = w.Public(name + "/vote")
		}
		w.Genesis.Members = append(w.Genesis.Members, m)
	}
	for _, n := range o.Companies {
		member(n, ledger.Company)
	}
	for _, n := range nodes {
		member(n, ledger.Aggregator)
	}
	for _, n := range append([]string{"order"}, o.Checkers...) {
		member(n, ledger.Validator)
	}
	member("peer", ledger.ModelPeer)
	var err error
	if w.chain, err = newChain(w.Genesis, w.random, o.Faults); err != nil {
		return nil, err
	}
	return w, w.populate(nil)
}

func empty(o Options) *World {
	return &World{
		Options: o, random: rand.New(rand.NewPCG(o.Seed, 0x66656474657374)),
		Nodes: map[string]*Process[*node.Node]{}, Agents: map[string]*Process[*agent.Agent]{}, said: map[string]ledger.Digest{}, Absent: map[string]bool{}, CutOff: map[string]bool{},
		Checkers: map[string]*Process[*checker.Checker]{},
		order:    append(append(append([]string(nil), o.Companies...), nodes...), o.Checkers...),
	}
}

// populate starts every process, on a copy of the store that it has in another
// world, or on an empty one.
func (w *World) populate(of *World) (err error) {
	if w.peer, err = w.chain.follower(w.Genesis); err != nil {
		return err
	}
	for _, n := range nodes {
		s := store.NewMem()
		if of != nil {
			s = of.Nodes[n].Store.Clone()
		}
		if w.Nodes[n], err = found(w, n, s, func(s *store.Mem, f *follower) (*node.Node, error) { return w.startNode(n, s, f) }); err != nil {
			return err
		}
	}
	for _, n := range w.Companies {
		s := store.NewMem()
		if of != nil {
			s = of.Agents[n].Store.Clone()
		}
		if w.Agents[n], err = found(w, n, s, func(s *store.Mem, f *follower) (*agent.Agent, error) { return w.startAgent(n, s, f) }); err != nil {
			return err
		}
	}
	return w.populateCheckers(of)
}

// Branch is a world that goes on from here with another seed: every process is
// started anew on a copy of its store.
func (w *World) Branch(seed uint64, faults bool) (*World, error) {
	o := w.Options
	o.Seed, o.Faults = seed, faults
	out := empty(o)
	out.Genesis = w.Genesis
	out.chain = w.chain.branch(out.random, faults)
	return out, out.populate(w)
}

// Private is the signing key of a name; a name's TLS key is that of name/tls.
func (w *World) Private(name string) ed25519.PrivateKey {
	seed := ledger.Hash("fedtest", []byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

// Public is its public half.
func (w *World) Public(name string) ledger.Key {
	return ledger.Key(w.Private(name).Public().(ed25519.PublicKey))
}

func found[D comparable](w *World, name string, s *store.Mem, start func(*store.Mem, *follower) (D, error)) (*Process[D], error) {
	f, err := w.chain.follower(w.Genesis)
	if err != nil {
		return nil, err
	}
	f.catchUp(true)
	f.cutOff = func() bool { return w.CutOff[name] }
	f.forge = func(tx []byte) []byte { return w.forged(name, tx) }
	p := &Process[D]{Store: s, ledger: f, name: name}
	p.start = func(s *store.Mem) (D, error) { return start(s, f) }
	p.Driver, err = p.start(p.Store)
	return p, err
}

func (w *World) startNode(name string, s *store.Mem, f *follower) (*node.Node, error) {
	return node.New(node.Config{Name: name, Signing: w.Private(name), Profiles: w.Profiles, Store: s.Store, Ledger: f,
		Peer: func(other string) (node.Peer, error) { return wireTo{w, name, other}, nil }})
}

func (w *World) startAgent(name string, s *store.Mem, f *follower) (*agent.Agent, error) {
	peers := map[string]agent.Peer{}
	for _, n := range nodes {
		peers[n] = wireTo{w, name, n}
	}
	return agent.New(agent.Company{Name: name, Signing: w.Private(name), Profiles: w.Profiles,
		Seed: he.Seed(ledger.Hash("fedtest/seed", []byte(name))), Store: s.Store, Ledger: f, Asks: w.endpoints,
		Peers: func() map[string]agent.Peer { return peers }, Policy: func() (agent.Policy, error) { return w.Policy(name), nil }})
}

// Turn lets somebody do something: a process reads some of the ledger and works
// once, and may crash at it.
func (w *World) Turn(ctx context.Context) error {
	if w.fault != nil {
		return w.fault
	}
	if w.Faults && w.random.IntN(8) == 0 {
		w.chain.stray()
	}
	if w.Reward > 0 && w.random.IntN(8) == 0 {
		w.chain.pass() // epochs end by time
	}
	name := w.order[w.random.IntN(len(w.order))]
	if w.Absent[name] {
		w.chain.pass()
		return nil
	}
	if p, ok := w.Nodes[name]; ok {
		return turn(ctx, w, p, func(n *node.Node, ctx context.Context) (bool, error) {
			did, err := n.Work(ctx)
			_ = n.Bill(ctx) // what is not recorded now is later
			return did, err
		})
	}
	if p, ok := w.Checkers[name]; ok {
		return turn(ctx, w, p, (*checker.Checker).Work)
	}
	return turn(ctx, w, w.Agents[name], (*agent.Agent).Work)
}

// rarely is how often a process whose turn it is will crash, and within how many
// writes.
const (
	rarely = 12
	soon   = 12
)

func turn[D comparable](ctx context.Context, w *World, p *Process[D], work func(D, context.Context) (bool, error)) error {
	if !w.CutOff[p.name] {
		p.ledger.catchUp(!w.Faults)
	}
	if w.Faults && w.random.IntN(rarely) == 0 {
		p.Store.FailAt(1+w.random.IntN(soon), store.Side(w.random.IntN(2)))
	}
	_, err := work(p.Driver, ctx)
	if p.Store.Crashed() {
		return p.restart(w)
	}
	if !w.planned {
		p.Store.FailAt(0, store.Before)
	}
	if err != nil && !w.Faults && !w.planned {
		return err
	}
	return nil
}

// restart starts a process that crashed on what is durable.
func (p *Process[D]) restart(w *World) (err error) {
	w.Crashes++
	p.Store = p.Store.Restart()
	p.Driver, err = p.start(p.Store)
	return err
}

// Writes are how many writes each process has made, by name.
func (w *World) Writes() map[string]int {
	out := map[string]int{}
	for name, p := range w.Nodes {
		out[name] = p.Store.Writes()
	}
	for name, p := range w.Agents {
		out[name] = p.Store.Writes()
	}
	return out
}

// CrashAt has a process crash at its n-th write from now, from 1.
func (w *World) CrashAt(name string, n int, side store.Side) {
	w.planned = true
	if p, ok := w.Nodes[name]; ok {
		p.Store.FailAt(n, side)
		return
	}
	w.Agents[name].Store.FailAt(n, side)
}

// Until takes turns until the ledger is as asked, at most so many.
func (w *World) Until(ctx context.Context, turns int, so func(ledger.View) bool) error {
	for range turns {
		if so(&w.chain.tip) {
			return nil
		}
		if err := w.Turn(ctx); err != nil {
			return err
		}
	}
	return fmt.Errorf("seed %d: not there after %d turns: %s", w.Seed, turns, w.describe())
}

// describe says where the world is stuck.
func (w *World) describe() string {
	s := fmt.Sprintf("%d blocks, codes %v", len(w.chain.blocks), w.chain.Codes)
	for _, y := range ledger.Ceremonies(&w.chain.tip) {
		s += fmt.Sprintf("; ceremony stage %d state %d waits for %v", y.Stage, y.State, y.Waiting)
	}
	for _, j := range ledger.Jobs(&w.chain.tip) {
		s += fmt.Sprintf("; job in state %d at step %d", j.State, j.Step)
	}
	for _, n := range w.Companies {
		for duty, err := range w.Agents[n].Driver.Refused() {
			s += fmt.Sprintf("; %s refuses %s: %v", n, duty, err)
		}
	}
	return s
}

// Record has somebody record something, the same bytes again and again until it
// hears what became of them.
func (w *World) Record(ctx context.Context, from string, body ledger.Body) error {
	w.peer.catchUp(true)
	tx := ledger.SignTx(w.Genesis.Chain, w.peer.Now()+ledger.MaxExpiry/2, body, w.Private(from))
	for {
		r, err := w.peer.Submit(ctx, tx)
		if err != nil {
			continue
		}
		if r.Code != ledger.OK && r.Code != ledger.Replayed {
			return fmt.Errorf("refused (code %d): %s", r.Code, r.Detail)
		}
		return nil
	}
}

// CatchUp lets every process read all of the ledger, and do nothing.
func (w *World) CatchUp() {
	for _, p := range w.Nodes {
		p.ledger.catchUp(true)
	}
	for _, p := range w.Agents {
		p.ledger.catchUp(true)
	}
}

// Settle lets every process read all of the ledger and work until nobody has
// anything to do.
func (w *World) Settle(ctx context.Context) error {
	for busy := true; busy; {
		busy = false
		for _, name := range w.order {
			var did bool
			var err error
			if p, ok := w.Nodes[name]; ok {
				p.ledger.catchUp(true)
				did, err = p.Driver.Work(ctx)
			} else if p, ok := w.Checkers[name]; ok {
				p.ledger.catchUp(true)
				did, err = p.Driver.Work(ctx)
			} else {
				a := w.Agents[name]
				a.ledger.catchUp(true)
				did, err = a.Driver.Work(ctx)
			}
			if err != nil {
				return err
			}
			busy = busy || did
		}
	}
	return nil
}

// View is the tip of the ledger.
func (w *World) View() ledger.View { return &w.chain.tip }

// An EquivocationError says that a process said two different things in one
// place, which no crash may make it do (law L3).
type EquivocationError struct{ Post ledger.Post }

// Error says where.
func (e *EquivocationError) Error() string {
	return fmt.Sprintf("post of kind %d, step %d, index %d was said twice, differently", e.Post.Kind, e.Post.Step, e.Post.Index)
}

// saidOnce notes what a process says to anybody.
func (w *World) saidOnce(p ledger.Post) error {
	key := string(p.Key())
	if before, ok := w.said[key]; ok && before != p.Blob {
		w.fault = &EquivocationError{p}
		return w.fault
	}
	w.said[key] = p.Blob
	return nil
}
