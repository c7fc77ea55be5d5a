package main

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/commonseal/commonseal/clients"
	"github.com/commonseal/commonseal/federation/agent"
	"github.com/commonseal/commonseal/ledger"
)

// A seat is where an agent answers: one model, at one node of its task.
type seat struct {
	model ledger.Digest
	node  string
}

// serveModels keeps a stream to every node of every model that a company holds
// a share of, until ctx ends: nodes never dial a company.
func serveModels(ctx context.Context, me string, c *clients.Client, a *agent.Agent, log *slog.Logger) error {
	var streams sync.WaitGroup
	defer streams.Wait()
	taken := map[seat]bool{}
	for {
		next := c.Changed()
		v := c.View()
		for _, m := range ledger.Models(v) {
			e, _ := ledger.EpochOf(v, m.Epoch)
			if !m.Served() || !slices.Contains(e.Parties, me) {
				continue
			}
			t, _ := ledger.TaskOf(v, m.Task)
			for _, n := range t.Nodes {
				if at := (seat{m.ID, n}); !taken[at] {
					taken[at] = true
					streams.Go(func() { serveAt(ctx, at, c, a, log) })
				}
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-next:
		}
	}
}

// How long a broken stream waits to be opened again.
const (
	reopenLeast = 250 * time.Millisecond
	reopenMost  = 10 * time.Second
)

// serveAt answers one node's queries to one model, again and again.
func serveAt(ctx context.Context, at seat, c *clients.Client, a *agent.Agent, log *slog.Logger) {
	for wait := reopenLeast; ctx.Err() == nil; wait = min(2*wait, reopenMost) {
		opened := time.Now()
		n, err := c.Node(at.node)
		if err == nil {
			err = n.Serve(ctx, at.model, a.Answer)
		}
		if ctx.Err() != nil {
			return
		}
		log.Debug("serving stream ended", "node", at.node, "error", err)
		if time.Since(opened) > reopenMost {
			wait = reopenLeast
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}
