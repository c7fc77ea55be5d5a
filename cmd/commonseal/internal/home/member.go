package home

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/commonseal/commonseal/ledger"
)

// A MemberFile is what a member sends to who founds a consortium: its record for
// the ledger and, of a validator, how other validators reach it. It is public.
// Each key in it signs all of it, so nobody can send another's key as its own.
type MemberFile struct {
	ledger.Member
	Peer ledger.Key // of a validator among validators, else zero
	P2P  string     // host:port of a validator for validators, else ""
}

// memberYAML is a MemberFile as a file has it.
type memberYAML struct {
	Name    string   `yaml:"name"`
	Owner   string   `yaml:"owner"`
	Roles   []string `yaml:"roles,flow"`
	Address string   `yaml:"address,omitempty"`
	P2P     string   `yaml:"p2p,omitempty"`

	Signing hexKey  `yaml:"signing"`
	TLS     hexKey  `yaml:"tls"`
	Vote    *hexKey `yaml:"vote,omitempty"`
	Peer    *hexKey `yaml:"peer,omitempty"`

	Proofs proofsYAML `yaml:"proofs"`
}

type proofsYAML struct {
	Signing hexSignature  `yaml:"signing"`
	TLS     hexSignature  `yaml:"tls"`
	Vote    *hexSignature `yaml:"vote,omitempty"`
	Peer    *hexSignature `yaml:"peer,omitempty"`
}

// Check says what is wrong with a member's names and addresses.
func (m *MemberFile) Check() error {
	if err := m.Member.Check(); err != nil {
		return err
	}
	// A member is one process, with one address and one replica of the ledger.
	if r := m.Roles &^ ledger.ModelPeer; r&(r-1) != 0 {
		return errors.New("one process plays one of company, aggregator and validator; make a member for each")
	}
	dialled := m.Roles.Has(ledger.Aggregator) || m.Roles.Has(ledger.Validator)
	switch {
	case dialled:
		if err := checkAddress(m.Address); err != nil {
			return fmt.Errorf("its address: %w", err)
		}
	case m.Address != "":
		return errors.New("it has an address, and only aggregators and validators are dialled")
	}
	switch {
	case m.Roles.Has(ledger.Validator):
		if err := checkAddress(m.P2P); err != nil {
			return fmt.Errorf("its address for validators: %w", err)
		}
		if m.P2P == m.Address {
			return errors.New("its two addresses are the same")
		}
		if m.Peer == (ledger.Key{}) {
			return errors.New("it has no key as a peer of validators")
		}
	case m.P2P != "" || m.Peer != ledger.Key{}:
		return errors.New("it has an address or a key among validators, and is none")
	}
	return nil
}

// signed is what the key of a purpose signs.
func (m *MemberFile) signed(purpose string) []byte {
	join := ledger.Join{Member: m.Member}
	record := join.Digest()
	d := ledger.Hash("memberfile", []byte(purpose), record[:], m.Peer[:], []byte(m.P2P))
	return d[:]
}

// Append adds the file of m, signed by keys, to dst.
func (m *MemberFile) Append(dst []byte, keys Keys) ([]byte, error) {
	y := memberYAML{
		Name: m.Name, Owner: m.Owner, Roles: RoleNames(m.Roles), Address: m.Address, P2P: m.P2P,
		Signing: hexKey(m.Signing), TLS: hexKey(m.TLS),
	}
	prove := func(purpose string, key PrivateKey) (s hexSignature) {
		copy(s[:], ed25519.Sign(key.Ed25519(), m.signed(purpose)))
		return s
	}
	y.Proofs.Signing, y.Proofs.TLS = prove("signing", keys.Signing), prove("tls", keys.TLS)
	if m.Roles.Has(ledger.Validator) {
		vote, peer := hexKey(m.Vote), hexKey(m.Peer)
		byVote, byPeer := prove("vote", keys.Vote), prove("peer", keys.P2P)
		y.Vote, y.Peer, y.Proofs.Vote, y.Proofs.Peer = &vote, &peer, &byVote, &byPeer
	}
	b, err := appendYAML("What "+m.Name+" is and which public keys it has, signed by each of them.\nNothing here is secret. Do not edit it: the signatures are over all of it.", &y)
	return append(dst, b...), err
}

// ParseMember decodes and checks a member file; name is for errors.
func ParseMember(name string, b []byte) (MemberFile, error) { return parseMember(name, b, true) }

// parseMember can leave the signatures out, for tests of what happens then.
func parseMember(name string, b []byte, prove bool) (MemberFile, error) {
	var y memberYAML
	if err := parseYAML(name, b, &y); err != nil {
		return MemberFile{}, err
	}
	m := MemberFile{P2P: y.P2P}
	m.Name, m.Owner, m.Address = y.Name, y.Owner, y.Address
	m.Signing, m.TLS = ledger.Key(y.Signing), ledger.Key(y.TLS)
	var err error
	if m.Roles, err = ParseRoles(y.Roles); err != nil {
		return MemberFile{}, fmt.Errorf("%s: roles: %w", name, err)
	}
	if y.Vote != nil {
		m.Vote = ledger.Key(*y.Vote)
	}
	if y.Peer != nil {
		m.Peer = ledger.Key(*y.Peer)
	}
	if err := m.Check(); err != nil {
		return MemberFile{}, fmt.Errorf("%s: %w", name, err)
	}
	if bad := m.unproved(y.Proofs); bad != "" && prove {
		return MemberFile{}, fmt.Errorf("%s: the key %s did not sign it; it was edited, or the sender does not have the key: ask for the file that keygen wrote", name, bad)
	}
	return m, nil
}

// unproved is the first key that did not sign m, "" if all did.
func (m *MemberFile) unproved(p proofsYAML) string {
	for _, k := range []struct {
		purpose string
		key     ledger.Key
		proof   *hexSignature
	}{{"signing", m.Signing, &p.Signing}, {"tls", m.TLS, &p.TLS}, {"vote", m.Vote, p.Vote}, {"peer", m.Peer, p.Peer}} {
		if k.key == (ledger.Key{}) && k.proof == nil {
			continue
		}
		if k.proof == nil || !ed25519.Verify(k.key[:], m.signed(k.purpose), k.proof[:]) {
			return k.purpose
		}
	}
	return ""
}

// Keygen makes the keys of a member in a home that has none, and its member
// file, whose name it returns. The names and addresses in m are given; its keys
// are set.
func Keygen(dir string, m MemberFile) (string, error) {
	keys, err := NewKeys(m.Roles)
	if err != nil {
		return "", err
	}
	m.Signing, m.TLS, m.Vote, m.Peer = keys.Signing.Public(), keys.TLS.Public(), keys.Vote.Public(), keys.P2P.Public()
	if err := m.Check(); err != nil {
		return "", fmt.Errorf("member %s: %w", m.Name, err)
	}
	b, err := m.Append(nil, keys)
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, m.Name+".member.yaml")
	return name, writeKeys(dir, keys, func() error { return writeFile(name, b, 0o644) })
}
