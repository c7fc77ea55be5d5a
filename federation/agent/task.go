package agent

import (
	"context"
	"fmt"

	"github.com/commonseal/commonseal/federation"
	"github.com/commonseal/commonseal/federation/wire"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/ledger"
)

// consent takes part in a task that the policy has, with so many rows.
func (a *Agent) consent(ctx context.Context, v ledger.View, d federation.Consent) (bool, error) {
	t, ok := ledger.TaskOf(v, d.Task)
	if !ok {
		return false, fmt.Errorf("no task %x", d.Task[:6])
	}
	r, err := a.readRows(t)
	if err != nil {
		return false, err
	}
	return a.submit(ctx, &ledger.Consent{Task: t.ID, Local: a.policy.Tasks[t.Name].Local,
		Rows: uint32(r.training.Len()), Validation: uint32(r.validation.Len())})
}

// openKeySet begins a task's key set. The first party's counts: all of them open
// the same.
func (a *Agent) openKeySet(ctx context.Context, v ledger.View, d federation.OpenKeySet) (bool, error) {
	t, ok := ledger.TaskOf(v, d.Task)
	if !ok {
		return false, fmt.Errorf("no task %x", d.Task[:6])
	}
	if a.aborted.until > a.round {
		return false, nil
	}
	plan, packing, err := a.keySetPlan(t)
	if err != nil {
		return false, &RefusedError{err}
	}
	return a.submit(ctx, &ledger.OpenKeySet{Task: t.ID, Packing: packing, Rotations: rotations(plan), Stages: sizes(plan.KeySetStages())})
}

// An upload is a contribution on its way to nodes. Its ciphertexts are not kept:
// after a restart they are made again, to the same bytes.
type upload struct {
	blocks   []he.Rows
	next     int // block
	manifest wire.Manifest
	bytes    uint64
	listed   bool // the manifest is with a node
}

// contribute records rows: of a local company a commitment, of any other what
// nodes of enough owners hold.
func (a *Agent) contribute(ctx context.Context, v ledger.View, d federation.Contribute) (bool, error) {
	t, ok := ledger.TaskOf(v, d.Task)
	if !ok {
		return false, fmt.Errorf("no task %x", d.Task[:6])
	}
	r, err := a.readRows(t)
	if err != nil {
		return false, err
	}
	said := &ledger.Contribute{Task: t.ID, Use: d.Use, Rows: uint32(r.of(d.Use).Len()), Commitment: r.commitments[d.Use]}
	if mine, _ := t.ConsentOf(a.Name); mine.Local {
		return a.submit(ctx, said)
	}
	up, err := a.upload(ctx, v, t, d, r)
	if err != nil {
		return false, err
	}
	said.Manifest, said.Bytes, said.Blocks = up.manifest.Digest(), up.bytes, uint32(len(up.blocks))
	if said.Held, err = a.held(ctx, v, t, said); err != nil {
		return false, err
	}
	done, err := a.submit(ctx, said)
	if done {
		delete(a.uploads, d)
	}
	return done, err
}

// upload encrypts and puts blocks, from where it was broken off, and then the
// manifest.
func (a *Agent) upload(ctx context.Context, v ledger.View, t *ledger.Task, d federation.Contribute, r *rows) (*upload, error) {
	keys, err := a.epochOf(ctx, v, t.Epoch)
	if err != nil {
		return nil, err
	}
	p := a.Profiles.Train
	packing := he.Packing{Width: int(t.Packing.Width), Baby: int(t.Packing.Baby), Stack: int(t.Packing.Stack), Back: t.Packing.Back}
	up := a.uploads[d]
	if up == nil {
		up = &upload{blocks: blocks(r.of(d.Use), packing.Capacity(p.Slots())), manifest: wire.Manifest{Vectors: packing.Vectors()}}
		if n := len(up.blocks) * packing.Vectors(); n > 1<<16 {
			return nil, never("%d ciphertexts of a contribution; posts number 65536: bring fewer rows", n)
		}
		a.uploads[d] = up
	}
	head := ledger.Post{Chain: ledger.GenesisOf(v).Chain, Epoch: t.Epoch, Scope: t.ID, Kind: ledger.PostCiphertext, Step: uint16(d.Use), Profile: p.Digest()}
	encoder := he.NewEncoder(p)
	for ; up.next < len(up.blocks); up.next++ {
		seed := a.Seed.Derive("agent/contribution", t.ID[:], []byte{byte(d.Use)}, fmt.Append(nil, up.next))
		cs, err := he.EncryptBlock(encoder, keys.epoch.Train, packing, up.blocks[up.next], seed)
		if err != nil {
			return nil, &RefusedError{err}
		}
		var digests []ledger.Digest
		var bytes uint64
		for i, c := range cs {
			b := c.Append(nil)
			head.Index, head.Blob, head.Size = uint16(up.next*len(cs)+i), c.Digest(), uint32(len(b))
			if err := a.put(ctx, v, head.Sign(a.Signing), b, 0); err != nil {
				return nil, err
			}
			digests, bytes = append(digests, head.Blob), bytes+uint64(len(b))
		}
		up.manifest.Digests, up.bytes = append(up.manifest.Digests, digests...), up.bytes+bytes
	}
	if !up.listed {
		b := up.manifest.Append(nil)
		l, err := a.write(v, ledger.Post{Epoch: t.Epoch, Scope: t.ID, Kind: ledger.PostManifest, Step: uint16(d.Use)}, b)
		if err != nil {
			return nil, err
		}
		if err := a.send(ctx, v, l); err != nil {
			return nil, err
		}
		up.bytes, up.listed = up.bytes+uint64(len(b)), true
	}
	return up, nil
}

// held asks the task's nodes for their word that they keep a contribution. They
// give it once they have copied what is missing.
func (a *Agent) held(ctx context.Context, v ledger.View, t *ledger.Task, said *ledger.Contribute) ([]ledger.Held, error) {
	peers, owners := a.Peers(), map[string]bool{}
	var out []ledger.Held
	for _, n := range a.nodes(v, t.ID, peers) {
		m, _ := ledger.MemberOf(v, n)
		if owners[m.Owner] {
			continue
		}
		h, bytes, err := peers[n].Held(ctx, said.Manifest)
		if err != nil || bytes != said.Bytes || h.Node != n || !vouches(m, h, a.Name, said) {
			continue // not yet, or not so
		}
		owners[m.Owner] = true
		out = append(out, h)
	}
	if len(out) < int(t.Quorum) {
		return nil, fmt.Errorf("nodes of %d owners hold the contribution; task %s takes %d", len(out), t.Name, t.Quorum)
	}
	return out, nil
}
