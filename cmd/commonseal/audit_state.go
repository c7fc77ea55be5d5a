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

	"github.com/commonseal/commonseal/clients"
	"github.com/commonseal/commonseal/cmd/commonseal/internal/home"
	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/audit"
)

// A stateFlags is where an auditor has the ledger from: its validators, or one file.
type stateFlags struct{ home, from string }

func (f *stateFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.home, "home", "", "home of a member, to follow the ledger")
	c.Flags().StringVar(&f.from, "from", "", "archive that audit chain exported, instead of a home")
}

// one says whether exactly one of the two was given.
func (f *stateFlags) one() bool { return (f.home == "") != (f.from == "") }

// A state is a ledger that was re-executed from its founding.
type state struct {
	ledger.View
	genesis      home.Genesis
	height       int64
	root         ledger.Digest
	transactions uint64
}

// read re-executes the ledger and calls do with what comes out.
func (f *stateFlags) read(ctx context.Context, do func(s *state) error) error {
	if f.from != "" {
		s, err := readArchive(f.from)
		if err != nil {
			return err
		}
		return do(s)
	}
	return asMember(ctx, f.home, func(_ context.Context, h *home.Home, c *clients.Client) error {
		n, _, err := c.Recorded()
		if err != nil {
			return err
		}
		return do(&state{View: c.View(), genesis: h.Genesis, height: c.Height(), root: c.Root(), transactions: uint64(n)})
	})
}

// readArchive re-executes an archive to its end.
func readArchive(name string) (*state, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	archive, err := audit.OpenArchive(bufio.NewReaderSize(file, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	r, err := audit.NewReplay(archive.Genesis)
	for err == nil {
		var block, commit []byte
		if block, commit, err = archive.Next(); err == nil {
			err = r.Block(block, commit)
		}
	}
	if !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	sum := r.Summary()
	g, err := home.NewGenesis(archive.Genesis, time.UnixMilli(sum.Start))
	if err != nil {
		return nil, err
	}
	return &state{View: r.View(), genesis: g, height: int64(sum.Blocks), root: sum.Root, transactions: uint64(sum.Recorded)}, nil
}
