package agent

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/commonseal/commonseal/federation"
	"github.com/commonseal/commonseal/ledger"
)

// errNobody says that no node could be reached.
var errNobody = errors.New("no node of it can be dialled; check the addresses")

// nodes are the names of the nodes of a scope that can be dialled now, beginning
// with the one whose turn it is.
func (a *Agent) nodes(v ledger.View, scope ledger.Digest, peers map[string]Peer) []string {
	var out []string
	if j, ok := ledger.JobOf(v, scope); ok {
		out = j.Nodes
	} else if t, ok := ledger.TaskOf(v, scope); ok {
		out = t.Nodes
	} else {
		for _, m := range ledger.Members(v) {
			if m.Roles.Has(ledger.Aggregator) && !m.Revoked {
				out = append(out, m.Name)
			}
		}
	}
	out = slices.DeleteFunc(slices.Clone(out), func(n string) bool { return peers[n] == nil })
	if len(out) == 0 {
		return nil
	}
	at := int(a.first.Load() % int64(len(out)))
	return append(out[at:len(out):len(out)], out[:at]...)
}

// put gives a blob to the first node of the post's scope that takes it, after
// skipping some. Nodes copy from one another.
func (a *Agent) put(ctx context.Context, v ledger.View, p ledger.Post, blob []byte, skip int) error {
	peers := a.Peers()
	names := a.nodes(v, p.Scope, peers)
	errs := []error{errNobody}
	for i := range names {
		n := names[(i+skip)%len(names)]
		err := peers[n].Put(ctx, p, blob)
		if err == nil {
			return nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", n, err))
		a.first.Add(1)
	}
	return errors.Join(errs[min(1, len(errs)-1):]...)
}

// fetch is the blob of a digest, from whichever node has it. What has another
// digest is nothing.
func (a *Agent) fetch(ctx context.Context, v ledger.View, scope, d ledger.Digest) ([]byte, error) {
	return fetch(ctx, a.Peers(), func(peers map[string]Peer) []string { return a.nodes(v, scope, peers) }, d)
}

func fetch(ctx context.Context, peers map[string]Peer, nodes func(map[string]Peer) []string, d ledger.Digest) ([]byte, error) {
	errs := []error{errNobody}
	for _, n := range nodes(peers) {
		b, err := peers[n].Get(ctx, d)
		switch {
		case err == nil && sha256.Sum256(b) == d:
			return b, nil
		case err == nil:
			err = errors.New("it gave something else")
		}
		errs = append(errs, fmt.Errorf("%s: %w", n, err))
	}
	return nil, fmt.Errorf("blob %x: %w", d[:6], errors.Join(errs[min(1, len(errs)-1):]...))
}

// pages bounds what is heard from one node in a round.
const pages = 16

// afresh is every how many rounds all posts are heard from the beginning: a node
// that was started again may number them otherwise.
const afresh = 64

// pull hears the nodes' posts of jobs that the company computes for. All that
// it wants of them is what maps left.
func (a *Agent) pull(ctx context.Context, v ledger.View) {
	peers := a.Peers()
	if a.round%afresh == 0 {
		clear(a.cursors)
	}
	for _, scope := range federation.CompanyScopes(v, a.Name) {
		j, ok := ledger.JobOf(v, scope)
		if !ok {
			continue // parts of ceremonies are fetched by their digests
		}
		for _, n := range a.nodes(v, scope, peers) {
			at := fmt.Sprintf("%s/%x", n, scope)
			for range pages {
				posts, cursor, err := peers[n].Posts(ctx, scope, a.cursors[at])
				if err != nil || len(posts) == 0 {
					break // it is asked again in the next round
				}
				a.cursors[at] = cursor
				for _, p := range posts {
					a.hear(v, j, p)
				}
			}
		}
	}
}

// hear keeps a node's post of what a step left. The first in a place counts.
func (a *Agent) hear(v ledger.View, j *ledger.Job, p ledger.Post) {
	const outputs = 2 // point and weights
	if p.Kind != ledger.PostOutput || p.Scope != j.ID || p.Step > j.Steps || p.Index >= outputs || p.Chain != ledger.GenesisOf(v).Chain {
		return
	}
	name, ok := ledger.Signer(v, p.Sender)
	if !ok || !slices.Contains(j.Nodes, name) {
		return
	}
	if _, err := ledger.ParsePost(p.Append(nil)); err != nil { // who passed it on may have made it up
		return
	}
	key := string(p.Key())
	if had, ok := a.posts[key]; ok && had.Contradicts(p) {
		a.Log.Warn("a node contradicts itself", "node", name, "job", fmt.Sprintf("%x", j.ID[:6]), "step", p.Step)
		return
	}
	a.posts[key] = p
}
