package he_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/hetest"
	"github.com/tuneinsight/lattigo/v5/core/rlwe"
	"github.com/tuneinsight/lattigo/v5/ring"
)

// A forgery is one lie told in lattigo's encoding and in ours; where ours has
// no words for it, the nearest there are. What lattigo does with it is what
// would happen without our codec: it accepts the lie, it panics, or it ends the
// process, which no recover prevents.
type forgery struct {
	number  int // in the security list
	name    string
	lattigo func(c *rlwe.Ciphertext) []byte
	fate    string
	ours    func(b []byte) []byte
	says    string
}

// marshal is lattigo's encoding of c after a change to it.
func marshal(change func(c *rlwe.Ciphertext)) func(*rlwe.Ciphertext) []byte {
	return func(c *rlwe.Ciphertext) []byte {
		c = c.CopyNew()
		change(c)
		b, err := c.MarshalBinary()
		if err != nil {
			panic(err)
		}
		return b
	}
}

// spoil is lattigo's encoding after a change to its bytes.
func spoil(change func(b []byte) []byte) func(*rlwe.Ciphertext) []byte {
	return func(c *rlwe.Ciphertext) []byte { return change(marshal(func(*rlwe.Ciphertext) {})(c)) }
}

const rowBytes = 8 << hetest.LogN

func forgeries(other *he.Profile) []forgery {
	// lattigo writes the length of every slice before it: this is the last one's.
	length := func(n uint64) func(*rlwe.Ciphertext) []byte {
		return spoil(func(b []byte) []byte {
			binary.LittleEndian.PutUint64(b[len(b)-rowBytes-8:], n)
			return b
		})
	}
	residue := func(v func(q uint64) uint64) func(*rlwe.Ciphertext) []byte {
		return marshal(func(c *rlwe.Ciphertext) { c.Value[1].Coeffs[0][3] = v(c.Value[1].Coeffs[0][3]) })
	}
	word := func(v uint64) func([]byte) []byte {
		return func(b []byte) []byte { binary.LittleEndian.PutUint64(b[he.HeaderBytes:], v); return b }
	}
	digest := other.Digest()
	out := []forgery{
		{2, "a slice of 2^20", length(1 << 20), "dies", set(atWidth, 0, 0, 16), "width 1048576"},
		{2, "a slice of 2^44", length(1 << 44), "dies", set(atWidth, 255, 255, 255, 255), "width 4294967295"},
		{2, "a slice of 2^62", length(1 << 62), "panics", set(atElement, 255, 255, 255, 255), "Galois element"},
		{2, "a slice of 2^64-1", length(math.MaxUint64), "panics", set(atLevel, 255), "level 255"},
		{2, "a slice of 0", length(0), "accepts", set(atLevel, 0), "its header says"},
		{4, "a residue above its prime", residue(func(uint64) uint64 { return 1 << 62 }), "accepts", word(1 << 62), "is not below its prime"},
		{4, "a residue of 2^64-1", residue(func(uint64) uint64 { return math.MaxUint64 }), "accepts", word(math.MaxUint64), "is not below its prime"},
		{5, "another ring", marshal(func(c *rlwe.Ciphertext) { c.Value = []ring.Poly{ring.NewPoly(16, 1), ring.NewPoly(16, 1)} }), "accepts",
			set(atProfile, digest[:]...), fmt.Sprintf("profile digest %x; this federation's train profile is", digest)},
		{5, "fewer primes", marshal(func(c *rlwe.Ciphertext) { c.Resize(1, 0) }), "accepts", func(b []byte) []byte { b[atLevel] = 0; return b[:he.HeaderBytes+2*rowBytes] }, "level 1 and scale 2^40 are due"},
		{6, "another scale", marshal(func(c *rlwe.Ciphertext) { c.Scale = he.PowerScale(41) }), "accepts", set(atScale, 41), "level 1 and scale 2^40 are due"},
		{6, "degree 0", marshal(func(c *rlwe.Ciphertext) { c.Value = c.Value[:1] }), "accepts", func(b []byte) []byte { return b[:he.HeaderBytes+2*rowBytes] }, "its header says"},
		{6, "degree 2", marshal(func(c *rlwe.Ciphertext) { c.Value = append(c.Value, *c.Value[0].CopyNew()) }), "accepts", func(b []byte) []byte { return append(b, b[he.HeaderBytes:he.HeaderBytes+2*rowBytes]...) }, "its header says"},
		{6, "not in the NTT domain", marshal(func(c *rlwe.Ciphertext) { c.IsNTT = false }), "accepts", set(1, byte(he.KindQuery)), "it is a query"},
		{6, "not batched", marshal(func(c *rlwe.Ciphertext) { c.IsBatched = false }), "accepts", set(atSeed, 1), "seed"},
		{6, "other slots", marshal(func(c *rlwe.Ciphertext) { c.LogDimensions.Cols = 3 }), "accepts", set(atWidth, 8), "width 8"},
		{7, "trailing bytes", spoil(func(b []byte) []byte { return append(b, 1, 2, 3) }), "accepts", func(b []byte) []byte { return append(b, 1, 2, 3) }, "its header says"},
		{7, "a scale spelt otherwise", spoil(func(b []byte) []byte { return bytes.Replace(b, []byte(`"0x1.`), []byte(`"0x2.`), 1) }), "accepts", set(atElement, 1), "Galois element"},
	}
	// Case 1: truncation. lattigo ends the process wherever a residue is missing.
	cutTo := func(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:min(n, len(b)-1)] } }
	for n, fate := range map[int]string{0: "refuses", 1: "refuses", 9: "refuses", 1024: "dies", 20 << 10: "dies", math.MaxInt: "dies"} {
		out = append(out, forgery{1, fmt.Sprintf("cut at %d", n), spoil(cutTo(n)), fate, cutTo(n), "bytes"})
	}
	return out
}

