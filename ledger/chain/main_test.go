package chain

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/audit"
	"github.com/commonseal/commonseal/ledger/tree"
)

// childEnv makes the test binary a validator; see child.
const childEnv = "COMMONSEAL_CHAIN_TEST_CHILD"

func TestMain(m *testing.M) {
	if spec := os.Getenv(childEnv); spec != "" {
		var s childSpec
		err := json.Unmarshal([]byte(spec), &s)
		if err == nil {
			err = child(s)
		}
		fmt.Println("stopped", err)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// A childSpec is what a validator process is told.
type childSpec struct {
	Home    string
	Listen  string
	Peers   []string
	Kill    string // before or after Apply of the block with the transaction "fatal"
	Mutated bool   // its Apply differs from the others'

	Transfers bool // its App is transferApp

	Seed  uint64 // unless 0, it lives as crashing does
	Quick bool   // a block waits for no votes
}

// child is a validator as a process. It prints "commit HEIGHT ROOT LEAVES" for
// every height, and reads commands, a line each: "submit HEX" answers "submitted CODE";
// "receipt HEX", with a SHA-256, answers "receipt HEX"; "fail N" ends the process
// at CometBFT's Nth failure point from now; "replay" answers "replayed LEAVES";
// "offer HEX TIME" submits what was due at a Unix time in ns, "measure" begins to
// measure such, "usage" answers "usage JSON"; "stop" and the end of the input stop.
func child(s childSpec) error {
	t, err := tree.Open(filepath.Join(s.Home, "state"))
	if err != nil {
		return err
	}
	defer t.Close()
	app := testApp(t)
	if s.Transfers {
		app = transferApp(t)
	}
	inner := app.Apply
	app.Apply = func(v ledger.View, b ledger.Block) ledger.Outcome {
		fatal := has(b.Txs, "fatal")
		if fatal && s.Kill == "before" {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		out := inner(v, b)
		if fatal && s.Kill == "after" {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		if s.Mutated && len(b.Txs) > 0 {
			out.Leaves = append(out.Leaves, []byte("a lie"))
		}
		return out
	}
	wait := 200 * time.Millisecond
	if s.Quick {
		wait = time.Millisecond
	}
	n, err := open(Config{Home: s.Home, App: app, Listen: s.Listen, Peers: s.Peers, CommitTimeout: wait}, killing(s.Seed))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	go report(ctx, n)
	go obey(ctx, n, cancel)
	if s.Seed != 0 {
		go busy(ctx, n, s.Seed)
	}
	return n.Run(ctx)
}

// report prints what is committed.
func report(ctx context.Context, n *Node) {
	for next := int64(0); ; {
		height, err := n.Wait(ctx, next-1)
		if err != nil {
			return
		}
		for next = max(next, height-tree.Recent); next <= height; next++ {
			s, err := n.Tree().At(next)
			if err != nil {
				fmt.Println("error", err)
				return
			}
			root := s.Root()
			fmt.Println("commit", next, hex.EncodeToString(root[:]), s.Log().Size)
		}
	}
}

// obey does what the input says.
func obey(ctx context.Context, n *Node, cancel func()) {
	defer cancel()
	m := meter{n: n, due: map[ledger.Digest]time.Time{}, refusals: map[string]int{}}
	go m.watch(ctx)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		verb, rest, _ := strings.Cut(in.Text(), " ")
		arg, _ := hex.DecodeString(rest)
		switch verb {
		case "submit":
			if n.Ready(ctx) != nil {
				return
			}
			r, err := n.Submit(ctx, arg)
			fmt.Println("submitted", r.Code, err)
		case "receipt":
			b, err := n.Receipt(ctx, ledger.Digest(arg))
			fmt.Println("receipt", hex.EncodeToString(b), err)
		case "replay":
			leaves, err := replay(n)
			fmt.Println("replayed", leaves, err)
		case "offer":
			m.offer(ctx, rest)
		case "measure":
			m.measure()
		case "usage":
			fmt.Println("usage", m.usage())
		case "fail":
			os.Setenv("FAIL_TEST_INDEX", rest)
			fmt.Println("failing")
		case "stop":
			return
		}
	}
}

// replay does what an auditor does: it verifies every block of n, applies it to
// a state of its own and compares the root with the next block's. It returns the
// size of the log.
func replay(n *Node) (uint64, error) {
	doc := n.comet.GenesisDoc()
	var keys []ledger.Key
	for _, v := range doc.Validators {
		keys = append(keys, ledger.Key(v.PubKey.Bytes()))
	}
	v, err := audit.NewVerifier(doc.ChainID, keys)
	if err != nil {
		return 0, err
	}
	t, err := tree.Open("")
	if err != nil {
		return 0, err
	}
	defer t.Close()
	writes, err := testGenesis([]byte("state"))
	if err != nil {
		return 0, err
	}
	root, err := t.Stage(0, ledger.Outcome{Writes: writes})
	for height := int64(1); err == nil && height <= n.Height(); height++ {
		if err := t.Commit(); err != nil {
			return 0, err
		}
		block, commit, err := n.Block(height)
		if err != nil {
			return 0, err
		}
		b, signed, err := v.Verify(block, commit)
		if err != nil {
			return 0, err
		}
		if signed != root {
			return 0, fmt.Errorf("block %d has root %x, the blocks before lead to %x", height, signed, root)
		}
		if root, err = t.Stage(height, testApply(t.View(), b)); err != nil {
			return 0, err
		}
	}
	if err == nil {
		err = t.Commit()
	}
	return t.Leaves(), err
}
