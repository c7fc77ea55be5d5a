package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/commonseal/commonseal/cmd/commonseal/internal/home"
	"github.com/commonseal/commonseal/cmd/commonseal/internal/monitor"
	"github.com/commonseal/commonseal/ledger"
)

// newStatus tells what a home is and what its process does.
func newStatus() *cobra.Command {
	var dir string
	var asJSON bool
	c := &cobra.Command{
		Use:   "status --home DIR",
		Short: "Print what a member's home is and what its process does",
		Example: `  commonseal status --home ann
  commonseal status --home ann --json | jq .process.height`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := required(c, "home"); err != nil {
				return err
			}
			h, err := home.Open(dir)
			if err != nil {
				return err
			}
			process := askProcess(c.Context(), h)
			if asJSON {
				return json.NewEncoder(c.OutOrStdout()).Encode(statusOf(h, process))
			}
			_, err = fmt.Fprint(c.OutOrStdout(), describe(h, process))
			return err
		},
	}
	c.Flags().SortFlags = false
	c.Flags().StringVar(&dir, "home", "", "folder that keygen made and a consortium was joined in")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

// askProcess is what the home's process says of itself, nil if none runs: a home
// has a status without one.
func askProcess(ctx context.Context, h *home.Home) *monitor.Status {
	address := h.Running()
	if address == "" {
		return nil
	}
	t, err := monitor.Ask(ctx, address)
	// A process that was killed leaves its address, which another may have by now.
	if err != nil || t.Name != h.Member.Name || t.Chain != h.Genesis.Chain {
		return nil
	}
	return &t
}

// A homeStatus is what --json prints.
type homeStatus struct {
	Name        string          `json:"name"`
	Owner       string          `json:"owner"`
	Roles       []string        `json:"roles"`
	Chain       string          `json:"chain"`
	Fingerprint string          `json:"fingerprint"`
	Listen      string          `json:"listen,omitempty"`
	P2P         string          `json:"p2p,omitempty"`
	Doors       []string        `json:"doors"`
	Monitor     string          `json:"monitor,omitempty"`
	Process     *monitor.Status `json:"process"` // null: not running
}

func statusOf(h *home.Home, process *monitor.Status) homeStatus {
	s := homeStatus{
		Name: h.Member.Name, Owner: h.Member.Owner, Roles: h.Node.Roles, Chain: h.Genesis.Chain,
		Fingerprint: fmt.Sprintf("%x", h.Genesis.Fingerprint()), Listen: h.Node.Listen, Process: process,
	}
	if h.Node.P2P != nil {
		s.P2P = h.Node.P2P.Listen
	}
	for _, d := range h.Node.Doors {
		s.Doors = append(s.Doors, d.Name+" "+d.Address)
	}
	if process != nil {
		s.Monitor = "http://" + h.Running()
	}
	return s
}

// describe is the status for people.
func describe(h *home.Home, process *monitor.Status) string {
	s := statusOf(h, process)
	var b strings.Builder
	line := func(field, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s %s\n", field, fmt.Sprintf(format, args...))
	}
	line("member", "%s (%s), %s", s.Name, s.Owner, strings.Join(s.Roles, ", "))
	line("chain", "%s, provenance %v", s.Chain, h.Genesis.Mode)
	line("fingerprint", "sha256:%s", s.Fingerprint)
	if s.Listen != "" {
		line("listen", "%s", s.Listen)
	}
	if h.Node.P2P != nil {
		line("p2p", "%s, %d peers", s.P2P, len(h.Node.P2P.Peers))
	}
	line("doors", "%s", strings.Join(s.Doors, ", "))
	if process == nil {
		line("process", "not running; start it: %s", startHint(h))
		return b.String()
	}
	line("monitor", "%s", s.Monitor)
	state := "ready"
	if !process.Ready {
		state = "not ready: " + process.Waiting
	}
	line("process", "%s; height %d, %d peers", state, process.Height, process.Peers)
	if process.Block != "" {
		line("block", "%s", process.Block)
	}
	for _, j := range process.Jobs {
		waiting := ""
		if j.Waiting != "" {
			waiting = ", waits for " + j.Waiting
		}
		line("job", "%s %s, step %d of %d%s", j.ID, j.State, j.Step, j.Steps, waiting)
	}
	return b.String()
}

// startHint is the command that runs a member's process.
func startHint(h *home.Home) string {
	for _, r := range []struct {
		role    ledger.Roles
		command string
	}{{ledger.Validator, "validator"}, {ledger.Aggregator, "aggregator"}, {ledger.Company, "agent"}} {
		if h.Member.Roles.Has(r.role) {
			return "commonseal " + r.command + " --home " + h.Dir
		}
	}
	return "commonseal task --home " + h.Dir // a peer runs no process
}
