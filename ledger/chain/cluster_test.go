package chain

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/commonseal/commonseal/ledger"
)

const testChain = "testing"

// patience is how long a test waits for what must happen. No test is about speed:
// it only has to be longer than any machine needs.
const patience = 3 * time.Minute

// founded are the homes of a chain's validators, which listen at free ports.
func founded(t testing.TB, n int) ([]childSpec, []ledger.Key) {
	t.Helper()
	var specs []childSpec
	var votes, peers []ed25519.PrivateKey
	var keys []ledger.Key
	for i := range n {
		seed := sha256.Sum256(fmt.Appendf(nil, "vote %d", i))
		votes = append(votes, ed25519.NewKeyFromSeed(seed[:]))
		seed = sha256.Sum256(fmt.Appendf(nil, "peer %d", i))
		peers = append(peers, ed25519.NewKeyFromSeed(seed[:]))
		keys = append(keys, ledger.Key(votes[i].Public().(ed25519.PublicKey)))
		specs = append(specs, childSpec{Home: filepath.Join(t.TempDir(), fmt.Sprint("v", i)), Listen: freeAddress(t)})
	}
	doc, err := GenesisDoc(testChain, keys, []byte("state"), time.Now().Add(-time.Second))
	if err != nil {
		t.Fatal(err)
	}
	for i := range specs {
		if err := WriteHome(specs[i].Home, votes[i], peers[i], doc); err != nil {
			t.Fatal(err)
		}
		for j := range specs {
			if i != j {
				id := PeerID(ledger.Key(peers[j].Public().(ed25519.PublicKey)))
				specs[i].Peers = append(specs[i].Peers, id+"@"+specs[j].Listen)
			}
		}
	}
	return specs, keys
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// A process is a running validator.
type process struct {
	t   testing.TB
	cmd *exec.Cmd
	in  interface{ Write([]byte) (int, error) }

	mu      sync.Mutex
	changed chan struct{}
	lines   []string // not commits, not yet asked for
	roots   map[int64]string
	height  int64
	leaves  int64
	ended   bool
}

func start(t testing.TB, spec childSpec) *process {
	t.Helper()
	b, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.Command(os.Args[0], "-test.run=^$"), changed: make(chan struct{}), roots: map[int64]string{}, height: -1}
	p.cmd.Env = append(os.Environ(), childEnv+"="+string(b))
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		s := bufio.NewScanner(out)
		s.Buffer(nil, 8<<20)
		for s.Scan() {
			p.line(s.Text())
		}
		p.cmd.Wait()
		p.change(func() { p.ended = true })
	}()
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-read
	})
	return p
}

func (p *process) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *process) line(s string) {
	p.change(func() {
		var height, leaves int64
		var root string
		if n, _ := fmt.Sscanf(s, "commit %d %s %d", &height, &root, &leaves); n == 3 {
			p.roots[height], p.height, p.leaves = root, height, leaves
			return
		}
		p.lines = append(p.lines, s)
	})
}

// until waits for a condition, which is called with the lock held.
func (p *process) until(ctx context.Context, met func() bool) bool {
	for {
		p.mu.Lock()
		ok, ended, changed := met(), p.ended, p.changed
		p.mu.Unlock()
		if ok || ended {
			return ok
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

func (p *process) must(what string, met func() bool) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	if !p.until(ctx, met) {
		p.t.Fatalf("%s: not seen; height %d, ended %v, lines %q", what, p.height, p.ended, p.lines)
	}
}

// expect takes the next line that begins so.
func (p *process) expect(prefix string) string {
	p.t.Helper()
	var found string
	p.must(prefix, func() bool {
		for i, l := range p.lines {
			if rest, ok := strings.CutPrefix(l, prefix); ok {
				p.lines, found = append(p.lines[:i:i], p.lines[i+1:]...), strings.TrimSpace(rest)
				return true
			}
		}
		return false
	})
	return found
}

func (p *process) send(verb string, arg []byte) {
	p.t.Helper()
	if _, err := fmt.Fprintf(p.in, "%s %x\n", verb, arg); err != nil {
		p.t.Fatal(err)
	}
}

// submit offers a transaction and says what Check said.
func (p *process) submit(tx string) string {
	p.t.Helper()
	p.send("submit", []byte(tx))
	return p.expect("submitted ")
}

func (p *process) at() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.height
}

// seen is the root at every height that was reported.
func (p *process) seen() map[int64]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.roots)
}

// reach waits for a height and returns its root.
func (p *process) reach(height int64) string {
	p.t.Helper()
	p.must(fmt.Sprint("block ", height), func() bool { return p.height >= height })
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.roots[height]
}

// record submits a transaction to p and waits until it is in a block, which its
// receipt shows.
func (p *process) record(tx string) []byte {
	p.t.Helper()
	if got := p.submit(tx); got != "0 <nil>" {
		p.t.Fatalf("submit %q: %s", tx, got)
	}
	return p.receipt(tx)
}

// receipt waits until a transaction is in a block.
func (p *process) receipt(tx string) []byte {
	p.t.Helper()
	digest := sha256.Sum256([]byte(tx))
	for height := p.at(); ; height = p.at() {
		p.send("receipt", digest[:])
		text, _, _ := strings.Cut(p.expect("receipt "), " ")
		if b, err := hex.DecodeString(text); err == nil && len(b) > 0 {
			return b
		}
		p.reach(height + 1)
	}
}

// replay has the process replay its own blocks, and returns the size of the log.
func (p *process) replay() string {
	p.t.Helper()
	p.send("replay", nil)
	return p.expect("replayed ")
}

func (p *process) kill() {
	p.t.Helper()
	p.cmd.Process.Kill()
	p.exited()
}

// exited waits for the process to end by itself.
func (p *process) exited() {
	p.t.Helper()
	p.must("its end", func() bool { return p.ended })
}
