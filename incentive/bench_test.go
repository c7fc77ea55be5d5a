package incentive

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// The cost of closing an epoch, which every validator pays in one block.
func BenchmarkRank(b *testing.B) {
	for _, size := range []struct{ evaluators, peers int }{{8, 64}, {64, 448}, {256, 1024}} {
		rng := rand.New(rand.NewPCG(1, 1))
		var e Epoch
		for j := range size.peers {
			e.Peers = append(e.Peers, Peer{Key: key(fmt.Sprintf("p%05d", j))})
		}
		for i := range size.evaluators {
			v := Evaluator{Key: key(fmt.Sprintf("e%05d", i)), Stake: 1 + rng.Uint64N(1000)}
			for _, p := range e.Peers {
				v.Ranking = append(v.Ranking, Weight{Peer: p.Key, Value: rng.Uint32N(1000)})
			}
			e.Evaluators = append(e.Evaluators, v)
		}
		b.Run(fmt.Sprintf("evaluators=%d/peers=%d", size.evaluators, size.peers), func(b *testing.B) {
			for b.Loop() {
				o, err := Rank(DefaultParams(), e)
				if err != nil {
					b.Fatal(err)
				}
				e.Bonds = o.Bonds
			}
		})
	}
}

// Exact values by definition, of the most players an audit takes.
func BenchmarkShapley(b *testing.B) {
	s := useful(rand.New(rand.NewPCG(1, 1)), 10, 8)
	p, g := s.gram(b)
	for b.Loop() {
		if _, err := Shapley(10, GramGame(p, g)); err != nil {
			b.Fatal(err)
		}
	}
}
