package home

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/commonseal/commonseal/ledger"
)

const (
	maxYAML   = 128 << 10 // bytes; a network of 256 validators has half of it
	maxNested = 512       // brackets, and sequences in sequences
)

// fractions are the keys, in all our files, whose values need not be whole.
var fractions = []string{"max_rate", "max_decay", "validation"}

// readYAML reads one document into a struct, and refuses keys that it has no
// field for, repeated keys and references. Errors are "NAME:line:column: cause".
func readYAML(name string, into any) error {
	b, err := ReadSmall(name)
	if err != nil {
		return err
	}
	return parseYAML(name, b, into)
}

func parseYAML(name string, b []byte, into any) error {
	// The parser takes long over what is nested deep.
	if len(b) > maxYAML || bytes.Count(b, []byte("["))+bytes.Count(b, []byte("{"))+bytes.Count(b, []byte("- - ")) > maxNested {
		return fmt.Errorf("%s: not a file of at most %d bytes that is hardly nested", name, maxYAML)
	}
	file, err := parser.ParseBytes(b, 0)
	if err == nil {
		var v visitor
		for _, doc := range file.Docs {
			ast.Walk(&v, doc)
		}
		if v.at != nil {
			return fmt.Errorf("%s:%d:%d: %s", name, v.at.Line, v.at.Column, v.problem)
		}
		d := yaml.NewDecoder(bytes.NewReader(b), yaml.Strict())
		if err = d.Decode(into); err == nil {
			if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
				return fmt.Errorf("%s: more than one document; remove what follows the first", name)
			}
			return nil
		}
	}
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: nothing in it", name)
	}
	var y yaml.Error
	if !errors.As(err, &y) || y.GetToken() == nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	at := y.GetToken().Position
	return fmt.Errorf("%s:%d:%d: %s", name, at.Line, at.Column, y.GetMessage())
}

// A visitor finds the first thing that no file of ours needs.
type visitor struct {
	problem string
	at      *token.Position
}

func (v *visitor) Visit(n ast.Node) ast.Visitor {
	switch n := n.(type) {
	case *ast.AnchorNode, *ast.AliasNode: // they make a small file large
		v.found(n, "an anchor or alias; write the value itself")
	case *ast.MappingValueNode:
		// The decoder would cut a fraction off for a field that is a whole number.
		if _, is := n.Value.(*ast.FloatNode); is && !slices.Contains(fractions, n.Key.String()) {
			v.found(n.Value, n.Value.String()+" is no whole number; if it is text, put it in quotes")
		}
	}
	return v
}

func (v *visitor) found(n ast.Node, problem string) {
	if v.at == nil {
		v.problem, v.at = problem, n.GetToken().Position
	}
}

// appendYAML encodes a struct behind a comment.
func appendYAML(comment string, v any) ([]byte, error) {
	var b bytes.Buffer
	for line := range strings.Lines(comment) {
		b.WriteString("# " + line)
	}
	b.WriteString("\n\n")
	err := yaml.NewEncoder(&b, yaml.IndentSequence(true)).Encode(v)
	return b.Bytes(), err
}

// A hexKey is a public key in a file.
type hexKey ledger.Key

// MarshalText is 64 hexadecimal digits.
func (k hexKey) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(k[:])), nil }

// UnmarshalText takes what MarshalText gives.
func (k *hexKey) UnmarshalText(b []byte) error { return decodeHex(k[:], b) }

// A hexSignature is a signature in a file.
type hexSignature ledger.Signature

// MarshalText is 128 hexadecimal digits.
func (s hexSignature) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(s[:])), nil }

// UnmarshalText takes what MarshalText gives.
func (s *hexSignature) UnmarshalText(b []byte) error { return decodeHex(s[:], b) }

func decodeHex(dst, text []byte) error {
	b, err := hex.DecodeString(string(text))
	if err != nil || len(b) != len(dst) {
		return fmt.Errorf("not %d hexadecimal digits", 2*len(dst))
	}
	copy(dst, b)
	return nil
}

// roleNames are what roles are called in files and flags.
var roleNames = []struct {
	role ledger.Roles
	name string
}{{ledger.Company, "company"}, {ledger.Aggregator, "aggregator"}, {ledger.Validator, "validator"}, {ledger.ModelPeer, "peer"}}

// ParseRoles is the sum of roles by their names.
func ParseRoles(names []string) (ledger.Roles, error) {
	var out ledger.Roles
next:
	for _, name := range names {
		for _, r := range roleNames {
			if r.name == name {
				out |= r.role
				continue next
			}
		}
		return 0, fmt.Errorf("unknown role %q; there are company, aggregator, validator and peer", name)
	}
	if out == 0 {
		return 0, errors.New("no role; there are company, aggregator, validator and peer")
	}
	return out, nil
}

// RoleNames are the names of roles, as ParseRoles takes them.
func RoleNames(roles ledger.Roles) (out []string) {
	for _, r := range roleNames {
		if roles.Has(r.role) {
			out = append(out, r.name)
		}
	}
	return out
}

// checkAddress says whether s is a host and a port that others can dial.
func checkAddress(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" || strings.ContainsAny(host, " @/\"") || len(s) > ledger.MaxAddress {
		return fmt.Errorf("%.80q is not HOST:PORT", s)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("the port of %.80q is not 1 to 65535", s)
	}
	return nil
}
