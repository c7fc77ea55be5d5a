package multiparty

import (
	"bytes"
	"crypto/ecdh"
	"fmt"

	"github.com/commonseal/commonseal/he"
)

// PairKey is the X25519 public key that server self of the roster publishes
// for one model, before it serves. Whoever could replace it on its way would
// share the masks of its pairs, so it travels signed.
func PairKey(roster Roster, model he.Digest, self int, seed he.Seed) ([]byte, error) {
	private, err := pairPrivate(roster, model, self, seed)
	if err != nil {
		return nil, err
	}
	return private.PublicKey().Bytes(), nil
}

func pairPrivate(roster Roster, model he.Digest, self int, seed he.Seed) (*ecdh.PrivateKey, error) {
	if self < 0 || self >= roster.N() {
		return nil, fmt.Errorf("serve: no server %d in a roster of %d", self, roster.N())
	}
	digest := roster.Digest()
	key := seed.Derive("serve/pair-key", digest[:], model[:], []byte(roster.Parties[self]))
	return ecdh.X25519().NewPrivateKey(key[:])
}

// pairSeeds are the seeds that server self has in common with each other one,
// from the keys all of them published, in roster order. Its own stays zero.
func pairSeeds(roster Roster, model he.Digest, self int, seed he.Seed, published [][]byte) ([]he.Seed, error) {
	private, err := pairPrivate(roster, model, self, seed)
	if err != nil {
		return nil, err
	}
	if len(published) != roster.N() || !bytes.Equal(published[self], private.PublicKey().Bytes()) {
		return nil, fmt.Errorf("serve: %d pair keys that should be %d in roster order, with this server's own at %d", len(published), roster.N(), self)
	}
	digest := roster.Digest()
	out := make([]he.Seed, roster.N())
	for j, name := range roster.Parties {
		if j == self {
			continue
		}
		peer, err := ecdh.X25519().NewPublicKey(published[j])
		if err != nil {
			return nil, fmt.Errorf("serve: pair key of %s: %w", name, err)
		}
		secret, err := private.ECDH(peer)
		if err != nil {
			return nil, fmt.Errorf("serve: pair key of %s: %w", name, err)
		}
		low, high := min(self, j), max(self, j)
		out[j] = he.Seed(secret).Derive("serve/pair", digest[:], model[:],
			index(low), index(high), published[low], published[high])
	}
	return out, nil
}
