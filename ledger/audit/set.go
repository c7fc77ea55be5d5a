package audit

import (
	"fmt"
	"slices"
	"sync"

	"github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/types"

	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/gate"
	"github.com/commonseal/commonseal/ledger/tree"
)

// A set is the validators that sign a block.
type set struct {
	*types.ValidatorSet
	powers []ledger.Power
	hash   []byte // as headers have it
}

// newSet is the set of powers, whatever their names.
func newSet(powers []ledger.Power) (*set, error) {
	if len(powers) == 0 || len(powers) > maxValidators {
		return nil, fmt.Errorf("%d validators; a chain has 1 to %d", len(powers), maxValidators)
	}
	known := map[ledger.Key]bool{}
	var list []*types.Validator
	for _, p := range powers {
		if known[p.Vote] { // NewValidatorSet panics on this, and on what follows
			return nil, fmt.Errorf("validator %x is there twice", p.Vote[:6])
		}
		if p.Power <= 0 || p.Power > types.MaxTotalVotingPower/maxValidators {
			return nil, fmt.Errorf("validator %x has a power of %d", p.Vote[:6], p.Power)
		}
		known[p.Vote] = true
		list = append(list, types.NewValidator(ed25519.PubKey(p.Vote[:]), p.Power))
	}
	out := &set{ValidatorSet: types.NewValidatorSet(list), powers: slices.Clone(powers)}
	out.hash = out.Hash()
	return out, nil
}

// sets makes sets once: a chain changes its validators rarely. Safe for concurrent
// use.
type sets struct {
	mu   sync.Mutex
	made []*set // the last few
}

func (s *sets) of(powers []ledger.Power) (*set, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.made {
		if slices.Equal(m.powers, powers) {
			return m, nil
		}
	}
	out, err := newSet(powers)
	if err != nil {
		return nil, err
	}
	s.made = append(s.made[max(0, len(s.made)-3):], out)
	return out, nil
}

// Signers says who signs the block of a height, by the state of a replica: the
// powers after the block two before it, those of the genesis for blocks 1 and 2.
// Of a height too far ahead the error wraps [ErrAhead]; of a replica that cannot be
// read, or of states that it has dropped, [gate.ErrReplica].
func Signers(replica *tree.Tree) func(height int64) ([]ledger.Power, error) {
	var mu sync.Mutex
	known := map[int64][]ledger.Power{} // a state does not change
	return func(height int64) ([]ledger.Power, error) {
		at := max(0, height-2)
		if last := replica.Height(); at > last {
			return nil, fmt.Errorf("%w: block %d, and the replica is at %d", ErrAhead, height, last)
		}
		mu.Lock()
		defer mu.Unlock()
		if powers, ok := known[at]; ok {
			return powers, nil
		}
		state, err := replica.At(at)
		if err != nil {
			return nil, fmt.Errorf("%w: %v", gate.ErrReplica, err)
		}
		powers := ledger.Powers(state)
		if err := replica.Failure(); err != nil {
			return nil, fmt.Errorf("%w: %v", gate.ErrReplica, err)
		}
		if len(powers) == 0 { // no ledger comes to that; a closed replica reads so
			return nil, fmt.Errorf("%w: nobody signs block %d", gate.ErrReplica, height)
		}
		if len(known) > 8 {
			clear(known)
		}
		known[at] = powers
		return powers, nil
	}
}
