package audit

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/commonseal/commonseal/ledger"
)

// An Epoch is a settled task of a reward epoch as a file that anybody can read
// and compute again: docs/payouts.py does, without this code. Numbers named Q32
// there are whole: the number times 2^32. Parts are in millionths.
type Epoch struct {
	// Name is the task's. The ledger makes Task of it and of the chain's name, so the
	// record, which has Task, holds both.
	Name string `json:"name"`

	Chain      string            `json:"chain"`
	Epoch      uint64            `json:"epoch"`
	Task       string            `json:"task"`
	Rules      ledger.Money      `json:"rules"`
	Pot        uint64            `json:"pot"`
	Roster     []string          `json:"roster"`
	Owners     []string          `json:"owners"`
	Evaluators []string          `json:"evaluators"`
	Order      []uint64          `json:"order"`
	Escrows    []uint64          `json:"escrows"`
	Companies  []Company         `json:"companies"`
	Models     []Model           `json:"models"`
	Bonds      []Bond            `json:"bonds"`
	Operators  []string          `json:"operators"`
	Paid       Paid              `json:"paid"`
	Payouts    map[string]Payout `json:"payouts"`
	Record     string            `json:"record"` // the ledger's own encoding, in hexadecimal
}

// A Company ranked models.
type Company struct {
	Name     string   `json:"name"`
	Owner    string   `json:"owner"`
	Stake    uint64   `json:"stake"`
	Weights  []Weight `json:"weights"`
	Counted  uint64   `json:"counted"`
	Trust    int64    `json:"trust"`
	Dividend int64    `json:"dividend"`
}

// A Weight is one model's part of a ranking.
type Weight struct {
	Model string `json:"model"`
	Part  uint16 `json:"part"`
}

// A Model was ranked.
type Model struct {
	Model     string   `json:"model"`
	Peer      string   `json:"peer"`
	Owner     string   `json:"owner"`
	Found     []int64  `json:"found"`
	Values    []int64  `json:"values"`
	Copies    [][2]int `json:"copies"`
	Consensus int64    `json:"consensus"`
	Incentive int64    `json:"incentive"`
}

// A Bond is from before the settlement.
type Bond struct {
	Company string `json:"company"`
	Model   string `json:"model"`
	Value   int64  `json:"value"`
}

// Paid is where the pot went.
type Paid struct {
	Operators  uint64 `json:"operators"`
	Evaluators uint64 `json:"evaluators"`
	Peers      uint64 `json:"peers"`
	Providers  uint64 `json:"providers"`
	Carried    uint64 `json:"carried"`
	Debited    uint64 `json:"debited"`
}

// A Payout is one member's.
type Payout struct {
	Operator  uint64 `json:"operator"`
	Evaluator uint64 `json:"evaluator"`
	Peer      uint64 `json:"peer"`
	Provider  uint64 `json:"provider"`
	Debit     uint64 `json:"debit"`
	Owed      uint64 `json:"owed"`
}

// NewEpoch is a settlement of a chain's task as a file, and what everybody got, which
// is computed again. The error is a settlement of another chain or task, or one that
// does not follow from its inputs.
func NewEpoch(chain, task string, st *ledger.Settlement) (Epoch, error) {
	if ledger.TaskID(chain, task) != st.Task {
		return Epoch{}, fmt.Errorf("%w: its record is of task %x, which is not %q of chain %q", ErrEpoch, st.Task[:6], task, chain)
	}
	again, payouts, err := st.Recompute()
	if err != nil {
		return Epoch{}, err
	}
	if !bytes.Equal(again.Append(nil), st.Append(nil)) {
		return Epoch{}, fmt.Errorf("the settlement of epoch %d of task %x does not follow from its inputs", st.Epoch, st.Task[:6])
	}
	out := Epoch{Name: task, Chain: chain, Epoch: st.Epoch, Task: hexOf(st.Task), Pot: st.Pot, Roster: st.Roster, Owners: st.Owners, Evaluators: st.Evaluators, Order: st.Order, Escrows: st.Escrows,
		Operators: st.Operators, Paid: Paid(st.Paid), Payouts: map[string]Payout{}, Record: hex.EncodeToString(st.Append(nil)),
		Rules: st.Money}
	for _, c := range st.Companies {
		x := Company{Name: c.Name, Owner: c.Owner, Stake: c.Stake, Counted: c.Counted, Trust: c.Trust, Dividend: c.Dividend}
		for _, w := range c.Weights {
			x.Weights = append(x.Weights, Weight{hexOf(w.Model), w.Part})
		}
		out.Companies = append(out.Companies, x)
	}
	for _, m := range st.Models {
		x := Model{Model: hexOf(m.Model), Peer: m.Peer, Owner: m.Owner, Found: m.Found, Values: m.Values, Consensus: m.Consensus, Incentive: m.Incentive}
		for _, p := range m.Copies {
			x.Copies = append(x.Copies, [2]int{int(p.First), int(p.Second)})
		}
		out.Models = append(out.Models, x)
	}
	for _, b := range st.Bonds {
		out.Bonds = append(out.Bonds, Bond{b.Company, hexOf(b.Model), b.Value})
	}
	for _, name := range slices.Sorted(maps.Keys(payouts)) {
		out.Payouts[name] = Payout(payouts[name])
	}
	return out, nil
}

func hexOf(d ledger.Digest) string { return hex.EncodeToString(d[:]) }

// Append adds the one encoding of e, JSON for people, to dst.
func (e *Epoch) Append(dst []byte) ([]byte, error) {
	b, err := json.MarshalIndent(e, "", " ")
	return append(append(dst, b...), '\n'), err
}

// ErrEpoch is a file that is not what an honest ledger exports.
var ErrEpoch = errors.New("not as it was exported")

// ParseEpoch reads a file, computes everything in it again from the record, and
// refuses one that differs in a single byte from what the record makes. That the
// record is the ledger's own is for who has the ledger, or a proof of it.
func ParseEpoch(b []byte) (Epoch, *ledger.Settlement, error) {
	var e Epoch
	if err := json.Unmarshal(b, &e); err != nil {
		return Epoch{}, nil, fmt.Errorf("%w: %w", ErrEpoch, err)
	}
	record, err := hex.DecodeString(e.Record)
	if err != nil {
		return Epoch{}, nil, fmt.Errorf("%w: its record: %w", ErrEpoch, err)
	}
	st, err := ledger.ParseSettlement(record)
	if err != nil {
		return Epoch{}, nil, fmt.Errorf("%w: %w", ErrEpoch, err)
	}
	again, err := NewEpoch(e.Chain, e.Name, &st)
	if err != nil {
		return Epoch{}, nil, err
	}
	if want, err := again.Append(nil); err != nil || !bytes.Equal(want, b) {
		return Epoch{}, nil, fmt.Errorf("%w: it is not what its record says", ErrEpoch)
	}
	return again, &st, nil
}
