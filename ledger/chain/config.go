package chain

import (
	"cmp"
	"errors"
	"log/slog"
	"strings"
	"time"

	cfg "github.com/cometbft/cometbft/config"

	"github.com/commonseal/commonseal/ledger"
)

// A Config is what a validator needs.
type Config struct {
	Home string // written by [WriteHome]
	App  App

	Listen string   // host:port for other validators, and nobody else
	Peers  []string // the other validators, ID@host:port; see [PeerID]

	// CommitTimeout is how long a block waits for the last votes on the one before.
	// Zero means 1 s.
	CommitTimeout time.Duration

	Life
	// Sources, two at least, are other validators to ask for headers, when this one
	// begins with a snapshot instead of all blocks; none: it fetches all blocks.
	Sources []Source
	Trust   Trust // where their headers begin

	Log *slog.Logger // nil drops everything
}

const (
	heartbeat     = 30 * time.Second // between blocks when nothing happens: block time is what deadlines are in
	commitTimeout = time.Second
	redial        = 10 * time.Second
	discover      = 5 * time.Second // that snapshots are waited for, again and again; CometBFT takes no less
)

// comet is CometBFT's configuration. What is not set is its default; there is no
// configuration file, so nothing else can be set.
func (c Config) comet() (*cfg.Config, error) {
	if c.Home == "" || c.Listen == "" || c.App.Tree == nil || c.App.Genesis == nil || c.App.Apply == nil || c.App.Check == nil {
		return nil, errors.New("chain: a validator needs a home, an address to listen at, a tree and three functions")
	}
	out := cfg.DefaultConfig().SetRoot(c.Home)

	// RPC has no authentication and would tell everybody everything: it listens
	// nowhere. What faces outwards is ledger/gate.
	out.RPC.ListenAddress = ""
	out.RPC.GRPCListenAddress = ""
	out.RPC.PprofListenAddress = ""
	out.RPC.Unsafe = false
	out.Instrumentation.Prometheus = false

	// Peers are validators: those of the genesis file's owners, a closed list of
	// private addresses, both ways, and those of the ledger. Who is neither is
	// refused (see Query).
	out.P2P.ListenAddress = "tcp://" + c.Listen
	out.P2P.PersistentPeers = strings.Join(c.Peers, ",")
	out.P2P.PexReactor = false
	out.P2P.AddrBookStrict = false
	out.P2P.AllowDuplicateIP = true
	out.FilterPeers = true
	out.P2P.MaxNumInboundPeers = ledger.MaxPowers // and those that do not attend yet wait for a place

	// An index of transactions is never pruned and doubles the disk; nobody asks it.
	out.TxIndex.Indexer = "null"

	// Transactions are few and small. A refused one may come again, once what it
	// waited for is there. The pool is not kept over a restart: clients submit again
	// until they see their transaction in a block.
	out.Mempool.MaxTxBytes = ledger.MaxTx
	out.Mempool.MaxTxsBytes = 64 << 20
	out.Mempool.KeepInvalidTxsInCache = false

	// An empty block is made after each change of the state, to sign it, and as a
	// heartbeat. The app hash has neither height nor time in it, or it would
	// change with every block and the chain would never rest.
	out.Consensus.CreateEmptyBlocks = false
	out.Consensus.CreateEmptyBlocksInterval = heartbeat
	out.Consensus.TimeoutCommit = cmp.Or(c.CommitTimeout, commitTimeout)
	out.Consensus.TimeoutPropose = time.Second // what an absent proposer costs
	out.Consensus.PeerGossipSleepDuration = 10 * time.Millisecond
	// Nonzero, it would refuse to start a validator that voted in the last blocks:
	// after every crash. The guard against voting twice is the vote state.
	out.Consensus.DoubleSignCheckHeight = 0

	return out, out.ValidateBasic()
}
