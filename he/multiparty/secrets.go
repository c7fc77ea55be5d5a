package multiparty

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"slices"

	"github.com/commonseal/commonseal/he"
)

// Secrets are what one party of a roster holds: its sealed seed κ and one
// secret for each profile (law L15). They never print.
type Secrets struct {
	Index   int     // in the roster
	Seed    he.Seed // κ: everything a share draws is derived from it
	Train   *he.SecretKey
	Release *he.SecretKey
}

// String hides the secrets.
func (*Secrets) String() string { return "[secret]" }

// GoString hides the secrets.
func (*Secrets) GoString() string { return "[secret]" }

// LogValue hides the secrets.
func (*Secrets) LogValue() slog.Value { return slog.StringValue("[secret]") }

// Of is the party's secret in profile p, or nil if it has none.
func (s *Secrets) Of(p *he.Profile) *he.SecretKey {
	for _, sk := range []*he.SecretKey{s.Train, s.Release} {
		if sk != nil && sk.Profile.Digest() == p.Digest() {
			return sk
		}
	}
	return nil
}

// newSecrets derives what the party at an index holds from its κ, one secret a
// profile (law L15).
func newSecrets(index int, kappa he.Seed, train, release *he.Profile) *Secrets {
	key := func(p *he.Profile) *he.SecretKey {
		d := p.Digest()
		return he.NewSecretKey(p, kappa.Stream("secret-key", d[:]))
	}
	return &Secrets{Index: index, Seed: kappa, Train: key(train), Release: key(release)}
}

// secretsSize is version, index, κ and the check.
const secretsSize = 1 + 4 + len(he.Seed{}) + len(he.Digest{})

// Append adds the one encoding of s, [he.Version] first, to dst, for a store
// that seals it: κ, from which both secrets are derived, and a check of them.
// It is all that a party keeps of a ceremony that is Done.
func (s *Secrets) Append(dst []byte) []byte {
	check := s.check()
	dst = binary.BigEndian.AppendUint32(append(dst, he.Version), uint32(s.Index))
	return append(append(dst, s.Seed[:]...), check[:]...)
}

// check identifies the party's index, both secrets and their profiles.
func (s *Secrets) check() he.Digest {
	digests := [][]byte{index(s.Index)}
	for _, sk := range []*he.SecretKey{s.Train, s.Release} {
		o := he.Object{Kind: he.KindSecretKey, Profile: sk.Profile, Level: sk.Profile.MaxLevel(), Rows: slices.Concat(sk.Value.Q.Coeffs, sk.Value.P.Coeffs)}
		d := o.Digest()
		digests = append(digests, d[:])
	}
	return he.HashParts("ceremony/sealed-secrets", digests...)
}

// ParseSecrets decodes what [Secrets.Append] made of a ceremony's secrets in
// the two profiles. It refuses every other length, an unknown version, an index
// that no roster has, and bytes from which other secrets follow than were put
// in: they are of other profiles, or damaged. No error shows a secret.
func ParseSecrets(b []byte, train, release *he.Profile) (*Secrets, error) {
	if len(b) != secretsSize {
		return nil, fmt.Errorf("sealed secrets of %d bytes; they have %d", len(b), secretsSize)
	}
	party := binary.BigEndian.Uint32(b[1:])
	switch {
	case b[0] != he.Version:
		return nil, fmt.Errorf("sealed secrets of version %d; this build reads version %d", b[0], he.Version)
	case party >= he.MaxParties:
		return nil, fmt.Errorf("sealed secrets of party %d; a roster has at most %d", party, he.MaxParties)
	}
	kappa := he.Seed(b[5:])
	s := newSecrets(int(party), kappa, train, release)
	if s.check() != he.Digest(b[5+len(kappa):]) {
		return nil, fmt.Errorf("sealed secrets are not of profiles %s and %s, or damaged; restore them from the store they were sealed in", train.Name(), release.Name())
	}
	return s, nil
}
