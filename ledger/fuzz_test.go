package ledger

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"testing"
)

// everyBody is one of each kind, with something in every list.
func everyBody() []Body {
	r := &StepRecord{Job: d("job"), Step: 1, Shares: shares(0), Updates: [][]byte{update(d("job"), 1, 0).Append(nil)}, Ops: []Digest{d(1)}, Inputs: []Digest{d(2)}, C1s: []Digest{d(3)}}
	spec := openJob(1)
	spec.Columns, spec.Decay = []uint16{1, 3}, 1<<20
	return []Body{
		&Join{member("north", Aggregator)}, &Approve{d(1)}, &Revoke{"ann"}, &Renew{tls("ann"), "a.example:1"},
		&OpenRoster{Epoch: 1, Parties: companies, Rotations: []int32{-1}, Stages: []uint16{1}},
		&OpenKeySet{Task: loans, Packing: Packing{2, 1, 1, true}, Rotations: []int32{1}, Stages: []uint16{1}},
		&Commit{Ceremony: d(1), Stage: 1, Promise: []byte("promise")}, &Reveal{Ceremony: d(1), Inline: []byte("nonce"), Blobs: []Digest{d(2)}},
		&KeyAck{d(1), d(2)}, &AbortCeremony{d(1), []string{"ann"}, "a wrong share"}, openLoans(), &Consent{loans, true, 1, 2},
		contribution(loans, "ann", Training, "north"), spec, &ApproveJob{d(1)}, r,
		&ModelRecord{Job: d(1), Shares: shares(1), Values: d(2), C1: d(3), Copies: []Pair{{0, 1}}}, &Values{d(1), [][]byte{[]byte("post")}, []int64{-1}}, &PauseJob{d(1)}, &AbortJob{d(1)},
		&ReplaceNode{d(1), "north", "south"}, &Serve{d(1), d(2)}, admitQuinn(), &Usage{1, []Used{{"quinn", d(1), 1, d(2)}}}, &CloseEpoch{1},
		&Evidence{[]byte("one"), []byte("two")},
		&Upgrade{2, 100, "v2.0.0"}, NewAnnounce(chain, "v2", "v2.example:2", signer("peer of v2")), &Attend{true},
		&Transfer{"bob", 1, []byte("memo")}, &Stake{1}, &Unstake{1}, &CommitRanking{loans, 1, d(1)},
		&RevealRanking{loans, 1, []Weight{{d(1), 1}}, d(2)}, &Settle{1, loans}, &Amend{rich().Money}, &OpenChallenge{d(1), 1, d(2)}, &Verdict{d(1), 1, true}, &Lapse{d(1), 1},
	}
}

// Kinds are numbers on the wire: each has its own, and its own body.
func TestKinds(t *testing.T) {
	all := everyBody()
	if len(all) != len(bodies) {
		t.Errorf("%d bodies in the test, %d in the table", len(all), len(bodies))
	}
	for _, b := range all {
		tx, err := ParseTx(SignTx(chain, start, b, signer("ann")))
		if err != nil {
			t.Errorf("%T: %v", b, err)
			continue
		}
		if !bytes.Equal(appendCoded(nil, tx.Body), appendCoded(nil, b)) || tx.Body.kind() != b.kind() || !tx.Verify() {
			t.Errorf("%T comes back as %T", b, tx.Body)
		}
	}
	for k, empty := range bodies {
		if empty().kind() != k {
			t.Errorf("kind %d makes a %T of kind %d", k, empty(), empty().kind())
		}
	}
}

// Whatever is accepted is the one encoding of what was read.
func FuzzParseTx(f *testing.F) {
	for _, b := range everyBody() {
		f.Add(SignTx(chain, start, b, signer("ann")))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		tx, err := ParseTx(b)
		if err != nil {
			return
		}
		if got := tx.Append(nil); !bytes.Equal(got, b) {
			t.Errorf("%x comes back as %x", b, got)
		}
		if got := appendCoded(nil, &tx); !bytes.Equal(got, b[:len(b)-len(Signature{})]) {
			t.Errorf("%x is read as what encodes to %x", b, got)
		}
	})
}

func FuzzParsePost(f *testing.F) {
	f.Add(update(d("job"), 1, 0).Append(nil))
	f.Add(make([]byte, MaxPost))
	f.Fuzz(func(t *testing.T, b []byte) {
		var p Post // as parsed but for the signature, which no fuzzer finds
		if len(b) >= len(Signature{}) && parseCoded(b[:len(b)-len(Signature{})], &p) == nil {
			copy(p.signature[:], b[len(b)-len(Signature{}):])
			if got := p.Append(nil); !bytes.Equal(got, b) {
				t.Errorf("%x comes back as %x", b, got)
			}
		}
		if p, err := ParsePost(b); err == nil && !bytes.Equal(p.Append(nil), b) {
			t.Errorf("%x is no encoding", b)
		}
	})
}

func FuzzParseGenesis(f *testing.F) {
	g := founding()
	f.Add(g.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := ParseGenesis(b)
		if err != nil {
			return
		}
		if got := g.Append(nil); !bytes.Equal(got, b) {
			t.Errorf("%x comes back as %x", b, got)
		}
		if writes, err := g.Writes(); err == nil {
			m := new(Memory)
			m.Write(writes)
			readAll(m)
		}
	})
}

// A length field of four billion, anywhere in a transaction, is refused before
// anything is made for it.
func TestHugeLengths(t *testing.T) {
	for _, body := range everyBody() {
		good := SignTx(chain, start, body, signer("ann"))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for at := 1; at+4 <= len(good)-len(Signature{}); at++ {
			for _, n := range []uint32{1 << 20, 1<<32 - 1} {
				b := bytes.Clone(good)
				binary.BigEndian.PutUint32(b[at:], n)
				if tx, err := ParseTx(b); err == nil && !bytes.Equal(tx.Append(nil), b) {
					t.Errorf("%T with %d at %d comes back otherwise", body, n, at)
				}
			}
		}
		runtime.ReadMemStats(&after)
		if spent := (after.TotalAlloc - before.TotalAlloc) / uint64(2*len(good)); spent > 16*MaxTx {
			t.Errorf("%T: %d bytes allocated to parse %d", body, spent, len(good))
		}
	}
}

// A transaction cut short anywhere is refused.
func TestTruncated(t *testing.T) {
	for _, body := range everyBody() {
		good := SignTx(chain, start, body, signer("ann"))
		for n := range good {
			if _, err := ParseTx(good[:n]); err == nil && n < len(good)-len(Signature{}) {
				t.Errorf("%T: %d bytes of %d are a transaction", body, n, len(good))
			}
		}
	}
}
