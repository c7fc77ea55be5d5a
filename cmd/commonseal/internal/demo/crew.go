package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// grace is how long a process of a demonstration has to stop in good order.
const grace = 5 * time.Second

// A crew is the processes of a demonstration: those that run until it ends, and
// commands that end by themselves. No process outlives it.
type crew struct {
	program string
	logs    string                  // folder
	grace   time.Duration           // that a process has to stop in good order
	fail    context.CancelCauseFunc // called with what ended and should not have

	mu       sync.Mutex // guards the rest
	members  []*member
	commands map[*os.Process]bool // that run now
	started  int
	stopping bool
	peak     int64 // proportional set sizes of all processes, summed, bytes
	watching sync.WaitGroup
}

// newCrew is a crew without processes.
func newCrew(program, logs string, grace time.Duration, fail context.CancelCauseFunc) *crew {
	return &crew{program: program, logs: logs, grace: grace, fail: fail, commands: map[*os.Process]bool{}}
}

// A member is a process that runs until the crew is stopped.
type member struct {
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// A DeadError says that a process ended that should have run on.
type DeadError struct {
	Name  string
	Cause error
	Log   []string // its last lines
}

// Error names the process; the log is for who shows it.
func (e *DeadError) Error() string {
	return fmt.Sprintf("the process %s ended: %v; its last lines are above", e.Name, e.Cause)
}

// Unwrap is how it ended.
func (e *DeadError) Unwrap() error { return e.Cause }

// A refusedError says that a command failed, and what it said last.
type refusedError struct {
	command, says string
	cause         error
}

func (e *refusedError) Error() string {
	return fmt.Sprintf("commonseal %s: %s (%v)", e.command, e.says, e.cause)
}

func (e *refusedError) Unwrap() error { return e.cause }

// A duty is what a process is started with.
type duty struct {
	name string
	args []string
	env  []string
	low  bool // gives way to others: a lower priority, of all its threads
}

// command is the duty as it can be started, in a group of its own.
func (c *crew) command(ctx context.Context, d duty) *exec.Cmd {
	argv := append([]string{c.program}, d.args...)
	if nice, err := exec.LookPath("nice"); d.low && err == nil {
		// Before it has threads: a priority set later is that of one thread only.
		argv = append([]string{nice, "-n", "5"}, argv...)
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), d.env...)
	cmd.SysProcAttr = ownGroup()
	cmd.Cancel = func() error { return interrupt(cmd.Process) }
	cmd.WaitDelay = c.grace
	return cmd
}

// tries is how often a process is started whose port another program took in
// the meantime.
const tries = 5

// portTaken is what a process says then.
const portTaken = "address already in use"

// start starts a process that runs until stop. One that is killed is started
// again, as a supervisor would, and goes on where it was; so is one that found its
// port taken. If it ends in any other way the crew fails.
func (c *crew) start(d duty) error {
	m, err := c.launch(d)
	if err != nil {
		return err
	}
	c.watching.Go(func() {
		for try := 1; ; try++ {
			<-m.done
			c.mu.Lock()
			stopping := c.stopping
			c.mu.Unlock()
			if stopping {
				return
			}
			last := lastLines(c.log(d.name), 12)
			taken := len(last) > 0 && strings.Contains(last[len(last)-1], portTaken)
			if taken && try < tries || killed(m.cmd.ProcessState) {
				again, err := c.launch(d)
				if err == nil {
					m = again
					continue
				}
			}
			c.fail(&DeadError{Name: d.name, Cause: errors.New(m.cmd.ProcessState.String()), Log: last})
			return
		}
	})
	return nil
}

var errStopping = errors.New("the demonstration is ending")

// launch starts the process of a duty once.
func (c *crew) launch(d duty) (*member, error) {
	log, err := os.OpenFile(c.log(d.name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own
	m := &member{name: d.name, cmd: c.command(context.Background(), d), done: make(chan struct{})}
	m.cmd.Stdout, m.cmd.Stderr = log, log
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopping {
		return nil, errStopping
	}
	if err := m.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", d.name, err)
	}
	c.started++
	c.members = append(slices.DeleteFunc(c.members, func(old *member) bool { return old.name == d.name }), m)
	go func() {
		_ = m.cmd.Wait() // how it ended is in ProcessState
		close(m.done)
	}()
	return m, nil
}

// do runs a command to its end and returns what it printed. The error is a
// [*refusedError] if it failed.
func (c *crew) do(ctx context.Context, d duty) ([]byte, error) {
	cmd := c.command(ctx, d)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	c.mu.Lock()
	if c.stopping {
		c.mu.Unlock()
		return nil, errStopping
	}
	err := cmd.Start()
	if err == nil {
		c.started++
		c.commands[cmd.Process] = true
	}
	c.mu.Unlock()
	if err == nil {
		err = cmd.Wait()
		c.mu.Lock()
		delete(c.commands, cmd.Process)
		c.mu.Unlock()
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		lines := strings.Split(strings.TrimSpace(errs.String()), "\n")
		return nil, &refusedError{command: d.args[0], says: strings.TrimPrefix(lines[len(lines)-1], "commonseal: "), cause: err}
	}
	return out.Bytes(), nil
}

// stop ends all processes that run until then: those that do not within the grace
// are killed. It returns when none is left.
func (c *crew) stop() {
	c.mu.Lock()
	c.stopping = true
	members := slices.Clone(c.members)
	for _, m := range members {
		_ = interrupt(m.cmd.Process) // one that has ended is no error
	}
	c.mu.Unlock()
	late := time.NewTimer(c.grace)
	defer late.Stop()
	patient := true
	for _, m := range members {
		if patient {
			select {
			case <-m.done:
				continue
			case <-late.C:
				patient = false
			}
		}
		kill(m.cmd.Process)
		<-m.done
	}
	c.watching.Wait()
}

// measure notes how much memory all processes have, every second until ctx ends.
func (c *crew) measure(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		c.mu.Lock()
		processes := []int{os.Getpid()}
		for _, m := range c.members {
			processes = append(processes, m.cmd.Process.Pid)
		}
		for p := range c.commands {
			processes = append(processes, p.Pid)
		}
		c.mu.Unlock()
		var sum int64
		for _, pid := range processes {
			sum += proportionalSize(pid)
		}
		c.mu.Lock()
		c.peak = max(c.peak, sum)
		c.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// counts are how many processes were started, and the most memory they had.
func (c *crew) counts() (started int, peak int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.started, c.peak
}

func (c *crew) log(name string) string { return filepath.Join(c.logs, name+".log") }

// lastLines are the last n lines of a file, fewer if it has fewer, none if it
// cannot be read.
func lastLines(file string, n int) []string {
	b, err := os.ReadFile(file)
	text := strings.TrimSpace(string(b))
	if err != nil || text == "" {
		return nil
	}
	lines := strings.Split(text, "\n")
	return lines[max(0, len(lines)-n):]
}
