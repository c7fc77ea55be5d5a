package home

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/chain"
)

// A Node is how a process is reached, and reaches others: its node.yaml.
type Node struct {
	Chain string   `yaml:"chain"`
	Name  string   `yaml:"name"`
	Roles []string `yaml:"roles,flow"`
	// Listen is where an aggregator's node or a validator's door listens; it may
	// differ from the address on the ledger, as behind a NAT.
	Listen string `yaml:"listen,omitempty"`
	P2P    *P2P   `yaml:"p2p,omitempty"` // of a validator
	Doors  []Door `yaml:"doors"`         // of validators, two at least
	// TimeoutCommit is how long a validator waits for the last votes on a block.
	TimeoutCommit time.Duration `yaml:"timeout_commit,omitempty"`
	Monitor       string        `yaml:"monitor"` // loopback; port 0 is any
	// Late says that the member was admitted after the founding. Its validator
	// begins with a snapshot.
	Late bool `yaml:"late,omitempty"`
	// Trust is a block that somebody vouches for, HEIGHT:HASH, where a late validator
	// begins to follow headers; empty: block 1, as the founders signed it.
	Trust string `yaml:"trust,omitempty"`
	// Keep is how many of the last blocks a validator keeps; 0 keeps all. One
	// validator at least must keep all, for auditors. Receipts are proved either way.
	Keep int64 `yaml:"keep,omitempty"`
	// Snapshots is how many blocks there are between the snapshots that a validator
	// makes for those who join later; 0 is DefaultSnapshots.
	Snapshots int64 `yaml:"snapshots,omitempty"`
}

const (
	// MinKeep is how many blocks a validator keeps at least: those that its disk may
	// not have yet when the power fails, and some to spare.
	MinKeep = 1000
	// DefaultSnapshots is how many blocks there are between snapshots.
	DefaultSnapshots = 1000
)

// A P2P is how a validator reaches validators.
type P2P struct {
	Listen string   `yaml:"listen"`
	Peers  []string `yaml:"peers"` // ID@host:port
}

// A Door is where a validator's ledger service is, and whose key it proves.
type Door struct {
	Name    string `yaml:"name"`
	Address string `yaml:"address"`
	TLS     hexKey `yaml:"tls"`
}

// Key is the TLS key that the door proves.
func (d Door) Key() ledger.Key { return ledger.Key(d.TLS) }

const nodeComment = `How this process is reached, and reaches others. Edit addresses at will, for
example listen: 0.0.0.0:7443 behind a NAT; they are read when it starts.
monitor is for this machine alone: /healthz, /readyz, /metrics and /status.
A validator keeps all blocks, unless keep: 100000, say, keeps the last ones only: one
validator at least must keep all. snapshots: 1000 is how many blocks there are between
the snapshots that those who join later begin with.`

// Append adds the file of n to dst.
func (n *Node) Append(dst []byte) ([]byte, error) {
	b, err := appendYAML(nodeComment, n)
	return append(dst, b...), err
}

func readNode(name string) (n Node, err error) {
	err = readYAML(name, &n)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w; make it with commonseal join", err)
	}
	return n, err
}

