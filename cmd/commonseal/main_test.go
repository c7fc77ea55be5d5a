package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/commonseal/commonseal/cmd/commonseal/internal/home"
	"github.com/commonseal/commonseal/federation/table"
	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/audit"
)

// TestMain lets scripts run the command as a process of its own: commonseal
// with a federation that only tells its flags, whole with the real one.
func TestMain(m *testing.M) {
	if os.Getenv("COMMONSEAL_TEST_AS_PROGRAM") != "" {
		main()
	}
	testscript.Main(m, map[string]func(){
		"whole":    main,
		"stubborn": stubborn,
		"commonseal": func() {
			root := newRoot(commands(tellFlags)...)
			os.Exit(execute(root, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
		},
	})
}

// stubborn is a command that does not end at the first signal, and goes on sending
// itself signals.
func stubborn() {
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		panic(err)
	}
	c := &cobra.Command{Use: "wait", RunE: func(c *cobra.Command, _ []string) error {
		for late := time.After(30 * time.Second); ; {
			if err := self.Signal(os.Interrupt); err != nil {
				return err
			}
			select {
			case <-late:
				return nil
			case <-c.Context().Done():
				fmt.Fprintln(c.OutOrStdout(), "asked to stop")
			}
		}
	}}
	os.Exit(execute(newRoot(c), []string{"wait"}, os.Stdin, os.Stdout, os.Stderr))
}

// tellFlags reports what it was called with, so that scripts see what reaches
// a federation.
func tellFlags(_ context.Context, data *table.Table, s simulation, p *progress) (report, error) {
	p.stage("read", 1, 1)
	return func(w io.Writer, asJSON bool) error {
		if asJSON {
			return json.NewEncoder(w).Encode(map[string]int{"rows": data.Len(), "columns": data.Columns()})
		}
		_, err := fmt.Fprintf(w, "%d rows of %d columns, %d companies, %d local, %d steps, lr %v, decay %v, columns %v, test %v, seed %d\n",
			data.Len(), data.Columns(), s.companies, s.local, s.steps, s.learningRate, s.decay, s.columns, s.test, s.seed)
		return err
	}, nil
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true, RequireUniqueNames: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"submit": submit, "trust": trust},
		Setup: func(e *testscript.Env) error {
			data, err := filepath.Abs("../../docs/data")
			e.Setenv("DATA", data)
			vectors, err2 := filepath.Abs("../../incentive/testdata")
			e.Setenv("VECTORS", vectors)
			err = errors.Join(err, err2, largeFile(filepath.Join(e.WorkDir, "large")))
			return errors.Join(err, freePorts(e, "PORT1", "PORT2", "PORT3", "PORT4"))
		},
	})
}

// largeFile makes a file of a size that nothing a person sends has. It takes no
// room where files may have holes.
func largeFile(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(8<<20), f.Close())
}

// freePorts names ports that nobody listened at a moment ago.
func freePorts(e *testscript.Env, names ...string) error {
	for _, name := range names {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		defer l.Close() // after the last is named: they differ
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			return err
		}
		e.Setenv(name, port)
	}
	return nil
}

// submit HOME has the member record a transaction, and waits until its own
// replica has it.
func submit(ts *testscript.TestScript, _ bool, args []string) {
	h, err := home.Open(ts.MkAbs(args[0]))
	ts.Check(err)
	c, err := openMember(h, h.LedgerDir(), nil)
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ts.Check(following(ctx, c, func(ctx context.Context) error {
		expiry := c.Now() + int64(rand.N(ledger.MaxExpiry/2)) + ledger.MaxExpiry/4 // each time other bytes
		tx := ledger.SignTx(h.Genesis.Chain, expiry, &ledger.Renew{TLS: h.Member.TLS, Address: h.Member.Address}, h.Keys.Signing.Ed25519())
		result, err := c.Submit(ctx, tx)
		if err == nil && result.Code != ledger.OK {
			err = fmt.Errorf("refused: %v", result)
		}
		return err
	}))
}

