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

// epochs runs a subnet and compares it after every epoch.
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
		"S":  pick(net.last.Evaluators, func(e EvaluatorOutcome) Fixed { return e.Stake }),
		"A":  pick(net.last.Evaluators, func(e EvaluatorOutcome) Fixed { return e.Active }),
		"Tv": pick(net.last.Evaluators, func(e EvaluatorOutcome) Fixed { return e.Trust }),
		"D":  pick(net.last.Evaluators, func(e EvaluatorOutcome) Fixed { return e.Dividend }),
		"C":  pick(net.last.Peers, func(p PeerOutcome) Fixed { return p.Consensus }),
		"T":  pick(net.last.Peers, func(p PeerOutcome) Fixed { return p.Trust }),
		"R":  pick(net.last.Peers, func(p PeerOutcome) Fixed { return p.Rank }),
		"I":  pick(net.last.Peers, func(p PeerOutcome) Fixed { return p.Incentive }),
	}
}

func (net *subnet) named() map[string][]Fixed {
	r := net.results()
	return map[string][]Fixed{
		"stake": r["S"], "validator_trust": r["Tv"], "dividends": r["D"],
		"consensus": r["C"], "trust": r["T"], "rank": r["I"], "ranks": r["I"], "incentive": r["I"],
	}
}

// pick is one number of each.
func pick[T any](list []T, of func(T) Fixed) []Fixed {
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

// cutLast cuts around the last separator.
func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