// belongs says whether n is for member m of consortium g, and makes sense.
func (n *Node) belongs(g Genesis, m ledger.Member) error {
	roles, err := ParseRoles(n.Roles)
	switch {
	case err != nil:
		return fmt.Errorf("roles: %w", err)
	case n.Chain != g.Chain:
		return fmt.Errorf("chain: %q, and the genesis is of %q", n.Chain, g.Chain)
	case n.Name != m.Name:
		return fmt.Errorf("name: %q, and the genesis has this home's keys as %q", n.Name, m.Name)
	case roles != m.Roles:
		return fmt.Errorf("roles: %q, and the genesis has %q; roles do not change by editing", n.Roles, RoleNames(m.Roles))
	case (n.Listen != "") != (m.Address != ""):
		return fmt.Errorf("listen: %q, and the genesis has the address %q", n.Listen, m.Address)
	case (n.P2P != nil) != roles.Has(ledger.Validator):
		return errors.New("p2p: validators, and nobody else, have it")
	case n.TimeoutCommit < 0 || n.TimeoutCommit > time.Minute:
		return fmt.Errorf("timeout_commit: %v; give up to 1m", n.TimeoutCommit)
	case n.Keep != 0 && n.Keep < MinKeep:
		return fmt.Errorf("keep: %d blocks; give %d at least, or leave it out to keep all", n.Keep, MinKeep)
	case n.Trust != "" && !n.Late:
		return errors.New("trust: those who joined later, and nobody else, have it")
	case n.Snapshots < 0:
		return fmt.Errorf("snapshots: every %d blocks; give 1 at least, or leave it out for %d", n.Snapshots, DefaultSnapshots)
	case (n.Keep != 0 || n.Snapshots != 0) && !roles.Has(ledger.Validator):
		return errors.New("keep, snapshots: validators, and nobody else, have them")
	case len(n.Doors) < MinValidators:
		return fmt.Errorf("doors: %d; name %d validators at least, so that one cannot hide blocks", len(n.Doors), MinValidators)
	}
	if n.Listen != "" {
		if err := checkAddress(n.Listen); err != nil {
			return fmt.Errorf("listen: %w", err)
		}
	}
	if _, err := n.Trusted(); err != nil {
		return fmt.Errorf("trust: %w", err)
	}
	if err := CheckLoopback(n.Monitor); err != nil {
		return fmt.Errorf("monitor: %w", err)
	}
	return errors.Join(n.checkDoors(g), n.checkP2P(g))
}

// Trusted is the block that somebody vouches for, the zero value if none is named.
func (n *Node) Trusted() (chain.Trust, error) {
	if n.Trust == "" {
		return chain.Trust{}, nil
	}
	return chain.ParseTrust(n.Trust)
}

func (n *Node) checkDoors(g Genesis) error {
	for i, d := range n.Doors {
		m, ok := g.member(d.Name)
		if !ok || !m.Roles.Has(ledger.Validator) {
			return fmt.Errorf("doors: %q is no validator in the genesis", d.Name)
		}
		// Two addresses of one validator are one validator.
		if slices.ContainsFunc(n.Doors[:i], func(o Door) bool { return o.Name == d.Name || o.TLS == d.TLS }) {
			return fmt.Errorf("doors: %s is there twice", d.Name)
		}
		if err := checkAddress(d.Address); err != nil {
			return fmt.Errorf("doors: %s: %w", d.Name, err)
		}
	}
	return nil
}

func (n *Node) checkP2P(g Genesis) error {
	if n.P2P == nil {
		return nil
	}
	if err := checkAddress(n.P2P.Listen); err != nil {
		return fmt.Errorf("p2p: listen: %w", err)
	}
	for _, p := range n.P2P.Peers {
		if err := checkPeer(p); err != nil {
			return fmt.Errorf("p2p: peers: %w", err)
		}
	}
	most := len(g.Validators())
	if !n.Late {
		most-- // itself
	}
	if len(n.P2P.Peers) > most {
		return fmt.Errorf("p2p: peers: %d, and there are %d other validators", len(n.P2P.Peers), most)
	}
	return nil
}

// CheckLoopback says whether an address is one that only this machine reaches.
// A name is refused: what it stands for is not ours to say.
func CheckLoopback(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err == nil {
		var ip netip.Addr
		if ip, err = netip.ParseAddr(host); err == nil && ip.IsLoopback() {
			if _, err = netip.ParseAddrPort(net.JoinHostPort(host, port)); err == nil {
				return nil
			}
		}
	}
	return fmt.Errorf("%.80q: it would tell others about this process; give a loopback address such as 127.0.0.1:0, with any free port", address)
}
