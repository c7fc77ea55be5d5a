package chain

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	dbm "github.com/cometbft/cometbft-db"
	cmtlog "github.com/cometbft/cometbft/libs/log"
	"github.com/cometbft/cometbft/light"
	"github.com/cometbft/cometbft/light/provider"
	lightdb "github.com/cometbft/cometbft/light/store/db"
	cmtstate "github.com/cometbft/cometbft/proto/tendermint/state"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	sm "github.com/cometbft/cometbft/state"
	"github.com/cometbft/cometbft/types"
	"github.com/cometbft/cometbft/version"

	"github.com/commonseal/commonseal/ledger"
)

// A Source answers what another validator says of a block; see [Node.LightBlock].
type Source interface {
	LightBlock(ctx context.Context, height int64) ([]byte, error)
}

const (
	askAgain      = time.Second
	minSources    = 2       // one alone could show a chain of its own
	maxLightBlock = 1 << 17 // bytes: 128 validators, their keys and signatures
	// trusting is how long a header is trusted: whoever has the genesis trusts its
	// validators for as long as the consortium lives, as followers do.
	trusting = 100 * 365 * 24 * time.Hour
)

var errNoHeaders = errors.New("chain: no two validators agree on block 1 as the genesis file's validators signed it; ask others, one of which keeps all blocks")

// headers are what is known of blocks that this validator does not have: headers
// that lead from the genesis file's validators to those of today, as CometBFT's
// light client follows them. It is the StateProvider of a state sync.
type headers struct {
	genesis *types.GenesisDoc
	trust   Trust
	sources []provider.Provider
	log     cmtlog.Logger

	mu     sync.Mutex // the client is for one goroutine
	client *light.Client
	times  map[int64]int64 // of blocks that were asked for, Unix milliseconds

	believing bool // tests only: whoever signed block 1
}

func newHeaders(genesis *types.GenesisDoc, trust Trust, sources []Source, log cmtlog.Logger) (*headers, error) {
	if len(sources) < minSources {
		return nil, fmt.Errorf("chain: %d validators to begin with a snapshot from; name %d at least, so that one cannot show a chain of its own", len(sources), minSources)
	}
	h := &headers{genesis: genesis, trust: trust, log: log, times: map[int64]int64{}}
	for _, s := range sources {
		h.sources = append(h.sources, source{genesis.ChainID, s})
	}
	return h, nil
}

// timeOf is the time of a block that was asked for.
func (h *headers) timeOf(height int64) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.times[height]
}

// block is the verified block of a height. h.mu is held.
func (h *headers) block(ctx context.Context, height int64) (*types.LightBlock, error) {
	if h.client == nil {
		c, err := h.begin(ctx)
		if err != nil {
			return nil, err
		}
		h.client = c
	}
	b, err := h.client.VerifyLightBlockAtHeight(ctx, height, time.Now())
	if err != nil {
		return nil, err
	}
	h.times[height] = b.Time.UnixMilli()
	return b, nil
}

// follow makes a light client that trusts a block. It asks a source first, and
// compares with the others.
func (h *headers) follow(ctx context.Context, t Trust, first int) (*light.Client, error) {
	var others []provider.Provider
	others = append(append(others, h.sources[:first]...), h.sources[first+1:]...)
	return light.NewClient(ctx, h.genesis.ChainID, light.TrustOptions{Period: trusting, Height: t.Height, Hash: t.Hash[:]},
		h.sources[first], others, lightdb.New(dbm.NewMemDB(), ""), light.Logger(h.log))
}

// begin makes a light client that trusts the block somebody vouches for, or else
// block 1, if the validators of the genesis file signed it.
func (h *headers) begin(ctx context.Context) (*light.Client, error) {
	if h.trust.Height > 0 {
		return h.follow(ctx, h.trust, 0)
	}
	var set []*types.Validator
	for _, v := range h.genesis.Validators {
		set = append(set, types.NewValidator(v.PubKey, v.Power))
	}
	founders := types.NewValidatorSet(set)
	errs := []error{errNoHeaders}
	for i, s := range h.sources {
		first, err := s.LightBlock(ctx, h.genesis.InitialHeight)
		if err == nil && !h.believing && !bytes.Equal(first.ValidatorsHash, founders.Hash()) {
			err = errors.New("block 1 has other validators than the genesis file")
		}
		if err == nil && !h.believing {
			err = founders.VerifyCommitLight(h.genesis.ChainID, first.Commit.BlockID, first.Height, first.Commit)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		return h.follow(ctx, Trust{Height: first.Height, Hash: ledger.Digest(first.Hash())}, i)
	}
	return nil, errors.Join(errs...)
}

// AppHash is the root after a block, from the next header. The one after that is
// asked for as well: [headers.State] needs it. It asks until ctx ends: CometBFT
// never comes back to a snapshot whose root it could not have.
func (h *headers) AppHash(ctx context.Context, height uint64) ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		next, err := h.block(ctx, int64(height)+1)
		if err == nil {
			_, err = h.block(ctx, int64(height)+2)
		}
		if err == nil {
			return next.AppHash, nil
		}
		h.log.Error("headers", "height", height, "err", err)
		h.client = nil // it gives up those who did not answer
		select {
		case <-time.After(askAgain):
		case <-ctx.Done():
			// Not err itself: CometBFT ends for good on some of them.
			return nil, fmt.Errorf("chain: the root after block %d: %v", height, err)
		}
	}
}

