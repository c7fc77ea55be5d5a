package home

import (
	"errors"
	"fmt"
	"path/filepath"
)

// JoinLater puts a consortium into the home of a member that it was founded
// without: who the member is says its own member file, until the companies admit it.
func JoinLater(dir, genesisName, networkName string, places Places) (*Home, error) {
	keys, err := ReadKeys(dir)
	if err != nil {
		return nil, err
	}
	g, err := ReadGenesis(genesisName)
	if err != nil {
		return nil, err
	}
	if m, err := memberOf(g, keys); err == nil {
		return nil, fmt.Errorf("%s is of %s, with whom %s was founded; run commonseal join --home %s %s %s", dir, m.Name, g.Chain, dir, genesisName, networkName)
	}
	m, err := ownMember(dir, keys)
	if err != nil {
		return nil, err
	}
	if _, taken := g.member(m.Name); taken {
		return nil, fmt.Errorf("%s has a member %s already; make keys for another name", g.Chain, m.Name)
	}
	network, err := ReadNetwork(networkName, &g)
	if err != nil {
		return nil, err
	}
	node, err := newNode(&g, m.Member, keys, network, places)
	if err != nil {
		return nil, err
	}
	node.Late, node.Trust = true, places.Trust
	if node.P2P != nil {
		node.P2P.Listen = m.P2P
	}
	return writeJoined(dir, &g, m.Member, node)
}

// ownMember is the member file that keygen wrote into a home.
func ownMember(dir string, keys Keys) (MemberFile, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.member.yaml"))
	if err != nil {
		return MemberFile{}, err
	}
	for _, name := range names {
		b, err := ReadSmall(name)
		if err != nil {
			return MemberFile{}, err
		}
		m, err := ParseMember(name, b)
		if err != nil {
			return MemberFile{}, err
		}
		if m.Signing == keys.Signing.Public() && m.TLS == keys.TLS.Public() && m.Vote == keys.Vote.Public() && m.Peer == keys.P2P.Public() {
			return m, nil
		}
	}
	return MemberFile{}, fmt.Errorf("%s has no member file of its keys; put back the one that keygen wrote there", dir)
}

// lateMember is the member of a home that joined later.
func lateMember(dir string, keys Keys) (MemberFile, error) {
	node, err := readNode(filepath.Join(dir, nodeFile))
	if err == nil && !node.Late {
		err = errors.New("it did not join later")
	}
	if err != nil {
		return MemberFile{}, err
	}
	return ownMember(dir, keys)
}