// forgeryVar names the forgery that a child process hands to lattigo.
const forgeryVar = "COMMONSEAL_TEST_FORGERY"

// Attack: bytes that lie. Cases 1, 2 and 4 to 7 of the security list.
func TestAttackForgedBytes(t *testing.T) {
	ps := hetest.Profiles(t)
	p := ps.Train
	c := key(t, p).pk.EncryptZero(1, p.LogScale(), he.Seed{1}.Stream("encrypt"))
	victim := os.Getenv(forgeryVar)
	for _, f := range forgeries(ps.Release) {
		name := fmt.Sprintf("case %d, %s", f.number, f.name)
		if victim == name {
			debug.SetMaxStack(1 << 20) // it overflows any stack; this one soon
			_ = lattigoFate(f.lattigo(c.RLWE()))
			return
		}
		if victim != "" {
			continue
		}
		// Defence off: lattigo alone.
		fate := "dies"
		if f.fate == "dies" {
			child(t, name)
		} else {
			fate = lattigoFate(f.lattigo(c.RLWE()))
		}
		if fate != f.fate {
			t.Errorf("%s: lattigo %s, expected that it %s", name, fate, f.fate)
		}
		// Defence on.
		_, err := he.ParseCiphertext(f.ours(c.Append(nil)), p, 1, p.LogScale())
		var decode *he.DecodeError
		if !errors.As(err, &decode) || !strings.Contains(err.Error(), f.says) {
			t.Errorf("%s: %v, want a DecodeError that says %q", name, err, f.says)
		}
	}
}

// lattigoFate is what lattigo's decoder does with b, if it returns at all.
func lattigoFate(b []byte) (fate string) {
	defer func() {
		if recover() != nil {
			fate = "panics"
		}
	}()
	if err := new(rlwe.Ciphertext).UnmarshalBinary(b); err != nil {
		return "refuses"
	}
	return "accepts"
}

// child hands a forgery to lattigo in a process of its own, and fails unless
// that ends it although it would recover.
func child(t *testing.T, name string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestAttackForgedBytes$")
	cmd.Env = append(os.Environ(), forgeryVar+"="+name)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || !strings.Contains(string(out), "fatal error: ") {
		t.Errorf("%s: lattigo survived, %v:\n%.400s", name, err, out)
	}
}

