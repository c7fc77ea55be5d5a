package chain

import (
	"fmt"
	"runtime"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/crypto/ed25519"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"

	"github.com/commonseal/commonseal/ledger"
)

// blockOf is a decided block as the ledger takes it. An auditor has the same from
// the block's bytes, see ledger/audit: what proves misbehaviour is in them.
func blockOf(req *abci.RequestFinalizeBlock) ledger.Block {
	return ledger.Block{
		Height:     req.Height,
		Time:       req.Time.UnixMilli(), // the header's: the machine's clock is no part of a state
		Txs:        req.Txs,
		Misbehaved: misbehaved(req.Misbehavior),
	}
}

func misbehaved(proved []abci.Misbehavior) (out []ledger.Misbehaviour) {
	for _, m := range proved {
		out = append(out, ledger.Misbehaviour{
			Validator: ledger.VoteAddress(m.Validator.Address), Height: m.Height, Time: m.Time.UnixMilli(), Kind: ledger.Fault(m.Type),
		})
	}
	return out
}

// updates are changed powers as CometBFT takes them: they count two blocks later.
func updates(changed []ledger.Power) (out []abci.ValidatorUpdate) {
	for _, p := range changed {
		out = append(out, abci.UpdateValidator(p.Vote[:], p.Power, ed25519.KeyType))
	}
	return out
}

// A Life is how a validator keeps what it has.
type Life struct {
	// Keep is how many of the last blocks are kept; 0 keeps all, as auditors need
	// of one validator at least. The log of transactions is kept whole, and with it
	// what receipts prove.
	Keep int64
	// Every is how many blocks there are between snapshots for new validators to
	// begin with; 0 makes none.
	Every int64
}

// retain is the height from which on blocks are kept, 0 if all are. Who begins with
// the oldest snapshot on the shelf still finds the blocks after it.
func (a *application) retain() int64 {
	if a.Keep <= 0 {
		return 0
	}
	from := a.Tree.Height() - a.Keep + 1
	if a.shelf != nil {
		if kept := a.shelf.list(a.Tree.Height()); len(kept) > 0 {
			from = min(from, kept[len(kept)-1].Height+1)
		}
	}
	return max(from, 0)
}

// versionAt is the version of the rules of a block, in the state before it; CometBFT
// has it in the header.
func (a *application) versionAt(v ledger.View, height int64) uint64 {
	if a.Upgrade == nil {
		return 0
	}
	return a.Upgrade(v, height).Version
}

// supported is why this program cannot make the block of a height.
func (a *application) supported(height int64) error {
	if a.Upgrade == nil {
		return nil
	}
	u := a.Upgrade(a.Tree.View(), height)
	if u.Version <= a.Known {
		return nil
	}
	return fmt.Errorf("chain: %w", &ledger.OutdatedError{Upgrade: u, Known: a.Known})
}

// refuse ends this validator before a block that it cannot make. CometBFT takes an
// error of FinalizeBlock for a disaster: where it does not catch its own panic the
// goroutine ends instead, and the node after it.
func (a *application) refuse(height int64) error {
	err := a.supported(height)
	if err == nil {
		return nil
	}
	a.fail(err)
	if a.fetching.Load() {
		runtime.Goexit()
	}
	return err
}

// upgrade tells CometBFT of the version of the next block, when it is another one.
// A block changes nothing of the one after it.
func (a *application) upgrade(height int64) *cmtproto.ConsensusParams {
	view := a.Tree.View()
	next := a.versionAt(view, height+1)
	if next == a.versionAt(view, height) {
		return nil
	}
	return &cmtproto.ConsensusParams{Version: &cmtproto.VersionParams{App: next}}
}

// foresee ends this validator before a block that it cannot make.
func (a *application) foresee() {
	if err := a.supported(a.Tree.Height() + 1); err != nil {
		a.fail(err)
	}
}

// fail ends this validator; the first cause counts.
func (a *application) fail(err error) {
	select {
	case a.faults <- err:
	default:
	}
}
