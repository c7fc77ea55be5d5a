package home

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/chain"
)

// A Network says where the validators of a genesis are.
type Network struct {
	Genesis    hexKey          `yaml:"genesis"` // fingerprint
	Validators []validatorYAML `yaml:"validators"`
}

type validatorYAML struct {
	Name string `yaml:"name"`
	Door string `yaml:"door"` // host:port for members and queriers
	TLS  hexKey `yaml:"tls"`
	P2P  string `yaml:"p2p"` // ID@host:port for validators
}

// Append adds the file of n to dst.
func (n *Network) Append(dst []byte) ([]byte, error) {
	b, err := appendYAML("Where the validators are. Every member gets this file with genesis.json.", n)
	return append(dst, b...), err
}

// ReadNetwork reads a network file that belongs to a genesis.
func ReadNetwork(name string, g *Genesis) (Network, error) {
	var n Network
	if err := readYAML(name, &n); err != nil {
		return n, err
	}
	if ledger.Digest(n.Genesis) != g.Fingerprint() {
		fingerprint := g.Fingerprint()
		return n, fmt.Errorf("%s: it is for the genesis %x, and this one is %x; get both files from the founder again", name, n.Genesis[:6], fingerprint[:6])
	}
	seen := 0
	for _, v := range n.Validators {
		m, ok := g.member(v.Name)
		switch {
		case !ok || !m.Roles.Has(ledger.Validator):
			return n, fmt.Errorf("%s: %q is no validator in the genesis", name, v.Name)
		case m.TLS != ledger.Key(v.TLS):
			return n, fmt.Errorf("%s: %s has another TLS key in the genesis", name, v.Name)
		}
		if err := checkAddress(v.Door); err != nil {
			return n, fmt.Errorf("%s: door of %s: %w", name, v.Name, err)
		}
		if err := checkPeer(v.P2P); err != nil {
			return n, fmt.Errorf("%s: p2p of %s: %w", name, v.Name, err)
		}
		seen++
	}
	if seen != len(g.Validators()) {
		return n, fmt.Errorf("%s: %d validators, and the genesis has %d; get both files from the founder again", name, seen, len(g.Validators()))
	}
	return n, nil
}

func (g *Genesis) member(name string) (ledger.Member, bool) {
	at := slices.IndexFunc(g.Members, func(m ledger.Member) bool { return m.Name == name })
	if at < 0 {
		return ledger.Member{}, false
	}
	return g.Members[at], true
}

// checkPeer says whether s is ID@host:port.
func checkPeer(s string) error {
	id, address, ok := strings.Cut(s, "@")
	if !ok || len(id) != 40 || strings.Trim(id, "0123456789abcdef") != "" {
		return fmt.Errorf("%.80q is not ID@HOST:PORT with an ID of 40 hexadecimal digits", s)
	}
	return checkAddress(address)
}

// Places are what a member chooses about its own process. The zero value is
// ready for production.
type Places struct {
	// Monitor is the loopback address of health, metrics and status. Empty means a
	// free port of 127.0.0.1, which status finds.
	Monitor string
	// TimeoutCommit is how long a validator waits for the last votes on a block.
	// Zero means 1 s.
	TimeoutCommit time.Duration
	// Trust is the block where one that joins later begins to follow headers,
	// HEIGHT:HASH; empty: block 1.
	Trust string
}

// Join puts a consortium into a member's home: the genesis as it is, and a
// node.yaml for the member's roles. It refuses a home that is in another one.
func Join(dir, genesisName, networkName string, places Places) (*Home, error) {
	keys, err := ReadKeys(dir)
	if err != nil {
		return nil, err
	}
	g, err := ReadGenesis(genesisName)
	if err != nil {
		return nil, err
	}
	m, err := memberOf(g, keys)
	if err != nil {
		return nil, err
	}
	network, err := ReadNetwork(networkName, &g)
	if err != nil {
		return nil, err
	}
	node, err := newNode(&g, m, keys, network, places)
	if err != nil {
		return nil, err
	}
	return writeJoined(dir, &g, m, node)
}

// writeJoined writes what makes a home one of a consortium.
func writeJoined(dir string, g *Genesis, m ledger.Member, node Node) (*Home, error) {
	if had, err := ReadGenesis(filepath.Join(dir, GenesisFile)); err == nil && had.Fingerprint() != g.Fingerprint() {
		return nil, fmt.Errorf("%s is in the consortium %s already; a home has one: make another with keygen", dir, had.Chain)
	}
	if err := node.belongs(*g, m); err != nil {
		return nil, err
	}
	b, err := node.Append(nil)
	if err != nil {
		return nil, err
	}
	if _, err := os.Lstat(filepath.Join(dir, nodeFile)); err == nil {
		return nil, fmt.Errorf("%s has joined already; edit %s, or remove it and join again", dir, filepath.Join(dir, nodeFile))
	}
	if err := writeFile(filepath.Join(dir, GenesisFile), g.File, 0o644); err != nil {
		return nil, err
	}
	if err := writeFile(filepath.Join(dir, nodeFile), b, 0o644); err != nil {
		return nil, err
	}
	return Open(dir)
}

// newNode is the node.yaml of a member.
func newNode(g *Genesis, m ledger.Member, keys Keys, network Network, places Places) (Node, error) {
	n := Node{Chain: g.Chain, Name: m.Name, Roles: RoleNames(m.Roles), Listen: m.Address, Monitor: places.Monitor}
	if n.Monitor == "" {
		n.Monitor = "127.0.0.1:0"
	}
	if m.Roles.Has(ledger.Validator) {
		n.P2P = &P2P{}
		n.TimeoutCommit = places.TimeoutCommit
		if n.TimeoutCommit == 0 {
			n.TimeoutCommit = time.Second
		}
	}
	for _, v := range network.Validators {
		n.Doors = append(n.Doors, Door{Name: v.Name, Address: v.Door, TLS: v.TLS})
		switch {
		case n.P2P == nil:
		case v.Name != m.Name:
			n.P2P.Peers = append(n.P2P.Peers, v.P2P)
		default:
			id, address, _ := strings.Cut(v.P2P, "@")
			if id != chain.PeerID(keys.P2P.Public()) {
				return n, fmt.Errorf("%s: the network has another p2p key of %s than its home; ask the founder which member file was used", NetworkFile, m.Name)
			}
			n.P2P.Listen = address
		}
	}
	return n, nil
}
