package chain

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/commonseal/commonseal/ledger"
)

// Signatures says what crypto/ed25519 says, whatever it was asked before: no bit
// of a key, digest or signature that was right can be another.
func TestSignaturesAddNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var s Signatures
		var known []signed
		for range rapid.IntRange(1, 6).Draw(rt, "signers") {
			seed := sha256.Sum256([]byte(rapid.String().Draw(rt, "seed")))
			private := ed25519.NewKeyFromSeed(seed[:])
			digest := sha256.Sum256([]byte(rapid.String().Draw(rt, "message")))
			known = append(known, signed{ledger.Key(private.Public().(ed25519.PublicKey)), digest, ledger.Signature(ed25519.Sign(private, digest[:]))})
		}
		for range 40 {
			asked := rapid.SampledFrom(known).Draw(rt, "signature")
			other := rapid.SampledFrom(known).Draw(rt, "another")
			switch bit := rapid.IntRange(0, 255).Draw(rt, "bit"); rapid.IntRange(0, 6).Draw(rt, "change") {
			case 0:
				asked.key[bit/8] ^= 1 << (bit % 8)
			case 1:
				asked.digest[bit/8] ^= 1 << (bit % 8)
			case 2:
				asked.signature[bit/8] ^= 1 << (bit % 8)
			case 3:
				asked.signature[32+bit/8] ^= 1 << (bit % 8)
			case 4:
				asked.key = other.key
			case 5:
				asked.digest = other.digest
			}
			want := ed25519.Verify(asked.key[:], asked.digest[:], asked.signature[:])
			if got := s.Verify(asked.key, asked.digest, asked.signature); got != want {
				rt.Fatalf("Verify(%x, %x, %x) = %v, want %v", asked.key, asked.digest, asked.signature, got, want)
			}
			if s.right(asked) != want {
				rt.Fatalf("remembered: %v, want %v", s.right(asked), want)
			}
		}
	})
}

func TestSignaturesAreBounded(t *testing.T) {
	private := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	var s Signatures
	var last signed
	for i := range maxSignatures + maxSignatures/2 + 1 {
		digest := sha256.Sum256(fmt.Append(nil, i))
		last = signed{ledger.Key(private.Public().(ed25519.PublicKey)), digest, ledger.Signature(ed25519.Sign(private, digest[:]))}
		if !s.Verify(last.key, last.digest, last.signature) {
			t.Fatal("a right signature is refused")
		}
	}
	if n := len(s.young) + len(s.old); n > maxSignatures || !s.right(last) {
		t.Errorf("%d are remembered, want at most %d with the last: %v", n, maxSignatures, s.right(last))
	}
}
