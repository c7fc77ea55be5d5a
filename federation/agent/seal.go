package agent

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"

	"github.com/commonseal/commonseal/he"
)

// conceal encrypts what a journal record of a name holds, under the seed of the
// home, so that a copy of the journal alone shows no secret. The nonce is derived
// from the content: records are put once, and a repeat must be the same bytes.
func conceal(seed he.Seed, name string, plain []byte) []byte {
	gcm := sealer(seed, name)
	derived := seed.Derive("agent/seal-nonce", []byte(name), plain)
	nonce := derived[:gcm.NonceSize()]
	return gcm.Seal(nonce, nonce, plain, []byte(name))
}

// uncover is what was concealed.
func uncover(seed he.Seed, name string, hidden []byte) ([]byte, error) {
	gcm := sealer(seed, name)
	if len(hidden) < gcm.NonceSize() {
		return nil, errors.New("a sealed record is too short; restore the journal")
	}
	plain, err := gcm.Open(nil, hidden[:gcm.NonceSize()], hidden[gcm.NonceSize():], []byte(name))
	if err != nil {
		return nil, errors.New("a sealed record does not open with this home's seed; restore both together")
	}
	return plain, nil
}

func sealer(seed he.Seed, name string) cipher.AEAD {
	key := seed.Derive("agent/seal", []byte(name))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("agent: " + err.Error()) // unreachable: the key has 32 bytes
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic("agent: " + err.Error()) // unreachable: the block has 16 bytes
	}
	return gcm
}
