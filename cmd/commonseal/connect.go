package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"

	"google.golang.org/grpc"

	"github.com/commonseal/commonseal/clients"
	"github.com/commonseal/commonseal/cmd/commonseal/internal/home"
)

// doorsOf are a home's validators as a client dials them.
func doorsOf(doors []home.Door) (out []clients.Door) {
	for _, d := range doors {
		out = append(out, clients.Door{Name: d.Name, Address: d.Address, TLS: d.Key()})
	}
	return out
}

// openMember opens a client in a member's name. A command beside a running
// process keeps its replica in memory: dir "".
func openMember(h *home.Home, dir string, log *slog.Logger) (*clients.Client, error) {
	return clients.Open(clients.Config{Genesis: h.Genesis.Genesis, Dir: dir, Doors: doorsOf(h.Node.Doors),
		TLS: h.Keys.TLS.Ed25519(), Signing: h.Keys.Signing.Ed25519(), Log: log})
}

// asMember runs do in the name of a home's member, while the ledger is
// followed.
func asMember(ctx context.Context, dir string, do func(ctx context.Context, h *home.Home, c *clients.Client) error) error {
	h, err := home.Open(dir)
	if err != nil {
		return err
	}
	c, err := openMember(h, "", nil)
	if err != nil {
		return err
	}
	return following(ctx, c, func(ctx context.Context) error { return do(ctx, h, c) })
}

// following runs do while c follows the ledger, and closes c.
func following(ctx context.Context, c *clients.Client, do func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	followed := make(chan error, 1)
	go func() {
		defer cancel() // what cannot be followed is not acted on
		followed <- c.Run(ctx)
	}()
	err := c.Sync(ctx)
	if err == nil {
		err = do(ctx)
	}
	cancel()
	if e := <-followed; e != nil && !errors.Is(e, context.Canceled) {
		err = e
	}
	return errors.Join(err, c.Close())
}

// runParts runs the parts of a process until ctx ends or one of them does, and
// returns when all have. stop is called before the others are told to.
func runParts(ctx context.Context, stop func(), parts ...func(ctx context.Context) error) error {
	inside, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	ended := make(chan error, len(parts))
	var all sync.WaitGroup
	for _, part := range parts {
		all.Go(func() { ended <- part(inside) })
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-ended: // none ends by itself in good order
	}
	stop()
	cancel()
	all.Wait()
	for len(ended) > 0 {
		if e := <-ended; !errors.Is(e, context.Canceled) {
			err = errors.Join(err, e)
		}
	}
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// serve serves until the server is stopped, which may be before it begins.
func serve(s *grpc.Server, l net.Listener) error {
	if err := s.Serve(l); !errors.Is(err, grpc.ErrServerStopped) {
		return err
	}
	return nil
}
