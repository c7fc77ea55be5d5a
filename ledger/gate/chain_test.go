package gate

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/commonseal/commonseal/ledger"
)

// A state is a ledger's state in memory; it is a [ledger.View].
type state map[string]string

func (s state) Get(key []byte) []byte {
	if v, ok := s[string(key)]; ok {
		return []byte(v)
	}
	return nil
}

func (s state) Range(prefix []byte, yield func(key, value []byte) bool) {
	for _, k := range slices.Sorted(maps.Keys(s)) {
		if strings.HasPrefix(k, string(prefix)) && !yield([]byte(k), []byte(s[k])) {
			return
		}
	}
}

// A replica is a [Replica] in memory.
type replica struct {
	mu     sync.Mutex
	height int64
	state  state
	staged state
}

func (r *replica) Height() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.height
}

func (r *replica) View() ledger.View {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.state)
}

func (r *replica) Root() ledger.Digest {
	r.mu.Lock()
	defer r.mu.Unlock()
	return rootOf(r.state)
}

func rootOf(s state) ledger.Digest {
	h := sha256.New()
	s.Range(nil, func(k, v []byte) bool { fmt.Fprintf(h, "%q=%q,", k, v); return true })
	return ledger.Digest(h.Sum(nil))
}

func (r *replica) Stage(height int64, out ledger.Outcome) (ledger.Digest, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if height != r.height+1 {
		return ledger.Digest{}, fmt.Errorf("block %d after %d", height, r.height)
	}
	r.staged = maps.Clone(r.state)
	if r.staged == nil {
		r.staged = state{}
	}
	for _, w := range out.Writes {
		r.staged[string(w.Key)] = string(w.Value)
	}
	return rootOf(r.staged), nil
}

func (r *replica) Commit() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.staged == nil {
		return errors.New("nothing staged")
	}
	r.state, r.staged = r.staged, nil
	r.height++
	return nil
}

// apply is a ledger whose transactions are "key=value"; a key is set once.
func apply(v ledger.View, b ledger.Block) ledger.Outcome {
	written := state{}
	var out ledger.Outcome
	for _, tx := range b.Txs {
		k, value, ok := strings.Cut(string(tx), "=")
		r := ledger.Result{}
		switch had := string(v.Get([]byte(k))) + written[k]; {
		case !ok:
			r = ledger.Result{Code: ledger.Malformed, Detail: "no ="}
		case had == value:
			r = ledger.Result{Code: ledger.Replayed}
		case had != "":
			r = ledger.Result{Code: ledger.Conflict, Detail: k + " is " + had}
		default:
			written[k] = value
		}
		out.Results = append(out.Results, r)
	}
	for _, k := range slices.Sorted(maps.Keys(written)) {
		out.Writes = append(out.Writes, ledger.Write{Key: []byte(k), Value: []byte(written[k])})
	}
	return out
}

func check(v ledger.View, _ int64, tx []byte) ledger.Result {
	return apply(v, ledger.Block{Txs: [][]byte{tx}}).Results[0]
}

// A header is the test's encoding of a block.
type header struct {
	ledger.Block
	Before ledger.Digest
}

func sign(block []byte) []byte {
	d := sha256.Sum256(append([]byte("signed"), block...))
	return d[:]
}

// verify is the test's consensus: a commit is a hash that no liar of the tests
// computes.
func verify(block, commit []byte) (ledger.Block, ledger.Digest, error) {
	if !bytes.Equal(commit, sign(block)) {
		return ledger.Block{}, ledger.Digest{}, errors.New("fewer than two thirds signed it")
	}
	return decode(block, commit)
}

// decode is verify without its check.
func decode(block, _ []byte) (ledger.Block, ledger.Digest, error) {
	var h header
	err := json.Unmarshal(block, &h)
	return h.Block, h.Before, err
}

var rules = Rules{Verify: verify, Apply: apply, Check: check}

// A chain is a list of blocks and a pool; every validator of a test shares it.
type chain struct {
	mu      sync.Mutex
	state   replica
	blocks  [][]byte
	pool    [][]byte
	changed chan struct{}
	waits   int // calls of Wait so far
	lose    int // transactions that the pool still has to lose
	submits int
}

func newChain() *chain { return &chain{changed: make(chan struct{})} }

// add makes a block of transactions and of what is in the pool.
func (c *chain) add(tb testing.TB, txs ...string) {
	tb.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	height := int64(len(c.blocks) + 1)
	h := header{Block: ledger.Block{Height: height, Time: 1000 * height, Txs: c.pool}, Before: c.state.Root()}
	for _, tx := range txs {
		h.Txs = append(h.Txs, []byte(tx))
	}
	c.pool = nil
	block, err := json.Marshal(h)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := c.state.Stage(height, apply(c.state.View(), h.Block)); err != nil {
		tb.Fatal(err)
	}
	if err := c.state.Commit(); err != nil {
		tb.Fatal(err)
	}
	c.blocks = append(c.blocks, block)
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *chain) Submit(_ context.Context, tx []byte) (ledger.Result, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.submits++
	r := check(c.state.View(), 0, tx)
	inPool := slices.ContainsFunc(c.pool, func(b []byte) bool { return bytes.Equal(b, tx) })
	switch {
	case r.Code != ledger.OK || inPool:
	case c.lose > 0:
		c.lose--
	default:
		c.pool = append(c.pool, tx)
	}
	return r, nil
}

func (c *chain) Block(height int64) (block, commit []byte, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if height < 1 || height > int64(len(c.blocks)) {
		return nil, nil, errors.New("not there")
	}
	block = c.blocks[height-1]
	return block, sign(block), nil
}

func (c *chain) Wait(ctx context.Context, above int64) (int64, error) {
	c.mu.Lock()
	c.waits++
	c.mu.Unlock()
	for {
		c.mu.Lock()
		height, changed := int64(len(c.blocks)), c.changed
		c.mu.Unlock()
		if height > above {
			return height, nil
		}
		select {
		case <-ctx.Done():
			return height, ctx.Err()
		case <-changed:
		}
	}
}

func (c *chain) Query(key []byte, prove bool) (value, proof []byte, height int64, err error) {
	switch {
	case string(key) == "panic":
		panic("asked to")
	case string(key) == "fault":
		return nil, nil, 0, errors.New("the disk of the validator at 10.0.0.1 is bad")
	case prove:
		proof = []byte("proof")
	}
	return c.state.View().Get(key), proof, c.state.Height(), nil
}

func (c *chain) Receipt(hash ledger.Digest) ([]byte, error) {
	if hash == sha256.Sum256([]byte("a=1")) {
		return []byte("receipt"), nil
	}
	return nil, nil
}

func (c *chain) Signers(height int64) ([]ledger.Power, error) {
	if _, _, err := c.Block(height); err != nil {
		return nil, err
	}
	return []ledger.Power{{Vote: ledger.Key{1}, Power: 1}}, nil
}
