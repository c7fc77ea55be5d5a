package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/commonseal/commonseal/cmd/commonseal/internal/home"
	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/audit"
)

// A chainAudit is what audit chain was asked.
type chainAudit struct{ home, from, export, genesis, trust string }

func newAuditChain() *cobra.Command {
	var a chainAudit
	c := &cobra.Command{
		Use:   "chain --from FILE | --home DIR [--export FILE]",
		Short: "Re-execute the whole ledger from its founding and compare every root",
		Long: `Verifies who signed each block, executes it, and compares what comes out with
what the validators signed in the next one. With --from it needs one file and
nobody's permission; a member fetches the blocks with --home, and writes that file
with --export. Compare the fingerprint with somebody you trust.`,
		Example: `  commonseal audit chain --home ann --export ledger.archive
  commonseal audit chain --from ledger.archive`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if (a.from == "") == (a.home == "") {
				return &usageError{"give either --from or --home; run commonseal audit chain --help"}
			}
			return a.run(c.Context(), c.OutOrStdout())
		},
	}
	c.Flags().SortFlags = false
	c.Flags().StringVar(&a.from, "from", "", "archive to read the blocks from")
	c.Flags().StringVar(&a.home, "home", "", "folder of a member, to fetch the blocks from its validators")
	c.Flags().StringVar(&a.export, "export", "", "archive to write, with --home")
	c.Flags().StringVar(&a.genesis, "genesis", "", "genesis.json that the archive must be of")
	c.Flags().StringVar(&a.trust, "trust", "", "HEIGHT:HASH of the last block that the archive must reach at least, from somebody you trust")
	return c
}

func (a *chainAudit) run(ctx context.Context, out io.Writer) error {
	began := time.Now()
	var trusted *audit.Point
	if a.trust != "" {
		p, err := audit.ParsePoint(a.trust)
		if err != nil {
			return &usageError{"--trust: " + err.Error()}
		}
		trusted = &p
	}
	find := a.read
	if a.home != "" {
		find = func(begin beginReplay) (*audit.Replay, ledger.Genesis, error) { return a.fetch(ctx, begin) }
	}
	r, g, err := find(func(g ledger.Genesis) (*audit.Replay, error) {
		r, err := audit.NewReplay(g)
		if err == nil && trusted != nil {
			r.Expect(*trusted)
		}
		return r, err
	})
	switch {
	case err != nil && r != nil:
		return fmt.Errorf("after %d blocks in order: %w", r.Summary().Blocks, err)
	case err != nil:
		return err
	}
	if err := r.Missing(); err != nil {
		return err
	}
	return a.tell(out, r, g, time.Since(began))
}

// A beginReplay is the replay of a genesis, as it was asked for.
type beginReplay func(ledger.Genesis) (*audit.Replay, error)

// read re-executes an archive.
func (a *chainAudit) read(begin beginReplay) (*audit.Replay, ledger.Genesis, error) {
	f, err := os.Open(a.from)
	if err != nil {
		return nil, ledger.Genesis{}, err
	}
	defer f.Close()
	archive, err := audit.OpenArchive(bufio.NewReaderSize(f, 1<<20))
	if err != nil {
		return nil, ledger.Genesis{}, fmt.Errorf("%s: %w", a.from, err)
	}
	r, err := begin(archive.Genesis)
	if err == nil {
		err = r.Archive(archive)
	}
	return r, archive.Genesis, err
}

// fetch re-executes what validators send, and keeps it if asked.
func (a *chainAudit) fetch(ctx context.Context, begin beginReplay) (_ *audit.Replay, _ ledger.Genesis, err error) {
	h, err := home.Open(a.home)
	if err != nil {
		return nil, ledger.Genesis{}, err
	}
	g := h.Genesis.Genesis
	doors, closeAll, err := dialDoors(h)
	if err != nil {
		return nil, g, err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	tip, err := audit.Tip(ctx, g.Chain, doors)
	if err != nil {
		return nil, g, err
	}
	r, err := begin(g)
	if err != nil {
		return nil, g, err
	}
	keep, done, err := a.create(g)
	if err != nil {
		return nil, g, err
	}
	defer func() { err = errors.Join(err, done()) }()
	return r, g, r.Fetch(ctx, doors, tip, keep)
}

// create begins the archive to write, if one was asked for. done ends it.
func (a *chainAudit) create(g ledger.Genesis) (keep func(block, commit []byte) error, done func() error, err error) {
	if a.export == "" {
		return func(_, _ []byte) error { return nil }, func() error { return nil }, nil
	}
	f, err := os.OpenFile(a.export, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, nil, err
	}
	buffer := bufio.NewWriterSize(f, 1<<20)
	w, err := audit.NewArchiveWriter(buffer, g)
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return w.Block, func() error { return errors.Join(buffer.Flush(), f.Close()) }, nil
}

// tell prints what was found.
func (a *chainAudit) tell(out io.Writer, r *audit.Replay, g ledger.Genesis, took time.Duration) error {
	s, v := r.Summary(), r.View()
	founded, err := home.NewGenesis(g, time.UnixMilli(s.Start))
	if err != nil {
		return err
	}
	if a.genesis != "" {
		want, err := home.ReadGenesis(a.genesis)
		if err != nil {
			return err
		}
		if want.Fingerprint() != founded.Fingerprint() {
			return fmt.Errorf("%s is of the genesis %x, and %s is another", a.from, founded.Fingerprint(), a.genesis)
		}
	}
	line := func(field, format string, args ...any) {
		if err == nil {
			_, err = fmt.Fprintf(out, "%-13s %s\n", field, fmt.Sprintf(format, args...))
		}
	}
	steps, contributions := 0, 0
	for _, j := range ledger.Jobs(v) {
		steps += int(j.Step)
	}
	members, tasks := ledger.Members(v), ledger.Tasks(v)
	for _, t := range tasks {
		for _, m := range members {
			for _, use := range []ledger.ContributionKind{ledger.Training, ledger.Validation} {
				if _, ok := ledger.ContributionOf(v, t.ID, use, m.Name); ok {
					contributions++
				}
			}
		}
	}
	day := func(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.DateTime) }
	line("chain", "%s", g.Chain)
	line("fingerprint", "sha256:%x", founded.Fingerprint())
	line("blocks", "%d, %s to %s", s.Blocks, day(s.Start), day(s.End))
	line("transactions", "%d, of which %d are recorded", s.Transactions, s.Recorded)
	line("signatures", "%d of validators, of whom %d sign now", s.Signatures, len(ledger.Powers(v)))
	line("members", "%d", len(members))
	line("tasks", "%d, with %d contributions, %d steps and %d models", len(tasks), contributions, steps, len(ledger.Models(v)))
	line("root", "%x after block %d; every root before is as signed", s.Root, s.Blocks)
	line("block", "%v", s.Point)
	line("rate", "%.0f transactions a second", float64(s.Transactions)/took.Seconds())
	return err
}
