package he

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha3"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"math/bits"

	"github.com/tuneinsight/lattigo/v5/ring"
)

// A Seed is a secret from which randomness is derived. It never prints.
type Seed [32]byte

// hidden is what secrets print as.
const hidden = "[secret]"

// Format hides the seed, whatever the verb.
func (Seed) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// MarshalText hides the seed where it is a field of what is logged as JSON.
func (Seed) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue hides the seed.
func (Seed) LogValue() slog.Value { return slog.StringValue(hidden) }

// Derive returns the seed of a narrower purpose: HMAC-SHA256 over the label
// and the length-prefixed parts.
func (s Seed) Derive(label string, parts ...[]byte) Seed {
	mac := hmac.New(sha256.New, s[:])
	writeParts(mac, label, parts)
	return Seed(mac.Sum(nil))
}

// Stream returns the secret stream of a purpose: AES-256 in counter mode under
// the derived seed. The same seed, label and parts always give the same bytes;
// any difference gives independent ones (law L3).
func (s Seed) Stream(label string, parts ...[]byte) *Stream {
	key := s.Derive(label, parts...)
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("he: " + err.Error()) // unreachable: the key has 32 bytes
	}
	ctr := cipher.NewCTR(block, make([]byte, aes.BlockSize))
	return &Stream{fill: func(b []byte) {
		clear(b)
		ctr.XORKeyStream(b, b)
	}}
}

// PublicStream expands public parts, for common random polynomials (law L6):
// SHAKE128 over the label and the length-prefixed parts.
func PublicStream(label string, parts ...[]byte) *Stream {
	xof := sha3.NewSHAKE128()
	writeParts(xof, label, parts)
	return &Stream{fill: func(b []byte) {
		if _, err := xof.Read(b); err != nil {
			panic("he: " + err.Error()) // unreachable: SHAKE does not end
		}
	}}
}

// HashParts is SHA-256 over a label and length-prefixed parts: no two lists
// of parts share an encoding.
func HashParts(label string, parts ...[]byte) Digest {
	h := sha256.New()
	writeParts(h, label, parts)
	return Digest(h.Sum(nil))
}

func writeParts(w io.Writer, label string, parts [][]byte) {
	put := func(b []byte) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(b)))
		_, _ = w.Write(n[:])
		_, _ = w.Write(b)
	}
	put([]byte("commonseal/1/" + label))
	for _, p := range parts {
		put(p)
	}
}

// A Stream is an endless sequence of pseudo-random bytes and of samples made
// of them. It is used by one goroutine and never prints.
type Stream struct {
	fill func([]byte)
	buf  [4096]byte
	left int // unread bytes at the end of buf
}

// Format hides the bytes to come.
func (*Stream) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// Uint64 returns the next eight bytes.
func (s *Stream) Uint64() uint64 {
	if s.left < 8 {
		s.fill(s.buf[:])
		s.left = len(s.buf)
	}
	v := binary.LittleEndian.Uint64(s.buf[len(s.buf)-s.left:])
	s.left -= 8
	return v
}

// Below returns a uniform value in [0, q).
func (s *Stream) Below(q uint64) uint64 {
	// Rejection above the largest multiple of q keeps it exact.
	limit := -q % q // 2^64 mod q
	for {
		if v := s.Uint64(); v >= limit {
			return v % q
		}
	}
}

// Uniform fills p with a uniform element of r. The NTT of a uniform element is
// uniform, so p may be taken in either domain.
func (s *Stream) Uniform(r *ring.Ring, p ring.Poly) {
	for i, sub := range r.SubRings[:r.Level()+1] {
		q, brc := sub.Modulus, sub.BRedConstant
		limit := -q % q
		for j, row := 0, p.Coeffs[i]; j < len(row); {
			if v := s.Uint64(); v >= limit {
				row[j] = ring.BRedAdd(v, q, brc)
				j++
			}
		}
	}
}

// Ternary fills v with independent uniform values of {-1, 0, 1}.
func (s *Stream) Ternary(v []int64) {
	for i := 0; i < len(v); {
		w := s.Uint64()
		for range 8 {
			b := byte(w)
			w >>= 8
			if b >= 243 { // 3^5: five digits a byte
				continue
			}
			for k := 0; k < 5 && i < len(v); k++ {
				v[i] = int64(b%3) - 1
				b /= 3
				i++
			}
		}
	}
}

// Wide fills v with independent uniform values of [-2^logBound, 2^logBound),
// logBound below 63: two a word if they fit.
func (s *Stream) Wide(v []int64, logBound int) {
	mask := uint64(1)<<(logBound+1) - 1
	for i := 0; i < len(v); i++ {
		w := s.Uint64()
		v[i] = int64(w&mask) - 1<<logBound
		if logBound < 32 && i+1 < len(v) {
			i++
			v[i] = int64(w>>32&mask) - 1<<logBound
		}
	}
}

// Masked returns a uniform integer in [-2^logBound, 2^logBound).
func (s *Stream) Masked(logBound int) *big.Int {
	words := make([]big.Word, (logBound+1+bits.UintSize-1)/bits.UintSize)
	for i := range words {
		words[i] = big.Word(s.Uint64())
	}
	if extra := len(words)*bits.UintSize - (logBound + 1); extra > 0 {
		words[len(words)-1] >>= extra
	}
	v := new(big.Int).SetBits(words)
	return v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(logBound)))
}

// SetSmall writes the signed coefficients v, each below every prime in
// magnitude, into all limbs of p.
func SetSmall(r *ring.Ring, v []int64, p ring.Poly) {
	for i, sub := range r.SubRings[:r.Level()+1] {
		q, row := sub.Modulus, p.Coeffs[i]
		for j, x := range v {
			row[j] = uint64(x) + q&uint64(x>>63)
		}
	}
}
