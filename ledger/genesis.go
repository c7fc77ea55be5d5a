package ledger

import "fmt"

// A Mode is what a key holder asks for before it answers (PROTOCOL §6).
type Mode uint8

const (
	Strict Mode = 1 // its own witness has replayed the operation
	Quorum Mode = 2 // enough nodes of different owners have recorded one digest
)

// String names the mode as founding files do.
func (m Mode) String() string {
	switch m {
	case Strict:
		return "strict"
	case Quorum:
		return "quorum"
	}
	return fmt.Sprintf("mode %d", uint8(m))
}

// A Genesis is what a consortium is founded on.
type Genesis struct {
	Chain                 string
	Members               []Member
	Train, Release, Serve Digest // of the profiles
	Mode                  Mode
	Quorum                uint8  // equal records of different owners that open a ticket
	Patience              int64  // ms that a stage, a step or an approval is waited for; 0: DefaultPatience
	RewardEpoch           int64  // ms; 0: DefaultEpoch
	Releases              uint32 // of a key epoch; 0: MaxReleases
	Money                 Money
}

func (g *Genesis) code(c *coder) {
	c.name(&g.Chain)
	list(c, &g.Members, MaxMembers, func(m *Member) { m.code(c) })
	c.digest(&g.Train)
	c.digest(&g.Release)
	c.digest(&g.Serve)
	c.u8((*uint8)(&g.Mode))
	c.u8(&g.Quorum)
	c.i64(&g.Patience)
	c.i64(&g.RewardEpoch)
	c.u32(&g.Releases)
	g.Money.code(c)
}

// Append adds the one encoding of g to dst.
func (g *Genesis) Append(dst []byte) []byte { return appendCoded(dst, g) }

// ParseGenesis decodes exactly one genesis. It does not check its sense; Writes
// does.
func ParseGenesis(b []byte) (Genesis, error) {
	var g Genesis
	if err := parseCoded(b, &g); err != nil {
		return Genesis{}, fmt.Errorf("genesis: %w", err)
	}
	return g, nil
}

// Writes are the first state. The error says what the consortium lacks.
func (g Genesis) Writes() ([]Write, error) {
	if g.Patience == 0 {
		g.Patience = DefaultPatience
	}
	if g.RewardEpoch == 0 {
		g.RewardEpoch = DefaultEpoch
	}
	if g.Releases == 0 {
		g.Releases = MaxReleases
	}
	if err := g.check(); err != nil {
		return nil, fmt.Errorf("genesis: %w", err)
	}
	s := newState(empty{}, 0)
	s.genesis, s.rules = &g, &g.Money
	for i := range g.Members {
		if r := s.admit(&g.Members[i]); r.Code != OK {
			return nil, fmt.Errorf("genesis: %s", r.Detail)
		}
		s.found(g.Members[i].Name)
	}
	s.put([]byte(keyGenesis), &g)
	if _, err := ParseGenesis(s.Get([]byte(keyGenesis))); err != nil {
		return nil, fmt.Errorf("%w; nothing that is read has this", err)
	}
	return s.writes(), nil
}

func (g *Genesis) check() error {
	companies, aggregators, validators := map[string]bool{}, map[string]bool{}, 0
	for _, m := range g.Members {
		if m.Revoked {
			return fmt.Errorf("member %s is revoked from the start; leave it out", m.Name)
		}
		if m.Roles.Has(Company) {
			companies[m.Owner] = true
		}
		if m.Roles.Has(Aggregator) {
			aggregators[m.Owner] = true
		}
		if m.Roles.Has(Validator) {
			validators++
		}
	}
	switch {
	case !ValidName(g.Chain):
		return fmt.Errorf("chain %q is not a name; use 1 to %d of a-z, 0-9 and inner hyphens", g.Chain, MaxName)
	case len(companies) < MinParties:
		return fmt.Errorf("companies of %d owners; a federation takes %d", len(companies), MinParties)
	case validators == 0:
		return fmt.Errorf("no validator; name one at least, four to stand the loss of one")
	case g.Mode != Strict && g.Mode != Quorum:
		return fmt.Errorf("provenance %v; it is strict or quorum", g.Mode)
	case g.Quorum < 1 || int(g.Quorum) > len(aggregators):
		return fmt.Errorf("a quorum of %d; the aggregators have %d different owners", g.Quorum, len(aggregators))
	case g.Mode == Quorum && g.Quorum < 2:
		return fmt.Errorf("a quorum of 1: one node could take the key; use 2 owners or strict")
	case g.Patience < 0 || g.Patience > MaxPatience || g.RewardEpoch < 0 || g.RewardEpoch > MaxPatience:
		return fmt.Errorf("a patience of %d ms, reward epochs of %d ms; they are 1 to %d", g.Patience, g.RewardEpoch, int64(MaxPatience))
	case g.Releases > MaxReleases:
		return fmt.Errorf("%d releases of a key epoch; its flooding is made for %d", g.Releases, MaxReleases)
	}
	return g.Money.Check()
}

// empty is the state before the first.
type empty struct{}

func (empty) Get([]byte) []byte                          { return nil }
func (empty) Range([]byte, func(key, value []byte) bool) {}

// GenesisOf is what the state was founded on, nil if on nothing yet.
func GenesisOf(v View) *Genesis {
	g, _ := load[Genesis](v, []byte(keyGenesis))
	return g
}

// GenesisKey is the key of the state that every ledger has.
func GenesisKey() []byte { return []byte(keyGenesis) }

// Members are all members, by name, those revoked included.
func Members(v View) (out []Member) {
	each(v, []byte(keyMember), func(_ []byte, m *Member) bool {
		out = append(out, *m)
		return true
	})
	return out
}

// MemberOf is the member of a name.
func MemberOf(v View, name string) (*Member, bool) { return load[Member](v, key(keyMember, name)) }

// Signer is the name of the member or querier that signs with key, unless it was
// revoked.
func Signer(v View, signing Key) (name string, ok bool) {
	b := v.Get(key(keySigning, signing))
	if m, is := MemberOf(v, string(b)); is && m.Revoked {
		return "", false
	}
	return string(b), b != nil
}

// Peer is the name of the member or querier whose TLS key this is, unless it was
// revoked. A key that was replaced is nobody's.
func Peer(v View, tls Key) (name string, ok bool) {
	name = string(v.Get(key(keyTLS, tls)))
	if m, is := MemberOf(v, name); is {
		return name, m.TLS == tls && !m.Revoked
	}
	q, is := QuerierOf(v, name)
	return name, is && q.TLS == tls
}
