package chain

import (
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"

	"github.com/commonseal/commonseal/ledger"
)

// What was accepted counts when it is in a block, what was refused wherever it was.
func TestStats(t *testing.T) {
	a := begun(t)
	for _, tx := range []string{"good", "bad", "bad"} {
		if _, err := a.CheckTx(t.Context(), &abci.RequestCheckTx{Tx: []byte(tx), Type: abci.CheckTxType_New}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.CheckTx(t.Context(), &abci.RequestCheckTx{Tx: []byte("bad"), Type: abci.CheckTxType_Recheck}); err != nil {
		t.Fatal(err)
	}
	block(t, a, 1, "good", "late", "other")
	block(t, a, 2)
	s := a.counts.stats()
	if s.Recorded != 2 || s.Blocks != 2 || s.Refused[ledger.Forbidden] != 2 || s.Refused[ledger.Late] != 1 || len(s.Refused) != 2 || s.Applying <= 0 {
		t.Errorf("counted %+v", s)
	}
	s.Refused[ledger.Late] = 100
	if a.counts.stats().Refused[ledger.Late] != 1 {
		t.Error("who reads the counts writes them")
	}
}

// A running validator says how it does.
func TestNodeStats(t *testing.T) {
	specs, _ := founded(t, 1)
	n, stop := run(t, specs[0])
	together(t, []*Node{n}, []byte("a"))
	if s := n.Stats(); s.Height < 1 || s.Recorded != 1 || s.Leaves != 1 || s.Keys != 2 || s.Peers != 0 {
		t.Errorf("stats %+v", s)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if s := n.Stats(); s.Recorded != 1 {
		t.Errorf("stats of a stopped node %+v", s)
	}
}
