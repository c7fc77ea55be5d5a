package commonseal_test

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/commonseal/commonseal"

// arrows is the table of who imports whom among our packages. "x/**" is x and
// everything below it. A package that is not in it may not exist, an arrow that
// is not in it may not be drawn.
var arrows = map[string][]string{
	".":                  {},
	"he":                 {},
	"he/multiparty":      {"he"},
	"he/circuit":         {"he"},
	"he/hetest":          {"he"},
	"incentive":          {},
	"proto/**":           {"proto/**"},
	"ledger":             {"incentive"},
	"ledger/tree":        {"ledger"},
	"ledger/chain":       {"ledger", "ledger/tree"},
	"ledger/gate":        {"ledger", "proto/**"},
	"ledger/audit":       {"ledger", "ledger/tree", "ledger/gate", "he", "he/circuit", "proto/**"},
	"federation":         {"ledger"},
	"federation/table":   {},
	"federation/wire":    {"federation", "ledger", "he", "proto/**"},
	"federation/store":   {"ledger"},
	"federation/replay":  {"federation", "federation/wire", "he", "he/multiparty", "he/circuit", "ledger"},
	"federation/peer":    {"federation/wire", "ledger", "ledger/gate", "proto/**"},
	"federation/node":    {"federation", "federation/replay", "federation/wire", "federation/store", "federation/table", "he", "he/multiparty", "he/circuit", "ledger", "ledger/gate", "proto/**"},
	"federation/agent":   {"federation", "federation/replay", "federation/wire", "federation/store", "federation/table", "he", "he/multiparty", "he/circuit", "ledger", "ledger/gate", "proto/**"},
	"federation/checker": {"federation", "federation/replay", "federation/store", "he", "he/multiparty", "ledger", "ledger/tree"},
	"federation/local":   {"federation/**", "he/**", "ledger", "incentive"},
	"federation/fedtest": {"federation/**", "he/**", "ledger", "ledger/gate", "incentive", "proto/**"},
	"clients/**":         {"clients/**", "federation/peer", "federation/wire", "federation/table", "he", "he/circuit", "ledger", "ledger/gate", "ledger/tree", "ledger/audit", "proto/**"},
	"docs/data":          {},
	"cmd/**":             {"**"},
}

// homes says where a third party may be imported. A module that is not in it
// has none.
var homes = map[string][]string{
	"github.com/tuneinsight/lattigo":     {"he/**"},
	"gonum.org/v1":                       {"he/**", "federation/**", "cmd/**"},
	"github.com/spf13/cobra":             {"cmd/**"},
	"github.com/vbauerster/mpb":          {"cmd/**"},
	"github.com/goccy/go-yaml":           {"cmd/**"},
	"github.com/prometheus":              {"cmd/**"},
	"github.com/cometbft":                {"ledger/chain", "ledger/audit"},
	"google.golang.org/grpc":             {"proto/**", "ledger/gate", "ledger/audit", "federation/peer", "federation/node", "federation/agent", "clients/**", "cmd/**"},
	"google.golang.org/protobuf":         {"proto/**", "federation/wire", "ledger/gate", "federation/peer", "federation/node", "federation/agent", "clients/**", "cmd/**"},
	"github.com/dgraph-io/badger":        {"federation/store", "ledger/tree"},
	"github.com/cosmos/iavl":             {"ledger/tree"},
	"github.com/cosmos/ics23":            {"ledger/tree", "ledger/audit"},
	"pgregory.net/rapid":                 {}, // tests only
	"github.com/rogpeppe/go-internal":    {}, // tests only
	"golang.org/x/crypto":                {"he/**"},
	"github.com/transparency-dev/merkle": {"ledger/tree", "ledger/audit"},
}

// pure packages may not import what makes a run depend on anything but its
// inputs.
var (
	pure    = []string{"federation", "federation/wire", "ledger", "incentive"}
	effects = []string{"time", "os", "net", "sync", "context", "log", "math/rand", "crypto/rand"}
)

// testOnly are our packages that no production file imports.
var testOnly = []string{"he/hetest"}

func TestArchitecture(t *testing.T) {
	for _, problem := range archProblems(parseTree(t)) {
		t.Error(problem)
	}
}

// A source is a parsed Go file of this repository.
type source struct {
	name string // slash-separated, from the root
	text []byte
	set  *token.FileSet
	file *ast.File
}

func (s source) dir() string  { return path.Dir(s.name) }
func (s source) isTest() bool { return strings.HasSuffix(s.name, "_test.go") }
func (s source) line(n ast.Node) string {
	return fmt.Sprintf("%s:%d", s.name, s.lineAt(n.Pos()))
}
func (s source) lineAt(p token.Pos) int { return s.set.Position(p).Line }

// parse parses a file, or a planted text.
func parse(tb testing.TB, name, text string) source {
	tb.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		tb.Fatal(err)
	}
	return source{name: name, text: []byte(text), set: set, file: file}
}

// parseTree parses every Go file of the repository, in process: a test that
// asked the go command would be served from the test cache.
func parseTree(tb testing.TB) []source {
	tb.Helper()
	var out []source
	walk(tb, func(name string, text []byte) {
		if strings.HasSuffix(name, ".go") {
			out = append(out, parse(tb, name, string(text)))
		}
	})
	if len(out) == 0 {
		tb.Fatal("no Go files found")
	}
	return out
}

