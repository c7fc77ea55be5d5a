package incentive

import (
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
)

// The state that vectors of whole epochs are about: upstream's, in slots and 16
// bits. The ledger has none of it; what is computed from it is [Rank]'s.

const maxU16 = 65535

// upstream's parameters, with its defaults.
type upstreamParams struct {
	Kappa     *uint16 `json:"kappa_u16"`
	Penalty   *uint16 `json:"bonds_penalty_u16"`
	Moving    *uint64 `json:"bonds_ma"` // millionths of bonds that stay
	Emission  *uint64
	Owner     *int
	PerPair   bool `json:"yuma3"`
	Liquid    *struct{ Low, High, Steepness number }
	Permitted *int `json:"max_validators"`
}

// An upstreamEpoch is what changes before an epoch. Weights stay until they are
// set again; the rest is of this epoch only.
type upstreamEpoch struct {
	Set      map[string][][2]uint64 `json:"set_weights"` // evaluator → (peer, weight)
	Inactive []bool
	Forbid   []bool   // has no permit
	Mask     [][2]int // weights (evaluator, peer) older than the peer's registration
	Reset    *int     `json:"reset_bonds_col"`
	Stake    []number // from now on
}

// A subnet is upstream's state: nodes in slots, weights and bonds of 16 bits.
type subnet struct {
	params  Params
	perPair bool
	units   uint64 // of emission
	owner   int    // may rank itself; −1: nobody
	first   int    // server
	permits int
	stake   []uint64
	weights []map[int]uint32
	bonds   [][]uint64
	last    Outcome
}

func newSubnet(stake []number, p upstreamParams, first int) (*subnet, error) {
	n := len(stake)
	net := &subnet{
		perPair: p.PerPair, units: value(p.Emission, 1_000_000_000), owner: value(p.Owner, -1), first: first, permits: value(p.Permitted, n),
		stake: make([]uint64, n), weights: make([]map[int]uint32, n), bonds: make([][]uint64, n),
	}
	if err := net.setStake(stake); err != nil {
		return nil, err
	}
	for i := range n {
		net.weights[i], net.bonds[i] = map[int]uint32{}, make([]uint64, n)
	}
	net.params = Params{
		Majority: max(1, Ratio(uint64(value(p.Kappa, 32767)), maxU16)), // 0 is ours; any stake at all is upstream's
		Penalty:  Ratio(uint64(value(p.Penalty, maxU16)), maxU16),
		Alpha:    One - Ratio(value(p.Moving, 900_000), 1_000_000),
		PerPair:  p.PerPair,
	}
	if p.Liquid != nil && p.PerPair { // upstream's second version has none
		net.params.Liquid = &Liquid{Low: nearest(p.Liquid.Low.or(0)), High: nearest(p.Liquid.High.or(1)), Steepness: nearest(p.Liquid.Steepness.or(1000))}
	}
	return net, nil
}

// setStake takes stakes with decimals too: only their ratios count.
func (net *subnet) setStake(stake []number) error {
	if len(stake) != len(net.stake) {
		return fmt.Errorf("%d stakes for %d nodes", len(stake), len(net.stake))
	}
	scale := big.NewInt(1)
	for _, s := range stake {
		scale.Mul(scale, new(big.Int).Quo(s.or(0).Denom(), new(big.Int).GCD(nil, nil, scale, s.or(0).Denom())))
	}
	for i, s := range stake {
		units := new(big.Rat).Mul(s.or(0), new(big.Rat).SetInt(scale)).Num()
		if !units.IsUint64() {
			return fmt.Errorf("stake %d, %s, is negative or has too many digits", i, s.or(0).RatString())
		}
		net.stake[i] = units.Uint64()
	}
	return nil
}

