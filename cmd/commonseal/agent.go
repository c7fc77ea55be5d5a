package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/commonseal/commonseal/clients"
	"github.com/commonseal/commonseal/cmd/commonseal/internal/home"
	"github.com/commonseal/commonseal/federation/agent"
	"github.com/commonseal/commonseal/federation/store"
	"github.com/commonseal/commonseal/federation/table"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/ledger"
)

// newAgent runs a company's agent.
func newAgent() *cobra.Command {
	return newDaemon(daemon{
		role: ledger.Company,
		run:  runAgent,
		command: cobra.Command{
			Use:   "agent --home DIR",
			Short: "Run a company's agent",
			Long: `Makes keys with the other companies, brings rows, answers with its shares, and
serves models. It only dials out. It may be killed at any time: it goes on where it
was, and never gives a second share for the same ciphertext.

Where credits are paid it asks every model that others had made about its own
validation rows, as any querier would and at the price of one, and ranks the models
by the answers. Each model costs it as many answers as it has such rows, 1024 at
most, and tells it as much: enough of them are the model.

It takes part in what DIR/policy.yaml names, and in nothing else:

` + indent(home.PolicyExample),
			Example: `  commonseal agent --home ann
  commonseal contribute --home ann --task churn --data rows.csv --label churned`,
		},
	})
}

// runAgent runs the agent until ctx ends.
func runAgent(ctx context.Context, p process) (err error) {
	h := p.home
	if _, err := policyOf(h); err != nil { // later ones that cannot be read leave the last in force
		return err
	}
	c, err := openMember(h, h.LedgerDir(), p.log.With("part", "ledger"))
	if err != nil {
		return fmt.Errorf("%w; is this agent running already?", err)
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	s, err := store.Open(h.StoreDir())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	seed, err := home.Seed(h.Dir)
	if err != nil {
		return err
	}
	a, err := agent.New(agent.Company{Name: h.Member.Name, Signing: h.Keys.Signing.Ed25519(), Profiles: he.Standard(), Seed: he.Seed(seed),
		Store: s, Ledger: c, Peers: func() map[string]agent.Peer { return nodesOf(c) }, Asks: func(tls ed25519.PrivateKey) (map[string]agent.Endpoint, func()) { return endpointsOf(c, tls) },
		Policy: func() (agent.Policy, error) { return policyOf(h) }, Log: p.log})
	if err != nil {
		return err
	}
	p.monitor.Register(&federated{c})
	return runParts(ctx, func() {},
		c.Run,
		func(ctx context.Context) error { return a.Run(ctx, c.Changed) },
		func(ctx context.Context) error { return serveModels(ctx, h.Member.Name, c, a, p.log) },
	)
}

// nodesOf are the aggregators that can be dialled now.
func nodesOf(c *clients.Client) map[string]agent.Peer {
	out := map[string]agent.Peer{}
	for _, m := range ledger.Members(c.View()) {
		if !m.Roles.Has(ledger.Aggregator) || m.Revoked {
			continue
		}
		if n, err := c.Node(m.Name); err == nil {
			out[m.Name] = n
		}
	}
	return out
}

// endpointsOf are the aggregators as a querier with a TLS key of its own sees them.
// done ends the connections.
func endpointsOf(c *clients.Client, tls ed25519.PrivateKey) (nodes map[string]agent.Endpoint, done func()) {
	nodes = map[string]agent.Endpoint{}
	var opened []io.Closer
	for name := range nodesOf(c) {
		if n, err := c.NodeAs(name, tls); err == nil {
			nodes[name], opened = n, append(opened, n)
		}
	}
	return nodes, func() {
		for _, n := range opened {
			_ = n.Close() // nothing is under way
		}
	}
}

// policyOf is the policy of a home as it is now. A home without one takes part
// in nothing.
func policyOf(h *home.Home) (agent.Policy, error) {
	out := agent.Policy{Tasks: map[string]agent.TaskPolicy{}}
	p, err := h.Policy()
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return out, err
	}
	out.Trust = p.Trust
	for _, t := range p.Tasks {
		out.Tasks[t.Name] = agent.TaskPolicy{
			Rows:  func(s table.Schema) (table.Table, error) { return clients.ReadRows(s, t.Data, t.Label) },
			Local: t.Local, Validation: t.Validation, MaxSteps: uint16(t.MaxSteps), MaxRate: t.MaxRate, MaxDecay: t.MaxDecay,
			Columns: t.Columns, MinColumns: t.MinColumns, MaxJobs: t.MaxJobs, Abstain: t.Abstain,
		}
	}
	return out, nil
}
