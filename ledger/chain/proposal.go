package chain

import (
	"context"
	"reflect"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/types"

	"github.com/commonseal/commonseal/ledger"
)

const maxBlockBytes = 1 << 20 // of one block; auditors refuse more

var tooLarge = ledger.Result{Code: ledger.OverLimit, Detail: "a transaction has at most 64 KiB"}

// PrepareProposal is the block this node proposes: what waits in the mempool, in
// order, within the cap, and is accepted in that block. What it has no room for
// waits for the next.
func (a *application) PrepareProposal(_ context.Context, req *abci.RequestPrepareProposal) (*abci.ResponsePrepareProposal, error) {
	a.door.enter()
	defer a.door.leave()
	block := ledger.Block{Height: req.Height, Time: req.Time.UnixMilli(), Misbehaved: misbehaved(req.Misbehavior)}
	var size int64
	for _, tx := range req.Txs {
		if len(tx) > ledger.MaxTx {
			continue
		}
		// As in the block, with the two headers of the encoding.
		size += types.ComputeProtoSizeForTxs([]types.Tx{tx})
		if size > req.MaxTxBytes {
			break
		}
		block.Txs = append(block.Txs, tx)
	}
	// Once more without those that were refused, so that it is the very question
	// the others ask.
	for {
		accepted := acceptedOf(block.Txs, a.execute(block).Results)
		if len(accepted) == len(block.Txs) {
			return &abci.ResponsePrepareProposal{Txs: accepted}, nil
		}
		block.Txs = accepted
	}
}

func acceptedOf(txs [][]byte, results []ledger.Result) (out [][]byte) {
	for i, r := range results {
		if r.Code == ledger.OK {
			out = append(out, txs[i])
		}
	}
	return out
}

// ProcessProposal accepts what an honest PrepareProposal makes: it asks the same
// question of the same state at the same time. A proposer who fills a block with
// refused transactions gets no votes for it.
func (a *application) ProcessProposal(_ context.Context, req *abci.RequestProcessProposal) (*abci.ResponseProcessProposal, error) {
	a.door.enter()
	defer a.door.leave()
	no := &abci.ResponseProcessProposal{Status: abci.ResponseProcessProposal_REJECT}
	for _, tx := range req.Txs {
		if len(tx) > ledger.MaxTx {
			return no, nil
		}
	}
	out := a.execute(ledger.Block{Height: req.Height, Time: req.Time.UnixMilli(), Txs: req.Txs, Misbehaved: misbehaved(req.Misbehavior)})
	if len(acceptedOf(req.Txs, out.Results)) != len(req.Txs) {
		return no, nil
	}
	return &abci.ResponseProcessProposal{Status: abci.ResponseProcessProposal_ACCEPT}, nil
}

// An execution is a block, and what it makes of the state before it.
type execution struct {
	block ledger.Block
	out   ledger.Outcome
}

// execute applies a block to the committed state, unless it is the one that was
// applied last: a block is proposed, voted on and decided. Of a height there is
// one state, so equal blocks have equal outcomes.
func (a *application) execute(b ledger.Block) ledger.Outcome {
	a.mu.Lock()
	view, last := a.view, a.executed
	a.mu.Unlock()
	if last != nil && reflect.DeepEqual(last.block, b) {
		return last.out
	}
	out := a.Apply(view, b)
	a.mu.Lock()
	a.executed = &execution{b, out}
	a.mu.Unlock()
	return out
}
