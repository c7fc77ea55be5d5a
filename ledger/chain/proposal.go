package chain

import (
	"context"
	"crypto/sha256"
	"sync"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/types"

	"github.com/commonseal/commonseal/ledger"
)

const (
	maxBlockBytes = 1 << 20 // of one block; auditors refuse more
	maxVerdicts   = 4096    // remembered; more than fit in a block of usual transactions
)

var tooLarge = ledger.Result{Code: ledger.OverLimit, Detail: "a transaction has at most 64 KiB"}

// PrepareProposal is the block this node proposes: what waits in the mempool, in
// order, within the cap, and is accepted there. What the block has no room for
// waits for the next.
func (a *application) PrepareProposal(_ context.Context, req *abci.RequestPrepareProposal) (*abci.ResponsePrepareProposal, error) {
	a.door.enter()
	defer a.door.leave()
	view, height, _ := a.last()
	var waiting [][]byte
	var size int64
	for _, tx := range req.Txs {
		// As in the block, with the two headers of the encoding.
		n := types.ComputeProtoSizeForTxs([]types.Tx{tx})
		if size+n > req.MaxTxBytes {
			break
		}
		if a.check(view, height, req.Time.UnixMilli(), tx).Code == ledger.OK {
			size += n
			waiting = append(waiting, tx)
		}
	}
	var out [][]byte
	for i, r := range a.Apply(view, ledger.Block{Height: req.Height, Time: req.Time.UnixMilli(), Txs: waiting}).Results {
		if r.Code == ledger.OK {
			out = append(out, waiting[i])
		}
	}
	return &abci.ResponsePrepareProposal{Txs: out}, nil
}

// ProcessProposal accepts what an honest PrepareProposal makes: it asks the same
// question of the same state at the same time. A proposer who fills a block with
// refused transactions gets no votes for it.
func (a *application) ProcessProposal(_ context.Context, req *abci.RequestProcessProposal) (*abci.ResponseProcessProposal, error) {
	a.door.enter()
	defer a.door.leave()
	view, height, _ := a.last()
	for _, tx := range req.Txs {
		if a.check(view, height, req.Time.UnixMilli(), tx).Code != ledger.OK {
			return &abci.ResponseProcessProposal{Status: abci.ResponseProcessProposal_REJECT}, nil
		}
	}
	return &abci.ResponseProcessProposal{Status: abci.ResponseProcessProposal_ACCEPT}, nil
}

// check is Check, once for each transaction, state and time.
func (a *application) check(view ledger.View, height, now int64, tx []byte) ledger.Result {
	if len(tx) > ledger.MaxTx {
		return tooLarge
	}
	at := question{sha256.Sum256(tx), height, now}
	if r, ok := a.verdicts.get(at); ok {
		return r
	}
	r := a.Check(view, now, tx)
	a.verdicts.put(at, r)
	return r
}

// A question is everything an answer of Check depends on.
type question struct {
	tx     ledger.Digest
	height int64
	now    int64
}

// verdicts remembers answers of Check, in two generations of at most
// maxVerdicts/2: a proposer's own block and each round of a proposal ask again.
type verdicts struct {
	mu         sync.Mutex
	young, old map[question]ledger.Result
}

func (v *verdicts) get(q question) (ledger.Result, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if r, ok := v.young[q]; ok {
		return r, true
	}
	r, ok := v.old[q]
	return r, ok
}

func (v *verdicts) put(q question, r ledger.Result) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.young == nil || len(v.young) >= maxVerdicts/2 {
		v.young, v.old = make(map[question]ledger.Result), v.young
	}
	v.young[q] = r
}
