package ledger

import (
	"fmt"
	"testing"
)

// BenchmarkBlock applies the blocks that cost a validator most: 1 MiB of requests to
// join, each of which makes another give way, when there are as many members and
// requests as may be; and of votes.
func BenchmarkBlock(b *testing.B) {
	g := founding()
	for i := range MaxMembers - len(g.Members) {
		g.Members = append(g.Members, member(fmt.Sprint("m-", i), Company))
	}
	w := foundWorld(b, g)
	var joins, votes [][]byte
	for i := range MaxRequests {
		name := fmt.Sprint("first-", i)
		w.must(name, &Join{member(name, Company)})
	}
	for size := 0; size < 1<<20; size += len(joins[len(joins)-1]) {
		name := fmt.Sprint("j-", len(joins))
		joins = append(joins, w.sign(name, &Join{member(name, Company)}))
	}
	for i := range MaxMembers - len(founding().Members) {
		for j := range 16 {
			votes = append(votes, w.sign(fmt.Sprint("m-", i), &Revoke{fmt.Sprint("m-", j)}))
		}
	}
	for _, x := range []struct {
		name string
		txs  [][]byte
	}{{"joins", joins}, {"votes", votes}} {
		b.Run(fmt.Sprintf("of=%s/txs=%d", x.name, len(x.txs)), func(b *testing.B) {
			for b.Loop() {
				Apply(w.state, Block{Time: w.now, Txs: x.txs})
			}
		})
	}
}
