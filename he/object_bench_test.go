package he_test

import (
	"testing"

	"github.com/commonseal/commonseal/he"
)

// The codec at the size it works at: a fresh train ciphertext, 2 MiB.
func trainObject(b *testing.B) (*he.Object, []byte) {
	p := he.Standard().Train
	o := he.NewObject(he.Object{Kind: he.KindCiphertext, Profile: p, Level: p.MaxLevel(), LogScale: p.LogScale()})
	fill(o, he.Seed{1}.Stream("benchmark"))
	enc := o.Append(nil)
	b.SetBytes(int64(len(enc)))
	b.ReportAllocs()
	return o, enc
}

func fill(o *he.Object, s *he.Stream) {
	for i, row := range o.Rows {
		q := o.Profile.RingQ(o.Level).SubRings[i%(o.Level+1)].Modulus
		for j := range row {
			row[j] = s.Below(q)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	o, enc := trainObject(b)
	for b.Loop() {
		if _, err := he.ParseObject(enc, o.Kind, o.Profile); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	o, _ := trainObject(b)
	for b.Loop() {
		o.Append(nil)
	}
}

func BenchmarkAppendReuse(b *testing.B) {
	o, enc := trainObject(b)
	for b.Loop() {
		o.Append(enc[:0])
	}
}

func BenchmarkDigest(b *testing.B) {
	o, _ := trainObject(b)
	for b.Loop() {
		o.Digest()
	}
}
