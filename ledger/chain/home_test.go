package chain

import (
	"crypto/ed25519"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cfg "github.com/cometbft/cometbft/config"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/types"

	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/tree"
)

func TestHome(t *testing.T) {
	specs, keys := founded(t, 1)
	c := cfg.DefaultConfig().SetRoot(specs[0].Home)
	for _, name := range []string{c.PrivValidatorKeyFile(), c.PrivValidatorStateFile(), c.NodeKeyFile()} {
		if info, err := os.Stat(name); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v; want mode 0600", name, info.Mode(), err)
		}
	}
	voter, err := loadVoter(c)
	if err != nil {
		t.Fatal(err)
	}
	if got := ledger.Key(voter.Key.PubKey.Bytes()); got != keys[0] {
		t.Errorf("votes with %x, want %x", got, keys[0])
	}
	peer, err := loadPeerKey(c)
	if err != nil {
		t.Fatal(err)
	}
	if got := PeerID(ledger.Key(peer.PubKey().Bytes())); p2p.ID(got) != peer.ID() {
		t.Errorf("PeerID = %s, CometBFT says %s", got, peer.ID())
	}
	doc, err := types.GenesisDocFromFile(c.GenesisFile())
	if err != nil {
		t.Fatal(err)
	}
	var state []byte
	if err := json.Unmarshal(doc.AppState, &state); err != nil || string(state) != "state" {
		t.Errorf("the application's state is %q, %v", state, err)
	}
	if doc.ConsensusParams.Block.MaxBytes != 1<<20 || doc.ConsensusParams.Evidence.MaxBytes != 64<<10 {
		t.Errorf("limits %+v", doc.ConsensusParams)
	}
}

func TestHomeIsNeverOverwritten(t *testing.T) {
	specs, _ := founded(t, 1)
	genesis, err := os.ReadFile(cfg.DefaultConfig().SetRoot(specs[0].Home).GenesisFile())
	if err != nil {
		t.Fatal(err)
	}
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	if err := WriteHome(specs[0].Home, key, key, genesis); err == nil || !strings.Contains(err.Error(), "exists already") {
		t.Errorf("over a home: %v", err)
	}
	if err := WriteHome(t.TempDir(), key[:40], key, genesis); err == nil {
		t.Error("half a key was written")
	}
	if err := WriteHome(t.TempDir(), key, key, []byte("{}")); err == nil {
		t.Error("a genesis file without a chain was written")
	}
}

func TestGenesisRefuses(t *testing.T) {
	if _, err := GenesisDoc("x", nil, []byte("s"), time.Now()); err == nil {
		t.Error("a chain without validators")
	}
	if _, err := GenesisDoc("x", make([]ledger.Key, 1), nil, time.Now()); err == nil {
		t.Error("a chain without a state")
	}
	if _, err := GenesisDoc(strings.Repeat("x", 51), make([]ledger.Key, 1), []byte("s"), time.Now()); err == nil {
		t.Error("a name of 51 bytes")
	}
}

// What is wrong with a home is an error. CometBFT would end the process, sleep, or
// panic.
func TestOpenRefuses(t *testing.T) {
	for _, test := range []struct {
		name string
		harm func(c *cfg.Config) error
		want string
	}{
		{"no vote key", func(c *cfg.Config) error { return os.Remove(c.PrivValidatorKeyFile()) }, "vote key"},
		{"a vote key that is no JSON", func(c *cfg.Config) error { return os.WriteFile(c.PrivValidatorKeyFile(), []byte("?"), 0o600) }, "vote key"},
		{"a vote key that is null", func(c *cfg.Config) error { return os.WriteFile(c.PrivValidatorKeyFile(), []byte("{}"), 0o600) }, "no Ed25519 key"},
		{"no vote state", func(c *cfg.Config) error { return os.Remove(c.PrivValidatorStateFile()) }, "vote twice"},
		{"a vote state cut short", func(c *cfg.Config) error { return os.Truncate(c.PrivValidatorStateFile(), 3) }, "vote state"},
		{"no peer key", func(c *cfg.Config) error { return os.Remove(c.NodeKeyFile()) }, "peer key"},
		{"a short peer key", func(c *cfg.Config) error {
			return os.WriteFile(c.NodeKeyFile(), []byte(`{"priv_key":{"type":"tendermint/PrivKeyEd25519","value":"AAAA"}}`), 0o600)
		}, "peer key"},
		{"no genesis file", func(c *cfg.Config) error { return os.Remove(c.GenesisFile()) }, "genesis"},
		{"a chain to come", func(c *cfg.Config) error {
			b, err := GenesisDoc("x", make([]ledger.Key, 1), []byte("s"), time.Now().Add(time.Hour))
			if err != nil {
				return err
			}
			return os.WriteFile(c.GenesisFile(), b, 0o600)
		}, "the chain starts in"},
	} {
		specs, _ := founded(t, 1)
		if err := test.harm(cfg.DefaultConfig().SetRoot(specs[0].Home)); err != nil {
			t.Fatal(err)
		}
		state, err := tree.Open("")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Open(Config{Home: specs[0].Home, App: testApp(state), Listen: specs[0].Listen}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
		state.Close()
	}
	if _, err := Open(Config{}); err == nil {
		t.Error("an empty configuration was opened")
	}
}

// Nothing is written beside the home, and no configuration file that somebody
// might believe in.
func TestHomeHasNoConfiguration(t *testing.T) {
	specs, _ := founded(t, 1)
	_, stop := run(t, specs[0])
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(specs[0].Home, func(name string, d fs.DirEntry, err error) error {
		if strings.HasSuffix(name, ".toml") {
			t.Errorf("%s was written", name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
