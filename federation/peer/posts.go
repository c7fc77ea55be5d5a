package peer

import (
	"context"
	"fmt"
	"time"

	"github.com/commonseal/commonseal/ledger"
	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

const (
	// maxPages bounds what one call lists.
	maxPages = 128
	// longPoll is how long one call of Await waits at the node.
	longPoll = 30 * time.Second
)

// Posts are the posts of a scope that the node took after a cursor, oldest
// first, and the cursor behind the last; 0 begins. Who signed each, and whether
// it may, the caller asks the ledger. There may be more than what one call
// lists.
func (p *Peer) Posts(ctx context.Context, scope ledger.Digest, after uint64) ([]ledger.Post, uint64, error) {
	return p.posts(ctx, scope, after, 0)
}

// Await is [Peer.Posts], and waits until there is one.
func (p *Peer) Await(ctx context.Context, scope ledger.Digest, after uint64) ([]ledger.Post, uint64, error) {
	for {
		posts, cursor, err := p.posts(ctx, scope, after, longPoll)
		if len(posts) > 0 || err != nil {
			return posts, cursor, err
		}
		after = cursor
	}
}

func (p *Peer) posts(ctx context.Context, scope ledger.Digest, after uint64, wait time.Duration) (posts []ledger.Post, cursor uint64, err error) {
	for range maxPages {
		page, more, err := p.page(ctx, scope, &after, wait)
		if err != nil {
			return nil, after, err
		}
		posts = append(posts, page...)
		if !more {
			break
		}
		wait = 0
	}
	return posts, after, nil
}

// page is one call: the next posts, and whether there may be more. It moves the
// cursor.
func (p *Peer) page(ctx context.Context, scope ledger.Digest, after *uint64, wait time.Duration) ([]ledger.Post, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime+wait)
	defer cancel()
	out, err := p.service.Posts(ctx, &commonsealv1.PostsRequest{Scope: scope[:], After: *after, WaitMs: uint32(wait.Milliseconds())})
	if err != nil {
		return nil, false, p.failed(err)
	}
	if out.Cursor < *after || out.Cursor == *after && len(out.Posts) > 0 {
		return nil, false, fmt.Errorf("peer %s: %d posts after %d end at %d", p.address, len(out.Posts), *after, out.Cursor)
	}
	posts := make([]ledger.Post, len(out.Posts))
	for i, b := range out.Posts {
		if posts[i], err = ledger.ParsePost(b); err != nil {
			return nil, false, fmt.Errorf("peer %s: %w", p.address, err)
		}
		if posts[i].Scope != scope {
			return nil, false, fmt.Errorf("peer %s: a post of %x among those of %x", p.address, posts[i].Scope[:6], scope[:6])
		}
	}
	*after = out.Cursor
	return posts, out.More && len(posts) > 0, nil
}
