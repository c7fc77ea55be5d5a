package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/commonseal/commonseal/cmd/commonseal/internal/home"
	"github.com/commonseal/commonseal/cmd/commonseal/internal/monitor"
	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/chain"
	"github.com/commonseal/commonseal/ledger/gate"
	"github.com/commonseal/commonseal/ledger/tree"
	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

// newValidator runs a validator of the ledger.
func newValidator() *cobra.Command {
	return newDaemon(daemon{
		role: ledger.Validator,
		run:  runValidator,
		command: cobra.Command{
			Use:   "validator --home DIR",
			Short: "Run a validator of the ledger",
			Long: `Orders the ledger's blocks with the other validators, and lets members and
queriers read and write through its door. It may be killed at any time: it goes on
where it was. Never run a second one with the same keys, and never restore
DIR/chain from a backup: it would vote twice.`,
			Example: `  commonseal validator --home val
  commonseal validator --home val --log json 2>> val.log
  commonseal status --home val`,
		},
	})
}

// runValidator runs consensus and the door until ctx ends or consensus halts.
func runValidator(ctx context.Context, p process) (err error) {
	h := p.home
	id, err := gate.NewIdentity(h.Keys.TLS.Ed25519())
	if err != nil {
		return err
	}
	state, err := tree.Open(h.LedgerDir())
	if err != nil {
		return fmt.Errorf("%w; is this validator running already?", err)
	}
	defer func() { err = errors.Join(err, state.Close()) }()
	if err := prepareChain(h, state.Height()); err != nil {
		return err
	}
	var known chain.Signatures
	rules := ledger.Verifier(known.Verify)
	v := &validator{state: state}
	config := chain.Config{
		Home: h.ChainDir(),
		App: chain.App{Tree: state, Genesis: genesisWrites, Apply: rules.Apply, Check: rules.Check,
			Contacts: ledger.Contacts, Upgrade: ledger.UpgradeAt, Known: ledger.Protocol},
		Listen: h.Node.P2P.Listen, Peers: h.Node.P2P.Peers,
		CommitTimeout: h.Node.TimeoutCommit,
		Life:          chain.Life{Keep: h.Node.Keep, Every: cmp.Or(h.Node.Snapshots, home.DefaultSnapshots)},
		Log:           p.log.With("part", "chain"),
	}
	if h.Node.Late {
		if v.late, err = newLatecomer(h, id, p.log); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, v.late.close()) }()
		if config.Trust, err = h.Node.Trusted(); err != nil {
			return err
		}
		if config.Sources, err = v.late.sources(ctx, state.Height(), config.Every); err != nil {
			if ctx.Err() != nil {
				return nil // told to stop before it was let in
			}
			return err
		}
	}
	listener, err := net.Listen("tcp", h.Node.Listen)
	if err != nil {
		return fmt.Errorf("listen in %s: %w", filepath.Join(h.Dir, "node.yaml"), err)
	}
	node, err := chain.Open(config)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	v.node = node
	admit := func(key ledger.Key) (string, bool) { return ledger.Peer(state.View(), key) }
	door := gate.NewDoor(id, admit, p.log.With("part", "door"))
	server := grpc.NewServer(door.Options()...)
	gate.Serve(server, node, record{state, node})
	gate.ServeLight(server, node.LightBlock)
	p.monitor.Register(v)
	p.monitor.Metrics().MustRegister(ledgerMetrics{node.Stats}) // panics on a name registered twice; these are not
	return v.run(ctx, server, door, listener)
}

// genesisWrites is the ledger's first state.
func genesisWrites(state []byte) ([]ledger.Write, error) {
	g, err := ledger.ParseGenesis(state)
	if err != nil {
		return nil, err
	}
	return g.Writes()
}

