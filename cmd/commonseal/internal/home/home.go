// Package home is the folder that a member's process lives in: its keys, what
// consortium it belongs to, and how to reach the others.
//
//	NAME.member.yaml  public: what the founder gets
//	keys/             signing, tls, vote, p2p: Ed25519, PKCS#8 PEM, 0600
//	genesis.json      what the consortium was founded on; its SHA-256 names it
//	node.yaml         how this process is reached, and reaches others
//	policy.yaml       what an agent takes part in
//	chain/ ledger/ store/  written by the processes
//
// Everything read from it is checked as a whole: a file that others sent or a
// person edited gives an error with its name, line and field, never a panic.
package home

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/commonseal/commonseal/ledger"
)

// Files of a home.
const (
	keysDir     = "keys"
	nodeFile    = "node.yaml"
	policyFile  = "policy.yaml"
	runningFile = "running"
	// NetworkFile is what found writes beside the genesis and join reads.
	NetworkFile = "network.yaml"
	// GenesisFile is the name of the founding file.
	GenesisFile = "genesis.json"
)

// A Home is an opened folder: a member of a consortium that was founded, with
// the keys that the genesis has of it.
type Home struct {
	Dir     string
	Node    Node
	Genesis Genesis
	Member  ledger.Member // as in the genesis, or in its member file if it joined later
	P2P     string        // where validators reach one that joined later, as its member file says
	Keys    Keys
}

// Open reads a home that a member joined a consortium with.
func Open(dir string) (*Home, error) {
	keys, err := ReadKeys(dir)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, nodeFile)); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s has keys but no %s; get %s and %s from the founder and run commonseal join --home %s %s %s",
			dir, nodeFile, GenesisFile, NetworkFile, dir, GenesisFile, NetworkFile)
	}
	genesis, err := ReadGenesis(filepath.Join(dir, GenesisFile))
	if err != nil {
		return nil, err
	}
	member, err := memberOf(genesis, keys)
	p2p := ""
	if err != nil {
		late, no := lateMember(dir, keys)
		if no != nil {
			return nil, err
		}
		member, p2p = late.Member, late.P2P
	}
	node, err := readNode(filepath.Join(dir, nodeFile))
	if err != nil {
		return nil, err
	}
	if err := node.belongs(genesis, member); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, nodeFile), err)
	}
	return &Home{Dir: dir, Node: node, Genesis: genesis, Member: member, P2P: p2p, Keys: keys}, nil
}

// memberOf is the member of the genesis that has the keys.
func memberOf(g Genesis, k Keys) (ledger.Member, error) {
	for _, m := range g.Members {
		if m.Signing != k.Signing.Public() {
			continue
		}
		if m.TLS != k.TLS.Public() || m.Vote != k.Vote.Public() {
			return m, fmt.Errorf("the genesis has other keys of %s than its home; ask the founder which member file was used", m.Name)
		}
		return m, nil
	}
	return ledger.Member{}, errors.New("the genesis has no member with this home's signing key; send the founder its member file, and get the genesis again")
}

// KeysDir is where the private keys of a home are.
func KeysDir(dir string) string { return filepath.Join(dir, keysDir) }

// ChainDir is where a validator keeps blocks.
func (h *Home) ChainDir() string { return filepath.Join(h.Dir, "chain") }

// LedgerDir is where a process keeps its replica of the ledger's state.
func (h *Home) LedgerDir() string { return filepath.Join(h.Dir, "ledger") }

// StoreDir is where a node or agent keeps its journal and blobs.
func (h *Home) StoreDir() string { return filepath.Join(h.Dir, "store") }

// CheckerDir is where a checker keeps its own replica, its journal and the fraud
// proofs it made: it runs beside another process of the home.
func (h *Home) CheckerDir() string { return filepath.Join(h.Dir, "checker") }

// Policy is what the owner of an agent lets it take part in.
func (h *Home) Policy() (Policy, error) { return ReadPolicy(filepath.Join(h.Dir, policyFile)) }

// SetRunning records where the monitor of the running process listens; "" says
// that none runs.
func (h *Home) SetRunning(address string) error {
	name := filepath.Join(h.Dir, runningFile)
	if address == "" {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	return writeFile(name, []byte(address+"\n"), 0o600)
}

// Running is where the monitor of the running process listens, "" if none was
// recorded. A process that was killed leaves its record behind.
func (h *Home) Running() string {
	b, err := ReadSmall(filepath.Join(h.Dir, runningFile))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

const maxFile = 1 << 20 // bytes of any file that a person may write or send

// ReadSmall reads a file that cannot be large, whoever wrote it.
func ReadSmall(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, fmt.Errorf("%s: not a file of at most %d bytes", name, maxFile)
	}
	b := make([]byte, info.Size())
	n, err := f.ReadAt(b, 0)
	if n < len(b) {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return b, nil
}

// writeFile replaces a file whole or not at all, also when the power fails.
func writeFile(name string, data []byte, perm fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(perm), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", name, err), os.Remove(f.Name()))
	}
	return nil
}
