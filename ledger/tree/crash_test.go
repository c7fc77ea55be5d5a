package tree

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/commonseal/commonseal/ledger"
)

const crashBlocks = 40

// crashEnv tells a copy of the test binary to be a process that crashes: a
// directory and the number of the failpoint to crash at.
const crashEnv = "COMMONSEAL_TREE_CRASH"

func TestMain(m *testing.M) {
	if arg, ok := os.LookupEnv(crashEnv); ok {
		os.Exit(crashing(arg))
	}
	os.Exit(m.Run())
}

// crashing applies blocks until it has passed so many failpoints, and kills its
// own process there. It prints the height and root of each block committed.
func crashing(arg string) int {
	n, dir, _ := strings.Cut(arg, ":")
	left, err := strconv.Atoi(n)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	tree, err := Open(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	tree.failpoint = func(string) {
		if left--; left == 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // no further
		}
	}
	for h := tree.Height() + 1; h < crashBlocks; h++ {
		root, err := tree.Stage(h, blockOf(h))
		tree.pass("staged")
		if err == nil {
			err = tree.Commit()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 2
		}
		fmt.Printf("%d %x\n", h, root)
	}
	if err := tree.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	return 0
}

// blockOf is what the block of a height changes: overwrites, deletions, and
// nothing at every fifth.
func blockOf(height int64) (out ledger.Outcome) {
	if height%5 == 4 {
		return ledger.Outcome{}
	}
	rng := rand.New(rand.NewPCG(uint64(height), 7))
	for k := range byte(60) {
		switch rng.IntN(4) {
		case 0:
			out.Writes = append(out.Writes, ledger.Write{Key: []byte{'k', k}, Value: binary.BigEndian.AppendUint64(nil, rng.Uint64())})
		case 1:
			out.Writes = append(out.Writes, ledger.Write{Key: []byte{'k', k}})
		}
	}
	for i := range rng.IntN(4) {
		out.Leaves = append(out.Leaves, fmt.Appendf(nil, "transaction %d of block %d", i, height))
	}
	return out
}

// crashRoots are the roots of a tree that nothing happened to.
func crashRoots(t *testing.T) []ledger.Digest {
	tree := open(t, "")
	var roots []ledger.Digest
	for h := range int64(crashBlocks) {
		roots = append(roots, put(t, tree, blockOf(h)))
	}
	return roots
}

// A process killed at any point of any commit, time after time, has the state
// after some block, none older than it had said, and with the blocks since then
// the state of a process that nothing happened to.
func TestKilledAnywhere(t *testing.T) {
	want := crashRoots(t)
	seed := rand.Uint64()
	if given, ok := os.LookupEnv("COMMONSEAL_SEED"); ok {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	lives := 0
	for dir, said := t.TempDir(), int64(-1); said < crashBlocks-1; lives++ {
		points := 1 + rng.IntN(40)
		var stdout, stderr bytes.Buffer
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d:%s", crashEnv, points, dir))
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		err := cmd.Run()
		killed := err != nil && cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
		if err != nil && !killed || stderr.Len() > 0 {
			t.Fatalf("a process that should be killed or done: %v, and said %s", err, &stderr)
		}
		for _, line := range strings.Fields(strings.ReplaceAll(stdout.String(), " ", ":")) {
			said = checkLine(t, line, said, want)
		}
		said = checkKilled(t, dir, said, want)
	}
	t.Logf("%d blocks in %d lives", crashBlocks, lives)
}

// checkLine checks a line of a crashing process and returns its height.
func checkLine(t *testing.T, line string, said int64, want []ledger.Digest) int64 {
	t.Helper()
	h, root, _ := strings.Cut(line, ":")
	height, err := strconv.ParseInt(h, 10, 64)
	if err != nil || height != said+1 || root != fmt.Sprintf("%x", want[height]) {
		t.Fatalf("after block %d: %q, want block %d with root %x", said, line, said+1, want[said+1])
	}
	return height
}

// checkKilled opens what a killed process left, without changing it, and returns
// the height of its tree.
func checkKilled(t *testing.T, dir string, said int64, want []ledger.Digest) int64 {
	t.Helper()
	tree, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	height := tree.Height()
	if height < said || height > said+1 {
		t.Fatalf("the tree is at block %d, the process had said %d", height, said)
	}
	if height < 0 {
		return height
	}
	if tree.Root() != want[height] {
		t.Fatalf("block %d has root %x after a kill, want %x", height, tree.Root(), want[height])
	}
	m := model{state: map[string]string{}}
	for h := range height + 1 {
		m.apply(blockOf(h))
	}
	m.check(t, tree.View())
	for key, value := range m.state {
		_, proof, err := tree.Prove([]byte(key))
		if err == nil {
			err = verifyState(tree.Root(), []byte(key), []byte(value), proof)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return height
}

// A process killed from outside, at no point of ours, within Badger or anywhere,
// is as well off.
func TestKilledFromOutside(t *testing.T) {
	want := crashRoots(t)
	dir := t.TempDir()
	for said, lives := int64(-1), 0; said < crashBlocks-1 && lives < 20; lives++ {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=0:%s", crashEnv, dir))
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(stdout)
		for n := 0; lines.Scan(); n++ {
			said = checkLine(t, strings.Replace(lines.Text(), " ", ":", 1), said, want)
			if n == 1+lives%3 {
				_ = cmd.Process.Kill()
			}
		}
		_ = cmd.Wait() // killed, or done
		said = checkKilled(t, dir, said, want)
	}
}

// What a copy of a running tree's files has is what a power cut may leave: the
// state after some block.
func TestReopenedWithoutClose(t *testing.T) {
	if testing.Short() {
		t.Skip("copies large sparse files")
	}
	want := crashRoots(t)
	dir, n := t.TempDir(), 0
	tree := open(t, dir)
	tree.failpoint = func(string) {
		if n++; n%7 != 0 {
			return
		}
		copied := t.TempDir()
		if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(copied, "LOCK")); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		said := tree.Height()
		checkKilled(t, copied, said, want)
	}
	for h := range int64(8) {
		put(t, tree, blockOf(h))
	}
}