// prepareChain writes CometBFT's folder at the first start. Later, a state that
// has blocks and a folder that is gone are refused: with the folder went what the
// validator voted, and it could vote twice.
func prepareChain(h *home.Home, height int64) error {
	dir := h.ChainDir()
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if height > 0 {
		return fmt.Errorf("%s is gone and the ledger here is at height %d; without its votes this validator could vote twice: put the folder back, or have the member revoked and found a new validator", dir, height)
	}
	made := dir + ".new"
	if err := os.RemoveAll(made); err != nil {
		return err
	}
	if err := chain.WriteHome(made, h.Keys.Vote.Ed25519(), h.Keys.P2P.Ed25519(), h.Genesis.File); err != nil {
		return err
	}
	return os.Rename(made, dir)
}

// silence is how long no block is no reason to worry: without transactions a
// chain makes one in half a minute.
const silence = 90 * time.Second

// A validator is a node of the chain behind a door.
type validator struct {
	node  *chain.Node
	state *tree.Tree
	late  *latecomer // nil: it is one of the founding

	mu    sync.Mutex // guards block, which run writes
	block time.Time  // when this machine saw the last block
}

// run returns when nothing of the validator runs.
func (v *validator) run(ctx context.Context, server *grpc.Server, door *gate.Door, listener net.Listener) error {
	inside, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	ended := make(chan error, 5)
	var parts sync.WaitGroup
	for _, part := range []func() error{
		func() error { return v.node.Run(inside) },
		func() error { return serve(server, listener) },
		func() error { return door.Run(inside, v.node.Wait) },
		func() error { return v.watch(inside) },
		func() error { return v.introduce(inside) },
	} {
		parts.Go(func() { ended <- part() })
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-ended: // none ends by itself in good order
	}
	server.Stop() // nobody comes in any more; then those inside leave; then the chain ends
	stop()
	parts.Wait()
	for len(ended) > 0 {
		if e := <-ended; !errors.Is(e, context.Canceled) && !errors.Is(e, chain.ErrStopped) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// introduce makes a latecomer known.
func (v *validator) introduce(ctx context.Context) error {
	if v.late != nil {
		if err := v.late.introduce(ctx, v.node); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

// watch notes when blocks come.
func (v *validator) watch(ctx context.Context) error {
	for height := int64(-1); ; {
		v.mu.Lock()
		v.block = time.Now()
		v.mu.Unlock()
		var err error
		if height, err = v.node.Wait(ctx, height); err != nil {
			return err
		}
	}
}

// Ready says whether blocks come.
func (v *validator) Ready() error {
	v.mu.Lock()
	last := v.block
	v.mu.Unlock()
	switch age := time.Since(last); {
	case v.node.Height() < 1:
		return errors.New("the first block; more than two thirds of the validators make one")
	case age > silence:
		return fmt.Errorf("a block, for %v; fewer than two thirds of the validators may be up", age.Round(time.Second))
	}
	return nil
}

// Status is where the chain stands.
func (v *validator) Status() monitor.Status {
	root := v.state.Root()
	return monitor.Status{Height: v.node.Height(), Root: fmt.Sprintf("%x", root), Block: v.node.Tip().String(), Peers: v.node.Peers()}
}

// A record answers from a tree for the door.
type record struct {
	state *tree.Tree
	node  *chain.Node
}

// Query reads the last committed state.
func (r record) Query(key []byte, prove bool) (value, proof []byte, height int64, err error) {
	s, err := r.state.At(r.state.Height())
	if err != nil {
		return nil, nil, 0, gate.Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_NOT_READY, "ask another validator", "%v", err)
	}
	if !prove {
		return s.Get(key), nil, s.Height(), nil
	}
	value, proof, err = s.Prove(key)
	return value, proof, s.Height(), err
}

// Receipt proves a transaction, by its SHA-256, to be in the log.
func (r record) Receipt(hash ledger.Digest) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), receiptTime)
	defer cancel()
	return r.node.Receipt(ctx, hash)
}

// Signers are the validators of a height.
func (r record) Signers(height int64) ([]ledger.Power, error) { return r.node.Signers(height) }

// receiptTime is how long a receipt waits for the block that signs its state.
const receiptTime = 10 * time.Second
