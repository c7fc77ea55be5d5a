package he_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/hetest"
)

// The law of the codec: whatever Parse accepts, Append gives back byte for
// byte, and what it refuses it refuses with a DecodeError.
//
// Objects are too long for a fuzzer to write. An input is therefore a header
// to exclusive-or onto a valid one, and edits of twelve bytes each, a position
// and a residue, of a body of the length that the header claims. The last
// byte cuts or extends.
func canonical(f *testing.F, kinds []he.Kind, parse func(b []byte, k he.Kind, p *he.Profile) (appender, error)) {
	ps := hetest.Profiles(f)
	profiles := []*he.Profile{ps.Release, ps.Serve}
	f.Add(uint8(0), []byte{}, []byte{}, int8(0))
	f.Add(uint8(1), []byte{}, []byte{}, int8(1))
	f.Add(uint8(2), []byte{0, 0, 3}, []byte{}, int8(0))                                               // another level
	f.Add(uint8(3), []byte{0, 0, 0, 0, 8}, []byte{}, int8(-8))                                        // another scale
	f.Add(uint8(4), []byte{0, 0, 0, 0, 0, 3}, []byte{}, int8(0))                                      // another width
	f.Add(uint8(5), []byte{9: 0x0c}, bytes.Repeat([]byte{0xff}, 12), int8(0))                         // another element, a residue too large
	f.Add(uint8(6), []byte{49: 1}, []byte{0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}, int8(0))               // a seed, a residue that may be
	f.Add(uint8(7), []byte{1}, []byte{255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 9, 9, 9, 9}, int8(127)) // another version
	f.Fuzz(func(t *testing.T, which uint8, header, edits []byte, tail int8) {
		k := kinds[int(which)%len(kinds)]
		p := profiles[int(which)/len(kinds)%len(profiles)]
		hs := headers(k, p)
		if len(hs) == 0 {
			return
		}
		hold(t, forge(hs[int(which)%len(hs)], header, edits, tail), k, p, parse)
	})
}

// forge builds the bytes of an input.
func forge(head he.Object, header, edits []byte, tail int8) []byte {
	b := head.Append(nil)[:he.HeaderBytes]
	for i := range min(len(header), len(b)) {
		b[i] ^= header[i]
	}
	size, err := he.HeaderSize(b, head.Kind, head.Profile)
	if err != nil {
		size = he.HeaderBytes + 8
	}
	b = append(b, make([]byte, size-len(b))...)
	for words := (size - he.HeaderBytes) / 8; len(edits) >= 12; edits = edits[12:] {
		at := int(binary.LittleEndian.Uint32(edits)) % words
		copy(b[he.HeaderBytes+8*at:], edits[4:12])
	}
	if tail < 0 {
		return b[:max(0, len(b)+int(tail))]
	}
	return append(b, make([]byte, tail)...)
}

type appender interface{ Append([]byte) []byte }

// hold holds one input to the law.
func hold(t *testing.T, b []byte, k he.Kind, p *he.Profile, parse func(b []byte, k he.Kind, p *he.Profile) (appender, error)) {
	o, err := parse(b, k, p)
	var decode *he.DecodeError
	if err != nil && !errors.As(err, &decode) {
		t.Fatalf("%s: %T %v is not a DecodeError", k, err, err)
	}
	if err == nil && !bytes.Equal(o.Append(nil), b) {
		t.Fatalf("%s: two encodings of one object", k)
	}
}

func parseObject(b []byte, k he.Kind, p *he.Profile) (appender, error) {
	return he.ParseObject(b, k, p)
}

func FuzzParseCiphertext(f *testing.F) {
	canonical(f, []he.Kind{he.KindCiphertext}, func(b []byte, _ he.Kind, p *he.Profile) (appender, error) {
		return parseDue(b, p)
	})
}

// parseDue parses a ciphertext where the level and scale due are those it
// claims: the rest of the law.
func parseDue(b []byte, p *he.Profile) (*he.Ciphertext, error) {
	level, scale := 0, 0
	if len(b) > atWidth {
		level, scale = int(b[atLevel]), int(binary.LittleEndian.Uint16(b[atScale:]))
	}
	return he.ParseCiphertext(b, p, level, scale)
}

func FuzzParsePublicKey(f *testing.F) {
	canonical(f, []he.Kind{he.KindPublicKey}, func(b []byte, _ he.Kind, p *he.Profile) (appender, error) {
		return he.ParsePublicKey(b, p)
	})
}

func FuzzParseKey(f *testing.F) {
	canonical(f, []he.Kind{he.KindSecretKey, he.KindRelinKey, he.KindGaloisKey}, parseObject)
}

func FuzzParseCeremonyShare(f *testing.F) {
	canonical(f, []he.Kind{he.KindPublicShare, he.KindRelinShare1, he.KindRelinShare2, he.KindGaloisShare}, parseObject)
}

func FuzzParseRoundShare(f *testing.F) {
	canonical(f, []he.Kind{he.KindMapInput, he.KindMapOutput, he.KindSwitchShare, he.KindOpenShare, he.KindModelShare}, parseObject)
}

func FuzzParseQuery(f *testing.F) {
	canonical(f, []he.Kind{he.KindQuery, he.KindAnswer}, parseObject)
}

// Raw bytes, for what the construction above cannot reach.
func FuzzParseBytes(f *testing.F) {
	ps := hetest.Profiles(f)
	for i, k := range []he.Kind{he.KindMapInput, he.KindModelShare} {
		b := he.NewObject(he.Object{Kind: k, Profile: ps.Serve, Level: 1, Width: 2}).Append(nil)
		for _, n := range []int{0, 1, 9, he.HeaderBytes - 1, he.HeaderBytes, len(b) - 1, len(b)} {
			f.Add(uint8(i+9), b[:n])
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, b []byte) {
		kinds := he.Kinds()
		hold(t, b, kinds[int(which)%len(kinds)], ps.Serve, parseObject)
	})
}
