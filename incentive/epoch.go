package incentive

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Params are the rules of a ranking. They live in genesis and change only by
// recorded vote.
type Params struct {
	// MinStake is the stake below which an evaluator counts for nothing.
	MinStake uint64
	// EntityCap is the largest share of the stake that decides which the
	// evaluators of one entity may hold together; 0 or less, or 1 and more, is no
	// cap.
	EntityCap Fixed
	// Majority is the share of stake that must stand behind a weight. Zero is a
	// strict majority, computed on the integer stakes: an exact half loses.
	// Upstream's is 32767/65535 of the normalised stakes: an exact half wins.
	Majority Fixed
	// Penalty is β in [0, 1]: how far bonds follow clipped weights.
	Penalty Fixed
	// Alpha is how much of an epoch's weights enters the bonds.
	Alpha Fixed
	// PerPair lets each evaluator's bond on a peer grow on its own toward 1 and
	// multiplies dividends by stake (upstream's third version). Otherwise bonds
	// are shares of a peer, weighted by stake.
	PerPair bool
	// Liquid varies alpha by pair; it needs PerPair. Nil is Alpha for all.
	Liquid *Liquid
	// Whitepaper replaces median and clipping by the rule of the whitepaper. It
	// is kept for comparison: a majority that leaks 1 % of its weights to a cabal
	// of 40 % makes it pay the cabal 48.2 % (TestAttackEpsilonTrust).
	Whitepaper *Whitepaper
	// Forfeit is the share of its bonds that an evaluator loses by withholding a
	// ranking it committed to.
	Forfeit Fixed

	off defence // for attack tests
}

// Liquid is an alpha between Low and High, higher the further a weight is from
// consensus (buying) or below the bond (selling).
type Liquid struct{ Low, High, Steepness Fixed }

// Whitepaper is R = WᵀS, T = [W>0]ᵀS, C = σ(ρ(T−κ)), I = R∘C. It limits what a
// peer without consensus earns; it does not reward the lack of it.
type Whitepaper struct{ Rho, Kappa Fixed }

// DefaultParams are the rules unless a vote says otherwise: strict majority, no
// entity above a third, β = 1, α = 0.1, half the bonds for a ranking withheld.
func DefaultParams() Params {
	return Params{EntityCap: Ratio(1, 3), Penalty: One, Alpha: Ratio(1, 10), Forfeit: One / 2}
}

// A Key is an identity and the epoch it registered in. Whoever registers again
// inherits neither weights nor bonds.
type Key struct {
	ID         string
	Registered uint64
}

func (k Key) compare(other Key) int {
	return cmp.Or(cmp.Compare(k.ID, other.ID), cmp.Compare(k.Registered, other.Registered))
}

// An Evaluator has stake and ranks peers.
type Evaluator struct {
	Key
	Entity   string // the legal entity that owns it, for the cap; empty: itself
	Stake    uint64
	Inactive bool     // counts neither for the median nor for payment
	Barred   bool     // has no permit: likewise, and its ranking is not read
	Withheld bool     // committed to a ranking and did not reveal it
	Ranking  []Weight // as revealed, in any order; nil if it revealed none
}

// A Weight is what an evaluator gives a peer, in proportion to its others.
// Weights of peers that are not there (or registered again since) are dropped.
type Weight struct {
	Peer  Key
	Value uint32
}

// A Peer is what is ranked: whoever submits models.
type Peer struct {
	Key
	// Owner may not rank it: an identity, or an entity with all its evaluators.
	// Empty: the identity itself.
	Owner string
}

// A Bond is what an evaluator holds of a peer by having ranked it in past
// epochs.
type Bond struct {
	Evaluator, Peer Key
	Value           Fixed
}

// An Epoch is all that a ranking depends on.
type Epoch struct {
	Evaluators []Evaluator
	Peers      []Peer
	Bonds      []Bond // of the Outcome of the epoch before
}

// An Outcome is what [Rank] finds. Everything is sorted by key.
type Outcome struct {
	Evaluators []EvaluatorOutcome
	Peers      []PeerOutcome
	Bonds      []Bond // positive ones
	Caps       []Cap  // entities that the cap limited, by name
}

