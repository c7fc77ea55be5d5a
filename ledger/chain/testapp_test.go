package chain

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"sort"
	"strings"

	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/tree"
)

// testApp is an App with words for transactions: each is recorded once; those
// that begin with "bad" Check refuses, those with "late" only Apply.
func testApp(t *tree.Tree) App {
	return App{Tree: t, Genesis: testGenesis, Apply: testApply, Check: testCheck}
}

func testGenesis(state []byte) ([]ledger.Write, error) {
	if len(state) == 0 {
		return nil, errors.New("no state")
	}
	return []ledger.Write{{Key: []byte("genesis"), Value: state}}, nil
}

func testApply(v ledger.View, b ledger.Block) ledger.Outcome {
	var out ledger.Outcome
	seen := map[string]bool{}
	for _, tx := range b.Txs {
		r := testCheck(v, b.Time, tx)
		if bytes.HasPrefix(tx, []byte("late")) {
			r = ledger.Result{Code: ledger.Late, Detail: "late"}
		}
		if r.Code == ledger.OK && seen[string(tx)] {
			r = ledger.Result{Code: ledger.Replayed}
		}
		if out.Results = append(out.Results, r); r.Code != ledger.OK {
			continue
		}
		seen[string(tx)] = true
		out.Leaves = append(out.Leaves, tx)
		out.Writes = append(out.Writes, ledger.Write{Key: testKey(tx), Value: []byte{1}})
	}
	sort.Slice(out.Writes, func(i, j int) bool { return bytes.Compare(out.Writes[i].Key, out.Writes[j].Key) < 0 })
	return out
}

func testCheck(v ledger.View, _ int64, tx []byte) ledger.Result {
	switch {
	case strings.HasPrefix(string(tx), "bad"):
		return ledger.Result{Code: ledger.Forbidden, Detail: "bad"}
	case v.Get(testKey(tx)) != nil:
		return ledger.Result{Code: ledger.Replayed, Detail: "again"}
	}
	return ledger.Result{}
}

// testKey is short, whatever the transaction: a key of the state has a limit.
func testKey(tx []byte) []byte {
	digest := sha256.Sum256(tx)
	return digest[:]
}

func has(txs [][]byte, tx string) bool {
	for _, x := range txs {
		if string(x) == tx {
			return true
		}
	}
	return false
}
