package incentive

import (
	"encoding/json"
	"fmt"
	"math/big"
)

// The checks of vectors declared in IEEE double. Nothing here is part of
// consensus: a twin of the rule in binary floating point of 128 bits, more than
// a double has, so that tolerances of 1e-15 mean what they say.

const precision = 128

func float(x *big.Rat) *big.Float { return new(big.Float).SetPrec(precision).SetRat(x) }

func zero() *big.Float { return new(big.Float).SetPrec(precision) }

// floatOf is x, or a default.
func floatOf(n number, otherwise int64) *big.Float { return float(n.or(otherwise)) }

func times(a, b *big.Float) *big.Float { return zero().Mul(a, b) }
func plus(a, b *big.Float) *big.Float  { return zero().Add(a, b) }
func minus(a, b *big.Float) *big.Float { return zero().Sub(a, b) }

// over is a/b, 0 if b is 0.
func over(a, b *big.Float) *big.Float {
	if b.Sign() == 0 {
		return zero()
	}
	return zero().Quo(a, b)
}

// logistic is 1/(1+e^−x). Beyond ±1000 it is 0 or 1 in a double.
func logistic(x *big.Float) *big.Float {
	bound := float(big.NewRat(1000, 1))
	if x.Cmp(bound) > 0 {
		return float(big.NewRat(1, 1))
	}
	if x.Cmp(zero().Neg(bound)) < 0 {
		return zero()
	}
	// e^−x = (e^(−x/2^k))^(2^k), the inner exponent below 2^−10.
	const halvings = 20
	small := zero().SetMantExp(zero().Neg(x), -halvings)
	e, term := float(big.NewRat(1, 1)), float(big.NewRat(1, 1))
	for i := int64(1); i < 16; i++ { // 2^−160 and less
		term = over(times(term, small), float(big.NewRat(i, 1)))
		e = plus(e, term)
	}
	for range halvings {
		e = times(e, e)
	}
	one := float(big.NewRat(1, 1))
	return over(one, plus(one, e))
}

func shares(in []*big.Float) []*big.Float {
	all := zero()
	for _, x := range in {
		all = plus(all, x)
	}
	out := make([]*big.Float, len(in))
	for i, x := range in {
		out[i] = over(x, all)
	}
	return out
}

func (v vector) sameFloats(name string, got []*big.Float, raw json.RawMessage) error {
	out := make([]*big.Rat, len(got))
	for i, x := range got {
		out[i], _ = x.Rat(nil)
	}
	return v.sameRats(name, out, raw)
}

// whitepaper is R = WᵀS, T = [W>0]ᵀS, C = σ(ρ(T−κ)), I = R∘C over its sum.
func (v vector) whitepaper() error {
	var in struct {
		Stake      []number
		Weights    [][]number
		Rho, Kappa number
	}
	if err := v.read(&in); err != nil {
		return err
	}
	n, err := rectangle(in.Weights, len(in.Stake))
	if err != nil {
		return err
	}
	rho, kappa := floatOf(in.Rho, 10), float(big.NewRat(1, 2))
	if in.Kappa.rat != nil {
		kappa = float(in.Kappa.rat)
	}
	results := map[string][]*big.Float{}
	var products []*big.Float
	for j := range n {
		r, t := zero(), zero()
		for i, s := range in.Stake {
			w := floatOf(in.Weights[i][j], 0)
			r = plus(r, times(w, floatOf(s, 0)))
			if w.Sign() > 0 {
				t = plus(t, floatOf(s, 0))
			}
		}
		c := logistic(times(rho, minus(t, kappa)))
		results["R"], results["T"], results["C"] = append(results["R"], r), append(results["T"], t), append(results["C"], c)
		products = append(products, times(r, c))
	}
	results["I"] = shares(products)
	return v.all(func(name string, raw json.RawMessage) error {
		if name != "R" && name != "T" && name != "C" && name != "I" {
			return unknown(name)
		}
		return v.sameFloats(name, results[name], raw)
	})
}

// stakeRace is two stakes that grow by what they earn, rank times trust.
func (v vector) stakeRace() error {
	var in struct {
		A    number `json:"stake_A"`
		B    number `json:"stake_B"`
		Tau  number
		Temp number
	}
	if err := v.read(&in); err != nil {
		return err
	}
	return v.only("cabal_share", func(raw json.RawMessage) error {
		var want []number
		if err := json.Unmarshal(raw, &want); err != nil {
			return fmt.Errorf("expect cabal_share: %w", err)
		}
		if len(want) > 10_000 {
			return fmt.Errorf("%d rounds, at most 10000", len(want))
		}
		stake := shares([]*big.Float{floatOf(in.A, 0), floatOf(in.B, 0)})
		var got []*big.Float
		for range want {
			earned := make([]*big.Float, 2)
			for k, s := range stake {
				earned[k] = times(s, logistic(times(floatOf(in.Temp, 10), minus(s, float(big.NewRat(1, 2))))))
			}
			for k, e := range shares(earned) {
				stake[k] = plus(stake[k], times(floatOf(in.Tau, 0), e))
			}
			stake = shares(stake)
			got = append(got, stake[1])
		}
		return v.sameFloats("cabal_share", got, raw)
	})
}

// twoTeam is one epoch between honest stake S_H, which gives its own peers W_H,
// and a cabal, which gives its own W_C: what the honest earn as evaluators and
// peers together.
func (v vector) twoTeam() error {
	var in struct {
		Stake  number `json:"S_H"`
		Honest number `json:"W_H"`
		Cabal  number `json:"W_C"`
		Beta   number
		Xi     number
	}
	if err := v.read(&in); err != nil {
		return err
	}
	one, half := float(big.NewRat(1, 1)), float(big.NewRat(1, 2))
	xi := half
	if in.Xi.rat != nil {
		xi = float(in.Xi.rat)
	}
	beta, h := floatOf(in.Beta, 1), floatOf(in.Stake, 0)
	stake := []*big.Float{h, minus(one, h)}
	wh, wc := floatOf(in.Honest, 0), floatOf(in.Cabal, 0)
	weights := [][]*big.Float{{wh, minus(one, wh)}, {minus(one, wc), wc}} // of honest, of cabal
	bought := [][]*big.Float{{nil, nil}, {nil, nil}}
	ranks := make([]*big.Float, 2)
	for j := range 2 {
		// The higher weight that half the stake or more gives at least.
		c := zero()
		for k := range 2 {
			support := zero()
			for i := range 2 {
				if weights[i][j].Cmp(weights[k][j]) >= 0 {
					support = plus(support, stake[i])
				}
			}
			if support.Cmp(half) >= 0 && weights[k][j].Cmp(c) > 0 {
				c = weights[k][j]
			}
		}
		ranks[j] = zero()
		for i := range 2 {
			clipped := weights[i][j]
			if clipped.Cmp(c) > 0 {
				clipped = c
			}
			ranks[j] = plus(ranks[j], times(stake[i], clipped))
			bought[i][j] = times(stake[i], plus(weights[i][j], times(beta, minus(clipped, weights[i][j]))))
		}
	}
	incentive := shares(ranks)
	dividend := zero()
	for j := range 2 {
		dividend = plus(dividend, times(incentive[j], over(bought[0][j], plus(bought[0][j], bought[1][j]))))
	}
	earned := plus(times(xi, dividend), times(minus(one, xi), incentive[0]))
	return v.only("E_H", func(raw json.RawMessage) error {
		rat, _ := earned.Rat(nil)
		return v.sameNumber("E_H", rat, raw)
	})
}
