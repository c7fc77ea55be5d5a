package home

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/commonseal/commonseal/ledger"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)

// keygen makes a member below dir and returns the name of its file.
func keygen(tb testing.TB, dir, name, owner string, role ledger.Roles) string {
	tb.Helper()
	m := MemberFile{Member: ledger.Member{Name: name, Owner: owner, Roles: role}}
	if role.Has(ledger.Aggregator) || role.Has(ledger.Validator) {
		m.Address = name + ".example:7443"
	}
	if role.Has(ledger.Validator) {
		m.P2P = name + ".example:26656"
	}
	file, err := Keygen(filepath.Join(dir, name), m)
	if err != nil {
		tb.Fatal(err)
	}
	return file
}

// members are those of a consortium that can be founded.
func members(tb testing.TB, dir string) []string {
	tb.Helper()
	var out []string
	for _, m := range []struct {
		name, owner string
		role        ledger.Roles
	}{
		{"ann", "Ann & Sons: *best*", ledger.Company}, {"bob", "Bob Ltd", ledger.Company | ledger.ModelPeer},
		{"carol", "Carol AG", ledger.Aggregator}, {"dave", "Dave AG", ledger.Aggregator},
		{"val1", "Ann & Sons: *best*", ledger.Validator}, {"val2", "Bob Ltd", ledger.Validator},
	} {
		out = append(out, keygen(tb, dir, m.name, m.owner, m.role))
	}
	return out
}

func write(tb testing.TB, name, text string) string {
	tb.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	return name
}

func read(tb testing.TB, name string) string {
	tb.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

// mend replaces text in a file that has it.
func mend(tb testing.TB, name, before, after string) {
	tb.Helper()
	text := read(tb, name)
	if !strings.Contains(text, before) {
		tb.Fatalf("%s has no %q:\n%s", name, before, text)
	}
	write(tb, name, strings.Replace(text, before, after, 1))
}

const consortium = "chain: retail\nprovenance: quorum\nquorum: 2\npatience: 5m\n"

// founded founds a consortium below dir and returns its two files.
func founded(tb testing.TB, dir string, files []string) (genesis, network string) {
	tb.Helper()
	f, err := Found(write(tb, filepath.Join(dir, "consortium.yaml"), consortium), files, start)
	if err != nil {
		tb.Fatal(err)
	}
	if err := f.Write(dir); err != nil {
		tb.Fatal(err)
	}
	return filepath.Join(dir, GenesisFile), filepath.Join(dir, NetworkFile)
}

func TestFoundAndJoin(t *testing.T) {
	dir := t.TempDir()
	files := members(t, dir)
	genesis, network := founded(t, dir, files)
	for _, name := range []string{"ann", "bob", "carol", "dave", "val1", "val2"} {
		h, err := Join(filepath.Join(dir, name), genesis, network, Places{})
		if err != nil {
			t.Fatal(err)
		}
		if h.Member.Name != name || h.Node.Chain != "retail" || len(h.Node.Doors) != 2 || h.Node.Monitor != "127.0.0.1:0" {
			t.Errorf("%s: %+v", name, h.Node)
		}
		if h.Genesis.Patience != 300_000 || h.Genesis.Mode != ledger.Quorum || !h.Genesis.Start.Equal(start.Truncate(time.Second)) {
			t.Errorf("%s: genesis %v, %v, from %v", name, h.Genesis.Patience, h.Genesis.Mode, h.Genesis.Start)
		}
	}
	h, err := Open(filepath.Join(dir, "val1"))
	if err != nil {
		t.Fatal(err)
	}
	if h.Node.P2P.Listen != "val1.example:26656" || len(h.Node.P2P.Peers) != 1 || !strings.HasSuffix(h.Node.P2P.Peers[0], "@val2.example:26656") || h.Node.TimeoutCommit != time.Second {
		t.Errorf("val1: %+v, %+v", h.Node, h.Node.P2P)
	}
	if h.Keys.Vote.Public() != h.Member.Vote || h.Keys.TLS.Public() != h.Member.TLS {
		t.Error("val1: its keys are not those in the genesis")
	}
	if _, err := Join(filepath.Join(dir, "ann"), genesis, network, Places{}); err == nil || !strings.Contains(err.Error(), "joined already") {
		t.Errorf("join twice: %v", err)
	}
}

// The same members in any order give the same bytes.
func TestFoundIsDeterministic(t *testing.T) {
	dir := t.TempDir()
	files := members(t, dir)
	c := write(t, filepath.Join(dir, "consortium.yaml"), consortium)
	a, err := Found(c, files, start)
	if err != nil {
		t.Fatal(err)
	}
	for i := range files {
		turned := append(append([]string{}, files[i:]...), files[:i]...)
		b, err := Found(c, turned, start)
		if err != nil || !bytes.Equal(a.Genesis.File, b.Genesis.File) {
			t.Errorf("members turned by %d: another genesis, %v", i, err)
		}
	}
	write(t, c, consortium+"time: 2026-01-02T03:04:05Z\n")
	if b, err := Found(c, files, start.Add(time.Hour)); err != nil || !bytes.Equal(a.Genesis.File, b.Genesis.File) {
		t.Errorf("the file's time does not go before the given: %v", err)
	}
	parsed, err := ParseGenesis(a.Genesis.File)
	if err != nil || parsed.Fingerprint() != a.Genesis.Fingerprint() {
		t.Errorf("the genesis does not come back: %v", err)
	}
}

// Everything that is wrong is said at once, with the file and the field.
func TestFoundSaysEverything(t *testing.T) {
	dir := t.TempDir()
	files := members(t, dir)
	twin := keygen(t, filepath.Join(dir, "other"), "ann", "Eve", ledger.Company)
	edited := filepath.Join(dir, "edited.member.yaml")
	write(t, edited, read(t, files[1]))
	mend(t, edited, "Bob Ltd", "Bob Inc")
	c := write(t, filepath.Join(dir, "consortium.yaml"), "chain: Retail\nprovenance: trust\nquorum: 17\npatience: 1ms\ntime: soon\n")
	_, err := Found(c, append(files, twin, edited, filepath.Join(dir, "absent.yaml")), start)
	var problems Problems
	if !errors.As(err, &problems) || len(problems) != 8 {
		t.Fatalf("problems %v", err)
	}
	for _, want := range []string{
		c + `: chain: "Retail" is not a name`, c + `: provenance: "trust"; it is strict or quorum`, c + ": quorum: 17; give 1 to 16", c + ": patience: 1ms; give 1s",
		c + `: time: "soon" is not like`, twin + ": name: the same as in " + files[0], edited + ": the key signing did not sign it", "absent.yaml: no such file",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("nothing says %q in\n%v", want, err)
		}
	}
}

