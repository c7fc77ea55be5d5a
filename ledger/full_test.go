package ledger

import "testing"

// More transactions than a block has room for: the first are accepted, the rest
// refused, and what is stored at once stays bounded, expired records included.
func TestFullBlock(t *testing.T) {
	w := newWorld(t)
	const many = 2000
	var txs [][]byte
	for i := range many {
		body := &Renew{TLS: d("renewed", i)}
		txs = append(txs, SignTx(chain, w.now+1000, body, signer("ann")))
	}
	out := Apply(w.state, Block{Height: 1, Time: w.now, Txs: txs})
	accepted := 0
	for i, r := range out.Results {
		switch {
		case r.Code == OK && i == accepted:
			accepted++
		case r.Code != OverLimit:
			t.Fatalf("transaction %d: %+v; the first %d were accepted", i, r, accepted)
		}
	}
	if n := len(out.Writes) + len(out.Leaves); n > MaxChanges-forgotten || accepted == 0 || accepted == many {
		t.Fatalf("%d of %d accepted with %d changes; a block has room for %d", accepted, many, n, MaxChanges-forgotten)
	}
	w.state.Write(out.Writes)
	// A later block has room for the rest of them, and for what has expired.
	rest := Apply(w.state, Block{Height: 2, Time: w.now, Txs: txs[accepted:]})
	if rest.Results[0].Code != OK {
		t.Errorf("what was refused is refused again: %+v", rest.Results[0])
	}
	late := Apply(w.state, Block{Height: 3, Time: w.now + hour})
	if len(late.Writes) != accepted {
		t.Errorf("%d records were forgotten, want all %d that expired", len(late.Writes), accepted)
	}
}