// Commit is what signed a block.
func (h *headers) Commit(ctx context.Context, height uint64) (*types.Commit, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	b, err := h.block(ctx, int64(height))
	if err != nil {
		return nil, err
	}
	return b.Commit, nil
}

// State is what CometBFT has to know after a block. The validators of the block
// after the next are in it: a change that the block made counts from there.
func (h *headers) State(ctx context.Context, height uint64) (sm.State, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var b [3]*types.LightBlock // the last one, the one to come, the one after
	for i := range b {
		var err error
		if b[i], err = h.block(ctx, int64(height)+int64(i)); err != nil {
			return sm.State{}, err
		}
	}
	params := *h.genesis.ConsensusParams
	if !bytes.Equal(params.Hash(), b[1].ConsensusHash) {
		return sm.State{}, fmt.Errorf("chain: block %d has other limits than the genesis file; this program does not know how they came", b[1].Height)
	}
	params.Version.App = b[1].Version.App
	return sm.State{
		ChainID: h.genesis.ChainID, InitialHeight: h.genesis.InitialHeight,
		Version:         cmtstate.Version{Consensus: b[1].Version, Software: version.TMCoreSemVer},
		LastBlockHeight: b[0].Height, LastBlockTime: b[0].Time, LastBlockID: b[0].Commit.BlockID,
		AppHash: b[1].AppHash, LastResultsHash: b[1].LastResultsHash,
		LastValidators: b[0].ValidatorSet, Validators: b[1].ValidatorSet, NextValidators: b[2].ValidatorSet,
		LastHeightValidatorsChanged: b[2].Height,
		ConsensusParams:             params, LastHeightConsensusParamsChanged: b[1].Height,
	}, nil
}

// source is a Source as CometBFT's light client asks it.
type source struct {
	chain string
	from  Source
}

var _ provider.Provider = source{}

func (s source) ChainID() string { return s.chain }

// ReportEvidence tells nobody: a source is asked for headers, and the validators
// that run see evidence themselves.
func (s source) ReportEvidence(context.Context, types.Evidence) error { return nil }

func (s source) LightBlock(ctx context.Context, height int64) (*types.LightBlock, error) {
	b, err := s.from.LightBlock(ctx, height)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, provider.ErrNoResponse // whatever it is, the next one is asked
	}
	block, err := parseLightBlock(b)
	if err == nil {
		err = block.ValidateBasic(s.chain)
	}
	if err == nil && block.Height != height {
		err = fmt.Errorf("block %d in the place of %d", block.Height, height)
	}
	if err != nil {
		return nil, provider.ErrBadLightBlock{Reason: err}
	}
	return block, nil
}

// parseLightBlock decodes a light block in its one encoding.
func parseLightBlock(b []byte) (*types.LightBlock, error) {
	if len(b) > maxLightBlock {
		return nil, fmt.Errorf("a light block of %d bytes; it has at most %d", len(b), maxLightBlock)
	}
	var p cmtproto.LightBlock
	if err := p.Unmarshal(b); err != nil {
		return nil, err
	}
	if again, err := p.Marshal(); err != nil || !bytes.Equal(again, b) {
		return nil, errors.New("a light block that is not in its one encoding")
	}
	if p.SignedHeader == nil || p.SignedHeader.Header == nil || p.SignedHeader.Commit == nil || p.ValidatorSet == nil {
		return nil, errors.New("a light block without header, commit or validators")
	}
	return types.LightBlockFromProto(&p)
}

// LightBlock is the header of a height, the commit that signed it, and the
// validators of that block, as CometBFT encodes a LightBlock.
//
// The error is [ErrNoBlock] or [ErrStopped].
func (n *Node) LightBlock(height int64) ([]byte, error) {
	leave, err := n.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	meta := n.comet.BlockStore().LoadBlockMeta(height)
	commit := n.comet.BlockStore().LoadBlockCommit(height)
	if commit == nil {
		commit = n.comet.BlockStore().LoadSeenCommit(height)
	}
	validators, err := n.validators.LoadValidators(height)
	if meta == nil || commit == nil || err != nil {
		return nil, fmt.Errorf("%w: height %d", ErrNoBlock, height)
	}
	b := types.LightBlock{SignedHeader: &types.SignedHeader{Header: &meta.Header, Commit: commit}, ValidatorSet: validators}
	p, err := b.ToProto()
	if err != nil {
		return nil, fmt.Errorf("chain: block %d: %w", height, err)
	}
	return p.Marshal()
}
