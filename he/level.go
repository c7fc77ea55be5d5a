package he

import "github.com/tuneinsight/lattigo/v5/ring"

// At is c at a lower level, sharing its residues: the plaintext modulo fewer
// primes. A level above c's own is c itself.
func (c *Ciphertext) At(level int) *Ciphertext {
	n := min(level, c.Level()) + 1
	return &Ciphertext{Profile: c.Profile, LogScale: c.LogScale,
		C0: ring.Poly{Coeffs: c.C0.Coeffs[:n:n]}, C1: ring.Poly{Coeffs: c.C1.Coeffs[:n:n]}}
}

// Add is the sum of ciphertexts of one profile, level and scale.
func Add(cs ...*Ciphertext) *Ciphertext {
	first := cs[0]
	r := first.Profile.RingQ(first.Level())
	sum := &Ciphertext{Profile: first.Profile, LogScale: first.LogScale, C0: *first.C0.CopyNew(), C1: *first.C1.CopyNew()}
	for _, c := range cs[1:] {
		r.Add(sum.C0, c.C0, sum.C0)
		r.Add(sum.C1, c.C1, sum.C1)
	}
	return sum
}
