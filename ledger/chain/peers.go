package chain

import (
	"context"
	"slices"
	"strings"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/p2p"

	"github.com/commonseal/commonseal/ledger"
)

// Query answers CometBFT's question whether to let a peer in, and nothing else:
// only the listed validators and those that announced themselves on the ledger,
// whatever key another one proves.
func (a *application) Query(_ context.Context, req *abci.RequestQuery) (*abci.ResponseQuery, error) {
	a.door.enter()
	defer a.door.leave()
	if strings.HasPrefix(req.Path, "/p2p/filter/addr/") { // it proves no key yet
		return &abci.ResponseQuery{}, nil
	}
	if id, ok := strings.CutPrefix(req.Path, "/p2p/filter/id/"); ok {
		if slices.ContainsFunc(a.wanted(), func(peer string) bool { return strings.HasPrefix(peer, id+"@") }) {
			return &abci.ResponseQuery{}, nil
		}
	}
	return &abci.ResponseQuery{Code: uint32(ledger.Forbidden), Log: "not a validator that is listed or announced"}, nil
}

// wanted are the peers connections are kept to, ID@host:port: the listed ones, and
// those of the committed state. An announced address replaces a listed one.
func (a *application) wanted() []string {
	var out []string
	if a.Contacts != nil {
		view, _, _ := a.last()
		for _, c := range a.Contacts(view) {
			out = append(out, PeerID(c.Peer)+"@"+c.Address)
		}
	}
	announced := slices.Clone(out)
	for _, peer := range a.peers {
		id, _, _ := strings.Cut(peer, "@")
		if !slices.ContainsFunc(announced, func(p string) bool { return strings.HasPrefix(p, id+"@") }) {
			out = append(out, peer)
		}
	}
	return out
}

// meet dials the wanted peers that are not connected and lets go those that are not
// wanted any more. CometBFT gives a persistent peer up after some hours, and the
// intervals before that are hours long.
func (n *Node) meet() {
	wanted := n.app.wanted()
	var missing []string
	for _, peer := range wanted {
		id, _, _ := strings.Cut(peer, "@")
		if p2p.ID(id) != n.comet.NodeInfo().ID() && !n.comet.Switch().Peers().Has(p2p.ID(id)) {
			missing = append(missing, peer)
		}
	}
	for _, peer := range n.comet.Switch().Peers().Copy() { // stopping one takes the lock that ForEach holds
		if !slices.ContainsFunc(wanted, func(p string) bool { return strings.HasPrefix(p, string(peer.ID())+"@") }) {
			n.log.Warn("a validator that is not listed or announced any more is disconnected", "peer", peer.ID())
			n.comet.Switch().StopPeerGracefully(peer)
		}
	}
	if len(missing) == 0 {
		return
	}
	if err := n.comet.Switch().DialPeersAsync(missing); err != nil {
		n.log.Warn("dial validators", "err", err)
	}
}
