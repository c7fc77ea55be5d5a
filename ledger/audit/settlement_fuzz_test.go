package audit

import (
	"bytes"
	"testing"

	"github.com/commonseal/commonseal/ledger"
)

// Whatever a record of an exported epoch is, reading it and computing it again ends
// in payments or an error, and it has one encoding.
func FuzzParseSettlement(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(anySettlement(f, seed).Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		st, err := ledger.ParseSettlement(b)
		if err != nil {
			return
		}
		if !bytes.Equal(st.Append(nil), b) {
			t.Fatal("a settlement with two encodings")
		}
		if _, _, err := st.Recompute(); err != nil {
			return // no ledger records it
		}
	})
}
