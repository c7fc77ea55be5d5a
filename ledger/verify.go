package ledger

import "crypto/ed25519"

// A Verifier says whether a signature over a digest is of a key, as
// crypto/ed25519 says it. Another one may know the answer from before and must
// not have an answer of its own: a replica that differs in one is alone. Nil is
// crypto/ed25519's.
type Verifier func(key Key, digest Digest, signature Signature) bool

// Apply is [Apply] with signatures verified by f.
func (f Verifier) Apply(v View, b Block) Outcome {
	s := f.state(v, b.Time)
	s.height = b.Height
	s.misbehaved(b.Misbehaved)
	return s.applyBlock(b.Txs)
}

// Check is [Check] with signatures verified by f.
func (f Verifier) Check(v View, now int64, tx []byte) Result { return f.state(v, now).applyTx(tx) }

func (f Verifier) state(v View, now int64) *state {
	s := newState(v, now)
	s.verify = f
	return s
}

// verified says whether its sender signed t.
func (s *state) verified(t *Tx) bool {
	if s.verify == nil {
		return t.Verify()
	}
	return s.verify(t.Sender, t.digest(), t.signature)
}

// Verify says whether the sender signed t.
func (t *Tx) Verify() bool { return VerifyDigest(t.Sender, t.digest(), t.signature) }

// VerifyDigest is the [Verifier] that computes.
func VerifyDigest(key Key, digest Digest, signature Signature) bool {
	return ed25519.Verify(key[:], digest[:], signature[:])
}

// digest is what t's signature covers.
func (t *Tx) digest() Digest { return Digest(signing("tx", t.signed)) }
