package ledger

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func someRecordReceipt() RecordReceipt {
	return RecordReceipt{Key: key(keyMember, "ann"), Value: []byte("v"), Proof: []byte("proof"), Header: []byte("header"), Commit: []byte("commit")}
}

func someCheckpoint() Checkpoint {
	return Checkpoint{Header: []byte("header"), Commit: []byte("commit"), Signers: []Power{{Vote: d("vote"), Power: 3}}}
}

// FuzzParseRecordReceipt holds the decoder to its law, and keeps it apart from
// that of transactions' receipts.
func FuzzParseRecordReceipt(f *testing.F) {
	some := someRecordReceipt()
	f.Add(some.Append(nil))
	absent := RecordReceipt{Key: []byte("k")}
	f.Add(absent.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRecordReceipt(b)
		if err != nil {
			return
		}
		if again := r.Append(nil); !bytes.Equal(again, b) {
			t.Errorf("%x is read as %x", b, again)
		}
		if _, err := ParseReceipt(b); err == nil || !IsRecordReceipt(b) {
			t.Errorf("%x is both kinds of receipt", b)
		}
	})
}

// FuzzParseCheckpoint holds the decoder to its law.
func FuzzParseCheckpoint(f *testing.F) {
	some := someCheckpoint()
	f.Add(some.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := ParseCheckpoint(b); err == nil && !bytes.Equal(c.Append(nil), b) {
			t.Errorf("%x is read as %+v", b, c)
		}
	})
}

// No record's receipt with one bit flipped is read, not even one of absence, whose
// key could be another.
func TestRecordReceiptIsWhole(t *testing.T) {
	some := someRecordReceipt()
	some.Value = nil
	b := some.Append(nil)
	for i := range 8 * len(b) {
		flipped := bytes.Clone(b)
		flipped[i/8] ^= 1 << (i % 8)
		if r, err := ParseRecordReceipt(flipped); err == nil {
			t.Errorf("bit %d of byte %d flipped is read as %+v", i%8, i/8, r)
		}
	}
	if _, err := ParseRecordReceipt(nil); err == nil {
		t.Error("nothing is a receipt")
	}
}

// RecordKey gives the keys at which a world's records are, and ParseRecord the
// records.
func TestRecordKey(t *testing.T) {
	w := newWorld(t)
	job, model := w.model()
	w.must("ann", admitQuinn())
	hex := func(d Digest) string { return fmt.Sprintf("%x", d) }
	c1 := d("c1", job, uint16(0))
	for _, test := range []struct {
		parts string
		want  string // of the record's type, or that there is none
	}{
		{"member ann", "*ledger.Member"}, {"member nobody", "none"},
		{"querier quinn", "*ledger.Querier"}, {"querier shop", "none"},
		{"keyepoch 1", "*ledger.KeyEpoch"}, {"ceremony " + hex(BaseCeremony(chain, 1, 1)), "*ledger.Ceremony"},
		{"task loans", "*ledger.Task"}, {"task " + hex(loans), "*ledger.Task"},
		{"contribution loans training bob", "*ledger.Contribution"}, {"contribution loans validation nobody", "none"},
		{"manifest " + hex(d("manifest of", "ann", Training)), "[]uint8"},
		{"job " + hex(job), "*ledger.Job"}, {"step " + hex(job) + " 0 north", "*ledger.StepRecord"}, {"ticket " + hex(job) + " 0", "*ledger.Ticket"},
		{"c1 " + hex(c1), "[]uint8"}, {"c1 " + hex(d("no c1")), "none"},
		{"model " + hex(model), "*ledger.Model"}, {"usage north 1", "none"}, {"used quinn " + hex(model), "none"}, {"rewardepoch 7", "none"},
		{"signing " + hex(pub("ann")), "[]uint8"}, {"tls " + hex(tls("ann")), "[]uint8"},
	} {
		parts := strings.Fields(test.parts)
		at, err := RecordKey(chain, parts[0], parts[1:]...)
		if err != nil {
			t.Errorf("%s: %v", test.parts, err)
			continue
		}
		got := "none"
		if value := w.state.Get(at); value != nil {
			record, err := ParseRecord(at, value)
			if err != nil {
				t.Errorf("%s: %v", test.parts, err)
			}
			got = fmt.Sprintf("%T", record)
		}
		if got != test.want {
			t.Errorf("%s: %s, want %s", test.parts, got, test.want)
		}
	}
	for _, parts := range []string{"nonsense", "member", "member Ann", "member a b", "job 00", "step " + hex(job) + " 70000 north", "contribution loans lunch ann", "usage north -1"} {
		fields := strings.Fields(parts)
		if _, err := RecordKey(chain, fields[0], fields[1:]...); err == nil {
			t.Errorf("%s is a key", parts)
		}
	}
	if _, err := ParseRecord(key(keyMember, "ann"), []byte("damaged")); err == nil {
		t.Error("a damaged record was read")
	}
}

// The validators that sign are those that are not revoked, by name.
func TestRevokedValidatorsHaveNoPower(t *testing.T) {
	g := founding()
	g.Members = append(g.Members, member("a-validator", Validator))
	w := foundWorld(t, g)
	if got := Powers(w.state); len(got) != 2 || got[0].Name != "a-validator" || got[1].Name != "v1" || got[1].Vote != d("vote", "v1") || got[1].Power != 1 {
		t.Errorf("Powers = %+v", got)
	}
	w.must("ann", &Revoke{"a-validator"})
	w.must("bob", &Revoke{"a-validator"})
	if got := Powers(w.state); len(got) != 1 || got[0].Name != "v1" {
		t.Errorf("after one was revoked: %+v", got)
	}
}

// FuzzParseGrowthReceipt holds the decoder to its law.
func FuzzParseGrowthReceipt(f *testing.F) {
	some, c := GrowthReceipt{EarlierHead: []byte("head"), LaterHead: []byte("head"), Growth: []byte("proof")}, someCheckpoint()
	some.Earlier, some.Later = c.Append(nil), c.Append(nil)
	f.Add(some.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := ParseGrowthReceipt(b); err == nil && !bytes.Equal(r.Append(nil), b) {
			t.Errorf("%x is read as %+v", b, r)
		}
	})
}