// What members are only together.
func TestFoundCountsOwners(t *testing.T) {
	dir := t.TempDir()
	files := members(t, dir)
	ofCarol := keygen(t, dir, "carol2", "Carol AG", ledger.Aggregator)
	c := filepath.Join(dir, "consortium.yaml")
	for _, test := range []struct {
		want, text string
		members    []string
	}{
		{"the aggregators have 1 owners", consortium, []string{files[0], files[1], files[2], ofCarol, files[4], files[5]}},
		{"1 validators; name 2", consortium, files[:5]},
		{"companies of 1 owners", consortium, []string{files[0], files[2], files[3], files[4], files[5]}},
		{"quorum: 1; give 2 to 16", "chain: c\nprovenance: quorum\nquorum: 1\n", files},
		{"", "chain: c\nprovenance: strict\n", files},
	} {
		_, err := Found(write(t, c, test.text), test.members, start)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("found: %v, want %q", err, test.want)
		}
	}
}

func TestPromise(t *testing.T) {
	dir := t.TempDir()
	files := members(t, dir)
	c := filepath.Join(dir, "consortium.yaml")
	for text, want := range map[string]string{
		consortium: "2 colluding owners take the key", "chain: c\nprovenance: strict\n": "what its own witness has not replayed",
	} {
		f, err := Found(write(t, c, text), files, start)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Genesis.Promise(); !strings.Contains(got, want) || !strings.Contains(got, "up to 1 of 2 may pool") {
			t.Errorf("promise %q, want %q in it", got, want)
		}
	}
}

