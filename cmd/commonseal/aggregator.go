package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/commonseal/commonseal/clients"
	"github.com/commonseal/commonseal/cmd/commonseal/internal/monitor"
	"github.com/commonseal/commonseal/federation/node"
	"github.com/commonseal/commonseal/federation/store"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/gate"
)

// newAggregator runs an aggregation node.
func newAggregator() *cobra.Command {
	return newDaemon(daemon{
		role: ledger.Aggregator,
		run:  runAggregator,
		command: cobra.Command{
			Use:   "aggregator --home DIR",
			Short: "Run an aggregation node",
			Long: `Stores ciphertexts, evaluates training steps, adds shares up and passes queries
on. It holds no key and sees ciphertexts only. It may be killed at any time: it goes
on where it was.`,
			Example: `  commonseal aggregator --home node
  commonseal status --home node`,
		},
	})
}

// runAggregator runs the node and its door until ctx ends.
func runAggregator(ctx context.Context, p process) (err error) {
	h := p.home
	c, err := openMember(h, h.LedgerDir(), p.log.With("part", "ledger"))
	if err != nil {
		return fmt.Errorf("%w; is this node running already?", err)
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	s, err := store.Open(h.StoreDir())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	n, err := node.New(node.Config{Name: h.Member.Name, Signing: h.Keys.Signing.Ed25519(), Profiles: he.Standard(), Store: s, Ledger: c,
		Peer: func(name string) (node.Peer, error) { return c.Node(name) }, Log: p.log})
	if err != nil {
		return err
	}
	id, err := gate.NewIdentity(h.Keys.TLS.Ed25519())
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", h.Node.Listen)
	if err != nil {
		return fmt.Errorf("listen in %s: %w", filepath.Join(h.Dir, "node.yaml"), err)
	}
	admit := func(key ledger.Key) (string, bool) { return ledger.Peer(c.View(), key) }
	door := gate.NewDoor(id, admit, p.log.With("part", "door"))
	server := grpc.NewServer(door.Options()...)
	node.Serve(server, n, c.Height)
	p.monitor.Register(&federated{c})
	return runParts(ctx, server.Stop,
		c.Run,
		func(context.Context) error { return serve(server, listener) },
		func(ctx context.Context) error { return door.Run(ctx, c.Wait) },
		func(ctx context.Context) error { return n.Run(ctx, c.Changed) },
	)
}

// A federated tells how a process that follows the ledger does.
type federated struct{ client *clients.Client }

// Ready says whether the ledger is followed.
func (f *federated) Ready() error {
	if f.client.Now() == 0 {
		return errors.New("a block; are two validators reachable?")
	}
	if age := f.client.Age(); age > silence {
		return fmt.Errorf("a block, for %v; are two validators reachable?", age.Round(1e9))
	}
	return nil
}

// Status is what goes on in the federation, as this process sees it.
func (f *federated) Status() monitor.Status {
	v := f.client.View()
	out := monitor.Status{Height: f.client.Height()}
	for _, y := range ledger.Ceremonies(v) {
		out.Jobs = append(out.Jobs, monitor.Job{ID: fmt.Sprintf("%x", y.ID[:6]), State: "keys", Step: int(y.Stage), Steps: len(y.Stages), Waiting: fmt.Sprint(y.Waiting)})
	}
	for _, j := range ledger.Jobs(v) {
		if j.State != ledger.JobDone && j.State != ledger.JobAborted {
			out.Jobs = append(out.Jobs, monitor.Job{ID: fmt.Sprintf("%x", j.ID[:6]), State: j.State.String(), Step: int(j.Step), Steps: int(j.End())})
		}
	}
	return out
}
