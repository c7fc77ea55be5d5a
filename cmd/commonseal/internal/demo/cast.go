package demo

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/commonseal/commonseal/clients"
	"github.com/commonseal/commonseal/cmd/commonseal/internal/home"
	"github.com/commonseal/commonseal/cmd/commonseal/internal/monitor"
	"github.com/commonseal/commonseal/ledger"
)

// A cast is who takes part, in the order of their start.
type cast []part

// A part is a member of the consortium. Its home is the folder of its name.
type part struct {
	name, owner, role string
	listen, p2p       string // addresses, "" if nobody dials it
	memory            string // limit that the garbage collector works to
}

// The members that are always there.
const (
	validators = 4 // stand the loss of one
	peer       = "peer"
	querier    = "shop"
	task       = "demo"
)

var aggregators = [...]string{"north", "south"} // of different owners

// newCast gives everybody that is dialled an address of its own.
func newCast(companies int) (cast, error) {
	free, err := freeAddresses(2*validators + len(aggregators))
	if err != nil {
		return nil, err
	}
	var out cast
	for i := range validators {
		out = append(out, part{name: fmt.Sprintf("validator-%d", i+1), owner: fmt.Sprintf("Owner %d", i+1), role: "validator",
			listen: free[2*i], p2p: free[2*i+1], memory: "128MiB"})
	}
	for i, name := range aggregators {
		out = append(out, part{name: name, owner: name + " cloud", role: "aggregator", listen: free[2*validators+i], memory: "800MiB"})
	}
	for i := range companies {
		name := company(i, companies)
		out = append(out, part{name: name, owner: name + " ltd", role: "company", memory: "640MiB"})
	}
	return append(out, part{name: peer, owner: "model buyer", role: "peer"}), nil
}

// commands are the roles that a process runs for.
var commands = map[string]string{"validator": "validator", "aggregator": "aggregator", "company": "agent"}

const consortium = `chain: demo
provenance: quorum
quorum: 2
`

// found makes everybody's keys, founds the consortium on the public halves, and
// lets everybody join.
func (r *run) found(ctx context.Context) (err error) {
	if r.rows, err = dealOut(r.dir, r.Data, r.Label, r.Companies); err != nil {
		return err
	}
	if r.cast, err = newCast(r.Companies); err != nil {
		return err
	}
	var done atomic.Int64
	each := func(args func(p part) []string) error {
		var all []func(ctx context.Context) error
		for _, p := range r.cast {
			all = append(all, func(ctx context.Context) error {
				defer done.Add(1)
				_, err := r.command(ctx, args(p)...)
				return err
			})
		}
		return together(ctx, all...)
	}
	r.progress("homes", 0, 2*len(r.cast))
	if err := each(func(p part) []string {
		args := []string{"keygen", "--home", r.path(p.name), "--name", p.name, "--owner", p.owner, "--role", p.role}
		if p.listen != "" {
			args = append(args, "--listen", p.listen)
		}
		if p.p2p != "" {
			args = append(args, "--p2p", p.p2p)
		}
		return args
	}); err != nil {
		return err
	}
	rules := consortium
	if r.Rewards {
		rules += money
	}
	if err := os.WriteFile(r.path("consortium.yaml"), []byte(rules), 0o600); err != nil {
		return err
	}
	args := []string{"found", r.path("consortium.yaml"), "--out", r.path("founded")}
	for _, p := range r.cast {
		args = append(args, filepath.Join(r.path(p.name), p.name+".member.yaml"))
	}
	if _, err := r.command(ctx, args...); err != nil {
		return err
	}
	r.progress("homes", len(r.cast), 2*len(r.cast))
	if err := each(func(p part) []string {
		return []string{"join", "--home", r.path(p.name), r.genesis(), r.path("founded/" + home.NetworkFile), "--timeout-commit", "200ms"}
	}); err != nil {
		return err
	}
	r.progress("homes", 2*len(r.cast), 2*len(r.cast))
	return nil
}

// genesis is the file that everybody has.
func (r *run) genesis() string { return r.path("founded/" + home.GenesisFile) }

// start starts everybody's process, and returns when all are ready.
func (r *run) start(ctx context.Context) error {
	var homes []string
	for _, p := range r.cast {
		command, runs := commands[p.role]
		if !runs {
			continue
		}
		if err := r.crew.start(duty{name: p.name, low: p.role != "validator",
			args: []string{command, "--home", r.path(p.name)}, env: []string{"GOMEMLIMIT=" + p.memory}}); err != nil {
			return err
		}
		homes = append(homes, r.path(p.name))
	}
	r.progress("processes", 0, len(homes))
	for i, dir := range homes {
		if err := ready(ctx, dir); err != nil {
			return err
		}
		r.progress("processes", i+1, len(homes))
	}
	return nil
}

// askEvery is how often a process that starts is asked whether it is ready.
const askEvery = 100 * time.Millisecond

// ready returns when the process of a home says that it is ready.
func ready(ctx context.Context, dir string) error {
	h, err := home.Open(dir)
	if err != nil {
		return err
	}
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		if address := h.Running(); address != "" {
			if s, err := monitor.Ask(ctx, address); err == nil && s.Ready && s.Name == h.Member.Name {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// openLedger opens what follows the ledger in the model peer's name. It has no
// signing key: it records nothing.
func (r *run) openLedger() error {
	h, err := home.Open(r.path(peer))
	if err != nil {
		return err
	}
	r.ledger, err = clients.Open(clients.Config{Genesis: h.Genesis.Genesis, TLS: h.Keys.TLS.Ed25519()})
	return err
}

// until returns when the state of the ledger is as asked.
func (r *run) until(ctx context.Context, so func(v ledger.View) bool) error {
	if err := r.ledger.Until(ctx, so); err != nil {
		return context.Cause(ctx)
	}
	return nil
}
