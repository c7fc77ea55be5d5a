package circuit

import (
	"math/bits"

	"github.com/tuneinsight/lattigo/v5/ring"
)

// batch is how many products of two sums of two residues below 2^60 stay below
// 2^128 with room: 2^5 · 2^122.
const batch = 32

// tile is how many coefficients are accumulated at a time: six words each, so
// that the sums stay in the first cache.
const tile = 256

// A sum is 128 bits.
type sum struct{ hi, lo uint64 }

func (s *sum) addProduct(a, b uint64) {
	hi, lo := bits.Mul64(a, b)
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, lo, 0)
	s.hi, _ = bits.Add64(s.hi, hi, carry)
}

// A pair is the two polynomials of a ciphertext.
type pair [2]ring.Poly

// sumProducts adds Σ a_i·b_i to out, the three polynomials of degree-two
// ciphertexts, for one prime q: residues row of every operand. Products are
// summed in 128 bits and reduced once a batch; the middle term takes one
// product instead of two (Karatsuba).
func sumProducts(q uint64, row int, as, bs []pair, out [3][]uint64) {
	var acc [tile][3]sum
	for from := 0; from < len(as); from += batch {
		to := min(from+batch, len(as))
		for at := 0; at < len(out[0]); at += tile {
			n := min(tile, len(out[0])-at)
			clear(acc[:n])
			for i := from; i < to; i++ {
				a0, a1 := as[i][0].Coeffs[row][at:at+n], as[i][1].Coeffs[row][at:at+n]
				b0, b1 := bs[i][0].Coeffs[row][at:at+n], bs[i][1].Coeffs[row][at:at+n]
				for j := range a0 {
					x0, x1, y0, y1 := a0[j], a1[j], b0[j], b1[j]
					s := &acc[j]
					s[0].addProduct(x0, y0)
					s[1].addProduct(x0+x1, y0+y1)
					s[2].addProduct(x1, y1)
				}
			}
			for j := range n {
				r0, r2 := reduce(acc[j][0], q), reduce(acc[j][2], q)
				r1 := reduce(acc[j][1], q) + 2*q - r0 - r2
				out[0][at+j] = ring.CRed(out[0][at+j]+r0, q)
				out[1][at+j] = (out[1][at+j] + r1) % q
				out[2][at+j] = ring.CRed(out[2][at+j]+r2, q)
			}
		}
	}
}

// sumPlain adds Σ m_i·b_i to out for plaintexts m_i, for one prime q.
func sumPlain(q uint64, row int, ms []ring.Poly, bs []pair, out [3][]uint64) {
	var acc [tile][2]sum
	for from := 0; from < len(ms); from += batch {
		to := min(from+batch, len(ms))
		for at := 0; at < len(out[0]); at += tile {
			n := min(tile, len(out[0])-at)
			clear(acc[:n])
			for i := from; i < to; i++ {
				m := ms[i].Coeffs[row][at : at+n]
				b0, b1 := bs[i][0].Coeffs[row][at:at+n], bs[i][1].Coeffs[row][at:at+n]
				for j, x := range m {
					acc[j][0].addProduct(x, b0[j])
					acc[j][1].addProduct(x, b1[j])
				}
			}
			for j := range n {
				out[0][at+j] = ring.CRed(out[0][at+j]+reduce(acc[j][0], q), q)
				out[1][at+j] = ring.CRed(out[1][at+j]+reduce(acc[j][1], q), q)
			}
		}
	}
}

func reduce(s sum, q uint64) uint64 { return bits.Rem64(s.hi, s.lo, q) }
