package chain

import (
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	cfg "github.com/cometbft/cometbft/config"
	"github.com/cometbft/cometbft/crypto"
	cmted "github.com/cometbft/cometbft/crypto/ed25519"
	cmtjson "github.com/cometbft/cometbft/libs/json"
	"github.com/cometbft/cometbft/libs/tempfile"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/privval"
	"github.com/cometbft/cometbft/types"

	"github.com/commonseal/commonseal/ledger"
)

const maxEvidenceBytes = 64 << 10 // of a block; CometBFT's 1 MiB does not fit in a block of 1 MiB

// GenesisDoc is CometBFT's genesis file of a chain: validators of one vote each,
// and appState for [App].Genesis. Everybody who has the same file has the same
// chain.
func GenesisDoc(chainID string, validators []ledger.Key, appState []byte, start time.Time) ([]byte, error) {
	state, err := json.Marshal(appState) // a string: CometBFT's field is JSON
	if err != nil {
		return nil, fmt.Errorf("chain: genesis: %w", err)
	}
	params := types.DefaultConsensusParams()
	params.Block.MaxBytes = maxBlockBytes // the default is about 53 MiB
	params.Evidence.MaxBytes = maxEvidenceBytes
	doc := types.GenesisDoc{ChainID: chainID, GenesisTime: start.UTC(), ConsensusParams: params, AppState: state}
	for _, key := range validators {
		doc.Validators = append(doc.Validators, types.GenesisValidator{PubKey: cmted.PubKey(key[:]), Power: 1})
	}
	if len(validators) == 0 || len(appState) == 0 {
		return nil, errors.New("chain: genesis: a chain needs a validator and a state to begin with")
	}
	if err := doc.ValidateAndComplete(); err != nil {
		return nil, fmt.Errorf("chain: genesis: %w", err)
	}
	b, err := cmtjson.MarshalIndent(&doc, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("chain: genesis: %w", err)
	}
	return append(b, '\n'), nil
}

// PeerID is how other validators name the one whose peer key is given: a peer's
// address is ID@host:port.
func PeerID(key ledger.Key) string {
	return hex.EncodeToString(cmted.PubKey(key[:]).Address())
}

// WriteHome writes a validator's home: the key it votes with, the key it is known
// by as a peer, and the genesis file. It overwrites nothing: a second vote state
// for one key is how a validator signs twice.
func WriteHome(dir string, vote, peer ed25519.PrivateKey, genesis []byte) error {
	if len(vote) != ed25519.PrivateKeySize || len(peer) != ed25519.PrivateKeySize {
		return errors.New("chain: a home needs two Ed25519 keys of 64 bytes")
	}
	if _, err := types.GenesisDocFromJSON(genesis); err != nil {
		return fmt.Errorf("chain: genesis: %w", err)
	}
	key := cmted.PrivKey(vote)
	keyFile, err := cmtjson.MarshalIndent(privval.FilePVKey{Address: key.PubKey().Address(), PubKey: key.PubKey(), PrivKey: key}, "", "  ")
	if err != nil {
		return fmt.Errorf("chain: vote key: %w", err)
	}
	state, err := cmtjson.MarshalIndent(privval.FilePVLastSignState{}, "", "  ")
	if err != nil {
		return fmt.Errorf("chain: vote state: %w", err)
	}
	peerFile, err := cmtjson.Marshal(p2p.NodeKey{PrivKey: cmted.PrivKey(peer)})
	if err != nil {
		return fmt.Errorf("chain: peer key: %w", err)
	}
	c := cfg.DefaultConfig().SetRoot(dir)
	files := []struct {
		name string
		data []byte
		perm fs.FileMode
	}{
		{c.PrivValidatorStateFile(), state, 0o600},
		{c.NodeKeyFile(), peerFile, 0o600},
		{c.GenesisFile(), genesis, 0o644},
		{c.PrivValidatorKeyFile(), keyFile, 0o600},
	}
	for _, f := range files {
		if _, err := os.Lstat(f.name); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("chain: %s exists already; choose an empty folder", f.name)
		}
	}
	for _, f := range files {
		if err := os.MkdirAll(filepath.Dir(f.name), 0o700); err != nil {
			return fmt.Errorf("chain: home: %w", err)
		}
		if err := tempfile.WriteFileAtomic(f.name, f.data, f.perm); err != nil {
			return fmt.Errorf("chain: home: %w", err)
		}
	}
	return nil
}

// loadVoter reads the key a validator votes with and the state that keeps it from
// voting twice. privval.LoadFilePV ends the process on a missing or bad file, so
// both are read first.
func loadVoter(c *cfg.Config) (*privval.FilePV, error) {
	var key privval.FilePVKey
	if err := readJSON(c.PrivValidatorKeyFile(), &key); err != nil {
		return nil, fmt.Errorf("chain: vote key: %w", err)
	}
	if !isEd25519(key.PrivKey) {
		return nil, fmt.Errorf("chain: vote key: %s holds no Ed25519 key; restore it from its backup", c.PrivValidatorKeyFile())
	}
	var state privval.FilePVLastSignState
	if err := readJSON(c.PrivValidatorStateFile(), &state); err != nil {
		return nil, fmt.Errorf("chain: vote state: %w; without it this validator could vote twice: never restore it from a backup, found a new validator", err)
	}
	return privval.LoadFilePV(c.PrivValidatorKeyFile(), c.PrivValidatorStateFile()), nil
}

// loadPeerKey reads the key a validator is known by as a peer.
func loadPeerKey(c *cfg.Config) (*p2p.NodeKey, error) {
	var key p2p.NodeKey
	if err := readJSON(c.NodeKeyFile(), &key); err != nil {
		return nil, fmt.Errorf("chain: peer key: %w", err)
	}
	if !isEd25519(key.PrivKey) {
		return nil, fmt.Errorf("chain: peer key: %s holds no Ed25519 key; restore it from its backup", c.NodeKeyFile())
	}
	return &key, nil
}

func readJSON(name string, into any) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if err := cmtjson.Unmarshal(b, into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// isEd25519 is whether a key is there and whole: a JSON null leaves it nil, and a
// short one panics when it is used.
func isEd25519(key crypto.PrivKey) bool {
	k, ok := key.(cmted.PrivKey)
	return ok && len(k) == cmted.PrivateKeySize
}
