package circuit

import (
	"bytes"
	"testing"

	"github.com/commonseal/commonseal/he"
)

func FuzzParseOp(f *testing.F) {
	f.Add(Op{Kind: OpGradient, Interval: 5, Groups: []int{1, 2}, Inputs: []he.Digest{{1}, {2}}, Outputs: []he.Digest{{3}}}.Append(nil))
	f.Add(Op{Kind: OpSum}.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := ParseOp(b)
		if err == nil && !bytes.Equal(o.Append(nil), b) {
			t.Errorf("%x comes back as %x", b, o.Append(nil))
		}
	})
}
