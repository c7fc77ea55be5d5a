package incentive_test

import (
	"fmt"
	"math/big"

	"github.com/commonseal/commonseal/incentive"
)

// An epoch is closed: three companies ranked two models, one of which two
// companies' data made.
func Example() {
	company := func(id string, good, poor uint32) incentive.Evaluator {
		return incentive.Evaluator{
			Key: incentive.Key{ID: id}, Stake: 100,
			Ranking: []incentive.Weight{{Peer: incentive.Key{ID: "good"}, Value: good}, {Peer: incentive.Key{ID: "poor"}, Value: poor}},
		}
	}
	outcome, err := incentive.Rank(incentive.DefaultParams(), incentive.Epoch{
		Evaluators: []incentive.Evaluator{company("ann", 3, 1), company("bob", 3, 1), company("cyd", 0, 1)},
		Peers:      []incentive.Peer{{Key: incentive.Key{ID: "good"}}, {Key: incentive.Key{ID: "poor"}, Owner: "cyd"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, p := range outcome.Peers {
		fmt.Printf("%s: consensus %v, incentive %v\n", p.ID, p.Consensus, p.Incentive)
	}

	const pot = 1000
	pools, err := incentive.DefaultRates().Pools(pot)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("pools", pools)
	fmt.Println("evaluators", incentive.Split(pools.Evaluators, outcome.Dividends()))
	fmt.Println("peers", incentive.Split(pools.Peers, outcome.Incentives()))

	settled, err := incentive.SettleModels(pools.Providers, []incentive.Model{
		{ID: "good", Incentive: outcome.Peers[0].Incentive, Values: []incentive.Value{
			{ID: "ann", Phi: big.NewInt(30)}, {ID: "bob", Phi: big.NewInt(15)}, {ID: "cyd", Phi: big.NewInt(-5), Escrow: 500},
		}},
		{ID: "poor", Incentive: outcome.Peers[1].Incentive},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("providers", settled.Credits, "debited", settled.Debits, "carried", settled.Carried)
	// Output:
	// good: consensus 0.75, incentive 0.75
	// poor: consensus 0.25, incentive 0.25
	// pools {0 500 250 250}
	// evaluators [250 250 0]
	// peers [188 62]
	// providers [{4 ann 141} {4 bob 70}] debited [{4 cyd 23}] carried 62
}