// Dividends are the shares of evaluators in what they are paid together.
func (o Outcome) Dividends() []Share {
	out := make([]Share, len(o.Evaluators))
	for i, e := range o.Evaluators {
		out[i] = Share{ID: e.ID, Weight: uint64(max(e.Dividend, 0))}
	}
	return out
}

// Incentives are the shares of peers in what they are paid together.
func (o Outcome) Incentives() []Share {
	out := make([]Share, len(o.Peers))
	for j, p := range o.Peers {
		out[j] = Share{ID: p.ID, Weight: uint64(max(p.Incentive, 0))}
	}
	return out
}

// An EvaluatorOutcome is one evaluator's.
type EvaluatorOutcome struct {
	Key
	Counted  uint64 // its stake after threshold and cap
	Stake    Fixed  // S: Counted as a share of all counted stake
	Active   Fixed  // A: its share among those active and permitted
	Trust    Fixed  // Tv: how much of its weights survived the clipping
	Dividend Fixed  // D: its share of what evaluators earn
	Stale    int    // weights that named nobody
}

// A PeerOutcome is one peer's.
type PeerOutcome struct {
	Key
	Consensus Fixed // C: the weight a majority stands behind
	Trust     Fixed // T: its rank after clipping over that before
	Rank      Fixed // R: stake-weighted sum of clipped weights
	Incentive Fixed // I: its share of what peers earn
}

// Rank closes an epoch of rankings.
//
// The records may come in any order; the result does not depend on it. It is an
// error if an identity occurs twice in a list, if an evaluator ranks a peer or
// holds a bond on it twice, if stakes add up to 2^64 or more, or if params are
// out of range.
func Rank(params Params, epoch Epoch) (Outcome, error) {
	if err := params.check(); err != nil {
		return Outcome{}, err
	}
	evaluators, err := sorted("evaluator", epoch.Evaluators, func(e Evaluator) Key { return e.Key })
	if err != nil {
		return Outcome{}, err
	}
	peers, err := sorted("peer", epoch.Peers, func(p Peer) Key { return p.Key })
	if err != nil {
		return Outcome{}, err
	}
	counted, caps, err := countStakes(params, evaluators)
	if err != nil {
		return Outcome{}, err
	}
	weights, stale, err := readWeights(params, evaluators, peers)
	if err != nil {
		return Outcome{}, err
	}
	bonds, err := readBonds(params, evaluators, peers, epoch.Bonds)
	if err != nil {
		return Outcome{}, err
	}
	r := newRound(evaluators, counted, weights, bonds, len(peers))
	r.run(params)
	return r.outcome(evaluators, peers, counted, stale, caps), nil
}

func (p Params) check() error {
	if err := errors.Join(unit("majority", p.Majority), unit("bonds penalty", p.Penalty), unit("alpha", p.Alpha), unit("forfeit", p.Forfeit)); err != nil {
		return err
	}
	if p.Liquid == nil {
		return nil
	}
	if !p.PerPair {
		return errors.New("liquid alpha without bonds per pair; set both or neither")
	}
	if p.Liquid.Low > p.Liquid.High {
		return fmt.Errorf("liquid alpha from %v to %v; the lower comes first", p.Liquid.Low, p.Liquid.High)
	}
	return errors.Join(unit("liquid alpha", p.Liquid.Low), unit("liquid alpha", p.Liquid.High))
}

// unit holds a parameter to [0, 1].
func unit(name string, x Fixed) error {
	if x < 0 || x > One {
		return fmt.Errorf("%s %v is not in [0, 1]; vote for one that is", name, x)
	}
	return nil
}

// sorted is a sorted copy; what is the noun of the error.
func sorted[T any](what string, in []T, key func(T) Key) ([]T, error) {
	out := slices.SortedStableFunc(slices.Values(in), func(a, b T) int { return key(a).compare(key(b)) })
	for i := 1; i < len(out); i++ {
		if key(out[i]).ID == key(out[i-1]).ID {
			return nil, fmt.Errorf("two records of %s %q; keep one", what, key(out[i]).ID)
		}
	}
	return out, nil
}

