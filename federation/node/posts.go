package node

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/commonseal/commonseal/federation"
	"github.com/commonseal/commonseal/federation/store"
	"github.com/commonseal/commonseal/federation/wire"
	"github.com/commonseal/commonseal/ledger"
)

// posts are what the node holds, in the order it took them.
type posts struct {
	mu      sync.Mutex // guards all
	byKey   map[string]ledger.Post
	byScope map[ledger.Digest][]entry
	// Manifests of contributions, by digest. Two of different companies are never
	// equal, as the ciphertexts they list are not.
	manifests map[ledger.Digest]ledger.Post
	rows      map[ledger.Digest]ledger.Key // who put a blob of rows first
	last      uint64                       // number given
	changed   chan struct{}                // closed when a post is added
}

// An entry is a post and its number, from 1.
type entry struct {
	number uint64
	post   ledger.Post
}

func byNumber(e entry, number uint64) int { return cmp.Compare(e.number, number) }

func (p *posts) init() {
	p.byKey, p.byScope, p.changed = map[string]ledger.Post{}, map[ledger.Digest][]entry{}, make(chan struct{})
	p.manifests, p.rows = map[ledger.Digest]ledger.Post{}, map[ledger.Digest]ledger.Key{}
}

func (p *posts) get(like ledger.Post) (ledger.Post, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	post, ok := p.byKey[string(like.Key())]
	return post, ok
}

// owner is who put a blob of rows first, if p is of rows.
func (p *posts) owner(post ledger.Post) (ledger.Key, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	first, ok := p.rows[post.Blob]
	return first, ok && isRows(post.Kind)
}

// isRows says whether a post is of a company's encrypted rows.
func isRows(k ledger.PostKind) bool { return k == ledger.PostCiphertext || k == ledger.PostManifest }

func (p *posts) manifest(d ledger.Digest) (ledger.Post, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	post, ok := p.manifests[d]
	return post, ok
}

// number is the next one to journal a post with. One that is not used in the
// end leaves a gap.
func (p *posts) number() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last++
	return p.last
}

// add takes in a post that is journalled with its number.
func (p *posts) add(number uint64, post ledger.Post) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := string(post.Key())
	if _, ok := p.byKey[k]; ok {
		return
	}
	p.last = max(p.last, number)
	p.byKey[k] = post
	if _, ok := p.rows[post.Blob]; !ok && isRows(post.Kind) {
		p.rows[post.Blob] = post.Sender
	}
	if _, ok := p.manifests[post.Blob]; !ok && post.Kind == ledger.PostManifest {
		p.manifests[post.Blob] = post // of whoever put it first
	}
	// Two that are kept at once may be added the other way round.
	entries := p.byScope[post.Scope]
	at, _ := slices.BinarySearchFunc(entries, number, byNumber)
	p.byScope[post.Scope] = slices.Insert(entries, at, entry{number, post})
	close(p.changed)
	p.changed = make(chan struct{})
}

// Changed is closed when the next post is added.
func (n *Node) Changed() <-chan struct{} {
	n.posts.mu.Lock()
	defer n.posts.mu.Unlock()
	return n.posts.changed
}

// Posts are at most limit posts of a scope and of kinds, or of all kinds if none
// is given, that were taken after a cursor, and the cursor behind the last.
func (n *Node) Posts(scope ledger.Digest, kinds []ledger.PostKind, after uint64, limit int) ([]ledger.Post, uint64) {
	n.posts.mu.Lock()
	defer n.posts.mu.Unlock()
	var out []ledger.Post
	entries := n.posts.byScope[scope]
	at, _ := slices.BinarySearchFunc(entries, after+1, byNumber)
	for _, e := range entries[at:] {
		if len(out) == limit {
			break
		}
		after = e.number
		if len(kinds) == 0 || slices.Contains(kinds, e.post.Kind) {
			out = append(out, e.post)
		}
	}
	return out, after
}

// loadPosts reads the journal. A post whose blob was lost is held none the less:
// the blob is fetched from a peer when it is needed.
func (n *Node) loadPosts() (err error) {
	failed := n.Store.Journal.Range("post/", func(_ string, b []byte) bool {
		var p ledger.Post
		if len(b) < 8 {
			err = errors.New("a post without a number") // unreachable: Keep wrote it, and the journal verifies what it reads
			return false
		}
		if p, err = ledger.ParsePost(b[8:]); err != nil {
			return false
		}
		n.posts.add(binary.BigEndian.Uint64(b), p)
		return true
	})
	return errors.Join(failed, err)
}

// Upload is where the blob of an accepted post goes, against its owner's quota.
func (n *Node) Upload(owner string, p ledger.Post) (*store.Upload, error) {
	return n.Store.Blobs.Begin(owner, n.Quota, p.Blob, int64(p.Size))
}

// An EquivocationError says that a sender put two different things in one
// place. Both posts are kept, and go to the ledger.
type EquivocationError struct{ First, Second ledger.Post }

// Error names the sender and both blobs.
func (e *EquivocationError) Error() string {
	return fmt.Sprintf("%x has put blob %x there before, not %x; the first counts, and both are evidence", e.First.Sender[:6], e.First.Blob[:6], e.Second.Blob[:6])
}

