package he_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/hetest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with a file below testdata, or writes it under -update.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s has changed: every party would have to change at once. If that is meant, run with -update and review the diff; got\n%s", name, got)
	}
}

// goldenJSON is golden for what other languages read.
func goldenJSON(t *testing.T, name string, v any) {
	t.Helper()
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, filepath.Join("vectors", name), append(b, '\n'))
}

// An objectVector is an encoding by its header and digest: bodies are long. The
// residue at index i of row r is (2^32·r + i + 1)·0x9E3779B97F4A7C15 modulo
// 2^64 and then modulo the row's prime.
type objectVector struct {
	Profile string `json:"profile"`
	Kind    uint8  `json:"kind"`
	Size    int    `json:"size"`
	Header  string `json:"header"`
	SHA256  string `json:"sha256"`
	Bytes   string `json:"bytes,omitempty"` // of the short ones
}

func TestObjectVectors(t *testing.T) {
	var out []objectVector
	ps := hetest.Profiles(t)
	for _, p := range []*he.Profile{ps.Train, ps.Serve} {
		for _, k := range he.Kinds() {
			hs := headers(k, p)
			if len(hs) == 0 {
				continue
			}
			_, _, _, _, _, short := k.Fields()
			head := hs[len(hs)/2]
			if short {
				head.Width = 2
			}
			o := he.NewObject(head)
			for r, q := range o.Moduli() {
				for i := range o.Rows[r] {
					o.Rows[r][i] = (uint64(r)<<32 + uint64(i) + 1) * 0x9E3779B97F4A7C15 % q
				}
			}
			b := o.Append(nil)
			v := objectVector{Profile: "insecure " + p.Name(), Kind: uint8(k), Size: len(b), Header: hex.EncodeToString(b[:he.HeaderBytes]), SHA256: fmt.Sprintf("%x", o.Digest())}
			if short {
				v.Bytes = hex.EncodeToString(b)
			}
			out = append(out, v)
		}
	}
	goldenJSON(t, "objects.json", out)
}

// The production profiles: digests, and the derivation as users read it.
func TestProfileVectors(t *testing.T) {
	digests := map[string]string{}
	var text bytes.Buffer
	ps := he.Standard()
	for _, p := range []*he.Profile{ps.Train, ps.Release, ps.Serve} {
		digests[p.Name()] = fmt.Sprintf("%x", p.Digest())
		text.WriteString(p.Derivation())
	}
	goldenJSON(t, "profiles.json", digests)
	golden(t, "derivation.txt", text.Bytes())
}

// Every derivation of randomness: a silent change would make two versions of
// the program disagree on common polynomials, and break repeats (law L3).
func TestStreamVectors(t *testing.T) {
	key := he.Seed{0: 1, 31: 2}
	parts := [][]byte{[]byte("one"), []byte("two")}
	draw := func(what string) *he.Stream { return key.Stream("vector", []byte(what)) }
	derived := key.Derive("vector", parts...)
	small := func(fill func(*he.Stream, []int64), what string) []int64 {
		v := make([]int64, 32)
		fill(draw(what), v)
		return v
	}
	p := hetest.Profiles(t).Train
	r, uniform := p.RingQ(1), p.NewPolyQ(1)
	draw("uniform").Uniform(r, uniform)
	out := map[string]any{
		"seed":          hex.EncodeToString(key[:]),
		"derive":        hex.EncodeToString(derived[:]),
		"hash parts":    fmt.Sprintf("%x", he.HashParts("vector", parts...)),
		"stream":        fmt.Sprintf("%016x", first(key.Stream("vector", parts...), 4)),
		"public stream": fmt.Sprintf("%016x", first(he.PublicStream("vector", parts...), 4)),
		"ternary":       small((*he.Stream).Ternary, "ternary"),
		"fresh":         small((*he.Stream).Fresh, "fresh"),
		"uniform":       []string{fmt.Sprint(uniform.Coeffs[0][:4]), fmt.Sprint(uniform.Coeffs[1][:4])},
	}
	masked, flood, below := map[string][]string{}, map[string][]string{}, map[string][]string{}
	for _, b := range []int{0, 63, 64, 127, 128, 177} {
		s := draw("masked")
		for range 4 {
			masked[fmt.Sprint(b)] = append(masked[fmt.Sprint(b)], s.Masked(b).String())
		}
	}
	for _, l := range []int{0, 1, 20, 63, 64, 65, 128, 168, 190} {
		s := draw("flood")
		for range 4 {
			flood[fmt.Sprint(l)] = append(flood[fmt.Sprint(l)], s.WideGaussian(l).String())
		}
	}
	for _, q := range []uint64{3, 1<<60 - 93, 3 << 62} {
		s := draw("below")
		for range 4 {
			below[fmt.Sprint(q)] = append(below[fmt.Sprint(q)], fmt.Sprint(s.Below(q)))
		}
	}
	out["masked"], out["flood"], out["below"] = masked, flood, below
	goldenJSON(t, "streams.json", out)
}

// Keys and encryptions in integers: the order in which randomness is drawn.
func TestEncryptionVectors(t *testing.T) {
	out := map[string]string{}
	for _, p := range everyProfile(t) {
		sk := he.NewSecretKey(p, he.Seed{1}.Stream("sk"))
		pk := he.GenPublicKey(sk, [32]byte{2}, he.Seed{1}.Stream("pk"))
		c := pk.EncryptZero(1, p.LogScale(), he.Seed{1}.Stream("encrypt"))
		out["insecure "+p.Name()+" public key"] = fmt.Sprintf("%x", pk.Digest())
		out["insecure "+p.Name()+" ciphertext"] = fmt.Sprintf("%x", c.Digest())
		out["insecure "+p.Name()+" c1"] = fmt.Sprintf("%x", c.C1Digest())
	}
	goldenJSON(t, "encryption.json", out)
}
