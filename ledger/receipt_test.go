package ledger

import (
	"bytes"
	"strings"
	"testing"
)

func TestReceiptRoundTrip(t *testing.T) {
	r := Receipt{Tx: []byte("tx"), Leaf: []byte("leaf"), Head: []byte("head"), Header: []byte("header"), Commit: []byte("commit")}
	b := r.Append([]byte("before"))
	got, err := ParseReceipt(b[len("before"):])
	if err != nil || !bytes.Equal(got.Append(nil), b[len("before"):]) {
		t.Fatalf("ParseReceipt(Append) = %+v, %v", got, err)
	}
}

func TestReceiptRefuses(t *testing.T) {
	good := (&Receipt{Tx: []byte("tx")}).Append(nil)
	newer := bytes.Clone(good)
	newer[0] = Version + 1
	for _, test := range []struct {
		name string
		b    []byte
		want string
	}{
		{"nothing", nil, "too short"},
		{"a newer version", newer, "version 2"},
		{"a part too many", append(bytes.Clone(good), 0), "too many"},
		{"a part too few", good[:len(good)-1], "too short"},
		{"a large proof", (&Receipt{Leaf: make([]byte, MaxLeafProof+1)}).Append(nil), "at most"},
	} {
		if _, err := ParseReceipt(test.b); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

func FuzzParseReceipt(f *testing.F) {
	f.Add((&Receipt{Tx: []byte("tx"), Leaf: []byte("leaf"), Head: []byte("head"), Header: []byte("header"), Commit: []byte("commit")}).Append(nil))
	f.Add((&Receipt{}).Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseReceipt(b)
		if err == nil && !bytes.Equal(r.Append(nil), b) {
			t.Errorf("accepted %x and gives back %x", b, r.Append(nil))
		}
	})
}
