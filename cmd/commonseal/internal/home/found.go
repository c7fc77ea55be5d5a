package home

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/chain"
)

// MinValidators is how many a follower needs: one alone could hide blocks.
const MinValidators = 2

// consortiumYAML is what members agree on before they are founded.
type consortiumYAML struct {
	Chain      string        `yaml:"chain"`
	Provenance string        `yaml:"provenance"`
	Quorum     int           `yaml:"quorum"`
	Patience   time.Duration `yaml:"patience"`
	Time       string        `yaml:"time"`
	Money      *moneyYAML    `yaml:"money"`
}

// ConsortiumExample is a consortium.yaml with every field.
const ConsortiumExample = `chain: retail            # names the ledger: a-z, 0-9 and inner hyphens
provenance: quorum       # strict: each company replays; quorum: nodes vouch for one another
quorum: 2                # owners of aggregators that must have recorded the same
patience: 10m            # that a stage, a step or an approval is waited for
time: 2026-01-01T00:00:00Z   # the chain starts; default: now
` + MoneyExample

// A Founding is a founded consortium.
type Founding struct {
	Genesis Genesis
	Network Network
}

// Problems are everything that keeps a consortium from being founded, each with
// the file and field it is about.
type Problems []error

// Error is one problem a line.
func (p Problems) Error() string { return errors.Join(p...).Error() }

// Found checks a consortium file and the files of its members, and makes of them
// the genesis and the network. The same files and the same start give the same
// bytes, whatever the order of members. A start in the consortium file goes
// before the one given. The error is [Problems].
func Found(consortium string, members []string, start time.Time) (Founding, error) {
	var p Problems
	c, g := readConsortium(consortium, &p)
	if c.Time != "" {
		t, err := time.Parse(time.RFC3339, c.Time)
		if err != nil {
			p.add(consortium, "time", "%q is not like 2026-01-01T00:00:00Z", c.Time)
		}
		start = t
	}
	files := readMembers(members, &p)
	for _, f := range files {
		g.Members = append(g.Members, f.Member)
	}
	checkTogether(consortium, g, len(p) == 0, &p)
	if len(p) > 0 {
		return Founding{}, p
	}
	profiles := he.Standard()
	g.Train, g.Release, g.Serve = ledger.Digest(profiles.Train.Digest()), ledger.Digest(profiles.Release.Digest()), ledger.Digest(profiles.Serve.Digest())
	genesis, err := NewGenesis(g, start)
	if err != nil {
		return Founding{}, Problems{fmt.Errorf("%s: %w", consortium, err)}
	}
	return Founding{Genesis: genesis, Network: newNetwork(&genesis, files)}, nil
}

func (p *Problems) add(file, field, format string, args ...any) {
	*p = append(*p, fmt.Errorf("%s: %s: %s", file, field, fmt.Sprintf(format, args...)))
}

// readConsortium reads what the members agreed on and checks it by itself.
func readConsortium(name string, p *Problems) (c consortiumYAML, g ledger.Genesis) {
	if err := readYAML(name, &c); err != nil {
		*p = append(*p, err)
		return c, g
	}
	g.Chain = c.Chain
	if !ledger.ValidName(c.Chain) {
		p.add(name, "chain", "%q is not a name; use 1 to %d of a-z, 0-9 and inner hyphens", c.Chain, ledger.MaxName)
	}
	least := 1
	switch c.Provenance {
	case ledger.Strict.String():
		g.Mode = ledger.Strict
		c.Quorum = cmp.Or(c.Quorum, 1)
	case ledger.Quorum.String():
		g.Mode, least = ledger.Quorum, 2
	default:
		p.add(name, "provenance", "%q; it is strict or quorum", c.Provenance)
	}
	if c.Quorum < least || c.Quorum > ledger.MaxNodes {
		p.add(name, "quorum", "%d; give %d to %d owners of aggregators: one alone could take the key, unless provenance is strict", c.Quorum, least, ledger.MaxNodes)
	} else {
		g.Quorum = uint8(c.Quorum)
	}
	if c.Patience != 0 && (c.Patience < time.Second || c.Patience > 30*24*time.Hour) {
		p.add(name, "patience", "%v; give 1s to 720h, or leave it out for 10m", c.Patience)
	}
	g.Patience = c.Patience.Milliseconds()
	if c.Money != nil {
		c.Money.into(name, &g, p)
	}
	return c, g
}