func value[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

// run applies an epoch's changes, ranks, and keeps bonds as upstream stores
// them.
func (net *subnet) run(epoch upstreamEpoch) error {
	n := len(net.stake)
	if err := net.change(epoch); err != nil {
		return err
	}
	masked := map[[2]int]bool{}
	for _, pair := range epoch.Mask {
		masked[pair] = true
	}
	in := Epoch{}
	for i := range n {
		e := Evaluator{Key: slot(i), Stake: net.stake[i], Inactive: flag(epoch.Inactive, i), Barred: flag(epoch.Forbid, i)}
		for _, j := range slices.Sorted(maps.Keys(net.weights[i])) {
			if !masked[[2]int{i, j}] {
				e.Ranking = append(e.Ranking, Weight{Peer: slot(j), Value: net.weights[i][j]})
			}
		}
		peer := Peer{Key: slot(i)}
		if i == net.owner {
			peer.Owner = "nobody"
		}
		in.Evaluators, in.Peers = append(in.Evaluators, e), append(in.Peers, peer)
		for j, b := range net.bonds[i] {
			value := Fixed(b) * One // column shares, to be normalised
			if net.perPair {
				value = Ratio(b, maxU16)
			}
			in.Bonds = append(in.Bonds, Bond{Evaluator: slot(i), Peer: slot(j), Value: value})
		}
	}
	out, err := Rank(net.params, in)
	if err != nil {
		return err
	}
	net.last = out
	net.keep(epoch)
	return nil
}

// change sets stakes and weights and resets bonds.
func (net *subnet) change(epoch upstreamEpoch) error {
	n := len(net.stake)
	if epoch.Stake != nil {
		if err := net.setStake(epoch.Stake); err != nil {
			return err
		}
	}
	for _, name := range sortedKeys(epoch.Set) {
		i, err := strconv.Atoi(name)
		if err != nil || i < 0 || i >= n {
			return fmt.Errorf("weights of %q; there are nodes 0 to %d", name, n-1)
		}
		net.weights[i] = map[int]uint32{}
		for _, w := range epoch.Set[name] {
			if w[0] >= uint64(n) || w[1] > maxU16 {
				return fmt.Errorf("weight %d on %d; weights have 16 bits, nodes are 0 to %d", w[1], w[0], n-1)
			}
			net.weights[i][int(w[0])] = uint32(w[1])
		}
	}
	if j := epoch.Reset; j != nil {
		if *j < 0 || *j >= n {
			return fmt.Errorf("bonds on %d; nodes are 0 to %d", *j, n-1)
		}
		for i := range net.bonds {
			net.bonds[i][*j] = 0
		}
	}
	return nil
}

// keep stores bonds of those that have a permit next: the largest stakes above
// zero.
func (net *subnet) keep(epoch upstreamEpoch) {
	n := len(net.stake)
	bonds := matrix(n, n)
	at := map[string]int{}
	for i := range n {
		at[slot(i).ID] = i
	}
	for _, b := range net.last.Bonds {
		bonds[at[b.Evaluator.ID]][at[b.Peer.ID]] = b.Value
	}
	if !net.perPair {
		bonds = columnUpscale(bonds)
	}
	order := byScore(pick(net.last.Evaluators, func(e EvaluatorOutcome) Fixed { return e.Stake }))
	permitted := make([]bool, n)
	for _, i := range order[min(n, max(0, n-net.permits)):] {
		permitted[i] = net.last.Evaluators[i].Stake > 0
	}
	for i, row := range bonds {
		for j, b := range row {
			switch {
			case permitted[i]:
				net.bonds[i][j] = b.of16()
			case !flag(epoch.Forbid, i):
				net.bonds[i][j] = 0
			}
		}
	}
}

// columnUpscale divides each column by its largest entry.
func columnUpscale(m [][]Fixed) [][]Fixed {
	out := matrix(len(m), len(m))
	for j := range m {
		most := slices.Max(column(m, j))
		for i := range m {
			out[i][j] = m[i][j].Div(most)
		}
	}
	return out
}

// slot names a node so that names sort as numbers do.
func slot(i int) Key { return Key{ID: fmt.Sprintf("%09d", i)} }

func flag(list []bool, i int) bool { return i < len(list) && list[i] }
