package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"google.golang.org/grpc"

	"github.com/commonseal/commonseal/cmd/commonseal/internal/home"
	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/audit"
	"github.com/commonseal/commonseal/ledger/gate"
	"github.com/commonseal/commonseal/ledger/tree"
	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

// A replica is a process's own copy of the ledger, which believes no validator.
type replica struct {
	*gate.Follower
	id    *gate.Identity // that the process proves to everybody
	state *tree.Tree
	conns []*grpc.ClientConn
}

// openReplica opens the ledger in a home, and the doors in its node.yaml. Its
// Run must run for the replica to follow; the caller closes it after that.
func openReplica(h *home.Home, log *slog.Logger) (*replica, error) {
	id, err := gate.NewIdentity(h.Keys.TLS.Ed25519())
	if err != nil {
		return nil, err
	}
	verifier, err := audit.NewVerifier(h.Genesis.Chain, h.Genesis.Validators())
	if err != nil {
		return nil, err
	}
	state, err := tree.Open(h.LedgerDir())
	if err != nil {
		return nil, fmt.Errorf("%w; does another process run in %s?", err, h.Dir)
	}
	r := &replica{id: id, state: state}
	err = r.begin(h.Genesis.Genesis)
	var doors []gate.Endpoint
	for _, d := range h.Node.Doors {
		if err != nil {
			break
		}
		var conn *grpc.ClientConn
		if conn, err = gate.Dial(d.Address, d.Key(), id); err == nil {
			r.conns = append(r.conns, conn)
			doors = append(doors, gate.Endpoint{Name: d.Name, Service: commonsealv1.NewLedgerServiceClient(conn)})
		}
	}
	if err == nil {
		r.Follower, err = gate.NewFollower(doors, state, gate.Rules{Verify: verifier.Verify, Apply: ledger.Apply, Check: ledger.Check}, log)
	}
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// begin writes the genesis into a replica that is new.
func (r *replica) begin(g ledger.Genesis) error {
	if r.state.Height() >= 0 {
		return nil
	}
	writes, err := g.Writes()
	if err != nil {
		return err
	}
	if _, err := r.state.Stage(0, ledger.Outcome{Writes: writes}); err != nil {
		return err
	}
	return r.state.Commit()
}

// ready waits until the replica has a block and its time, which a stop forgets:
// only then can anything be signed that expires.
func (r *replica) ready(ctx context.Context) error {
	for {
		next := r.Changed()
		if r.Height() > 0 && r.Now() > 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-next:
		}
	}
}

// admit says who may come in through a door of this process.
func (r *replica) admit(key ledger.Key) (string, bool) { return ledger.Peer(r.View(), key) }

// Root is the root of the state after the last block.
func (r *replica) Root() ledger.Digest { return r.state.Root() }

// Close closes the connections and the state.
func (r *replica) Close() error {
	var err error
	for _, c := range r.conns {
		err = errors.Join(err, c.Close())
	}
	return errors.Join(err, r.state.Close())
}

// during follows the ledger while do runs, and returns what do returns, or why
// the ledger could not be followed.
func (r *replica) during(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	followed := make(chan error, 1)
	go func() {
		err := r.Run(ctx)
		cancel(err)
		followed <- err
	}()
	err := do(ctx)
	if cause := context.Cause(ctx); err != nil && cause != nil && errors.Is(err, context.Canceled) {
		err = cause
	}
	cancel(context.Canceled)
	<-followed
	return err
}
