package table

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// A CellError says where a file cannot be used, why, and what to do about it.
type CellError struct {
	File   string
	Row    int    // line of the file as an editor counts, header = 1; 0 for the whole file
	Column string // name in the header; empty for the whole row
	Cause  string
	Fix    string
}

// Error is one line: FILE:ROW: column "NAME": cause; fix.
func (e *CellError) Error() string {
	var b strings.Builder
	b.WriteString(plainName(e.File))
	if e.Row > 0 {
		fmt.Fprintf(&b, ":%d", e.Row)
	}
	if e.Column != "" {
		fmt.Fprintf(&b, ": column %s", quote(e.Column))
	}
	fmt.Fprintf(&b, ": %s; %s", e.Cause, e.Fix)
	return b.String()
}

// plainName keeps a file name on one line.
func plainName(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

// maxQuoted is how many runes of a cell an error repeats.
const maxQuoted = 40

// quote shows a cell or a name on one line, cut when long.
func quote(s string) string {
	n := 0
	for i := range s {
		if n == maxQuoted {
			return strconv.Quote(s[:i] + "…")
		}
		n++
	}
	return strconv.Quote(s)
}
