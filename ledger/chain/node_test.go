package chain

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/audit"
	"github.com/commonseal/commonseal/ledger/tree"
)

// run opens and runs a validator in this process. The function it returns stops
// it and returns what Run did.
func run(t *testing.T, spec childSpec) (*Node, func() error) {
	t.Helper()
	return runAs(t, spec, func(*Config) {})
}

// runAs is run with something of the configuration changed.
func runAs(t *testing.T, spec childSpec, change func(*Config)) (*Node, func() error) {
	t.Helper()
	state, err := tree.Open(filepath.Join(spec.Home, "state"))
	if err != nil {
		t.Fatal(err)
	}
	c := Config{Home: spec.Home, App: testApp(state), Listen: spec.Listen, Peers: spec.Peers, CommitTimeout: 10 * time.Millisecond}
	change(&c)
	n, err := Open(c)
	if err != nil {
		t.Fatal(errors.Join(err, state.Close()))
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	stop := sync.OnceValue(func() error {
		cancel()
		err := <-done
		return errors.Join(err, state.Close())
	})
	t.Cleanup(func() { stop() })
	return n, stop
}

// openOnly opens a validator and returns why that is not possible.
func openOnly(t *testing.T, spec childSpec, change func(*Config)) error {
	t.Helper()
	state, err := tree.Open(filepath.Join(spec.Home, "state"))
	if err != nil {
		t.Fatal(err)
	}
	defer state.Close()
	c := Config{Home: spec.Home, App: testApp(state), Listen: spec.Listen, Peers: spec.Peers}
	change(&c)
	if _, err = Open(c); err == nil {
		t.Fatal("it opens")
	}
	return err
}

// atLeast waits until a validator has committed a height.
func atLeast(t *testing.T, n *Node, height int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := n.Wait(ctx, height-1); err != nil {
		t.Fatal(err)
	}
}

// Stopping a node in process takes nothing down, and leaves homes to open again.
// CometBFT v0.40.0 by itself panics here, see door.
func TestStops(t *testing.T) {
	rounds := 5
	if testing.Short() {
		rounds = 1
	}
	specs, _ := founded(t, 4)
	for round := range rounds {
		var nodes []*Node
		var stops []func() error
		for _, spec := range specs {
			n, stop := run(t, spec)
			nodes, stops = append(nodes, n), append(stops, stop)
		}
		if round%2 == 0 { // in the others, stopped while they catch up, or before
			together(t, nodes, fmt.Append(nil, "round ", round))
		}
		var all sync.WaitGroup
		for i, stop := range stops {
			all.Go(func() {
				if err := stop(); err != nil {
					t.Errorf("round %d, validator %d: %v", round, i, err)
				}
			})
		}
		all.Wait()
		if _, err := nodes[0].Submit(t.Context(), []byte("late")); !errors.Is(err, ErrStopped) {
			t.Errorf("Submit to a stopped node: %v", err)
		}
		if _, _, err := nodes[0].Block(1); !errors.Is(err, ErrStopped) {
			t.Errorf("Block of a stopped node: %v", err)
		}
		if err := nodes[0].Ready(t.Context()); !errors.Is(err, ErrStopped) {
			t.Errorf("Ready of a stopped node: %v", err)
		}
		if _, err := nodes[0].Wait(t.Context(), 1<<40); !errors.Is(err, ErrStopped) {
			t.Errorf("Wait on a stopped node: %v", err)
		}
	}
}

// together waits until all validators take part and one records a transaction,
// and offers it again, as clients do.
func together(t *testing.T, nodes []*Node, tx []byte) {
	t.Helper()
	for _, n := range nodes {
		if err := n.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if r, err := nodes[0].Submit(t.Context(), tx); err != nil || r.Code != ledger.OK {
			t.Fatal(r, err)
		}
	}
	awaitReceipt(t, nodes[len(nodes)-1], string(tx))
}

// A node that is stopped before it starts closes what it opened.
func TestStopsAtOnce(t *testing.T) {
	specs, _ := founded(t, 1)
	for range 2 {
		state, err := tree.Open("")
		if err != nil {
			t.Fatal(err)
		}
		n, err := Open(Config{Home: specs[0].Home, App: testApp(state), Listen: specs[0].Listen})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := n.Run(ctx); err != nil {
			t.Error(err)
		}
		state.Close()
	}
}

func TestNode(t *testing.T) {
	specs, keys := founded(t, 1)
	n, stop := run(t, specs[0])
	atLeast(t, n, 1)
	for _, test := range []struct {
		tx   string
		want ledger.Code
	}{
		{"good", ledger.OK},
		{"good", ledger.OK}, // waits already
		{"bad", ledger.Forbidden},
		{"bad", ledger.Forbidden}, // refused transactions are not remembered
		{strings.Repeat("x", ledger.MaxTx+1), ledger.OverLimit},
		{strings.Repeat("x", ledger.MaxTx), ledger.OK},
		{"late", ledger.OK}, // and is refused in its block
	} {
		if r, err := n.Submit(t.Context(), []byte(test.tx)); err != nil || r.Code != test.want {
			t.Errorf("Submit(%.10q) = %v, %v, want code %d", test.tx, r, err, test.want)
		}
	}
	receipt := awaitReceipt(t, n, "good")
	v, err := audit.NewVerifier(testChain, keys)
	if err != nil {
		t.Fatal(err)
	}
	entry, err := audit.VerifyReceipt(receipt, v)
	if err != nil || string(entry.Tx) != "good" || entry.Index != 0 {
		t.Errorf("VerifyReceipt = %+v, %v", entry, err)
	}
	awaitReceipt(t, n, strings.Repeat("x", ledger.MaxTx))
	if leaves, err := replay(n); err != nil || leaves != 2 {
		t.Errorf("replayed %d leaves, %v; want 2", leaves, err)
	}
	if _, err := n.Receipt(t.Context(), sha256.Sum256([]byte("late"))); !errors.Is(err, ErrNotRecorded) {
		t.Errorf("receipt of a refused transaction: %v", err)
	}
	for _, height := range []int64{-1, 0, n.Height() + 1000} {
		if _, _, err := n.Block(height); !errors.Is(err, ErrNoBlock) {
			t.Errorf("Block(%d): %v", height, err)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func awaitReceipt(t *testing.T, n *Node, tx string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for height := n.Height(); ; height = n.Height() {
		b, err := n.Receipt(ctx, sha256.Sum256([]byte(tx)))
		if !errors.Is(err, ErrNotRecorded) {
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		if _, err := n.Wait(ctx, height); err != nil {
			t.Fatal(err)
		}
	}
}

// CometBFT's RPC answers nobody: the process listens for other validators only.
func TestListensForValidatorsOnly(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reads the tables of Linux")
	}
	specs, _ := founded(t, 1)
	p := start(t, specs[0])
	p.reach(1)
	inodes := map[string]bool{}
	dir := fmt.Sprintf("/proc/%d", p.cmd.Process.Pid)
	fds, err := os.ReadDir(dir + "/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		to, err := os.Readlink(dir + "/fd/" + fd.Name())
		if inode, ok := strings.CutPrefix(to, "socket:["); err == nil && ok {
			inodes[strings.TrimSuffix(inode, "]")] = true
		}
	}
	var listens []string
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6", "unix"} {
		b, err := os.ReadFile(dir + "/net/" + table)
		if err != nil {
			continue // no such protocol here
		}
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); slices.ContainsFunc(f, func(s string) bool { return inodes[s] }) {
				listens = append(listens, f[1])
			}
		}
	}
	var port int
	if _, err := fmt.Sscanf(specs[0].Listen, "127.0.0.1:%d", &port); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("0100007F:%04X", port); len(listens) != 1 || listens[0] != want {
		t.Errorf("sockets %q, want only %s", listens, want)
	}
}
