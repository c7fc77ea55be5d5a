package chain

import (
	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/crypto/ed25519"

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
