package store

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// victim and victimSeed make the test binary a process that writes until it is
// killed.
const (
	victim     = "STORE_TEST_VICTIM_DIR"
	victimSeed = "STORE_TEST_VICTIM_SEED"
	// recordsOnly is the seed of a victim that only puts records.
	recordsOnly = "1000000"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(victim); dir != "" {
		if err := writeUntilKilled(dir, os.Getenv(victimSeed), os.Stdout); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// An act is what the victim writes: act i of a seed is the same in every run.
type act struct {
	key     string
	blob    bool
	content []byte
}

func actOf(seed uint64, i int) act {
	draw := rand.New(rand.NewPCG(seed, uint64(i)))
	blob := draw.IntN(3) == 0
	size := 1 + draw.IntN(4000)
	if draw.IntN(4) == 0 {
		size = 1 + draw.IntN(MaxRecord/2)
	}
	if blob && draw.IntN(2) == 0 {
		size = 1 + draw.IntN(3*ChunkSize)
	}
	return act{key: fmt.Sprintf("act %06d", i), blob: blob, content: bytesOf(seed+uint64(i), size)}
}

// writeUntilKilled acts and prints the number of each act once it is
// acknowledged. It goes on where the directory ends.
func writeUntilKilled(dir, seedText string, out io.Writer) error {
	seed, err := strconv.ParseUint(seedText, 10, 64)
	if err != nil {
		return err
	}
	s, err := open(dir, settings{free: ample})
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		a := actOf(seed, i)
		if a.blob && seedText != recordsOnly {
			_, err = s.Blobs.Put(a.content)
		} else {
			err = s.Journal.Put(a.key, a.content[:min(len(a.content), MaxRecord/2)])
		}
		if err != nil {
			return err
		}
		fmt.Fprintln(out, i)
	}
}

// Case 34: whatever was acknowledged is there after a kill, and the killed act
// is whole or absent; several times over one directory.
func TestKill(t *testing.T) {
	seeds := 6
	if testing.Short() {
		seeds = 1
	}
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			dir := t.TempDir()
			draw := rand.New(rand.NewPCG(seed, 0))
			for range 4 {
				acknowledged := killAfter(t, dir, seed, draw.IntN(40))
				checkActs(t, dir, seed, acknowledged)
			}
		})
	}
}

// killAfter runs the victim, kills it once it has acknowledged n acts and says
// how many it had when it died.
func killAfter(t *testing.T, dir string, seed uint64, n int) int {
	t.Helper()
	c := exec.Command(os.Args[0], "-test.run=^$")
	c.Env = append(os.Environ(), victim+"="+dir, victimSeed+"="+fmt.Sprint(seed))
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	acknowledged := 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if lines.Text() != fmt.Sprint(acknowledged) {
			t.Fatalf("the victim said %q, want %d", lines.Text(), acknowledged)
		}
		if acknowledged++; acknowledged == n+1 {
			if err := c.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := c.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("the victim ended with %v", err)
	}
	return acknowledged
}

// checkActs opens the directory and looks for every act acknowledged.
func checkActs(t *testing.T, dir string, seed uint64, acknowledged int) {
	t.Helper()
	s := mustOpen(t, dir)
	defer s.Close()
	records := uint64(0)
	for i := range acknowledged {
		a := actOf(seed, i)
		var got []byte
		var err error
		if a.blob {
			got, err = s.Blobs.Get(sha256.Sum256(a.content))
		} else {
			records++
			got, err = s.Journal.Get(a.key)
		}
		if err != nil || !bytes.Equal(got, a.content) {
			t.Fatalf("act %d of %d acknowledged: %d bytes, %v; want %d", i, acknowledged, len(got), err, len(a.content))
		}
	}
	if n := s.Journal.Count(); n < records {
		t.Errorf("%d records, %d acknowledged", n, records)
	}
	for i := acknowledged; ; i++ {
		a := actOf(seed, i)
		if a.blob {
			if got, err := s.Blobs.Get(sha256.Sum256(a.content)); err != ErrNotFound && !bytes.Equal(got, a.content) {
				t.Errorf("act %d was not acknowledged: %d bytes, %v", i, len(got), err)
			}
		} else if got, err := s.Journal.Get(a.key); err != ErrNotFound && !bytes.Equal(got, a.content) {
			t.Errorf("act %d was not acknowledged: %d bytes, %v", i, len(got), err)
		} else if err == ErrNotFound {
			return
		}
	}
}
