package clients_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/commonseal/commonseal/federation/agent"
	"github.com/commonseal/commonseal/federation/fedtest"
	"github.com/commonseal/commonseal/federation/node"
	"github.com/commonseal/commonseal/federation/peer"
	"github.com/commonseal/commonseal/federation/replay"
	"github.com/commonseal/commonseal/federation/table"
	"github.com/commonseal/commonseal/federation/wire"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/gate"
)

const features = 31 // and the constant: 128 rows to a ciphertext

// served is a federation in the production profiles whose model is served by
// three companies at one node, over gRPC with mutual TLS on loopback.
type served struct {
	world   *fedtest.World
	model   ledger.Digest
	task    ledger.Digest
	width   int
	address string
}

func wideSchema() table.Schema {
	s := table.Schema{Label: "label", Negative: 0, Positive: 1}
	for i := range features {
		s.Columns = append(s.Columns, table.Column{Name: fmt.Sprint("x", i), Min: -1, Max: 1})
	}
	return s
}

func wideRows(company string) string {
	random := rand.New(rand.NewPCG(uint64(len(company)), uint64(company[0])))
	var b strings.Builder
	for i := range features {
		fmt.Fprintf(&b, "x%d,", i)
	}
	b.WriteString("label\n")
	for range 40 {
		sum := 0.0
		for range features {
			x := 2*random.Float64() - 1
			sum += x
			fmt.Fprintf(&b, "%.3f,", x)
		}
		fmt.Fprintf(&b, "%d\n", map[bool]int{true: 1}[sum > 0])
	}
	return b.String()
}

// serveModel founds the federation, trains one step, admits queriers and opens
// the door of a node.
func serveModel(b *testing.B, queriers int) *served {
	b.Helper()
	ctx := context.Background()
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	w, err := fedtest.New(fedtest.Options{Profiles: he.Standard(), Mode: ledger.Quorum, Policy: func(company string) agent.Policy {
		return agent.Policy{Tasks: map[string]agent.TaskPolicy{"wide": {
			Rows: func(s table.Schema) (table.Table, error) {
				return s.Read(strings.NewReader(wideRows(company)), company)
			},
		}}}
	}})
	must(err)
	must(w.Settle(ctx))
	nodes := []string{"north", "south"}
	must(w.Record(ctx, "peer", &ledger.OpenTask{Name: "wide", Epoch: 1, Schema: wideSchema().Append(nil), Columns: features + 1, Nodes: nodes, Quorum: 2}))
	must(w.Settle(ctx))
	out := &served{world: w, task: ledger.TaskID(w.Genesis.Chain, "wide")}
	open := &ledger.OpenJob{Task: out.task, Algorithm: ledger.Logistic, Steps: 1, LearningRate: replay.FixedRate(0.1), Nodes: nodes, Quorum: 2}
	must(w.Record(ctx, "peer", open))
	for range 10 {
		must(w.Settle(ctx))
	}
	j, _ := ledger.JobOf(w.View(), ledger.JobID("peer", open))
	out.model = j.Model
	if m, ok := ledger.ModelOf(w.View(), j.Model); !ok || !m.Served() {
		b.Fatalf("no model is served; the job is %v at step %d", j.State, j.Step)
	}
	t, _ := ledger.TaskOf(w.View(), out.task)
	out.width = int(t.Packing.Width)
	for i := range queriers {
		q := out.querier(b, i)
		must(w.Record(ctx, "ann", &ledger.AdmitQuerier{Name: q.name, Signing: w.Public(q.name), TLS: w.Public(q.name + "/tls"),
			Task: out.task, PublicKey: q.public.Digest(), Quota: ledger.MaxQuota}))
	}
	must(w.Settle(ctx))
	out.open(b)
	return out
}

// open opens the door of north, and has the companies answer there.
func (s *served) open(b *testing.B) {
	b.Helper()
	id, err := gate.NewIdentity(s.world.Private("north/tls"))
	if err != nil {
		b.Fatal(err)
	}
	view := s.world.View()
	var mu sync.Mutex // the state in memory is for one goroutine
	door := gate.NewDoor(id, func(k ledger.Key) (string, bool) {
		mu.Lock()
		defer mu.Unlock()
		return ledger.Peer(view, k)
	}, nil)
	server := grpc.NewServer(door.Options()...)
	node.Serve(server, s.world.Nodes["north"].Driver, func() int64 { return 1 })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s.address = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	parts.Go(func() { _ = server.Serve(l) }) // Stop's error
	for name, a := range s.world.Agents {
		p := s.dial(b, name)
		parts.Go(func() { _ = p.Serve(ctx, s.model, a.Driver.Answer) }) // ctx's error
	}
	b.Cleanup(func() {
		cancel()
		server.Stop()
		parts.Wait()
	})
}

