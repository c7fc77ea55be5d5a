package audit

import (
	"github.com/cometbft/cometbft/types"

	"github.com/commonseal/commonseal/ledger"
)

// misbehaved is what a block proves of validators, as ledger/chain hands it to
// Apply: CometBFT makes both of the same evidence, in its order.
func misbehaved(evidence types.EvidenceList) (out []ledger.Misbehaviour) {
	for _, m := range evidence.ToABCI() {
		out = append(out, ledger.Misbehaviour{
			Validator: ledger.VoteAddress(m.Validator.Address), Height: m.Height, Time: m.Time.UnixMilli(), Kind: ledger.Fault(m.Type),
		})
	}
	return out
}
