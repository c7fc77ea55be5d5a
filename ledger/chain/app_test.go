package chain

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"

	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/tree"
)

var genesisTime = time.UnixMilli(1_000_000)

// begun is an application after InitChain.
func begun(t *testing.T) *application {
	t.Helper()
	state, err := tree.Open("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { state.Close() })
	a := newApplication(testApp(state), newDoor(), []string{"ab@127.0.0.1:1"})
	if _, err := a.InitChain(t.Context(), &abci.RequestInitChain{Time: genesisTime, AppStateBytes: []byte(`"c3RhdGU="`)}); err != nil {
		t.Fatal(err)
	}
	return a
}

func texts(txs ...string) [][]byte {
	var out [][]byte
	for _, tx := range txs {
		out = append(out, []byte(tx))
	}
	return out
}

// block finalizes and commits a block and returns its codes.
func block(t *testing.T, a *application, height int64, txs ...string) []uint32 {
	t.Helper()
	r, err := a.FinalizeBlock(t.Context(), &abci.RequestFinalizeBlock{Height: height, Time: genesisTime.Add(time.Duration(height) * time.Second), Txs: texts(txs...)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Commit(t.Context(), &abci.RequestCommit{}); err != nil {
		t.Fatal(err)
	}
	var codes []uint32
	for _, x := range r.TxResults {
		codes = append(codes, x.Code)
	}
	return codes
}

func TestInitChainAgain(t *testing.T) {
	a := begun(t)
	root := a.Tree.Root()
	info, err := a.Info(t.Context(), &abci.RequestInfo{})
	if err != nil || info.LastBlockHeight != 0 {
		t.Errorf("Info after genesis = %v, %v; want height 0, or it is not asked for again", info, err)
	}
	r, err := a.InitChain(t.Context(), &abci.RequestInitChain{Time: genesisTime, AppStateBytes: []byte(`"c3RhdGU="`)})
	if err != nil || !bytes.Equal(r.AppHash, root[:]) {
		t.Errorf("InitChain again = %x, %v; want %x", r.GetAppHash(), err, root)
	}
}

func TestInitChainRefuses(t *testing.T) {
	for _, state := range []string{``, `{}`, `"!"`, `""`} {
		tr, err := tree.Open("")
		if err != nil {
			t.Fatal(err)
		}
		a := newApplication(testApp(tr), newDoor(), nil)
		if _, err := a.InitChain(t.Context(), &abci.RequestInitChain{AppStateBytes: []byte(state)}); err == nil || tr.Height() != -1 {
			t.Errorf("a genesis state of %q was accepted", state)
		}
		tr.Close()
	}
}

// A transaction that is refused is a code in its block, and the block is applied.
func TestRefusalIsACode(t *testing.T) {
	a := begun(t)
	codes := block(t, a, 1, "one", "bad", "one", "late", "two")
	want := []uint32{0, uint32(ledger.Forbidden), uint32(ledger.Replayed), uint32(ledger.Late), 0}
	for i := range want {
		if codes[i] != want[i] {
			t.Errorf("codes %v, want %v", codes, want)
		}
	}
	if a.Tree.Leaves() != 2 || a.Tree.Height() != 1 {
		t.Errorf("%d leaves at height %d, want 2 at 1", a.Tree.Leaves(), a.Tree.Height())
	}
	info, err := a.Info(t.Context(), &abci.RequestInfo{})
	if root := a.Tree.Root(); err != nil || info.LastBlockHeight != 1 || !bytes.Equal(info.LastBlockAppHash, root[:]) {
		t.Errorf("Info = %v, %v", info, err)
	}
}

// A fault of this machine is an error, which halts the node, and not a state.
func TestFaultsAreErrors(t *testing.T) {
	a := begun(t)
	if _, err := a.FinalizeBlock(t.Context(), &abci.RequestFinalizeBlock{Height: 5}); err == nil {
		t.Error("block 5 was finalized after block 0")
	}
	a.Apply = func(ledger.View, ledger.Block) ledger.Outcome { return ledger.Outcome{} }
	if _, err := a.FinalizeBlock(t.Context(), &abci.RequestFinalizeBlock{Height: 1, Txs: texts("one")}); err == nil {
		t.Error("no result for a transaction, and no error")
	}
	if _, err := a.Commit(t.Context(), &abci.RequestCommit{}); err == nil {
		t.Error("nothing was staged, and was committed")
	}
}

// An empty block leaves the root, or an idle chain would make blocks for ever.
func TestEmptyBlocksChangeNothing(t *testing.T) {
	a := begun(t)
	block(t, a, 1, "one")
	root := a.Tree.Root()
	block(t, a, 2)
	if a.Tree.Root() != root {
		t.Error("an empty block changed the root")
	}
}

func TestProposals(t *testing.T) {
	a := begun(t)
	block(t, a, 1, "old")
	at := genesisTime.Add(time.Minute)
	large := strings.Repeat("x", ledger.MaxTx)
	pool := texts("one", "bad", "old", large+"x", large, "two")
	propose := func(limit int64) [][]byte {
		r, err := a.PrepareProposal(t.Context(), &abci.RequestPrepareProposal{Height: 2, Time: at, Txs: pool, MaxTxBytes: limit})
		if err != nil {
			t.Fatal(err)
		}
		return r.Txs
	}
	if got, want := propose(1<<20), texts("one", large, "two"); !equal(got, want) {
		t.Errorf("proposed %.10q", got)
	}
	if got, want := propose(20), texts("one"); !equal(got, want) {
		t.Errorf("proposed %.10q in 20 bytes: the two bytes about a transaction count too", got)
	}
	process := func(txs [][]byte) bool {
		r, err := a.ProcessProposal(t.Context(), &abci.RequestProcessProposal{Height: 2, Time: at, Txs: txs})
		if err != nil {
			t.Fatal(err)
		}
		return r.IsAccepted()
	}
	if !process(propose(1<<20)) || !process(nil) {
		t.Error("an honest proposal was rejected")
	}
	for _, txs := range [][][]byte{texts("one", "bad"), texts("old"), texts(large + "x")} {
		if process(txs) {
			t.Errorf("proposal %.10q was accepted", txs)
		}
	}
}

func equal(a, b [][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

// Check sees the committed state and its block's time.
func TestChecks(t *testing.T) {
	a := begun(t)
	var times []int64
	a.Check = func(_ ledger.View, now int64, _ []byte) ledger.Result {
		times = append(times, now)
		return ledger.Result{}
	}
	check := func() {
		if r, err := a.CheckTx(t.Context(), &abci.RequestCheckTx{Tx: []byte("one")}); err != nil || !r.IsOK() {
			t.Fatal(r, err)
		}
	}
	check()
	block(t, a, 1)
	check()
	if len(times) != 2 || times[0] != 1_000_000 || times[1] != 1_001_000 {
		t.Errorf("checked at %v, want at the genesis time and at block 1's", times)
	}
}

// A block that is prepared, processed and finalized is applied once, and another
// one of that height, or with another time, is applied for itself.
func TestABlockIsAppliedOnce(t *testing.T) {
	a := begun(t)
	applied := 0
	inner := a.Apply
	a.Apply = func(v ledger.View, b ledger.Block) ledger.Outcome {
		applied++
		return inner(v, b)
	}
	at := genesisTime.Add(time.Second)
	process := func(at time.Time, txs ...string) {
		t.Helper()
		r, err := a.ProcessProposal(t.Context(), &abci.RequestProcessProposal{Height: 1, Time: at, Txs: texts(txs...)})
		if err != nil || !r.IsAccepted() {
			t.Fatal(r, err)
		}
	}
	if _, err := a.PrepareProposal(t.Context(), &abci.RequestPrepareProposal{Height: 1, Time: at, Txs: texts("one"), MaxTxBytes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	process(at, "one")
	block(t, a, 1, "one")
	if applied != 1 {
		t.Errorf("one block was applied %d times", applied)
	}
	if got := a.Tree.Leaves(); got != 1 {
		t.Errorf("%d leaves, want 1", got)
	}
	// Of block 2 another one than decided was proposed.
	a, applied = begun(t), 0
	inner = a.Apply
	a.Apply = func(v ledger.View, b ledger.Block) ledger.Outcome { applied++; return inner(v, b) }
	process(at, "one", "two")
	process(at.Add(1), "one") // the same millisecond
	process(at.Add(time.Millisecond), "one")
	block(t, a, 1, "two")
	if applied != 4 || a.Tree.Leaves() != 1 {
		t.Errorf("four blocks were applied %d times, with %d leaves; want 4 times, and a leaf", applied, a.Tree.Leaves())
	}
}

// Only listed validators are let in as peers.
func TestPeers(t *testing.T) {
	a := begun(t)
	for path, want := range map[string]bool{
		"/p2p/filter/addr/127.0.0.1:9": true, "/p2p/filter/id/ab": true,
		"/p2p/filter/id/cd": false, "/p2p/filter/id/": false, "/p2p/filter/id/a": false, "/store/key": false, "": false,
	} {
		if r, err := a.Query(t.Context(), &abci.RequestQuery{Path: path}); err != nil || r.IsOK() != want {
			t.Errorf("Query(%q) = %v, %v", path, r, err)
		}
	}
}

func TestWait(t *testing.T) {
	a := begun(t)
	stop := make(chan struct{})
	got := make(chan int64, 1)
	go func() {
		height, _ := a.wait(t.Context(), stop, 1)
		got <- height
	}()
	block(t, a, 1)
	block(t, a, 2)
	if height := <-got; height != 2 {
		t.Errorf("waited for a height above 1 and got %d", height)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.wait(ctx, stop, 2); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	close(stop)
	if _, err := a.wait(t.Context(), stop, 2); !errors.Is(err, ErrStopped) {
		t.Errorf("stopped: %v", err)
	}
}

// A door lets those inside finish and ends those who come late.
func TestDoor(t *testing.T) {
	d := newDoor()
	d.enter()
	shut := make(chan struct{})
	go func() {
		d.close()
		close(shut)
	}()
	late := make(chan bool, 1)
	go func() {
		defer func() { late <- true }()
		for {
			d.enter() // until it is shut
			d.leave()
			runtime.Gosched()
		}
	}()
	<-late
	select {
	case <-shut:
		t.Error("shut with somebody inside")
	default:
	}
	d.leave()
	<-shut
	d.close()
}
