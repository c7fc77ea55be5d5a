package home

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/commonseal/commonseal/ledger"
)

// A Querier is the folder of somebody who asks models and is no member: keys to
// sign and to connect with, and what a company admits it by.
type Querier struct {
	Dir     string
	File    QuerierFile
	Genesis Genesis
	Doors   []Door
	Keys    Keys
}

// A QuerierFile is public: what a company needs to admit a querier.
type QuerierFile struct {
	Name      string `yaml:"name"`
	Task      string `yaml:"task"`
	Signing   hexKey `yaml:"signing"`
	TLS       hexKey `yaml:"tls"`
	PublicKey hexKey `yaml:"public_key"` // SHA-256 of the key that answers are for
}

const querierFile = "querier.yaml"

// NewQuerier makes a querier's home: keys, the founding files of the consortium
// it asks, and querier.yaml. publicKey is the digest of its own public key,
// which is derived from the seed of the home.
func NewQuerier(dir, name, task, genesisName, networkName string, publicKey func(g ledger.Genesis, seed [32]byte) ledger.Digest) (*Querier, error) {
	if !ledger.ValidName(name) || !ledger.ValidName(task) {
		return nil, fmt.Errorf("%q and %q: names are 1 to %d of a-z, 0-9 and inner hyphens", name, task, ledger.MaxName)
	}
	g, err := ReadGenesis(genesisName)
	if err != nil {
		return nil, err
	}
	network, err := ReadNetwork(networkName, &g)
	if err != nil {
		return nil, err
	}
	keys, err := NewKeys(0)
	if err != nil {
		return nil, err
	}
	return OpenQuerierAfter(dir, writeKeys(dir, keys, func() error {
		seed, err := Seed(dir)
		if err != nil {
			return err
		}
		f := QuerierFile{Name: name, Task: task, Signing: hexKey(keys.Signing.Public()), TLS: hexKey(keys.TLS.Public()),
			PublicKey: hexKey(publicKey(g.Genesis, seed))}
		b, err := appendYAML("Who "+name+" is and which public keys it has: send it to a company of task "+task+".\nNothing here is secret.", &f)
		if err != nil {
			return err
		}
		net, err := network.Append(nil)
		if err != nil {
			return err
		}
		return errors.Join(writeFile(filepath.Join(dir, GenesisFile), g.File, 0o644), writeFile(filepath.Join(dir, NetworkFile), net, 0o644),
			writeFile(filepath.Join(dir, querierFile), b, 0o644))
	}))
}

// OpenQuerierAfter opens a querier's home unless making it failed.
func OpenQuerierAfter(dir string, err error) (*Querier, error) {
	if err != nil {
		return nil, err
	}
	return OpenQuerier(dir)
}

// OpenQuerier reads a querier's home.
func OpenQuerier(dir string) (*Querier, error) {
	keys, err := ReadKeys(dir)
	if err != nil {
		return nil, err
	}
	q := &Querier{Dir: dir, Keys: keys}
	if q.File, err = ReadQuerierFile(filepath.Join(dir, querierFile)); err != nil {
		return nil, err
	}
	if q.Genesis, err = ReadGenesis(filepath.Join(dir, GenesisFile)); err != nil {
		return nil, err
	}
	network, err := ReadNetwork(filepath.Join(dir, NetworkFile), &q.Genesis)
	if err != nil {
		return nil, err
	}
	for _, v := range network.Validators {
		q.Doors = append(q.Doors, Door{Name: v.Name, Address: v.Door, TLS: v.TLS})
	}
	return q, nil
}

// ReadQuerierFile reads what a querier sent.
func ReadQuerierFile(name string) (f QuerierFile, err error) {
	err = readYAML(name, &f)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w; make it with commonseal querier", err)
	}
	if err == nil && (!ledger.ValidName(f.Name) || !ledger.ValidName(f.Task)) {
		err = fmt.Errorf("%s: name and task are 1 to %d of a-z, 0-9 and inner hyphens", name, ledger.MaxName)
	}
	return f, err
}

// seedFile holds what all secrets of the federation in a home are derived from.
const seedFile = "seed"

// Seed is the root secret of a home, made when it is first asked for. Back it up
// with the keys: a share of a collective key is derived from it. It is refused if
// others than its owner may read it.
func Seed(dir string) (seed [32]byte, err error) {
	name := filepath.Join(dir, seedFile)
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := rand.Read(seed[:]); err != nil {
			return seed, err
		}
		return seed, writeFile(name, seed[:], 0o600)
	}
	if err != nil {
		return seed, err
	}
	if err := private(name, info.Mode()); err != nil {
		return seed, err
	}
	b, err := ReadSmall(name)
	if err == nil && len(b) != len(seed) {
		err = fmt.Errorf("%s has %d bytes, not %d; restore it from its backup", name, len(b), len(seed))
	}
	copy(seed[:], b)
	return seed, err
}
