package he_test

import (
	"testing"

	"github.com/commonseal/commonseal/he"
)

// The codec at the size it works at: a fresh train ciphertext, 2 MiB.
func trainObject(b *testing.B) (*he.Object, []byte) {
	p := he.Standard().Train
	o := filled(he.Object{Kind: he.KindCiphertext, Profile: p, Level: p.MaxLevel(), LogScale: p.LogScale()}, he.Seed{1}.Stream("benchmark"))
	enc := o.Append(nil)
	b.SetBytes(int64(len(enc)))
	b.ReportAllocs()
	return o, enc
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
