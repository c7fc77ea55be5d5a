package wire

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"testing"

	"github.com/commonseal/commonseal/ledger"
)

func key(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func TestManifest(t *testing.T) {
	m := Manifest{Vectors: 2, Digests: []ledger.Digest{{1}, {2}, {3}, {4}}}
	got, err := ParseManifest(m.Append(nil))
	if err != nil || got.Digest() != m.Digest() || len(got.Blocks()) != 2 || got.Blocks()[1][0] != (ledger.Digest{3}) {
		t.Errorf("%+v, %v, want %+v in 2 blocks", got, err, m)
	}
	whole := m.Append(nil)
	for _, test := range []struct {
		what string
		b    []byte
	}{
		{"nothing", nil},
		{"another version", append([]byte{2}, whole[1:]...)},
		{"a byte too few", whole[:len(whole)-1]},
		{"a byte too many", append(bytes.Clone(whole), 0)},
		{"no ciphertext", Manifest{Vectors: 2}.Append(nil)},
		{"part of a block", Manifest{Vectors: 3, Digests: m.Digests}.Append(nil)},
		{"blocks of nothing", Manifest{Digests: m.Digests}.Append(nil)},
	} {
		if _, err := ParseManifest(test.b); err == nil {
			t.Errorf("%s: accepted", test.what)
		}
	}
}

func TestQuery(t *testing.T) {
	q := Query{Model: ledger.Digest{1}, Sequence: 7, Rows: 3, Digest: ledger.Digest{2}}.Sign("chain", key("shop"))
	b := q.Append(nil)
	got, err := ParseQuery("chain", b)
	if err != nil || got != q {
		t.Fatalf("%+v, %v, want %+v", got, err, q)
	}
	if _, err := ParseQuery("other", b); err == nil {
		t.Error("a query for another chain is accepted")
	}
	for i := range b {
		flipped := bytes.Clone(b)
		flipped[i] ^= 1
		if _, err := ParseQuery("chain", flipped); err == nil {
			t.Errorf("byte %d flipped: accepted", i)
		}
	}
	for _, q := range []Query{{Sequence: 0, Rows: 1}, {Sequence: 1, Rows: 0}} {
		if _, err := ParseQuery("chain", q.Sign("chain", key("shop")).Append(nil)); err == nil {
			t.Errorf("number %d of %d rows: accepted", q.Sequence, q.Rows)
		}
	}
}

func FuzzParseManifest(f *testing.F) {
	f.Add(Manifest{Vectors: 2, Digests: make([]ledger.Digest, 4)}.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := ParseManifest(b); err == nil && !bytes.Equal(m.Append(nil), b) {
			t.Errorf("%x comes back as %x", b, m.Append(nil))
		}
	})
}

func FuzzParseQuery(f *testing.F) {
	f.Add(Query{Sequence: 1, Rows: 1}.Sign("chain", key("shop")).Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if q, err := ParseQuery("chain", b); err == nil && !bytes.Equal(q.Append(nil), b) {
			t.Errorf("%x comes back as %x", b, q.Append(nil))
		}
	})
}
