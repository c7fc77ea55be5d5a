package peer

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/test/bufconn"

	"github.com/commonseal/commonseal/federation/node"
	"github.com/commonseal/commonseal/federation/store"
	"github.com/commonseal/commonseal/federation/wire"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/hetest"
	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/gate"
	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

const chain = "test"

// The companies of a world, whose model has width columns and whose querier may
// ask many times.
var companies = []string{"ann", "bob", "cal"}

const width = 2

func private(use, name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(use + " " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func public(use, name string) ledger.Key {
	return ledger.Key(private(use, name).Public().(ed25519.PublicKey))
}

func identity(tb testing.TB, name string) *gate.Identity {
	tb.Helper()
	id, err := gate.NewIdentity(private("tls", name))
	if err != nil {
		tb.Fatal(err)
	}
	return id
}

// some is a digest.
func some(what ...any) ledger.Digest { return sha256.Sum256(fmt.Append(nil, what...)) }

// A world is a ledger of one process: companies ann, bob and cal, nodes north
// and south, querier quinn. It applies one transaction a block. Safe for
// concurrent use.
type world struct {
	tb testing.TB

	mu      sync.Mutex // guards what follows
	state   *ledger.Memory
	now     int64
	model   ledger.Digest // that all three serve
	rows    ledger.Digest // the task that they upload rows to
	changed chan struct{}
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	member := func(name string, roles ledger.Roles) ledger.Member {
		m := ledger.Member{Name: name, Owner: "owner of " + name, Roles: roles, Signing: public("sign", name), TLS: public("tls", name)}
		if !roles.Has(ledger.Company) {
			m.Address = name + ".example:7000"
		}
		if roles.Has(ledger.Validator) {
			m.Vote = public("vote", name)
		}
		return m
	}
	g := ledger.Genesis{Chain: chain, Train: some("train"), Release: some("release"), Serve: some("serve"), Mode: ledger.Quorum, Quorum: 2}
	for _, c := range companies {
		g.Members = append(g.Members, member(c, ledger.Company))
	}
	g.Members = append(g.Members, member("north", ledger.Aggregator), member("south", ledger.Aggregator), member("val", ledger.Validator))
	writes, err := g.Writes()
	if err != nil {
		tb.Fatal(err)
	}
	w := &world{tb: tb, state: new(ledger.Memory), now: 1_000_000, changed: make(chan struct{})}
	w.state.Write(writes)
	w.found()
	return w
}

// View, Now and Submit are what a node asks of a ledger.
func (w *world) View() ledger.View {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state
}

func (w *world) Now() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) Submit(_ context.Context, tx []byte) (ledger.Result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now++
	out := ledger.Apply(w.state, ledger.Block{Time: w.now, Txs: [][]byte{tx}})
	next := w.state.Clone() // a view stays as it is
	next.Write(out.Writes)
	w.state = next
	close(w.changed)
	w.changed = make(chan struct{})
	return out.Results[0], nil
}

// wait is what a door waits for blocks with.
func (w *world) wait(ctx context.Context, above int64) (int64, error) {
	for {
		w.mu.Lock()
		now, changed := w.now, w.changed
		w.mu.Unlock()
		if now > above {
			return now, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

func (w *world) must(from string, body ledger.Body) {
	w.tb.Helper()
	tx := ledger.SignTx(chain, w.Now()+60_000, body, private("sign", from))
	if r, err := w.Submit(context.Background(), tx); err != nil || r.Code != ledger.OK {
		w.tb.Fatalf("%s's %T: code %d, %s, %v", from, body, r.Code, r.Detail, err)
	}
}

// found takes the world to a task with keys that takes rows, and a model that is
// served.
func (w *world) found() {
	w.must("ann", &ledger.OpenRoster{Epoch: 1, Parties: companies, Stages: []uint16{1}})
	w.ceremony(ledger.BaseCeremony(chain, 1, 1))
	w.rows = w.task("rows", false)
	home := w.task("home", true)
	for _, c := range companies {
		w.must(c, &ledger.Contribute{Task: home, Use: ledger.Training, Rows: 100, Commitment: some(c)})
	}
	o := &ledger.OpenJob{Task: home, Algorithm: ledger.Logistic, Steps: 1, LearningRate: 1, Nodes: []string{"north", "south"}, Quorum: 2}
	job := ledger.JobID("ann", o)
	w.must("ann", o)
	var shares []ledger.Digest
	for _, c := range companies {
		w.must(c, &ledger.ApproveJob{Job: job})
		shares = append(shares, some("share", c))
	}
	for step := range uint16(2) {
		j, _ := ledger.JobOf(w.View(), job)
		r := &ledger.StepRecord{Job: job, Step: step, Previous: j.Last, Inputs: []ledger.Digest{some("input", step)}, C1s: []ledger.Digest{some("c1", step)}, Level: 1, LogScale: 40}
		for _, c := range companies[:step*3] {
			r.Shares = shares
			r.Updates = append(r.Updates, ledger.Post{Chain: chain, Epoch: 1, Profile: some("train"), Scope: job, Kind: ledger.PostUpdate,
				Step: step, Blob: some(c), Size: 1}.Sign(private("sign", c)).Append(nil))
		}
		w.must("north", r)
		w.must("south", r)
	}
	j, _ := ledger.JobOf(w.View(), job)
	r := &ledger.ModelRecord{Job: job, Previous: j.Last, Shares: shares, State: some("state"), Remainder: some("remainder")}
	w.must("north", r)
	w.must("south", r)
	w.model = r.Model()
	for _, c := range companies {
		w.must(c, &ledger.Serve{Model: w.model, PairKey: some("pair", c)})
	}
	w.must("ann", &ledger.AdmitQuerier{Name: "quinn", Signing: public("sign", "quinn"), TLS: public("tls", "quinn"), Task: home, PublicKey: sha256.Sum256(quinnsKey), Quota: ledger.MaxQuota})
}

var quinnsKey = bytes.Repeat([]byte("key"), 1000)

func (w *world) ceremony(id ledger.Digest) {
	y, _ := ledger.CeremonyOf(w.View(), id)
	for stage, parts := range y.Stages {
		for _, p := range y.Parties {
			w.must(p, &ledger.Commit{Ceremony: id, Stage: uint8(stage), Promise: []byte("promise of " + p)})
		}
		for _, p := range y.Parties {
			r := &ledger.Reveal{Ceremony: id, Stage: uint8(stage)}
			if parts == 1 {
				r.Inline = []byte("nonce of " + p)
			}
			w.must(p, r)
		}
	}
	for _, p := range y.Parties {
		w.must(p, &ledger.KeyAck{Ceremony: id, Keys: some("keys", id)})
	}
}

// task opens a task, with consents and keys.
func (w *world) task(name string, local bool) ledger.Digest {
	id := ledger.TaskID(chain, name)
	w.must("ann", &ledger.OpenTask{Name: name, Epoch: 1, Schema: []byte("schema"), Columns: width, Nodes: []string{"north", "south"}, Quorum: 2})
	for _, c := range companies {
		w.must(c, &ledger.Consent{Task: id, Local: local, Rows: 100})
	}
	w.must("ann", &ledger.OpenKeySet{Task: id, Packing: ledger.Packing{Width: width, Baby: 1, Stack: 1}, Rotations: []int32{1}, Stages: []uint16{1}})
	w.ceremony(ledger.KeySetCeremony(id, 1))
	return id
}

// manifest is a list of n digests, 7+32n bytes.
func manifest(seed uint64, n int) []byte {
	random := rand.NewChaCha8(some(seed))
	m := wire.Manifest{Vectors: 1, Digests: make([]ledger.Digest, n)}
	for i := range m.Digests {
		random.Read(m.Digests[i][:])
	}
	return m.Append(nil)
}

// mebi is so many digests that a list of them is a little over 1 MiB.
const mebi = gate.ChunkBytes / 32

// listing is sender's post of a manifest.
func (w *world) listing(sender string, blob []byte) ledger.Post {
	return ledger.Post{Chain: chain, Epoch: 1, Scope: w.rows, Kind: ledger.PostManifest, Step: uint16(ledger.Training),
		Blob: sha256.Sum256(blob), Size: uint32(len(blob))}.Sign(private("sign", sender))
}

// A house is node north behind its door.
type house struct {
	*world
	node   *node.Node
	store  *store.Store
	server *grpc.Server
	door   *gate.Door
	lis    net.Listener
	log    *logbook
}

// open opens one on loopback, or in memory for a bubble of synctest.
func open(tb testing.TB, inMemory bool, configure ...func(*node.Config)) *house {
	tb.Helper()
	h := &house{world: newWorld(tb), log: &logbook{}}
	c := node.Config{Name: "north", Signing: private("sign", "north"), Store: store.NewMem().Store, Ledger: h.world, Log: slog.New(slog.NewTextHandler(h.log, nil)),
		Profiles: hetest.Profiles(tb), Peer: func(string) (node.Peer, error) { return nil, errors.New("alone") }}
	for _, f := range configure {
		f(&c)
	}
	var err error
	h.store = c.Store
	if h.node, err = node.New(c); err != nil {
		tb.Fatal(err)
	}
	h.door = gate.NewDoor(identity(tb, "north"), func(key ledger.Key) (string, bool) { return ledger.Peer(h.View(), key) }, c.Log)
	h.server = grpc.NewServer(h.door.Options()...)
	node.Serve(h.server, h.node, h.Now)
	if inMemory {
		h.lis = bufconn.Listen(1 << 16)
	} else if h.lis, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		tb.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.server.Serve(h.lis)
	}()
	tb.Cleanup(func() {
		h.server.Stop()
		<-done
	})
	return h
}

// dial is name's way to it, or to a cable that leads to it.
func (h *house) dial(tb testing.TB, name string, address ...string) *Peer {
	tb.Helper()
	if len(address) == 0 {
		address = []string{h.lis.Addr().String()}
	}
	p, err := Dial(address[0], public("tls", "north"), identity(tb, name))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { p.Close() })
	return p
}

// dialMemory is name's way to a server in memory. Each connection goes through
// wrap, if there is one.
func dialMemory(tb testing.TB, lis net.Listener, name string, wrap func(net.Conn) net.Conn) *Peer {
	tb.Helper()
	key := private("tls", name)
	now := time.Now().Truncate(time.Second)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(20 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	creds := credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS13, InsecureSkipVerify: true,
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
	})
	dial := func(ctx context.Context, _ string) (net.Conn, error) {
		c, err := lis.(*bufconn.Listener).DialContext(ctx)
		if err == nil && wrap != nil {
			c = wrap(c)
		}
		return c, err
	}
	conn, err := grpc.NewClient("passthrough:///memory", grpc.WithTransportCredentials(creds), grpc.WithContextDialer(dial))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	return &Peer{"memory", conn, commonsealv1.NewNodeServiceClient(conn)}
}

// serveIn serves in memory what a dishonest node says, and dials it.
func serveIn(tb testing.TB, s commonsealv1.NodeServiceServer) *Peer {
	tb.Helper()
	door := gate.NewDoor(identity(tb, "north"), func(ledger.Key) (string, bool) { return "ann", true }, nil)
	server, lis, done := grpc.NewServer(door.Options()...), bufconn.Listen(1<<16), make(chan struct{})
	commonsealv1.RegisterNodeServiceServer(server, s)
	go func() {
		defer close(done)
		server.Serve(lis)
	}()
	tb.Cleanup(func() {
		server.Stop()
		<-done
	})
	return dialMemory(tb, lis, "ann", nil)
}

// A logbook is what a node logged.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logbook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// refusedAs fails unless err is a refusal with a code, and returns it.
func refusedAs(tb testing.TB, err error, code commonsealv1.RefusalCode) *gate.Refusal {
	tb.Helper()
	var r *gate.Refusal
	if !errors.As(gate.FromStatus(err), &r) || r.Code != code {
		tb.Fatalf("%v, not a refusal with %v", err, code)
	}
	return r
}

// answerOf is a share of an answer that adds value to its first coefficient.
func answerOf(p *he.Profile, value uint64) []byte {
	r := p.RingQ(p.MaxLevel())
	a := &he.Answer{Profile: p, Width: width, C0: r.NewPoly(), C1: r.NewPoly()}
	for i := range a.C0.Coeffs {
		a.C0.Coeffs[i][0] = value
	}
	return a.Append(nil)
}
