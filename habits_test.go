package commonseal_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

const maxLines = 500 // of a Go file

var (
	// goers may start goroutines; he and he/circuit wait for theirs.
	goers = []string{"he", "he/circuit", "federation/peer", "federation/node", "federation/agent", "federation/local", "ledger/chain", "ledger/gate", "clients/**", "cmd/**"}
	// integers are packages whose state no floating-point number may reach.
	integers = []string{"ledger", "incentive"}
)

func TestHabits(t *testing.T) {
	for _, f := range parseTree(t) {
		for _, problem := range habitProblems(f) {
			t.Error(problem)
		}
	}
}

func TestNoMachinePaths(t *testing.T) {
	walk(t, func(name string, text []byte) {
		if problem := pathProblem(name, text); problem != "" {
			t.Error(problem)
		}
	})
}

// habitProblems is what a file contains and should not. Generated code is
// exempt.
func habitProblems(f source) []string {
	if ast.IsGenerated(f.file) {
		return nil
	}
	out := layoutProblems(f)
	say := func(n ast.Node, what string) { out = append(out, f.line(n)+": "+what) }
	for _, spec := range f.file.Imports {
		if spec.Name != nil && (spec.Name.Name == "." || spec.Name.Name == "_" && spec.Path.Value != `"embed"`) {
			say(spec, "a blank or dot import: import it by name and wire it where it is used")
		}
	}
	timeName, commented := importName(f.file, "time"), commentedLines(f)
	for n := range ast.Preorder(f.file) {
		switch n := n.(type) {
		case *ast.GoStmt:
			if !f.isTest() && !coversAny(goers, f.dir()) {
				say(n, f.dir()+" starts no goroutines; leave that to the driver")
			}
		case *ast.FuncDecl:
			if n.Name.Name == "init" && n.Recv == nil {
				say(n, "func init: wire it explicitly")
			}
		case *ast.Ident:
			if (n.Name == "float64" || n.Name == "float32") && !f.isTest() && slices.Contains(integers, f.dir()) {
				say(n, f.dir()+" computes in integers only")
			}
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && timeName != "" && x.Name == timeName && n.Sel.Name == "Sleep" {
				say(n, "time.Sleep: wait for an event, or use testing/synctest")
			}
			// sync.WaitGroup.Go and errgroup.Group.Go are go statements too.
			if n.Sel.Name == "Go" && !f.isTest() && !coversAny(goers, f.dir()) {
				say(n, f.dir()+" starts no goroutines; leave that to the driver")
			}
		case *ast.CallExpr:
			line := f.lineAt(n.Pos())
			if fun, ok := n.Fun.(*ast.Ident); ok && fun.Name == "panic" && !commented[line] && !commented[line-1] && !f.isTest() {
				say(n, "a panic without a comment saying why it is unreachable; return an error")
			}
		}
	}
	return out
}

// layoutProblems are those of the text as such.
func layoutProblems(f source) []string {
	var out []string
	if n := bytes.Count(f.text, []byte("\n")); n > maxLines {
		out = append(out, fmt.Sprintf("%s: %d lines, more than %d; split it by what it is about", f.name, n, maxLines))
	}
	formatted, err := format.Source(f.text)
	if err != nil || !bytes.Equal(formatted, f.text) {
		out = append(out, f.name+": not formatted; run gofmt -w")
	}
	return out
}

// importName is what a file calls a package, "" if it does not import it.
func importName(file *ast.File, path string) string {
	for _, spec := range file.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil && p == path {
			if spec.Name != nil {
				return spec.Name.Name
			}
			return path
		}
	}
	return ""
}

// commentedLines are the lines on which a comment stands.
func commentedLines(f source) map[int]bool {
	out := map[int]bool{}
	for _, group := range f.file.Comments {
		for n := f.lineAt(group.Pos()); n <= f.lineAt(group.End()); n++ {
			out[n] = true
		}
	}
	return out
}

// machinePath matches folders that exist on one machine only.
var machinePath = regexp.MustCompile(`(^|[^\w.~$}-])/(root|work|home/\w+|Users/\w+)(/|\b)`)

// pathProblem looks for a machine's folders in a text file.
func pathProblem(name string, text []byte) string {
	if !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0 {
		return "" // not text
	}
	at := machinePath.FindIndex(text)
	if at == nil {
		return ""
	}
	line := 1 + bytes.Count(text[:at[0]], []byte("\n"))
	return fmt.Sprintf("%s:%d: a path of one machine, %q; make it relative", name, line, bytes.TrimSpace(text[at[0]:at[1]]))
}

func TestHabitsFindWhatIsPlanted(t *testing.T) {
	long := "package x\n\n" + strings.Repeat("// line\n", maxLines)
	for _, test := range []struct{ name, text, want string }{
		{"federation/x.go", "package x\n\nfunc f() { go f() }\n", "federation/x.go:3: federation starts no goroutines"},
		{"he/multiparty/x.go", "package x\n\nfunc f(g interface{ Go(func()) }) { g.Go(nil) }\n", "he/multiparty starts no goroutines"},
		{"he/x.go", "package x\n\nfunc init() {}\n", "func init"},
		{"he/x_test.go", "package x\n\nimport \"time\"\n\nfunc f() { time.Sleep(1) }\n", "x_test.go:5: time.Sleep"},
		{"he/x.go", "package x\n\nimport clock \"time\"\n\nvar f = clock.Sleep\n", "time.Sleep"},
		{"he/x.go", "package x\n\nimport _ \"net/http/pprof\"\n", "blank or dot import"},
		{"he/x.go", "package x\n\nimport . \"fmt\"\n", "blank or dot import"},
		{"he/x.go", "package x\n\nfunc f() { panic(1) }\n", "panic without a comment"},
		{"he/x.go", "package  x\n", "not formatted"},
		{"he/x.go", long, "502 lines, more than 500"},
		{"ledger/x.go", "package x\n\nvar a float64\n", "ledger computes in integers only"},
		// and these are in order
		{"he/x.go", "package x\n\nfunc f() { go f() }\n", ""},
		{"cmd/commonseal/x.go", "package x\n\nfunc f() { go f() }\n", ""},
		{"federation/x_test.go", "package x\n\nfunc f() { go f() }\n", ""},
		{"he/x.go", "package x\n\nfunc f() {\n\tpanic(1) // unreachable: sealed\n}\n", ""},
		{"he/x.go", "package x\n\ntype t int\n\nfunc (t) init() {}\n", ""},
		{"he/x.go", "package x\n\nimport _ \"embed\"\n", ""},
		{"proto/x.go", "// Code generated by x. DO NOT EDIT.\n\npackage x\n\nfunc init() {}\n", ""},
	} {
		got := strings.Join(habitProblems(parse(t, test.name, test.text)), "\n")
		if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s with %.60q: %q, want %q", test.name, test.text, got, test.want)
		}
	}
	for text, want := range map[string]bool{
		"see /" + "home/ann/data": true, "cd /" + "root": true, "/" + "work/main": true, "x=/" + "Users/bob": true,
		"docs/work/": false, "https://a.example/work/x": false, "$HOME/root/x": false, "bin/home/x": false, "/homework": false, "/workers": false,
	} {
		if got := pathProblem("x.md", []byte(text)) != ""; got != want {
			t.Errorf("a machine path in %q: %v, want %v", text, got, want)
		}
	}
}
