package multiparty

import (
	"errors"
	"fmt"

	"github.com/commonseal/commonseal/he"
)

// A Part is one model of a blend: this server's share of it, and how many of
// 2^[he.LogParts] parts the model has.
type Part struct {
	Server *Server
	Parts  uint16
}

// Blend is a server of the sum of models, each taken its parts times: shares add
// up as what they are shares of. name is what all servers call the blend. Models
// are of one roster and width, each once.
//
// Its masks and its errors are its own: they are derived from those of all its
// models and from name, so they are the same again for the same query only, and
// an answer of a blend and answers of its models have nothing in common but the
// weights.
//
// The sum is at 2^[he.LogParts] times a model's scale. The answer grid and the
// error on answers are wider by as much, so that answers range as far and tell as
// many bits as a model's. u and e1 are what they are: the second half of an answer
// hides a share that is uniform modulo the modulus, and a sum of shares is.
func Blend(name he.Digest, models []Part) (*Server, error) {
	if len(models) == 0 {
		return nil, errors.New("serve: a blend of no models")
	}
	first := models[0].Server
	s := &Server{profile: first.profile, width: first.width, logParts: he.LogParts, roster: first.roster,
		self: first.self, off: first.off, pairs: make([]he.Seed, len(first.pairs))}
	r := s.profile.RingQ(s.profile.MaxLevel())
	s.weights = r.NewPoly()
	sum, seen := 0, map[he.Digest]bool{}
	for _, m := range models {
		switch {
		case m.Server.roster != s.roster || m.Server.self != s.self || m.Server.width != s.width || m.Server.logParts != 0:
			return nil, errors.New("serve: a blend of models of different rosters or widths, or of blends")
		case seen[m.Server.base] || m.Parts == 0:
			return nil, fmt.Errorf("serve: a blend with a model twice, or with %d parts of one", m.Parts)
		}
		seen[m.Server.base] = true
		sum += int(m.Parts)
		r.MulScalarThenAdd(m.Server.weights, uint64(m.Parts), s.weights)
	}
	if sum != 1<<he.LogParts {
		return nil, fmt.Errorf("serve: a blend of %d parts; they are %d", sum, 1<<he.LogParts)
	}
	s.base = he.HashParts("serve/blend", s.roster[:], name[:], index(s.width))
	s.seed = blended(name, models, func(m *Server) he.Seed { return m.seed })
	for j := range s.pairs {
		s.pairs[j] = blended(name, models, func(m *Server) he.Seed { return m.pairs[j] })
	}
	if s.off.blend {
		s.base, s.seed, s.pairs = first.base, first.seed, first.pairs
	}
	s.grid()
	return s, nil
}

// blended is a seed that nobody has who lacks that of any of the models.
func blended(name he.Digest, models []Part, of func(*Server) he.Seed) he.Seed {
	var rest [][]byte
	for _, m := range models[1:] {
		seed := of(m.Server)
		rest = append(rest, seed[:])
	}
	return of(models[0].Server).Derive("serve/blend", append(rest, name[:])...)
}
