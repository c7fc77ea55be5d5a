package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/commonseal/commonseal/clients"
	"github.com/commonseal/commonseal/cmd/commonseal/internal/home"
	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/gate"
	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

// program runs a command to its end and returns what it printed.
func program(t *testing.T, args ...string) string {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], args...)
	c.Env = append(os.Environ(), asProgram+"=1")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("commonseal %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// runValidatorProcess starts a validator, and returns what ends it and what waits
// until it logs something.
func runValidatorProcess(t *testing.T, dir string) (kill func(), logs func(text string)) {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], "validator", "--home", dir)
	c.Env = append(os.Environ(), asProgram+"=1")
	pipe, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines, ended := make(chan string, 1000), make(chan struct{})
	go func() {
		defer close(ended)
		defer close(lines)
		for s := bufio.NewScanner(pipe); s.Scan(); {
			select {
			case lines <- s.Text():
			default:
			}
		}
		_, _ = io.Copy(io.Discard, pipe)
		_ = c.Wait()
	}()
	kill = func() {
		_ = c.Process.Kill()
		<-ended
	}
	t.Cleanup(kill)
	logs = func(text string) {
		t.Helper()
		late := time.After(3 * time.Minute)
		var all []string
		for {
			select {
			case line, ok := <-lines:
				if all = append(all, line); strings.Contains(line, text) {
					return
				}
				if !ok {
					t.Fatalf("%s ended without %q:\n%s", dir, text, strings.Join(all, "\n"))
				}
			case <-late:
				t.Fatalf("%s does not log %q:\n%s", dir, text, strings.Join(all, "\n"))
			}
		}
	}
	return kill, logs
}

// A fifth validator joins four that run, as processes: it asks with a file, two
// companies approve it, it begins with a snapshot, and signs: without it the chain
// would stand when one of the four is killed.
func TestValidatorJoins(t *testing.T) {
	if testing.Short() {
		t.Skip("five processes")
	}
	folder := t.TempDir()
	in := func(name string) string { return filepath.Join(folder, name) }
	keygen := func(name, owner string, args ...string) string {
		program(t, append([]string{"keygen", "--home", in(name), "--name", name, "--owner", owner}, args...)...)
		return filepath.Join(in(name), name+".member.yaml")
	}
	members := []string{keygen("ann", "Ann Ltd", "--role", "company"), keygen("bob", "Bob Ltd", "--role", "company"),
		keygen("carol", "Carol AG", "--role", "aggregator", "--listen", "carol.example:7443")}
	validators := []string{"val1", "val2", "val3", "val4"}
	asValidator := func() []string {
		return []string{"--role", "validator", "--listen", freePort(t), "--p2p", freePort(t)}
	}
	for _, v := range validators {
		members = append(members, keygen(v, "Owner of "+v, asValidator()...))
	}
	if err := os.WriteFile(in("consortium.yaml"), []byte("chain: retail\nprovenance: strict\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	program(t, append([]string{"found", in("consortium.yaml"), "--out", folder}, members...)...)
	genesis, network := in(home.GenesisFile), in(home.NetworkFile)
	snapshots := func(name string) {
		f, err := os.OpenFile(filepath.Join(in(name), "node.yaml"), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString("snapshots: 5\n"); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range append(validators, "ann", "bob") {
		args := []string{"join", "--home", in(name), genesis, network}
		if strings.HasPrefix(name, "val") {
			args = append(args, "--timeout-commit", "50ms")
		}
		program(t, args...)
	}
	var kills []func()
	var tells []func(text string)
	for _, v := range validators {
		snapshots(v)
		kill, logs := runValidatorProcess(t, in(v))
		kills, tells = append(kills, kill), append(tells, logs)
	}
	renewed(t, in("ann"), 6)

	keygen("val5", "Vee AG", asValidator()...)
	program(t, "member", "join", "--home", in("val5"), genesis, network, "--timeout-commit", "50ms")
	snapshots("val5")
	_, logs := runValidatorProcess(t, in("val5"))
	logs("waits to be taken in")
	if out := program(t, "member", "approve", "--home", in("ann"), filepath.Join(in("val5"), "val5.join")); !strings.Contains(out, "not yet: 1 of 2") {
		t.Errorf("the first vote: %s", out)
	}
	if out := program(t, "member", "approve", "--home", in("bob"), "val5"); !strings.Contains(out, "admitted     yes") {
		t.Errorf("the second vote: %s", out)
	}
	logs("this validator signs blocks")

	kills[0]()
	goesOn(t, in("ann"), in("val5"))
	// Whoever follows the ledger follows its validators.
	program(t, "member", "revoke", "--home", in("ann"), "val1")
	if out := program(t, "member", "revoke", "--home", in("bob"), "val1"); !strings.Contains(out, "val1: yes") {
		t.Errorf("the second vote: %s", out)
	}
	// One that is up is let go by those that are left, and blocks go on.
	program(t, "member", "revoke", "--home", in("ann"), "val5")
	program(t, "member", "revoke", "--home", in("bob"), "val5")
	for _, left := range tells[1:] {
		left("a validator that is not listed or announced any more is disconnected")
	}
	renewed(t, in("ann"), 2)
}

// freePort is an address that nobody listened at a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// renewed has a member record transactions.
func renewed(t *testing.T, dir string, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	err := asMember(ctx, dir, func(ctx context.Context, h *home.Home, c *clients.Client) error {
		for i := range n {
			if _, err := c.Record(ctx, &ledger.Renew{TLS: h.Member.TLS, Address: fmt.Sprintf("ann%d.example:1", i)}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// goesOn hands a transaction in at a validator, and waits until it has it in a
// block. It holds the validator to having no block from before its snapshot.
func goesOn(t *testing.T, member, validator string) {
	t.Helper()
	m, err := home.Open(member)
	if err != nil {
		t.Fatal(err)
	}
	v, err := home.Open(validator)
	if err != nil {
		t.Fatal(err)
	}
	id, err := gate.NewIdentity(m.Keys.TLS.Ed25519())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := gate.Dial(v.Member.Address, v.Member.TLS, id)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	service := commonsealv1.NewLedgerServiceClient(conn)
	if _, err := service.Commit(ctx, &commonsealv1.CommitRequest{Height: 1}); err == nil {
		t.Error("it has block 1: it did not begin with a snapshot")
	}
	last, err := service.Query(ctx, &commonsealv1.QueryRequest{Key: ledger.GenesisKey()})
	if err != nil {
		t.Fatal(err)
	}
	tx := ledger.SignTx(m.Genesis.Chain, time.Now().Add(asking).UnixMilli(), &ledger.Renew{TLS: m.Member.TLS, Address: "after.example:1"}, m.Keys.Signing.Ed25519())
	blocks, err := service.Follow(ctx, &commonsealv1.FollowRequest{From: last.Height + 1})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := service.Submit(ctx, &commonsealv1.SubmitRequest{Tx: tx}); err != nil || r.Code != 0 {
		t.Fatal(r, err)
	}
	for {
		b, err := blocks.Recv()
		if err != nil {
			t.Fatalf("with four of five validators: %v", err)
		}
		if strings.Contains(string(b.Block), string(tx)) {
			return
		}
	}
}
