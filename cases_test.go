package commonseal_test

import (
	"fmt"
	"go/ast"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// casesPage lists attacks and faults, a row each: number, what is tried, what
// happens, the tests that show it, what is weaker than it sounds.
const casesPage = "docs/security-cases.md"

// claimed are the cases that this version claims.
func claimed() (out []int) {
	for n := 1; n <= 50; n++ {
		if n != 29 { // points of Shamir shares: every key has all of its parties
			out = append(out, n)
		}
	}
	return out
}

// TestCasesAreTested holds every row of the page to tests that exist.
func TestCasesAreTested(t *testing.T) {
	page, err := os.ReadFile(casesPage)
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range caseProblems(string(page), testNames(t)) {
		t.Error(problem)
	}
}

// testNames are all tests and fuzz targets, as "folder.TestName".
func testNames(t *testing.T) map[string]bool {
	out := map[string]bool{}
	for _, f := range parseTree(t) {
		if !f.isTest() {
			continue
		}
		dir := f.dir()
		if dir == "." {
			dir = "commonseal"
		}
		for _, d := range f.file.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
				out[dir+"."+fn.Name.Name] = true
			}
		}
	}
	return out
}

var namedTest = regexp.MustCompile("`([a-z0-9/]+\\.(?:Test|Fuzz)\\w+)`")

// caseProblems are the cases that are missing and the tests that are named and
// do not exist.
func caseProblems(page string, tests map[string]bool) (out []string) {
	var numbers []int
	for i, line := range strings.Split(page, "\n") {
		cells := strings.Split(line, "|")
		if len(cells) < 2 {
			continue
		}
		n, err := strconv.Atoi(strings.TrimSpace(cells[1]))
		if err != nil {
			continue // a heading
		}
		numbers = append(numbers, n)
		if len(cells) != 7 {
			out = append(out, fmt.Sprintf("%s:%d: case %d has %d columns, not 5", casesPage, i+1, n, len(cells)-2))
			continue
		}
		named := namedTest.FindAllStringSubmatch(cells[4], -1)
		if len(named) == 0 {
			out = append(out, fmt.Sprintf("%s:%d: case %d names no test", casesPage, i+1, n))
		}
		for _, m := range named {
			if !tests[m[1]] {
				out = append(out, fmt.Sprintf("%s:%d: case %d names %s, which does not exist", casesPage, i+1, n, m[1]))
			}
		}
	}
	for _, n := range claimed() {
		if !slices.Contains(numbers, n) {
			out = append(out, fmt.Sprintf("%s: case %d is missing", casesPage, n))
		}
	}
	return out
}

func TestCasesFindWhatIsPlanted(t *testing.T) {
	tests := map[string]bool{"he.TestThis": true}
	var page strings.Builder
	for _, n := range claimed() {
		fmt.Fprintf(&page, "| %d | a | b | `he.TestThis` | |\n", n)
	}
	good := page.String()
	if out := caseProblems(good, tests); len(out) != 0 {
		t.Error(out)
	}
	for name, bad := range map[string]string{
		"a test that is not there": strings.Replace(good, "TestThis", "TestThat", 1),
		"no test":                  strings.Replace(good, "`he.TestThis`", "", 1),
		"a missing case":           strings.Replace(good, "| 44 |", "| 29 |", 1),
		"a missing column":         strings.Replace(good, "| b |", "|", 1),
	} {
		if out := caseProblems(bad, tests); len(out) != 1 {
			t.Errorf("%s: %q", name, out)
		}
	}
}

// blockTime are the folders in which whatever is valid is so by block time. Only
// the named files look at a clock, and why no validity hangs on it is said here.
var blockTime = map[string][]string{
	"ledger":            nil,
	"ledger/tree":       nil,
	"ledger/chain":      {"ledger/chain/node.go", "ledger/chain/headers.go", "ledger/chain/stats.go"}, // how long a start waits for the founding; a light client wants the time, and is told to trust for a century; metrics
	"federation":        nil,
	"federation/replay": nil,
	"federation/agent":  nil,
	"federation/node":   {"federation/node/run.go"}, // how often usage is billed
}

// TestOnlyBlocksTellTime: a process whose clock is an hour off accepts and
// refuses what the others do, for it never asks its clock.
func TestOnlyBlocksTellTime(t *testing.T) {
	for _, f := range parseTree(t) {
		may, ok := blockTime[f.dir()]
		if !ok || f.isTest() || slices.Contains(may, f.name) {
			continue
		}
		for _, call := range []string{"time.Now(", "time.Since(", "time.Until("} {
			if strings.Contains(string(f.text), call) {
				t.Errorf("%s: %s): take the time of the block", f.name, call)
			}
		}
	}
}