// readWeights is the matrix of weights, masked (the diagonal, rows without a
// permit, peers that are not there) and each row normalised; and how many
// weights of each row named nobody.
func readWeights(params Params, evaluators []Evaluator, peers []Peer) (w [][]Fixed, stale []int, err error) {
	w, stale = matrix(len(evaluators), len(peers)), make([]int, len(evaluators))
	for i, e := range evaluators {
		if e.Barred || e.Withheld {
			continue
		}
		values, seen, total := make([]uint64, len(peers)), make([]bool, len(peers)), uint64(0)
		for _, weight := range e.Ranking {
			j, found := find(peers, params.key(weight.Peer), func(p Peer) Key { return params.key(p.Key) })
			if !found {
				stale[i]++
				if !params.on(ghosts) {
					total += uint64(weight.Value)
				}
				continue
			}
			if seen[j] {
				return nil, nil, fmt.Errorf("evaluator %q ranks peer %q twice; keep one weight", e.ID, weight.Peer.ID)
			}
			seen[j] = true
			if owner := cmp.Or(peers[j].Owner, peers[j].ID); params.on(diagonal) && (owner == e.ID || owner == cmp.Or(e.Entity, e.ID)) {
				continue
			}
			values[j] = uint64(weight.Value)
			total += values[j] // of fewer than 2^32 peers: no overflow
		}
		for j, value := range values {
			w[i][j] = Ratio(value, total)
		}
	}
	return w, stale, nil
}

// readBonds is the matrix of bonds between those that are there.
func readBonds(params Params, evaluators []Evaluator, peers []Peer, bonds []Bond) ([][]Fixed, error) {
	b := matrix(len(evaluators), len(peers))
	seen := make(map[[2]int]bool, len(bonds))
	for _, bond := range bonds {
		i, mine := find(evaluators, params.key(bond.Evaluator), func(e Evaluator) Key { return params.key(e.Key) })
		j, there := find(peers, params.key(bond.Peer), func(p Peer) Key { return params.key(p.Key) })
		if !mine || !there {
			continue // somebody left, or registered again
		}
		if seen[[2]int{i, j}] {
			return nil, fmt.Errorf("two bonds of evaluator %q on peer %q; keep one", bond.Evaluator.ID, bond.Peer.ID)
		}
		seen[[2]int{i, j}] = true
		b[i][j] = max(bond.Value, 0)
		if evaluators[i].Withheld {
			b[i][j] = b[i][j].Sub(params.Forfeit.Mul(b[i][j]))
		}
	}
	return b, nil
}

// key is what a record is known by.
func (p Params) key(k Key) Key {
	if !p.on(registrations) {
		k.Registered = 0
	}
	return k
}

func find[T any](list []T, key Key, of func(T) Key) (int, bool) {
	return slices.BinarySearchFunc(list, key, func(t T, k Key) int { return of(t).compare(k) })
}

func matrix(rows, columns int) [][]Fixed {
	m := make([][]Fixed, rows)
	cells := make([]Fixed, rows*columns)
	for i := range m {
		m[i] = cells[i*columns : (i+1)*columns : (i+1)*columns]
	}
	return m
}

func (r *round) outcome(evaluators []Evaluator, peers []Peer, counted []uint64, stale []int, caps []Cap) Outcome {
	out := Outcome{Caps: caps}
	for i, e := range evaluators {
		out.Evaluators = append(out.Evaluators, EvaluatorOutcome{
			Key: e.Key, Counted: counted[i], Stake: r.stake[i], Active: r.active[i],
			Trust: r.evaluatorTrust[i], Dividend: r.dividends[i], Stale: stale[i],
		})
		for j, p := range peers {
			if r.bonds[i][j] > 0 {
				out.Bonds = append(out.Bonds, Bond{Evaluator: e.Key, Peer: p.Key, Value: r.bonds[i][j]})
			}
		}
	}
	for j, p := range peers {
		out.Peers = append(out.Peers, PeerOutcome{
			Key: p.Key, Consensus: r.consensus[j], Trust: r.trust[j], Rank: r.ranks[j], Incentive: r.incentive[j],
		})
	}
	return out
}