// A home takes nothing that is of another member, consortium or founding.
func TestJoinRefuses(t *testing.T) {
	dir := t.TempDir()
	files := members(t, dir)
	genesis, network := founded(t, dir, files)
	stranger := filepath.Dir(keygen(t, dir, "eve", "Eve", ledger.Company))
	other := t.TempDir()
	otherGenesis, _ := founded(t, other, members(t, other))
	ann := filepath.Join(dir, "ann")
	for _, test := range []struct {
		name, home, want string
		change           func(genesis, network string)
	}{
		{"no keys", dir, "has no keys; make them", func(_, _ string) {}},
		{"a stranger", stranger, "no member with this home's signing key", func(_, _ string) {}},
		{"the genesis of others", ann, "no member with this home's signing key", func(g, _ string) { write(t, g, read(t, otherGenesis)) }},
		{"a genesis with a space", ann, "not as commonseal found wrote it", func(g, _ string) { mend(t, g, ": ", ":  ") }},
		{"a genesis with more votes", ann, "not as commonseal found wrote it", func(g, _ string) { mend(t, g, `"power": "1"`, `"power": "9"`) }},
		{"no genesis", ann, "get it from the founder", func(g, _ string) { os.Remove(g) }},
		{"half a genesis", ann, "not a genesis file", func(g, _ string) { write(t, g, read(t, g)[:99]) }},
		{"a network of others", ann, "it is for the genesis", func(_, n string) { mend(t, n, "genesis: ", "genesis: "+strings.Repeat("ab", 32)+" #") }},
		{"another key at a door", ann, "has another TLS key", func(_, n string) { mend(t, n, "tls: ", "tls: "+strings.Repeat("ab", 32)+" #") }},
		{"a door that is nobody's", ann, `"eve" is no validator`, func(_, n string) { mend(t, n, "name: val1", "name: eve") }},
		{"an address that is none", ann, "is not HOST:PORT", func(_, n string) { mend(t, n, "door: val1.example:7443", "door: val1") }},
		{"another p2p key", filepath.Join(dir, "val1"), "another p2p key", func(_, n string) { mend(t, n, "p2p: ", "p2p: "+strings.Repeat("0", 40)+"@val1.example:26656 #") }},
		{"and without a change", ann, "", func(_, _ string) {}},
	} {
		copies := t.TempDir()
		g, n := write(t, filepath.Join(copies, "g"), read(t, genesis)), write(t, filepath.Join(copies, "n"), read(t, network))
		test.change(g, n)
		_, err := Join(test.home, g, n, Places{})
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
	if _, err := Join(ann, otherGenesis, network, Places{}); err == nil {
		t.Error("ann is in two consortia")
	}
}

// An edited node.yaml is checked when it is read.
func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	genesis, network := founded(t, dir, members(t, dir))
	val := filepath.Join(dir, "val1")
	if _, err := Open(val); err == nil || !strings.Contains(err.Error(), "run commonseal join") {
		t.Errorf("open before join: %v", err)
	}
	if _, err := Join(val, genesis, network, Places{}); err != nil {
		t.Fatal(err)
	}
	node := filepath.Join(val, "node.yaml")
	good := read(t, node)
	for _, test := range []struct{ before, after, want string }{
		{"chain: retail", "chain: other", `chain: "other", and the genesis is of "retail"`},
		{"name: val1\n", "name: val2\n", `name: "val2"`},
		{"roles: [validator]", "roles: [company]", "roles do not change by editing"},
		{"roles: [validator]", "roles: [king]", `unknown role "king"`},
		{"listen: val1.example:7443", "listen: val1.example", "is not HOST:PORT"},
		{"listen: val1.example:7443", "listen: val1.example:0", "is not 1 to 65535"},
		{"listen: val1.example:7443\n", "", `listen: ""`},
		{"timeout_commit: 1s", "timeout_commit: 2m", "timeout_commit: 2m0s"},
		{"monitor: 127.0.0.1:0", "monitor: 0.0.0.0:9000", "it would tell others"},
		{"monitor: 127.0.0.1:0", "monitor: localhost:9000", "it would tell others"},
		{"monitor:", "monitr:", `:24:1: unknown field "monitr"`},
		{"- name: val2", "- name: val1", "val1 is there twice"},
		{"@val2.example:26656", "@:26656", "is not HOST:PORT"},
		{"  peers:", "  peers: [x]\n  others:", "unknown field"},
	} {
		write(t, node, good)
		mend(t, node, test.before, test.after)
		if _, err := Open(val); err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), node) {
			t.Errorf("%q: %v, want %q", test.after, err, test.want)
		}
	}
	write(t, node, strings.Replace(good, "listen: val1.example:7443", "listen: 0.0.0.0:7443", 1))
	if h, err := Open(val); err != nil || h.Node.Listen != "0.0.0.0:7443" {
		t.Errorf("behind a NAT: %v", err)
	}
}

func TestRunning(t *testing.T) {
	h := Home{Dir: t.TempDir()}
	if h.Running() != "" {
		t.Error("a new home has a process")
	}
	if err := errors.Join(h.SetRunning("127.0.0.1:1"), h.SetRunning("127.0.0.1:2")); err != nil || h.Running() != "127.0.0.1:2" {
		t.Errorf("running %q, %v", h.Running(), err)
	}
	if err := errors.Join(h.SetRunning(""), h.SetRunning("")); err != nil || h.Running() != "" {
		t.Errorf("running %q, %v", h.Running(), err)
	}
}

// A file that a person or another member gives cannot fill the memory.
func TestLargeFiles(t *testing.T) {
	name := filepath.Join(t.TempDir(), "large.yaml")
	if err := errors.Join(os.WriteFile(name, nil, 0o600), os.Truncate(name, 1<<40)); err != nil {
		t.Fatal(err) // it takes a file system with sparse files
	}
	if _, err := ReadPolicy(name); err == nil || !strings.Contains(err.Error(), fmt.Sprint("at most ", maxFile)) {
		t.Errorf("read: %v", err)
	}
}