// walk reads every file of the repository that is not built or hidden.
func walk(tb testing.TB, visit func(name string, text []byte)) {
	tb.Helper()
	root := os.DirFS(".")
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name == "bin" || strings.HasPrefix(path.Base(name), ".") && name != "." && name != ".ci" {
				return fs.SkipDir
			}
			return nil
		}
		if name == ".git" { // of a linked work tree
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err == nil {
			visit(name, text)
		}
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// archProblems holds files to the tables above.
func archProblems(files []source) []string {
	var out []string
	for _, f := range files {
		allowed, drawn := drawnFor(f.dir())
		if !drawn {
			out = append(out, fmt.Sprintf("%s: package %s is not in the table of arrows; draw it or move the file", f.name, f.dir()))
			continue
		}
		for _, spec := range f.file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				out = append(out, fmt.Sprintf("%s: %v", f.line(spec), err))
				continue
			}
			if why := importProblem(f, allowed, imported); why != "" {
				out = append(out, fmt.Sprintf("%s: imports %s: %s", f.line(spec), imported, why))
			}
		}
	}
	return out
}

// drawnFor is the row of the table for a package: its own, or the longest
// pattern that covers it.
func drawnFor(dir string) ([]string, bool) {
	if row, ok := arrows[dir]; ok {
		return row, true
	}
	var patterns []string
	for pattern := range arrows {
		if strings.HasSuffix(pattern, "/**") && covers(pattern, dir) {
			patterns = append(patterns, pattern)
		}
	}
	if len(patterns) == 0 {
		return nil, false
	}
	return arrows[slices.MaxFunc(patterns, func(a, b string) int { return cmp.Compare(len(a), len(b)) })], true
}

// importProblem says why f may not import a path, or "".
func importProblem(f source, allowed []string, imported string) string {
	ours, isOurs := strings.CutPrefix(imported, module)
	ours = cmp.Or(strings.TrimPrefix(ours, "/"), ".")
	first, _, _ := strings.Cut(imported, "/")
	switch {
	case isOurs && f.isTest(), isOurs && ours == f.dir():
		return "" // a test may use any of ours; so may an example its own package
	case isOurs && slices.Contains(testOnly, ours):
		return "only tests may import it"
	case isOurs && !coversAny(allowed, ours):
		return fmt.Sprintf("no arrow from %s to %s is drawn", f.dir(), ours)
	case isOurs:
		return ""
	case !strings.Contains(first, "."): // the standard library
		if !f.isTest() && slices.Contains(pure, f.dir()) && slices.ContainsFunc(effects, func(e string) bool { return covers(e+"/**", imported) }) {
			return f.dir() + " is pure: pass in what it needs"
		}
		return ""
	}
	for prefix, where := range homes {
		if !covers(prefix+"/**", imported) {
			continue
		}
		if coversAny(where, f.dir()) || f.isTest() && len(where) == 0 {
			return ""
		}
		return fmt.Sprintf("its home is %s", cmp.Or(strings.Join(where, ", "), "in tests"))
	}
	return "this third party has no home; add it to the table with a reason"
}

func coversAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return covers(p, name) })
}

// covers matches a path with a path or a pattern "x/**".
func covers(pattern, name string) bool {
	if pattern == "**" {
		return true
	}
	prefix, below := strings.CutSuffix(pattern, "/**")
	return name == prefix || below && strings.HasPrefix(name, prefix+"/")
}

// A rule that never fails is no rule: each of these is planted and found.
func TestArchitectureFindsWhatIsPlanted(t *testing.T) {
	for _, test := range []struct{ name, imports, want string }{
		{"federation/table/x.go", module + "/he", "no arrow from federation/table to he is drawn"},
		{"he/x.go", module + "/he/multiparty", "no arrow from he to he/multiparty is drawn"},
		{"he/circuit/x.go", module + "/he/multiparty", "no arrow from he/circuit to he/multiparty is drawn"},
		{"he/circuit/x.go", module + "/he/hetest", "only tests may import it"},
		{"cmd/commonseal/x.go", module + "/he/hetest", "only tests may import it"},
		{"federation/local/x.go", module + "/ledger/chain", "no arrow from federation/local to ledger/chain is drawn"},
		{"helpers/x.go", "fmt", "package helpers is not in the table"},
		{"he/inner/x.go", "fmt", "package he/inner is not in the table"},
		{"federation/x.go", "time", "federation is pure"},
		{"ledger/x.go", "math/rand/v2", "ledger is pure"},
		{"incentive/x.go", "net/http", "incentive is pure"},
		{"federation/local/x.go", "github.com/tuneinsight/lattigo/v5/ring", "its home is he/**"},
		{"federation/local/x_test.go", "github.com/tuneinsight/lattigo/v5/ring", "its home is he/**"},
		{"he/x.go", "pgregory.net/rapid", "its home is in tests"},
		{"he/x.go", "example.com/left-pad", "no home"},
		{"he/x.go", "github.com/spf13/cobrastyle", "no home"},
		// and these are in order
		{"he/circuit/x_test.go", module + "/he/hetest", ""},
		{"he/x_test.go", "pgregory.net/rapid", ""},
		{"he/multiparty/x.go", module + "/he", ""},
		{"federation/local/x.go", module + "/he/circuit", ""},
		{"cmd/commonseal/x.go", module + "/federation/local", ""},
		{"clients/gateway/x.go", module + "/clients", ""},
		{"federation/node/x.go", "time", ""},
		{"federation/x_test.go", "os", ""},
	} {
		planted := parse(t, test.name, "package x\nimport \""+test.imports+"\"\n")
		got := strings.Join(archProblems([]source{planted}), "\n")
		if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s imports %s: %q, want %q", test.name, test.imports, got, test.want)
		}
	}
}
