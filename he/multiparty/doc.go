// Package multiparty is the local side of the collective protocols: what one
// party computes from its own secrets and from what it received, and how
// shares are added up. One protocol is one file: map (refresh), switch, serve;
// the ceremony is more: proceedings.go has what everybody sees of it, ceremony.go
// what a party adds, keyset.go Galois keys for an epoch that exists.
//
// It does no I/O, keeps no time and starts no goroutine. Every share is a
// function of the party's sealed seed and of the full local input (law L3): a
// repeat gives identical bytes, and any difference gives independent
// randomness. Every common random polynomial is derived from the key epoch's
// common reference string, the round and the ciphertexts' digests, never
// received (law L6). No share, no mask and no noise is ever opened (law L14).
package multiparty