func TestSimulationCheck(t *testing.T) {
	valid := simulation{data: "f.csv", label: "y", companies: 3, local: 3, steps: 1000, test: 0.5}
	if err := valid.check(false); err != nil {
		t.Fatalf("check: %v", err)
	}
	for _, test := range []struct {
		want   string
		change func(*simulation)
	}{
		{"--data is missing", func(s *simulation) { s.data = "" }},
		{"--label is missing", func(s *simulation) { s.label = "" }},
		{"--companies is 1; give 2 to 32", func(s *simulation) { s.companies = 1 }},
		{"--companies is 33; give 2 to 32", func(s *simulation) { s.companies = 33 }},
		{"--local is -1; give 0 to 3", func(s *simulation) { s.local = -1 }},
		{"--local is 4; give 0 to 3", func(s *simulation) { s.local = 4 }},
		{"--steps is 0; give 1 to 1000", func(s *simulation) { s.steps = 0 }},
		{"--steps is 1001; give 1 to 1000", func(s *simulation) { s.steps = 1001 }},
		{"--decay is -1; give", func(s *simulation) { s.decay = -1 }},
		{"--decay is NaN; give", func(s *simulation) { s.decay = math.NaN() }},
		{"--audit trains every coalition of 11 companies", func(s *simulation) { s.audit, s.companies = true, 11 }},
		{"--noise is 5; give 6 to 64, or 0", func(s *simulation) { s.noise = 5 }},
		{"--noise is -1; give", func(s *simulation) { s.noise = -1 }},
		{"--shuffle-labels names company 4; give 1 to 3", func(s *simulation) { s.shuffle = []int{4} }},
		{`--copy is "2"; give FROM:TO`, func(s *simulation) { s.copy = []string{"2"} }},
		{`--copy is "2:2"; give FROM:TO`, func(s *simulation) { s.copy = []string{"2:2"} }},
		{`--copy is "0:2"; give FROM:TO`, func(s *simulation) { s.copy = []string{"1:2", "0:2"} }},
		{"--test is 0; give", func(s *simulation) { s.test = 0 }},
		{"--test is 0.51; give", func(s *simulation) { s.test = 0.51 }},
	} {
		s := valid
		test.change(&s)
		var usage *usageError
		if err := s.check(false); !errors.As(err, &usage) || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("check: %v, want %s…", err, test.want)
		}
	}
}

// The first interrupt reaches a command as its context's end, and is told in
// one line.
func TestInterrupt(t *testing.T) {
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	waits := &cobra.Command{Use: "wait", RunE: func(c *cobra.Command, _ []string) error {
		if err := self.Signal(os.Interrupt); err != nil {
			return err
		}
		<-c.Context().Done()
		return fmt.Errorf("step 3: %w", context.Cause(c.Context()))
	}}
	var out, errs bytes.Buffer
	if code := execute(newRoot(waits), []string{"wait"}, nil, &out, &errs); code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
	if got, want := errs.String(), "commonseal: interrupted; nothing was kept, run it again to start over\n"; got != want {
		t.Errorf("stderr %q, want %q", got, want)
	}
}

// run wires real commands.
func TestRun(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run([]string{"version"}, nil, &out, &errs); code != exitOK || !strings.HasPrefix(out.String(), "commonseal ") {
		t.Errorf("run(version): code %d, stdout %q, stderr %q", code, &out, &errs)
	}
}

// Whatever an error says, it is told in one line.
func TestErrorsAreOneLine(t *testing.T) {
	fails := &cobra.Command{Use: "fail", RunE: func(*cobra.Command, []string) error {
		return errors.Join(errors.New("one;\n\tsee"), errors.New("two"))
	}}
	var errs bytes.Buffer
	if code := execute(newRoot(fails), []string{"fail"}, nil, io.Discard, &errs); code != exitFailed || errs.String() != "commonseal: one; see two\n" {
		t.Errorf("code %d, stderr %q", code, &errs)
	}
}

// trust sets FIRST to the first block of an archive, as one auditor tells another.
func trust(ts *testscript.TestScript, _ bool, args []string) {
	f, err := os.Open(ts.MkAbs(args[0]))
	ts.Check(err)
	defer f.Close()
	a, err := audit.OpenArchive(f)
	ts.Check(err)
	r, err := audit.NewReplay(a.Genesis)
	ts.Check(err)
	block, commit, err := a.Next()
	ts.Check(err)
	ts.Check(r.Block(block, commit))
	ts.Setenv("FIRST", r.Summary().Point.String())
}
