package chain

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// A validator is killed around Apply, and at each of CometBFT's own failure
// points (before and after it stores the block, finalizes it, stores the results,
// commits, stores its state). It recovers alone, with the transaction recorded
// once and the root another machine has.
func TestCrashes(t *testing.T) {
	if testing.Short() {
		t.Skip("processes")
	}
	for _, kill := range []string{"before", "after"} {
		t.Run(kill+" Apply", func(t *testing.T) { crash(t, kill, "") })
	}
	for i := range 11 { // of one block, votes included
		t.Run(fmt.Sprint("failure point ", i), func(t *testing.T) { crash(t, "", fmt.Sprint(i)) })
	}
}

func crash(t *testing.T, kill, point string) {
	specs, _ := founded(t, 1)
	spec := specs[0]
	spec.Kill = kill
	p := start(t, spec)
	p.reach(1)
	p.record("first")
	if point != "" {
		fmt.Fprintf(p.in, "fail %s\n", point)
		p.expect("failing")
	}
	// An empty block may have met the failure point already, so nobody may read this.
	fmt.Fprintf(p.in, "submit %x\n", "fatal")
	p.exited()

	spec.Kill = ""
	p = start(t, spec)
	p.reach(0)
	if got := p.submit("fatal"); got != "0 <nil>" && got != "7 <nil>" {
		t.Errorf("submitted again: %s", got)
	}
	p.receipt("fatal")
	p.record("last")
	if got := p.replay(); got != "3 <nil>" {
		t.Errorf("replayed: leaves %s, want 3 <nil>", got)
	}
}

const (
	kills      = 100        // of TestKilledBeforeCommit
	memoryDisk = "/dev/shm" // where there is one
)

// A validator is killed a hundred times between FinalizeBlock and Commit: as soon as
// it has finalized, when it should commit, or anywhere in between and around it;
// also while it makes up for the last time. Each life says the same of every block
// as the others, and in the end as a replay of the blocks that nothing happened to.
func TestKilledBeforeCommit(t *testing.T) {
	if testing.Short() {
		t.Skip("a hundred processes")
	}
	seed := rand.Uint64()
	if given, ok := os.LookupEnv("COMMONSEAL_SEED"); ok {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("COMMONSEAL_SEED=%d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	// What a killed process wrote is the operating system's: a disk in memory is as
	// good, and a hundred lives sync it thousands of times.
	if _, err := os.Stat(memoryDisk); err == nil {
		t.Setenv("TMPDIR", memoryDisk)
	}
	specs, _ := founded(t, 1)
	spec := specs[0]
	spec.Quick = true
	roots := map[int64]string{}
	live := func(p *process) {
		for height, root := range p.seen() {
			if known, ok := roots[height]; ok && known != root {
				t.Fatalf("block %d: root %s, in another life %s", height, root, known)
			}
			roots[height] = root
		}
	}
	points := map[string]int{}
	for range kills {
		spec.Seed = 1 + rng.Uint64()>>1
		p := start(t, spec)
		p.exited()
		live(p)
		if !p.cmd.ProcessState.Sys().(syscall.WaitStatus).Signaled() {
			t.Fatalf("a life ended with %q, not by a kill", p.lines)
		}
		points[strings.Join(p.lines, " ")]++
	}
	spec.Seed = 0
	p := start(t, spec)
	p.record("last")
	top := p.at()
	got := p.replay()
	live(p)
	t.Logf("%d blocks, leaves and error %q; killed %v", top, got, points)
	leaves, text, _ := strings.Cut(got, " ")
	if n, err := strconv.Atoi(leaves); err != nil || n < kills/10 || text != "<nil>" {
		t.Errorf("replayed: leaves %s", got)
	}
}

// killing is a failpoint for a life with a seed: after some blocks it kills the
// process, before or after it says which block it was.
func killing(seed uint64) func(point string) {
	if seed == 0 {
		return nil
	}
	rng := rand.New(rand.NewPCG(seed, 1))
	blocks, at := 1+rng.IntN(4), []string{"finalized", "committing"}[rng.IntN(2)]
	return func(point string) {
		if point != at {
			return
		}
		if blocks--; blocks == 0 {
			fmt.Println("killed", at)
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // no further
		}
	}
}

// busy submits transactions, each once the ones before are in a block, until the
// process is killed. Some were in lives before.
func busy(ctx context.Context, n *Node, seed uint64) {
	if n.Ready(ctx) != nil {
		return
	}
	rng := rand.New(rand.NewPCG(seed, 2))
	for {
		height := n.Height()
		for range 1 + rng.IntN(5) {
			if _, err := n.Submit(ctx, fmt.Append(nil, "transaction ", rng.IntN(1000))); err != nil {
				return
			}
		}
		if _, err := n.Wait(ctx, height); err != nil {
			return
		}
	}
}
