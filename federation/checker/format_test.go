package checker

import (
	"bytes"
	"math/big"
	"testing"

	"github.com/commonseal/commonseal/federation/replay"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/multiparty"
	"github.com/commonseal/commonseal/ledger"
)

func sample() *Fraud {
	return &Fraud{Job: ledger.Digest{1}, Step: 3, Block: []byte("block"), Commit: []byte("commit"),
		Lists:   replay.Lists{Base: multiparty.KeyList{CRS: ledger.Digest{2}, Parts: []he.Digest{{3}, {4}}}, Set: multiparty.KeyList{CRS: ledger.Digest{2}}},
		Entries: []Entry{{Key: []byte("k"), Value: []byte("v"), Proof: []byte("p")}, {Key: []byte("none"), Proof: []byte("p")}, {Key: []byte("empty"), Value: []byte{}}},
		Blobs:   []Blob{{Digest: ledger.Digest{5}, Size: 7}, {Digest: ledger.Digest{6}, Size: ledger.MaxBlob}}}
}

func TestParseFraud(t *testing.T) {
	whole := sample().Append(nil)
	got, err := ParseFraud(whole)
	if err != nil || !bytes.Equal(got.Append(nil), whole) || got.Entries[1].Value != nil || got.Entries[2].Value == nil {
		t.Errorf("%+v, %v", got, err)
	}
	for i := range whole {
		if _, err := ParseFraud(whole[:i]); err == nil {
			t.Errorf("the first %d of %d bytes are a head", i, len(whole))
		}
	}
	if _, err := ParseFraud(append(whole, 0)); err == nil {
		t.Error("a byte too many is accepted")
	}
	for name, spoil := range map[string]func(*Fraud){
		"a blob twice":       func(f *Fraud) { f.Blobs[1].Digest = f.Blobs[0].Digest },
		"a blob of nothing":  func(f *Fraud) { f.Blobs[0].Size = 0 },
		"a blob of too much": func(f *Fraud) { f.Blobs[0].Size = ledger.MaxBlob + 1 },
		"a long key":         func(f *Fraud) { f.Entries[0].Key = make([]byte, maxKey+1) },
	} {
		f := sample()
		spoil(f)
		if _, err := ParseFraud(f.Append(nil)); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func FuzzParseFraud(f *testing.F) {
	f.Add(sample().Append(nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if x, err := ParseFraud(b); err == nil && !bytes.Equal(x.Append(nil), b) {
			t.Errorf("%x comes back as %x", b, x.Append(nil))
		}
	})
}

func TestSurvives(t *testing.T) {
	for _, test := range []struct {
		n, c, k int64
		want    string
	}{
		{10, 1, 3, "7/10"}, // (n−k)/n
		{10, 5, 2, "2/9"},  // 5/10 · 4/9
		{10, 0, 3, "1/1"},  // nothing to find
		{10, 8, 3, "0/1"},  // fewer right steps than are sampled
		{10, 1, 10, "0/1"}, // all are sampled
		{10, 1, 0, "1/1"},  // none is
		{3, 4, 1, "0/1"},   // there are not so many
		{1000, 100, 50, ""},
	} {
		got := Survives(test.n, test.c, test.k)
		want, ok := new(big.Rat).SetString(test.want)
		if !ok { // step by step
			want = big.NewRat(1, 1)
			for i := range test.k {
				want.Mul(want, big.NewRat(test.n-test.c-i, test.n-i))
			}
		}
		if got.Cmp(want) != 0 {
			t.Errorf("a cheat in %d of %d steps survives %d samples with %v, want %v", test.c, test.n, test.k, got, want)
		}
	}
}
