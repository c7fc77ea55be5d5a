package audit

import (
	"context"
	"crypto/sha256"
	"errors"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/commonseal/commonseal/ledger"
	comet "github.com/commonseal/commonseal/ledger/chain"
	"github.com/commonseal/commonseal/ledger/tree"
)

// A live is a validator that runs in this process: what it stores was made by the
// code that makes it in production.
type live struct {
	node *comet.Node
	stop func()
}

// newLive runs the one validator of a consortium.
func newLive(t *testing.T, g ledger.Genesis) *fabric {
	t.Helper()
	doc, err := comet.GenesisDoc(g.Chain, []ledger.Key{publicOf("vote", "v1")}, g.Append(nil), time.Now().Add(-time.Second))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "v1")
	if err := comet.WriteHome(dir, keyOf("vote", "v1"), keyOf("peer", "v1"), doc); err != nil {
		t.Fatal(err)
	}
	state, err := tree.Open("")
	if err != nil {
		t.Fatal(err)
	}
	genesis := func(b []byte) ([]ledger.Write, error) {
		g, err := ledger.ParseGenesis(b)
		if err != nil {
			return nil, err
		}
		return g.Writes()
	}
	app := comet.App{Tree: state, Genesis: genesis, Apply: ledger.Apply, Check: ledger.Check}
	node, err := comet.Open(comet.Config{Home: dir, App: app, Listen: freeAddress(t), CommitTimeout: 5 * time.Millisecond})
	if err != nil {
		t.Fatal(errors.Join(err, state.Close()))
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- node.Run(ctx) }()
	stop := func() {
		cancel()
		if err := errors.Join(<-done, state.Close()); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	if err := node.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &fabric{tb: t, genesis: g, live: &live{node: node, stop: stop}}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// record submits transactions and waits until all are recorded.
func (l *live) record(tb testing.TB, txs [][]byte) []ledger.Result {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute)
	defer cancel()
	out := make([]ledger.Result, len(txs))
	for i, tx := range txs {
		var err error
		if out[i], err = l.node.Submit(ctx, tx); err != nil {
			tb.Fatal(err)
		}
		for out[i].Code == ledger.OK {
			height := l.node.Height()
			_, found, err := l.node.Tree().LeafOf(sha256.Sum256(tx))
			if err == nil && !found {
				_, err = l.node.Wait(ctx, height)
			}
			if err != nil {
				tb.Fatal(err)
			}
			if found {
				break
			}
		}
	}
	return out
}

// stored is every block that the validator has, once its last state is signed.
func (l *live) stored(tb testing.TB) (out []madeBlock) {
	tb.Helper()
	for height := int64(1); ; height++ {
		block, commit, err := l.node.Block(height)
		if errors.Is(err, comet.ErrNoBlock) {
			return out
		}
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, madeBlock{block: block, commit: commit})
	}
}
