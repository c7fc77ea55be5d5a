package incentive

import (
	"cmp"
	"errors"
	"maps"
	"math/big"
	"slices"
)

// A Cap is an entity whose stake the cap limited: Stake is what its evaluators
// hold, Counted what counts of it.
type Cap struct {
	Entity         string
	Stake, Counted uint64
}

// countStakes is what counts of each evaluator's stake, after the threshold and
// the cap per entity, and the entities that were limited. The cap is among those
// that are active and permitted, whose stake decides: nobody passes it because
// others are away.
//
// The cap is a share of what counts, not of what is held: with stakes 80, 10, 10
// and 10 and a cap of a quarter, the first counts 10 of a total of 40 (a quarter
// of what is held would be 27 of 57, nearly a majority).
// The level is the highest one with level ≤ cap · Σ min(stake, level), rounded
// down. If there are too few entities for any such level (two entities, and a
// cap of a third), all are limited to the stake of the smallest. The excess
// counts for nobody; it stays staked, is neither moved nor taken. Within an
// entity the level is divided among its evaluators by stake, by largest
// remainder.
func countStakes(params Params, evaluators []Evaluator) (counted []uint64, caps []Cap, err error) {
	counted = make([]uint64, len(evaluators))
	var total uint64
	members := map[string][]int{}
	for i, e := range evaluators {
		if e.Stake < params.MinStake {
			continue
		}
		var fits bool
		if total, fits = addStake(total, e.Stake); !fits {
			return nil, nil, errors.New("stakes add up to 2^64 or more; no supply is that large")
		}
		counted[i] = e.Stake
		if e.Stake > 0 && !e.Inactive && !e.Barred {
			entity := cmp.Or(e.Entity, e.ID)
			members[entity] = append(members[entity], i)
		}
	}
	if params.EntityCap <= 0 || params.EntityCap >= One || len(members) == 0 {
		return counted, nil, nil
	}
	var held []Cap
	for _, entity := range slices.Sorted(maps.Keys(members)) {
		c := Cap{Entity: entity}
		for _, i := range members[entity] {
			c.Stake += counted[i]
		}
		held = append(held, c)
	}
	level := capLevel(params.EntityCap, held)
	for _, c := range held {
		if c.Stake <= level {
			continue
		}
		c.Counted = level
		caps = append(caps, c)
		shares := make([]Share, 0, len(members[c.Entity]))
		for _, i := range members[c.Entity] {
			shares = append(shares, Share{ID: evaluators[i].ID, Weight: counted[i]})
		}
		for k, units := range Split(level, shares) {
			counted[members[c.Entity][k]] = units
		}
	}
	return counted, caps, nil
}

// capLevel is the most that may count of any entity.
func capLevel(limit Fixed, held []Cap) uint64 {
	stakes := make([]uint64, len(held))
	rest := new(big.Int)
	for i, c := range held {
		stakes[i] = c.Stake
		rest.Add(rest, new(big.Int).SetUint64(c.Stake))
	}
	slices.SortFunc(stakes, func(a, b uint64) int { return cmp.Compare(b, a) })
	// With the k largest at the level, level = cap·(k·level + rest).
	share := big.NewInt(int64(limit))
	for k, next := range stakes {
		free := new(big.Int).Sub(big.NewInt(int64(One)), new(big.Int).Mul(share, big.NewInt(int64(k))))
		if free.Sign() <= 0 {
			break
		}
		level := new(big.Int).Mul(share, rest)
		level.Quo(level, free)
		if level.Cmp(new(big.Int).SetUint64(next)) >= 0 {
			return level.Uint64() // at most the total, which fits
		}
		rest.Sub(rest, new(big.Int).SetUint64(next))
	}
	return stakes[len(stakes)-1]
}