// Case 8 of the security list: lattigo does not write a scale of 2^100 or more
// so that it could be read. TestCiphertextRoundTrips has ours.
func TestLattigoLosesLargeScales(t *testing.T) {
	p := hetest.Profiles(t).Release
	if _, err := he.NewCiphertext(p, 1, 100).RLWE().MarshalBinary(); err == nil {
		t.Error("lattigo wrote a scale of 2^100: is our codec still needed for it?")
	}
}

// Attack: a scale of 2^41 written over 2^40 halves every value; nothing in the
// residues tells.
func TestAttackTamperedScale(t *testing.T) {
	p := hetest.Profiles(t).Train
	k := key(t, p)
	v := randomRows(seed(t).Stream("rows"), p.Slots(), 1).Values
	b := set(atScale, 41)(k.encrypt(t, v, 3, seed(t).Stream("encrypt")).Append(nil))
	// Defence off: any scale will do.
	c, err := parseDue(b, p)
	if err != nil {
		t.Fatal(err)
	}
	half := make([]float64, len(v))
	for i := range v {
		half[i] = v[i] / 2
	}
	within(t, "with another scale", k.decrypt(t, c), half, he.EncryptError(p, 1))
	// Defence on: the scale that is due.
	if _, err := he.ParseCiphertext(b, p, 3, p.LogScale()); err == nil {
		t.Error("a ciphertext of another scale was accepted")
	}
}

// Attack: a ciphertext with its last primes cut off decrypts all the same, and
// starts a circuit without the levels to end it.
func TestAttackTamperedLevel(t *testing.T) {
	p := hetest.Profiles(t).Train
	k := key(t, p)
	v := randomRows(seed(t).Stream("rows"), p.Slots(), 1).Values
	c := k.encrypt(t, v, 3, seed(t).Stream("encrypt"))
	b := c.At(1).Append(nil)
	// Defence off: any level will do.
	low, err := parseDue(b, p)
	if err != nil {
		t.Fatal(err)
	}
	within(t, "at another level", k.decrypt(t, low), v, he.EncryptError(p, 1))
	// Defence on: the level that is due.
	if _, err := he.ParseCiphertext(b, p, 3, p.LogScale()); err == nil {
		t.Error("a ciphertext of another level was accepted")
	}
}

// Attack: two blocks from one seed. If the randomness depends on the seed
// alone, the difference of the ciphertexts is the difference of the rows.
func TestAttackReusedEncryptionSeed(t *testing.T) {
	p := hetest.Profiles(t).Train
	pk, enc := key(t, p).pk, he.NewEncoder(p)
	rows := [2]he.Rows{{Columns: 1, Values: []float64{0.75}}, {Columns: 1, Values: []float64{-0.5}}}
	read := func(encrypt func(x he.Rows) *he.Ciphertext) float64 {
		r := p.RingQ(p.MaxLevel())
		diff := r.NewPoly()
		r.Sub(encrypt(rows[0]).C0, encrypt(rows[1]).C0, diff)
		v, err := enc.Decode(diff, p.LogScale())
		if err != nil {
			t.Fatal(err)
		}
		return v[0]
	}
	// Defence off: the stream is the seed's.
	got := read(func(x he.Rows) *he.Ciphertext {
		m, err := enc.Encode(x.Values, p.MaxLevel(), p.LogScale())
		if err != nil {
			t.Fatal(err)
		}
		return pk.Encrypt(m, p.LogScale(), he.Seed{1}.Stream("encrypt"))
	})
	if math.Abs(got-1.25) > 1e-6 {
		t.Fatalf("with one stream for both the attack should read 1.25, got %v", got)
	}
	// Defence on: the stream is bound to the message.
	got = read(func(x he.Rows) *he.Ciphertext {
		cs, err := he.EncryptBlock(enc, pk, he.Packing{Width: 1, Baby: 1}, x, he.Seed{1})
		if err != nil {
			t.Fatal(err)
		}
		return cs[0]
	})
	if math.Abs(got) < 1e9 { // of 2^340/2^40
		t.Errorf("the difference of two blocks from one seed reads %v", got)
	}
}