func (s *served) dial(b *testing.B, name string) *peer.Peer {
	b.Helper()
	id, err := gate.NewIdentity(s.world.Private(name + "/tls"))
	if err != nil {
		b.Fatal(err)
	}
	p, err := peer.Dial(s.address, s.world.Public("north/tls"), id)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = p.Close() })
	return p
}

// An asker is one querier.
type asker struct {
	served   *served
	name     string
	seed     he.Seed
	secret   *he.SecretKey
	public   *he.PublicKey
	peer     *peer.Peer
	sequence uint64
	rows     he.Rows
}

func (s *served) querier(b *testing.B, i int) *asker {
	b.Helper()
	q := &asker{served: s, name: fmt.Sprintf("shop-%d", i), seed: he.Seed{byte(i), byte(i >> 8), 1}}
	serve := he.Standard().Serve
	q.secret = he.NewSecretKey(serve, q.seed.Stream("secret"))
	derived := he.QuerierSeed(wire.QuerierSession(s.world.Genesis.Chain, s.task), q.name, 0)
	q.public = he.GenPublicKey(q.secret, derived, q.seed.Stream("public"))
	return q
}

// connect dials and puts the public key, and draws rows to ask about.
func (q *asker) connect(b *testing.B, rows int) *asker {
	b.Helper()
	q.peer = q.served.dial(b, q.name)
	key := q.public.Append(nil)
	p := ledger.Post{Chain: q.served.world.Genesis.Chain, Epoch: 1, Profile: he.Standard().Serve.Digest(), Scope: q.served.task, Kind: ledger.PostQuerierKey,
		Blob: sha256.Sum256(key), Size: uint32(len(key))}.Sign(q.served.world.Private(q.name))
	if err := q.peer.Put(context.Background(), p, key); err != nil {
		b.Fatal(err)
	}
	q.rows = he.Rows{Columns: features + 1, Values: make([]float64, rows*(features+1))}
	for i := range q.rows.Values {
		q.rows.Values[i] = float64(i%7)/7 - 0.5
	}
	return q
}

// ask is a query from rows to margins.
func (q *asker) ask(ctx context.Context) error {
	q.sequence++
	q.rows.Values[1] = float64(q.sequence%1000) / 1000 // each another
	query, err := he.EncryptQueries(q.public, q.rows, q.served.width, q.seed)
	if err != nil {
		return err
	}
	b := query.Append(nil)
	envelope := wire.Query{Model: q.served.model, Sequence: q.sequence, Rows: uint16(q.rows.Len()), Digest: sha256.Sum256(b)}.
		Sign(q.served.world.Genesis.Chain, q.served.world.Private(q.name)).Append(nil)
	bytes, err := q.peer.Predict(ctx, envelope, b)
	if err != nil {
		return err
	}
	answer, err := he.ParseAnswer(bytes, he.Standard().Serve, q.served.width)
	if err == nil {
		q.secret.DecryptAnswers(answer, q.rows.Len(), 0)
	}
	return err
}

// BenchmarkPredict is one query end to end: encrypted, answered by three servers
// through a node, added up, decrypted.
func BenchmarkPredict(b *testing.B) {
	s := serveModel(b, 1)
	q := s.querier(b, 0).connect(b, 1)
	ctx := context.Background()
	if err := q.ask(ctx); err != nil {
		b.Fatal(err)
	}
	var took []time.Duration
	for b.Loop() {
		start := time.Now()
		if err := q.ask(ctx); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "median-ms")
}

// BenchmarkQueriers is 64 queriers that ask at once, each with a key and a
// connection of its own.
func BenchmarkQueriers(b *testing.B) {
	const queriers = 64
	s := serveModel(b, queriers)
	for _, rows := range []int{1, he.Standard().Serve.N() / s.width} {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			var all []*asker
			for i := range queriers {
				q := s.querier(b, i).connect(b, rows)
				q.sequence = uint64(time.Now().UnixMicro()) // above all that were used
				all = append(all, q)
			}
			b.ResetTimer()
			start := time.Now()
			var left atomic.Int64
			left.Store(int64(b.N))
			var wg sync.WaitGroup
			for _, q := range all {
				wg.Go(func() {
					for left.Add(-1) >= 0 {
						if err := q.ask(context.Background()); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N*rows)/time.Since(start).Seconds(), "queries/s")
			b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "ciphertexts/s")
		})
	}
}
