// Package he encrypts tables under CKKS and turns what is encrypted into
// bytes and back. It knows parameters, packing, sampling and the codec; it
// knows no parties, no rounds and no network.
//
// A [Profile] fixes a ring, a modulus chain and a scale. [Rows] are packed
// as generalised diagonals ([Packing]) and encrypted under a [PublicKey]; a
// [Ciphertext] is degree one, in the NTT domain, with a scale that is a power
// of two. Every object that crosses a wire or a disk is an [Object] with one
// canonical encoding: Parse* is the only way from bytes to lattigo's types
// (law L1), and whatever Parse accepts, Append gives back byte for byte.
//
// All randomness comes from a [Stream]: a pseudo-random function of a secret
// [Seed] and of what the bytes are for, or a public extendable-output function
// for what everybody must derive alike (laws L3 and L6).
package he
