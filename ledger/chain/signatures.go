package chain

import (
	"sync"

	"github.com/commonseal/commonseal/ledger"
)

// maxSignatures is how many are remembered, at most: 20 s of a thousand
// transactions a second, in 4 MB.
const maxSignatures = 20_000

// Signatures remembers which signatures were found to be right, so that a
// transaction's is verified once on its way through the pool, a proposal and a
// block. It remembers nothing else: not who may sign, and no wrong signature. It is
// safe for concurrent use.
type Signatures struct {
	mu         sync.Mutex
	young, old map[signed]bool // at most maxSignatures/2 each
}

// signed is all that the answer depends on.
type signed struct {
	key       ledger.Key
	digest    ledger.Digest
	signature ledger.Signature
}

// Verify is a [ledger.Verifier].
func (s *Signatures) Verify(key ledger.Key, digest ledger.Digest, signature ledger.Signature) bool {
	one := signed{key, digest, signature}
	if s.right(one) {
		return true
	}
	if !ledger.VerifyDigest(key, digest, signature) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.young == nil || len(s.young) >= maxSignatures/2 {
		s.young, s.old = make(map[signed]bool), s.young
	}
	s.young[one] = true
	return true
}

// right says whether a signature was found to be right.
func (s *Signatures) right(one signed) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.young[one] || s.old[one]
}
