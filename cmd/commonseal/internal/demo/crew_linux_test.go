package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets tests start this binary as a process of a crew.
func TestMain(m *testing.M) {
	if len(os.Args) < 2 || strings.HasPrefix(os.Args[1], "-") {
		os.Exit(m.Run())
	}
	switch args := os.Args[1:]; args[0] {
	case "stubborn": // does not stop when it is asked to
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT)
		fmt.Fprintln(os.Stderr, "up")
		<-time.After(time.Hour)
	case "dies":
		fmt.Fprintln(os.Stderr, "first\nthe disk is full")
		os.Exit(3)
	case "listens":
		l, err := net.Listen("tcp", args[1])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		defer l.Close()
		fmt.Fprintln(os.Stderr, "up")
		<-time.After(time.Hour)
	case "says":
		fmt.Println("out")
		fmt.Fprintln(os.Stderr, "warned\ncommonseal: refused")
		code, _ := strconv.Atoi(args[1]) // 0 if it is none
		os.Exit(code)
	case "boss": // starts a stubborn process and never stops it
		c := newCrew(os.Args[0], args[1], time.Hour, func(error) {})
		if err := c.start(duty{name: "child", args: []string{"stubborn"}}); err != nil {
			os.Exit(1)
		}
		fmt.Fprintln(os.Stderr, c.members[0].cmd.Process.Pid)
		<-time.After(time.Hour)
	}
}

// testCrew is a crew of this binary, and a context that ends when it fails.
func testCrew(t *testing.T) (*crew, context.Context) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, fail := context.WithCancelCause(t.Context())
	c := newCrew(self, t.TempDir(), 100*time.Millisecond, fail)
	t.Cleanup(c.stop)
	return c, ctx
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(time.Minute); !so(); {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("never: %s", what)
		}
	}
}

func said(c *crew, name, line string) func() bool {
	return func() bool {
		lines := lastLines(c.log(name), 1)
		return len(lines) > 0 && lines[0] == line
	}
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

// A process that ignores being asked to stop is killed after its grace.
func TestStopKills(t *testing.T) {
	c, ctx := testCrew(t)
	if err := c.start(duty{name: "child", args: []string{"stubborn"}, low: true}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the child is up", said(c, "child", "up"))
	pid := c.members[0].cmd.Process.Pid
	if !alive(pid) {
		t.Fatal("the child does not run")
	}
	c.stop()
	if alive(pid) {
		t.Error("the child outlives its crew")
	}
	if err := context.Cause(ctx); err != nil {
		t.Errorf("stopped, the crew fails with %v", err)
	}
	if err := c.start(duty{name: "late", args: []string{"stubborn"}}); !errors.Is(err, errStopping) {
		t.Errorf("a start after the end: %v", err)
	}
}

// A process that ends by itself fails the crew, with its last lines.
func TestDeathFails(t *testing.T) {
	c, ctx := testCrew(t)
	if err := c.start(duty{name: "child", args: []string{"dies"}}); err != nil {
		t.Fatal(err)
	}
	<-ctx.Done()
	var dead *DeadError
	if err := context.Cause(ctx); !errors.As(err, &dead) || dead.Name != "child" || strings.Join(dead.Log, "|") != "first|the disk is full" || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("the crew fails with %v", err)
	}
}

// A process that finds its port taken is started again, and no more than a few
// times.
func TestTakenPortIsTriedAgain(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, ctx := testCrew(t)
	if err := c.start(duty{name: "child", args: []string{"listens", l.Addr().String()}}); err != nil {
		t.Fatal(err)
	}
	<-ctx.Done()
	if started, _ := c.counts(); started != tries {
		t.Errorf("started %d times, want %d", started, tries)
	}
	if b, err := os.ReadFile(c.log("child")); strings.Count(string(b), portTaken) != tries {
		t.Errorf("log %q, %v", b, err)
	}
}

func TestCommands(t *testing.T) {
	c, ctx := testCrew(t)
	out, err := c.do(ctx, duty{name: "says", args: []string{"says", "0"}})
	if err != nil || string(out) != "out\n" {
		t.Errorf("output %q, error %v", out, err)
	}
	_, err = c.do(ctx, duty{name: "says", args: []string{"says", "1"}})
	var refused *refusedError
	if !errors.As(err, &refused) || refused.says != "refused" || err.Error() != "commonseal says: refused (exit status 1)" {
		t.Errorf("error %v", err)
	}
	ended, end := context.WithCancelCause(ctx)
	cause := errors.New("over")
	done := make(chan error, 1)
	go func() {
		_, err := c.do(ended, duty{name: "stubborn", args: []string{"stubborn"}})
		done <- err
	}()
	eventually(t, "the command runs", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.commands) > 0
	})
	end(cause)
	if err := <-done; !errors.Is(err, cause) {
		t.Errorf("a command whose context ended: %v", err)
	}
}

func TestAddressesDiffer(t *testing.T) {
	seen := map[string]bool{}
	free, err := freeAddresses(20)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range free {
		l, err := net.Listen("tcp", a)
		if err != nil {
			t.Errorf("%s is not free: %v", a, err)
			continue
		}
		defer l.Close()
		seen[a] = true
	}
	if len(seen) != 20 {
		t.Errorf("%d different addresses of 20", len(seen))
	}
}

func TestLastLines(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x.log")
	if got := lastLines(name, 2); got != nil {
		t.Errorf("of no file: %q", got)
	}
	for text, want := range map[string]string{"": "", "a\n": "a", "a\nb\nc\n": "b|c"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(lastLines(name, 2), "|"); got != want {
			t.Errorf("of %q: %q, want %q", text, got, want)
		}
	}
}

// Processes end with the demonstration even if that is killed.
func TestNothingOutlivesAKill(t *testing.T) {
	c, _ := testCrew(t)
	if err := c.start(duty{name: "boss", args: []string{"boss", t.TempDir()}}); err != nil {
		t.Fatal(err)
	}
	child := 0
	eventually(t, "the boss has a child", func() bool {
		lines := lastLines(c.log("boss"), 1)
		if len(lines) == 1 {
			child, _ = strconv.Atoi(lines[0]) // 0 until it is whole
		}
		return child > 0
	})
	c.mu.Lock()
	boss := c.members[0].cmd.Process
	c.mu.Unlock()
	if err := boss.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the child has ended", func() bool { return !alive(child) })
}

func TestProportionalSize(t *testing.T) {
	if n := proportionalSize(os.Getpid()); n < 1<<20 {
		t.Errorf("this process has %d bytes", n)
	}
	if n := proportionalSize(-1); n != 0 {
		t.Errorf("no process has %d bytes", n)
	}
}