// readMembers reads member files, by name of the member, and says which share
// what nobody may share.
func readMembers(names []string, p *Problems) (out []MemberFile) {
	taken := map[string]string{} // what → file
	noKey := fmt.Sprintf("%x", ledger.Key{})
	for _, name := range names {
		b, err := ReadSmall(name)
		var m MemberFile
		if err == nil {
			m, err = ParseMember(name, b)
		}
		if err != nil {
			*p = append(*p, err)
			continue
		}
		for _, t := range []struct{ field, what, value string }{
			{"name", "name ", m.Name},
			{"signing", "key ", fmt.Sprintf("%x", m.Signing)}, {"tls", "key ", fmt.Sprintf("%x", m.TLS)},
			{"vote", "key ", fmt.Sprintf("%x", m.Vote)}, {"peer", "key ", fmt.Sprintf("%x", m.Peer)},
			{"address", "address ", m.Address}, {"p2p", "address ", m.P2P},
		} {
			if t.value == "" || t.value == noKey {
				continue
			}
			if other, is := taken[t.what+t.value]; is {
				p.add(name, t.field, "the same as in %s", other)
			}
			taken[t.what+t.value] = name
		}
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b MemberFile) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// checkTogether is what members are only together. Who is missing is said only
// if every file could be read.
func checkTogether(name string, g ledger.Genesis, complete bool, p *Problems) {
	if len(g.Members) > ledger.MaxMembers {
		p.add(name, "members", "%d; there may be %d", len(g.Members), ledger.MaxMembers)
	}
	if !complete {
		return
	}
	validators := 0
	for _, m := range g.Members {
		if m.Roles.Has(ledger.Validator) {
			validators++
		}
	}
	if n := owners(g.Members, ledger.Company); n < ledger.MinParties {
		p.add(name, "members", "companies of %d owners; a federation takes %d", n, ledger.MinParties)
	}
	if validators < MinValidators {
		p.add(name, "members", "%d validators; name %d, so that one cannot hide blocks, or four, which stand the loss of one", validators, MinValidators)
	}
	if n := owners(g.Members, ledger.Aggregator); n < int(g.Quorum) {
		p.add(name, "quorum", "%d, but the aggregators have %d owners; add aggregators of other owners or lower it", g.Quorum, n)
	}
}

// Write writes the genesis and the network into a folder that has neither.
func (f *Founding) Write(dir string) error {
	network, err := f.Network.Append(nil)
	if err != nil {
		return err
	}
	for _, name := range []string{GenesisFile, NetworkFile} {
		if _, err := os.Lstat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s exists already; who founds twice has two chains: give another --out, or remove it if no member has it", filepath.Join(dir, name))
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return errors.Join(
		writeFile(filepath.Join(dir, NetworkFile), network, 0o644),
		writeFile(filepath.Join(dir, GenesisFile), f.Genesis.File, 0o644))
}

// newNetwork is where the validators among members are.
func newNetwork(g *Genesis, files []MemberFile) Network {
	n := Network{Genesis: hexKey(g.Fingerprint())}
	for _, f := range files {
		if f.Roles.Has(ledger.Validator) {
			n.Validators = append(n.Validators, validatorYAML{Name: f.Name, Door: f.Address, TLS: hexKey(f.TLS), P2P: chain.PeerID(f.Peer) + "@" + f.P2P})
		}
	}
	return n
}
