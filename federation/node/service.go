package node

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/gate"
	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

const (
	// pagePosts is the most that one answer lists: half a message.
	pagePosts = 1024
	// longPoll is the longest that a peer may wait for a post in one call.
	longPoll = 30 * time.Second
	// envelopeBytes bounds the envelope of a query.
	envelopeBytes = 1 << 10
)

// A service is NodeService: it knows who calls and bounds what they send, and
// leaves to the node what they may do.
type service struct {
	commonsealv1.UnimplementedNodeServiceServer
	node   *Node
	height func() int64

	mu      sync.Mutex
	streams map[string]int // that are open, by the peer's name
}

// Serve adds NodeService, over n, to a server that was made with the options of
// a [gate.Door]. height is that of the state which n acts on.
func Serve(s *grpc.Server, n *Node, height func() int64) {
	commonsealv1.RegisterNodeServiceServer(s, &service{node: n, height: height, streams: map[string]int{}})
}

// caller is the name of who calls.
func (s *service) caller(ctx context.Context) (string, error) {
	p, ok := gate.PeerOf(ctx)
	if !ok {
		return "", gate.Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_UNREGISTERED, "connect with TLS", "a call from nobody")
	}
	return p.Name, nil
}

// member is the name of who calls, if it is a member and not a querier.
func (s *service) member(ctx context.Context) (string, error) {
	name, err := s.caller(ctx)
	if err != nil {
		return "", err
	}
	if _, ok := ledger.MemberOf(s.node.Ledger.View(), name); !ok {
		return "", gate.Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_FORBIDDEN, "", "%s is no member; queriers put their own public key and predict", name)
	}
	return name, nil
}

// claim takes one of the streams that a peer may have open, over all its
// connections, until release is called.
func (s *service) claim(name string) (release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.streams[name] >= ledger.MaxStreams {
		return nil, gate.Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_BUSY, "wait for one of them to end", "%s has %d streams open", name, ledger.MaxStreams)
	}
	s.streams[name]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.streams[name]--; s.streams[name] == 0 {
			delete(s.streams, name)
		}
	}, nil
}

// malformed refuses a request that no honest peer sends.
func malformed(format string, args ...any) error {
	return gate.Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_MALFORMED, "", format, args...)
}

func parseDigest(what string, b []byte) (ledger.Digest, error) {
	if len(b) != len(ledger.Digest{}) {
		return ledger.Digest{}, malformed("%s of %d bytes, not %d", what, len(b), len(ledger.Digest{}))
	}
	return ledger.Digest(b), nil
}

// Posts lists posts, and waits for one if there is none and the peer wants to.
func (s *service) Posts(ctx context.Context, in *commonsealv1.PostsRequest) (*commonsealv1.PostsResponse, error) {
	name, err := s.member(ctx)
	if err != nil {
		return nil, err
	}
	scope, err := parseDigest("a scope", in.Scope)
	if err != nil {
		return nil, err
	}
	if len(in.Kinds) > math.MaxUint8 || in.After > math.MaxInt64 {
		return nil, malformed("%d kinds after %d", len(in.Kinds), in.After)
	}
	kinds := make([]ledger.PostKind, len(in.Kinds))
	for i, k := range in.Kinds {
		if kinds[i] = ledger.PostKind(k); uint32(kinds[i]) != k {
			return nil, malformed("posts of kind %d", k)
		}
	}
	wait := min(time.Duration(in.WaitMs)*time.Millisecond, longPoll)
	if wait > 0 {
		release, err := s.claim(name)
		if err != nil {
			return nil, err
		}
		defer release()
	}
	return s.page(ctx, scope, kinds, in.After, wait)
}

// page is the next posts, if there are any within wait.
func (s *service) page(ctx context.Context, scope ledger.Digest, kinds []ledger.PostKind, after uint64, wait time.Duration) (*commonsealv1.PostsResponse, error) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for waiting := wait > 0; ; {
		changed := s.node.Changed() // before Posts: none is missed
		posts, cursor := s.node.Posts(scope, kinds, after, pagePosts)
		if len(posts) > 0 || !waiting {
			out := &commonsealv1.PostsResponse{Cursor: cursor, More: len(posts) == pagePosts}
			for _, p := range posts {
				out.Posts = append(out.Posts, p.Append(nil))
			}
			return out, nil
		}
		after = cursor
		select {
		case <-changed:
		case <-timer.C:
			waiting = false
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Held is the node's word about a contribution.
func (s *service) Held(ctx context.Context, in *commonsealv1.HeldRequest) (*commonsealv1.HeldResponse, error) {
	if _, err := s.member(ctx); err != nil {
		return nil, err
	}
	d, err := parseDigest("a digest", in.Digest)
	if err != nil {
		return nil, err
	}
	held, bytes, err := s.node.Held(d)
	if err != nil {
		return nil, s.refused(err)
	}
	return &commonsealv1.HeldResponse{Node: held.Node, Signature: held.Signature[:], Bytes: bytes}, nil
}

// Predict answers a query.
func (s *service) Predict(ctx context.Context, in *commonsealv1.PredictRequest) (*commonsealv1.PredictResponse, error) {
	name, err := s.caller(ctx)
	if err != nil {
		return nil, err
	}
	if n := len(in.Envelope); n == 0 || n > envelopeBytes {
		return nil, malformed("an envelope of %d bytes, not 1 to %d", n, envelopeBytes)
	}
	if n := len(in.Query); n == 0 || n > gate.ChunkBytes {
		return nil, malformed("a query of %d bytes, not 1 to %d", n, gate.ChunkBytes)
	}
	answer, err := s.node.Answer(ctx, name, in.Envelope, in.Query)
	if err != nil {
		return nil, s.refused(err)
	}
	return &commonsealv1.PredictResponse{Answer: answer}, nil
}

// Status is the node in a few words.
func (s *service) Status(context.Context, *commonsealv1.StatusRequest) (*commonsealv1.StatusResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	open := 0
	for _, n := range s.streams {
		open += n
	}
	return &commonsealv1.StatusResponse{
		Role: "aggregator", Name: s.node.Name, Height: s.height(),
		Lines: []string{fmt.Sprintf("%d streams of %d peers are open", open, len(s.streams))},
	}, nil
}

// refused is [refusal], and logs what the peer does not learn.
func (s *service) refused(err error) error {
	r := refusal(err)
	if told, ok := r.(*gate.Refusal); ok && told.Code == commonsealv1.RefusalCode_REFUSAL_CODE_STORAGE {
		s.node.Log.Error("nothing can be stored", "cause", err.Error())
	}
	return r
}
