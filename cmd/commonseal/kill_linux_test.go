package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"github.com/commonseal/commonseal/cmd/commonseal/internal/demo"
)

// asProgram makes the test binary the command itself.
const asProgram = "COMMONSEAL_TEST_AS_PROGRAM"

// A whole federation of processes, and one of them killed at every step: each
// role in turn, two validators of four at once among them. The job finishes, and the
// answers are the cleartext twin's.
func TestKilledProcesses(t *testing.T) {
	if testing.Short() {
		t.Skip("a whole federation of processes")
	}
	t.Setenv(asProgram, "1")
	victims := [][]string{{"north"}, {"company-1"}, {"validator-1"}, {"company-3"}, {"south"}, {"validator-2", "validator-3"}, {"company-2", "north"}}
	folder := t.TempDir()
	var mu sync.Mutex // guards what follows
	var killed []string
	step := 0
	progress := func(stage string, done, _ int) {
		mu.Lock()
		defer mu.Unlock()
		if stage != "training" || done <= step || step >= len(victims) {
			return
		}
		for _, name := range victims[step] {
			if kill9(name) {
				killed = append(killed, name)
			}
		}
		step = done
	}
	o := demo.Options{Program: os.Args[0], Folder: folder, Data: "../../docs/data/edinburgh_mi.csv", Label: "mi", Companies: 3, Local: 1, Steps: len(victims)}
	err := demo.Run(context.Background(), o, progress, func(r *demo.Report) error {
		if math.Abs(r.Answers.AUC-r.AUCTwin) > 0.001 {
			return fmt.Errorf("AUC %v; the twin's is %v", r.Answers.AUC, r.AUCTwin)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("after killing %v: %v", killed, err)
	}
	if len(killed) < len(victims) {
		t.Errorf("only %v were killed", killed)
	}
}

// kill9 kills the process whose home has a name, without a word.
func kill9(name string) bool {
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	found := false
	for _, line := range lines {
		b, err := os.ReadFile(line)
		args := bytes.Split(b, []byte{0})
		pid, bad := strconv.Atoi(filepath.Base(filepath.Dir(line)))
		home := slices.ContainsFunc(args, func(a []byte) bool { return filepath.Base(string(a)) == name })
		if err != nil || bad != nil || !home || !slices.ContainsFunc(args, func(a []byte) bool { return string(a) == "--home" }) {
			continue
		}
		if slices.ContainsFunc(args, func(a []byte) bool { return slices.Contains([]string{"validator", "aggregator", "agent"}, string(a)) }) {
			found = syscall.Kill(pid, syscall.SIGKILL) == nil || found
		}
	}
	return found
}