// Keep journals a post whose blob is whole. The same again is harmless; another
// in its place is an [*EquivocationError]; a blob that does not decode as what the
// post says is a [*RefusedError].
func (n *Node) Keep(ctx context.Context, p ledger.Post) error {
	if first, ok := n.posts.get(p); ok {
		if !p.Contradicts(first) {
			return nil
		}
		return n.equivocated(ctx, first, p)
	}
	if first, ok := n.posts.owner(p); ok && first != p.Sender {
		return refused(Forbidden, "blob %x is %x's; what somebody else encrypted is not taken for one's own", p.Blob[:6], first[:6])
	}
	if err := n.decodes(p); err != nil {
		return err
	}
	first, err := n.journalPost(p)
	if err == nil && p.Contradicts(first) { // another came in between
		return n.equivocated(ctx, first, p)
	}
	return err
}

// journalPost writes a post down and adds it, one at a time: its number is part
// of the record, and peers read on from it after a restart as well. It returns
// what is held in the post's place, which may be another.
func (n *Node) journalPost(p ledger.Post) (ledger.Post, error) {
	n.keeping.Lock()
	defer n.keeping.Unlock()
	if first, ok := n.posts.get(p); ok {
		return first, nil
	}
	number := n.posts.number()
	if err := n.Store.Journal.Put(fmt.Sprintf("post/%x", p.Key()), p.Append(binary.BigEndian.AppendUint64(nil, number))); err != nil {
		return p, err
	}
	n.posts.add(number, p)
	return p, nil
}

// equivocated keeps both posts and brings them to the ledger.
func (n *Node) equivocated(ctx context.Context, first, second ledger.Post) error {
	e := &EquivocationError{first, second}
	key := fmt.Sprintf("evidence/%x", first.Key())
	var conflict *store.ConflictError
	if err := n.Store.Journal.Put(key, second.Append(nil)); err != nil && !errors.As(err, &conflict) {
		return err
	}
	n.Log.Warn("equivocation", "sender", fmt.Sprintf("%x", first.Sender[:6]), "scope", fmt.Sprintf("%x", first.Scope[:6]), "first", fmt.Sprintf("%x", first.Blob[:6]), "second", fmt.Sprintf("%x", second.Blob[:6]))
	if err := n.submit(ctx, &ledger.Evidence{First: first.Append(nil), Second: second.Append(nil)}); err != nil {
		n.Log.Warn("evidence not recorded", "error", err)
	}
	return e
}

// Held is the node's word that it keeps a manifest and all that it lists, and
// how many bytes these are.
func (n *Node) Held(manifest ledger.Digest) (ledger.Held, uint64, error) {
	post, ok := n.posts.manifest(manifest)
	if !ok {
		return ledger.Held{}, 0, refused(NotYet, "manifest %x is not here yet", manifest[:6])
	}
	b, err := n.Store.Blobs.Get(manifest)
	if err != nil {
		return ledger.Held{}, 0, err
	}
	m, err := wire.ParseManifest(b)
	if err != nil {
		return ledger.Held{}, 0, refused(Malformed, "%v", err)
	}
	total := uint64(len(b))
	for i, d := range m.Digests {
		// Rows are the company's own if it put each ciphertext itself, first.
		own, ok := n.posts.get(ledger.Post{Scope: post.Scope, Kind: ledger.PostCiphertext, Step: post.Step, Index: uint16(i), Sender: post.Sender})
		if !ok || own.Blob != d {
			return ledger.Held{}, 0, refused(NotYet, "ciphertext %d of the manifest is not here as its company's own", i)
		}
		size, err := n.Store.Blobs.Size(d)
		if err != nil {
			return ledger.Held{}, 0, refused(NotYet, "ciphertext %x is not here yet", d[:6])
		}
		total += uint64(size)
	}
	company, _ := ledger.Signer(n.Ledger.View(), post.Sender)
	return ledger.SignHeld(n.Name, post.Scope, company, manifest, total, n.Signing), total, nil
}

// pull takes over what other nodes hold of the scopes that concern this one.
// What may not be taken yet is read again next time.
func (n *Node) pull(ctx context.Context, v ledger.View) (did bool) {
	for _, name := range n.peers(v) {
		p, err := n.Peer(name)
		if err != nil {
			continue
		}
		for _, scope := range federation.NodeScopes(v, n.Name) {
			at := cursor{name, scope}
			news, next, err := p.Posts(ctx, scope, n.cursors[at])
			if err != nil {
				n.Log.Debug("peer does not answer", "peer", name, "error", err)
				break
			}
			settled := true
			for _, post := range news {
				took, final := n.takeOver(ctx, p, post)
				did, settled = did || took, settled && final
			}
			if settled {
				n.cursors[at] = next
			}
		}
	}
	return did
}

// takeOver copies one post and its blob from a peer. final says that there is
// no point in trying again.
func (n *Node) takeOver(ctx context.Context, from Peer, p ledger.Post) (took, final bool) {
	if held, ok := n.posts.get(p); ok {
		if p.Contradicts(held) {
			_ = n.equivocated(ctx, held, p) // logged and kept
		}
		return false, true
	}
	name, ok := ledger.Signer(n.Ledger.View(), p.Sender)
	if err := n.Accept(name, p); !ok || err != nil {
		var r *RefusedError
		return false, errors.As(err, &r) && r.Reason != NotYet
	}
	if here, err := n.Store.Blobs.Has(p.Blob); err != nil || !here { // equal outputs are
		b, err := from.Get(ctx, p.Blob)
		if err != nil {
			return false, false
		}
		if _, err := n.Store.Blobs.Put(b); err != nil {
			return false, false
		}
	}
	if err := n.Keep(ctx, p); err != nil {
		var r *RefusedError
		return false, errors.As(err, &r)
	}
	return true, true
}
