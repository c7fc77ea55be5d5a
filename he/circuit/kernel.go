package circuit

import "github.com/tuneinsight/lattigo/v5/ring"

// batch is how many products of two sums of two residues below 2^60 stay below
// 2^128 with room: 2^5 · 2^122.
const batch = 32

// tile is how many coefficients are accumulated at a time: six words each, so
// that the sums stay in the first cache.
const tile = 256

// A pair is the two polynomials of a ciphertext.
type pair [2]ring.Poly

// sumProducts adds Σ a_i·b_i to out, the three polynomials of degree-two
// ciphertexts, for one prime: residues row of every operand. Products are
// summed in 128 bits and reduced once a batch; the middle term takes one
// product instead of two (Karatsuba).
func (m *modulus) sumProducts(row int, as, bs []pair, out [3][]uint64) {
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
				r0, r2 := m.reduce(acc[j][0]), m.reduce(acc[j][2])
				r1 := m.reduce(acc[j][1]) + 2*m.q - r0 - r2
				out[0][at+j] = ring.CRed(out[0][at+j]+r0, m.q)
				out[1][at+j] = ring.BRedAdd(out[1][at+j]+r1, m.q, m.BRedConstant)
				out[2][at+j] = ring.CRed(out[2][at+j]+r2, m.q)
			}
		}
	}
}

// sumPlain adds Σ m_i·b_i to out for plaintexts m_i, for one prime.
func (m *modulus) sumPlain(row int, ms []ring.Poly, bs []pair, out [3][]uint64) {
	var acc [tile][2]sum
	for from := 0; from < len(ms); from += batch {
		to := min(from+batch, len(ms))
		for at := 0; at < len(out[0]); at += tile {
			n := min(tile, len(out[0])-at)
			clear(acc[:n])
			for i := from; i < to; i++ {
				x := ms[i].Coeffs[row][at : at+n]
				b0, b1 := bs[i][0].Coeffs[row][at:at+n], bs[i][1].Coeffs[row][at:at+n]
				for j, x := range x {
					acc[j][0].addProduct(x, b0[j])
					acc[j][1].addProduct(x, b1[j])
				}
			}
			for j := range n {
				out[0][at+j] = ring.CRed(out[0][at+j]+m.reduce(acc[j][0]), m.q)
				out[1][at+j] = ring.CRed(out[1][at+j]+m.reduce(acc[j][1]), m.q)
			}
		}
	}
}

// maxDigits is how many products of any word and a residue below 2^61 stay
// below 2^128.
const maxDigits = 8

// dot sets out to Σ digit_i·key_i for both halves of up to maxDigits key
// digits, which are in Montgomery form. Digits may be any words.
func (m *modulus) dot(digits, b, a [][]uint64, out [2][]uint64) {
	var acc [tile][2]sum
	for at := 0; at < len(out[0]); at += tile {
		n := min(tile, len(out[0])-at)
		clear(acc[:n])
		for i := 0; i+1 < len(digits); i += 2 {
			d, e := digits[i][at:at+n], digits[i+1][at:at+n]
			bd, be := b[i][at:at+n], b[i+1][at:at+n]
			ad, ae := a[i][at:at+n], a[i+1][at:at+n]
			for j := range d {
				s := acc[j]
				x, y := d[j], e[j]
				s[0].addProduct(x, bd[j])
				s[0].addProduct(y, be[j])
				s[1].addProduct(x, ad[j])
				s[1].addProduct(y, ae[j])
				acc[j] = s
			}
		}
		if i := len(digits) - 1; i%2 == 0 {
			d, bd, ad := digits[i][at:at+n], b[i][at:at+n], a[i][at:at+n]
			for j := range d {
				acc[j][0].addProduct(d[j], bd[j])
				acc[j][1].addProduct(d[j], ad[j])
			}
		}
		for j := range n {
			out[0][at+j] = m.montgomery(acc[j][0])
			out[1][at+j] = m.montgomery(acc[j][1])
		}
	}
}
