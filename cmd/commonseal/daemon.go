package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/commonseal/commonseal/cmd/commonseal/internal/home"
	"github.com/commonseal/commonseal/cmd/commonseal/internal/monitor"
	"github.com/commonseal/commonseal/ledger"
)

// A process is what a role runs with.
type process struct {
	home    *home.Home
	monitor *monitor.Server // where the role registers itself
	log     *slog.Logger
}

// A daemon is a command that runs until it is told to stop.
type daemon struct {
	command cobra.Command // its texts
	role    ledger.Roles  // that the home's member must have
	// run plays the role until ctx ends, and returns nil then, when nothing of it
	// runs any more.
	run func(ctx context.Context, p process) error
}

// newDaemon is the command of a role: the home, the log, the monitor, and an end
// that waits for what is under way.
func newDaemon(d daemon) *cobra.Command {
	var dir, format string
	var verbose bool
	c := &d.command
	c.Args = noArguments
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := required(c, "home"); err != nil {
			return err
		}
		if format != "text" && format != "json" {
			return &usageError{fmt.Sprintf("--log is %q; give text or json", format)}
		}
		level := slog.LevelInfo
		if verbose {
			level = slog.LevelDebug
		}
		return d.start(c.Context(), dir, monitor.NewLog(c.ErrOrStderr(), format == "json", level))
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&dir, "home", "", "folder that keygen made and a consortium was joined in")
	f.StringVar(&format, "log", "text", "text or json, to stderr")
	f.BoolVar(&verbose, "verbose", false, "log more")
	return c
}

// start opens the home and runs the role and its monitor.
func (d *daemon) start(ctx context.Context, dir string, log *slog.Logger) error {
	h, err := home.Open(dir)
	if err != nil {
		return err
	}
	if !h.Member.Roles.Has(d.role) {
		return fmt.Errorf("%s is of %s, who is no %s but %s; run %s", dir, h.Member.Name, home.RoleNames(d.role)[0], h.Node.Roles[0], startHint(h))
	}
	if address := h.Running(); address != "" {
		if s, err := monitor.Ask(ctx, address); err == nil && s.Name == h.Member.Name && s.Chain == h.Genesis.Chain {
			return fmt.Errorf("%s runs already, and answers at %s; stop it first", dir, address)
		}
	}
	m, err := monitor.Listen(h.Node.Monitor, h.Member.Name, h.Genesis.Chain)
	if err != nil {
		return err
	}
	log = log.With("member", h.Member.Name)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	// The monitor ends last: it tells what the role waits for when it stops.
	watching, unwatch := context.WithCancel(context.WithoutCancel(ctx))
	watched := make(chan error, 1)
	go func() {
		defer cancel()
		watched <- m.Run(watching, log)
	}()
	err = h.SetRunning(m.Address())
	if err == nil {
		log.Info("started", "chain", h.Genesis.Chain, "roles", h.Node.Roles, "monitor", m.Address(), "version", buildVersion())
		err = errors.Join(d.run(ctx, process{home: h, monitor: m, log: log}), h.SetRunning(""))
	}
	unwatch()
	if err = errors.Join(err, <-watched); err == nil {
		log.Info("stopped")
	}
	return err
}
