package incentive

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

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

func (v vector) epochs() error {
	var in struct {
		Stake  []number
		Params upstreamParams
		First  int `json:"first_server"`
		Epochs []upstreamEpoch
	}
	if err := v.read(&in); err != nil {
		return err
	}
	var want []map[string]json.RawMessage
	if err := json.Unmarshal(v.Expect, &want); err != nil {
		return fmt.Errorf("expect: %w", err)
	}
	if len(want) > len(in.Epochs) {
		return fmt.Errorf("%d epochs, %d expectations", len(in.Epochs), len(want))
	}
	if !slices.ContainsFunc(want, func(m map[string]json.RawMessage) bool { return len(m) > 0 }) {
		return errors.New("it expects nothing")
	}
	net, err := newSubnet(in.Stake, in.Params, in.First)
	if err != nil {
		return err
	}
	for i, epoch := range in.Epochs {
		if err := net.run(epoch); err != nil {
			return fmt.Errorf("epoch %d: %w", i, err)
		}
		if i >= len(want) {
			break // nothing expected from here on
		}
		for _, name := range sortedKeys(want[i]) {
			if err := net.compare(v, name, want[i][name]); err != nil {
				return fmt.Errorf("epoch %d: %w", i, err)
			}
		}
	}
	return nil
}

