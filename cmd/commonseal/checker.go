package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/commonseal/commonseal/cmd/commonseal/internal/home"
	"github.com/commonseal/commonseal/cmd/commonseal/internal/monitor"
	"github.com/commonseal/commonseal/federation/checker"
	"github.com/commonseal/commonseal/federation/store"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/ledger"
)

// newChecker evaluates steps again, beside a validator or alone. It is a process
// of its own: evaluation takes all processors for a while, and a validator that
// waits for one is late with its votes.
func newChecker() *cobra.Command {
	var dir, format string
	c := &cobra.Command{
		Use:   "checker --home DIR",
		Short: "Evaluate sampled and challenged steps again, and vote",
		Long: `Evaluates the steps again that the ledger samples of each job, holds the record of
every model to what steps left, and challenges what it finds wrong, after it has
kept a fraud proof. With a validator's home it votes on challenges too. It runs
beside the other process of its home, and takes all processors while it evaluates:
on a validator's machine start it with nice.`,
		Example: `  nice commonseal checker --home val1
  commonseal checker --home ann`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := required(c, "home"); err != nil {
				return err
			}
			if format != "text" && format != "json" {
				return &usageError{fmt.Sprintf("--log is %q; give text or json", format)}
			}
			h, err := home.Open(dir)
			if err != nil {
				return err
			}
			log := monitor.NewLog(c.ErrOrStderr(), format == "json", 0).With("member", h.Member.Name)
			return runChecker(c.Context(), process{home: h, log: log})
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&dir, "home", "", "home of a validator, or of any member")
	f.StringVar(&format, "log", "text", "text or json, to stderr")
	return c
}

// runChecker checks until ctx ends.
func runChecker(ctx context.Context, p process) (err error) {
	h := p.home
	c, err := openMember(h, filepath.Join(h.CheckerDir(), "ledger"), p.log.With("part", "ledger"))
	if err != nil {
		return fmt.Errorf("%w; does this checker run already?", err)
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	s, err := store.Open(filepath.Join(h.CheckerDir(), "store"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	k := checker.New(checker.Config{Name: h.Member.Name, Signing: h.Keys.Signing.Ed25519(), Profiles: he.Standard(), Journal: s.Journal, Ledger: c,
		Node: dialling(c), Log: p.log,
		Save: func(ctx context.Context, _ ledger.View, job ledger.Digest, step uint16) (ledger.Digest, error) {
			saved, err := saveFraud(ctx, c, job, step, filepath.Join(h.CheckerDir(), "fraud"))
			if err == nil {
				p.log.Warn("a fraud proof was saved", "file", saved.path, "bytes", saved.bytes)
			}
			return saved.digest, err
		}})
	p.log.Info("started", "chain", h.Genesis.Chain, "version", buildVersion())
	err = runParts(ctx, func() {}, c.Run, func(ctx context.Context) error {
		if err := c.Sync(ctx); err != nil {
			return err
		}
		return k.Run(ctx, c.Changed)
	})
	if err == nil {
		p.log.Info("stopped")
	}
	return err
}
