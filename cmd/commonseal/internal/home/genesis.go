package home

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/chain"
)

// A Genesis is what a consortium was founded on, and the file that says so: a
// CometBFT genesis document whose application state is the ledger's.
type Genesis struct {
	ledger.Genesis
	Start time.Time // of the chain
	File  []byte    // its one encoding
}

// NewGenesis makes the file of a genesis. The error says what the consortium
// lacks.
func NewGenesis(g ledger.Genesis, start time.Time) (Genesis, error) {
	if _, err := g.Writes(); err != nil {
		return Genesis{}, err
	}
	out := Genesis{Genesis: g, Start: start.UTC().Truncate(time.Second)}
	var err error
	out.File, err = chain.GenesisDoc(g.Chain, out.Validators(), g.Append(nil), out.Start)
	return out, err
}

// ReadGenesis reads a genesis file.
func ReadGenesis(name string) (Genesis, error) {
	b, err := ReadSmall(name)
	if errors.Is(err, fs.ErrNotExist) {
		return Genesis{}, fmt.Errorf("%w; get it from the founder", err)
	}
	if err != nil {
		return Genesis{}, err
	}
	g, err := ParseGenesis(b)
	if err != nil {
		return Genesis{}, fmt.Errorf("%s: %w; get it from the founder again", name, err)
	}
	return g, nil
}

// ParseGenesis decodes a genesis file, which must be exactly what [NewGenesis]
// makes of what is in it: nothing else in it can have been changed.
func ParseGenesis(b []byte) (Genesis, error) {
	var doc struct {
		Time  time.Time `json:"genesis_time"`
		State []byte    `json:"app_state"`
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		return Genesis{}, fmt.Errorf("not a genesis file: %w", err)
	}
	state, err := ledger.ParseGenesis(doc.State)
	if err != nil {
		return Genesis{}, err
	}
	g, err := NewGenesis(state, doc.Time)
	if err != nil {
		return Genesis{}, err
	}
	if !bytes.Equal(g.File, b) {
		return Genesis{}, errors.New("not as commonseal found wrote it")
	}
	return g, nil
}

// Fingerprint is the SHA-256 of the file. Who has the same has the same
// consortium.
func (g *Genesis) Fingerprint() ledger.Digest { return sha256.Sum256(g.File) }

// Validators are the consensus keys, in the members' order.
func (g *Genesis) Validators() (out []ledger.Key) {
	for _, m := range g.Members {
		if m.Roles.Has(ledger.Validator) {
			out = append(out, m.Vote)
		}
	}
	return out
}

// owners counts the owners of members with a role.
func owners(members []ledger.Member, role ledger.Roles) int {
	seen := map[string]bool{}
	for _, m := range members {
		if m.Roles.Has(role) {
			seen[m.Owner] = true
		}
	}
	return len(seen)
}

// Promise says against whom the consortium protects, and nothing beyond it.
func (g *Genesis) Promise() string {
	n := owners(g.Members, ledger.Company)
	nodes := "may cheat as they like: no company answers what its own witness has not replayed"
	if g.Mode == ledger.Quorum {
		nodes = fmt.Sprintf("may cheat as long as fewer than %d owners collude: %d colluding owners take the key", g.Quorum, g.Quorum)
	}
	return fmt.Sprintf(`provenance %v
  companies    up to %d of %d may pool all they see; the last one's rows and key share stay safe
  aggregators  %s
  queriers     may cheat as they like, and so may outsiders and the network
  validators   more than two thirds must be honest, for the record
  not promised: a company that deviates from the protocol; one crafted share can cost the key
`, g.Mode, n-1, n, nodes)
}
