package chain

import (
	"fmt"

	"github.com/commonseal/commonseal/ledger"
)

// Signers are the validators that sign the block of a height, as consensus has
// them: their keys and powers, without names. The error is [ErrNoBlock] of a height
// whose validators are not known here, or [ErrStopped].
func (n *Node) Signers(height int64) ([]ledger.Power, error) {
	leave, err := n.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	set, err := n.validators.LoadValidators(height)
	if err != nil {
		return nil, fmt.Errorf("%w: validators of height %d: %v", ErrNoBlock, height, err)
	}
	var out []ledger.Power
	for _, v := range set.Validators {
		key := v.PubKey.Bytes()
		if len(key) != len(ledger.Key{}) {
			return nil, fmt.Errorf("chain: validator %v of height %d has no Ed25519 key", v.Address, height)
		}
		out = append(out, ledger.Power{Vote: ledger.Key(key), Power: v.VotingPower})
	}
	return out, nil
}