func newSubnet(stake []number, p upstreamParams, first int) (*subnet, error) {
	n := len(stake)
	net := &subnet{
		perPair: p.PerPair, units: value(p.Emission, 1_000_000_000), owner: value(p.Owner, -1), first: first, permits: value(p.Permitted, n),
		stake: make([]uint64, n), weights: make([]map[int]uint32, n), bonds: make([][]uint64, n),
	}
	scale := big.NewInt(1) // stakes may have decimals; only their ratios count
	for _, s := range stake {
		scale.Mul(scale, new(big.Int).Quo(s.or(0).Denom(), new(big.Int).GCD(nil, nil, scale, s.or(0).Denom())))
	}
	for i, s := range stake {
		units := new(big.Rat).Mul(s.or(0), new(big.Rat).SetInt(scale)).Num()
		if !units.IsUint64() {
			return nil, fmt.Errorf("stake %d, %s, is negative or has too many digits", i, s.or(0).RatString())
		}
		net.stake[i], net.weights[i], net.bonds[i] = units.Uint64(), map[int]uint32{}, make([]uint64, n)
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

// change sets weights and resets bonds.
func (net *subnet) change(epoch upstreamEpoch) error {
	n := len(net.stake)
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
	order := byScore(column2(net.last.Evaluators, func(e EvaluatorOutcome) Fixed { return e.Stake }))
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

// compare is one expectation: a list of an epoch's results by its letter, in
// Q32.32, or by its name and the form it is stored or shown in.
func (net *subnet) compare(v vector, name string, raw json.RawMessage) error {
	server, validator, combined := net.emission()
	switch name {
	case "E":
		return v.sameUnits(name, combined, raw)
	case "server_E":
		return v.sameUnits(name, server, raw)
	case "validator_E":
		return v.sameUnits(name, validator, raw)
	case "bonds_at":
		return net.bondsAt(v, raw)
	case "bonds_prop":
		return net.bondsShares(v, raw)
	}
	if got, known := net.results()[name]; known {
		return v.sameFixed(name, got, raw, nearest)
	}
	base, form, _ := cutLast(name, "_")
	got, known := net.named()[base]
	if !known {
		return unknown(name)
	}
	stored := make([]uint64, len(got))
	for i, x := range got {
		stored[i] = x.of16()
	}
	switch form {
	case "u16":
		return v.sameUnits(name, stored, raw)
	case "prop":
		shares := make([]Fixed, len(got))
		for i := range got {
			shares[i] = Ratio(stored[i], maxU16)
		}
		return v.sameFixed(name, shares, raw, nearest)
	}
	return unknown(name)
}

func (net *subnet) results() map[string][]Fixed {
	return map[string][]Fixed{
		"S":  column2(net.last.Evaluators, func(e EvaluatorOutcome) Fixed { return e.Stake }),
		"A":  column2(net.last.Evaluators, func(e EvaluatorOutcome) Fixed { return e.Active }),
		"Tv": column2(net.last.Evaluators, func(e EvaluatorOutcome) Fixed { return e.Trust }),
		"D":  column2(net.last.Evaluators, func(e EvaluatorOutcome) Fixed { return e.Dividend }),
		"C":  column2(net.last.Peers, func(p PeerOutcome) Fixed { return p.Consensus }),
		"T":  column2(net.last.Peers, func(p PeerOutcome) Fixed { return p.Trust }),
		"R":  column2(net.last.Peers, func(p PeerOutcome) Fixed { return p.Rank }),
		"I":  column2(net.last.Peers, func(p PeerOutcome) Fixed { return p.Incentive }),
	}
}

func (net *subnet) named() map[string][]Fixed {
	r := net.results()
	return map[string][]Fixed{
		"stake": r["S"], "validator_trust": r["Tv"], "dividends": r["D"],
		"consensus": r["C"], "trust": r["T"], "rank": r["I"], "incentive": r["I"],
	}
}

func column2[T any](list []T, of func(T) Fixed) []Fixed {
	out := make([]Fixed, len(list))
	for i, x := range list {
		out[i] = of(x)
	}
	return out
}

// emission is what upstream pays: incentive and dividends over their sum, each
// truncated; stake if there are none. We carry instead, and lose nothing.
func (net *subnet) emission() (server, validator, combined []uint64) {
	r := net.results()
	both := make([]Fixed, len(net.stake))
	for i := range both {
		both[i] = r["I"][i].Add(r["D"][i])
	}
	total := sum(both)
	servers, validators := r["I"], r["D"]
	if total == 0 {
		validators = r["A"]
		if sum(validators) == 0 {
			validators = r["S"]
		}
		both, total = validators, One
	}
	pay := func(shares []Fixed) []uint64 {
		out := make([]uint64, len(shares))
		for i, s := range shares {
			out[i] = s.Div(total).Of(net.units)
		}
		return out
	}
	return pay(servers), pay(validators), pay(both)
}

func (net *subnet) bondsAt(v vector, raw json.RawMessage) error {
	var want map[string]json.RawMessage
	if err := json.Unmarshal(raw, &want); err != nil {
		return fmt.Errorf("expect bonds_at: %w", err)
	}
	for _, name := range sortedKeys(want) {
		row, col, _ := strings.Cut(name, ",")
		i, err1 := strconv.Atoi(strings.TrimSpace(row))
		j, err2 := strconv.Atoi(strings.TrimSpace(col))
		if err := errors.Join(err1, err2); err != nil || min(i, j) < 0 || max(i, j) >= len(net.bonds) {
			return fmt.Errorf("expect bonds_at %q: no such pair", name)
		}
		if err := v.sameNumber("bond "+name, new(big.Rat).SetUint64(net.bonds[i][j]), want[name]); err != nil {
			return err
		}
	}
	return nil
}

// bondsShares are validators against servers.
func (net *subnet) bondsShares(v vector, raw json.RawMessage) error {
	var want [][]json.RawMessage
	if err := json.Unmarshal(raw, &want); err != nil {
		return fmt.Errorf("expect bonds_prop: %w", err)
	}
	var got [][]Fixed
	for i := range want {
		var row []Fixed
		for j := range want[i] {
			if i >= len(net.bonds) || net.first < 0 || net.first+j >= len(net.bonds) {
				return errors.New("expect bonds_prop: larger than the subnet")
			}
			row = append(row, Ratio(net.bonds[i][net.first+j], maxU16))
		}
		got = append(got, row)
	}
	return v.sameMatrix("bonds_prop", got, raw, nearest)
}

// epochV1 is the whitepaper's rule, as upstream's first version had it.
func (v vector) epochV1() error {
	var in struct {
		Stake   []number
		Weights [][][2]uint64 `json:"weights_sparse_u16"`
		Rho     number
		Kappa   *uint16 `json:"kappa_u16"`
	}
	if err := v.read(&in); err != nil {
		return err
	}
	net, err := newSubnet(in.Stake, upstreamParams{}, 0)
	if err != nil {
		return err
	}
	net.params.Whitepaper = &Whitepaper{Rho: nearest(in.Rho.or(10)), Kappa: Ratio(uint64(value(in.Kappa, 32767)), maxU16)}
	set := map[string][][2]uint64{}
	for i, row := range in.Weights {
		set[strconv.Itoa(i)] = row
	}
	if err := net.run(upstreamEpoch{Set: set}); err != nil {
		return err
	}
	return v.all(func(name string, raw json.RawMessage) error { return net.compare(v, name, raw) })
}

// cutLast cuts around the last separator.
func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
