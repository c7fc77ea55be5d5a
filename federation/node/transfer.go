package node

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"

	"github.com/commonseal/commonseal/federation/store"
	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/gate"
	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

type (
	putStream = grpc.ClientStreamingServer[commonsealv1.PutRequest, commonsealv1.PutResponse]
	getStream = grpc.ServerStreamingServer[commonsealv1.GetResponse]
)

// Put takes a blob under its post. What came before a break stays, for its
// owner to go on; bytes with another digest are dropped.
func (s *service) Put(in putStream) error {
	name, err := s.caller(in.Context())
	if err != nil {
		return err
	}
	release, err := s.claim(name)
	if err != nil {
		return err
	}
	defer release()
	head, err := receiveHead(in)
	if err != nil {
		return err
	}
	post, u, err := s.begin(in.Context(), name, head.Post, head.Size)
	if err != nil {
		return err
	}
	if head.Offset > head.Size || head.Offset%gate.ChunkBytes != 0 && head.Offset != head.Size {
		return malformed("chunks that begin at byte %d of %d", head.Offset, head.Size)
	}
	if err := receive(in, u, int64(head.Offset), int64(post.Size)); err != nil {
		return s.refused(err)
	}
	if err := u.Finish(); err != nil {
		return s.refused(err)
	}
	if err := s.node.Keep(in.Context(), post); err != nil {
		return s.refused(err)
	}
	return in.SendAndClose(&commonsealv1.PutResponse{Stored: uint64(post.Size)})
}

func receiveHead(in putStream) (*commonsealv1.PutHead, error) {
	m, err := in.Recv()
	switch {
	case err == io.EOF:
		return nil, malformed("a stream without a head")
	case err != nil:
		return nil, err
	case m.GetHead() == nil:
		return nil, malformed("the first message is no head")
	}
	return m.GetHead(), nil
}

// begin holds a post to what may be put here and reserves room for its blob,
// before a byte of it is taken.
func (s *service) begin(ctx context.Context, name string, signed []byte, size uint64) (ledger.Post, *store.Upload, error) {
	if size > ledger.MaxBlob {
		return ledger.Post{}, nil, gate.Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_TOO_LARGE, "", "a blob of %d bytes; %d is the most", size, ledger.MaxBlob)
	}
	post, err := ledger.ParsePost(signed)
	if err != nil {
		return ledger.Post{}, nil, malformed("%s", err)
	}
	if uint64(post.Size) != size {
		return ledger.Post{}, nil, malformed("a blob of %d bytes under a post of %d", size, post.Size)
	}
	if err := s.node.Accept(name, post); err != nil {
		return ledger.Post{}, nil, s.refused(err)
	}
	// Of a contradiction the post is enough.
	if held, ok := s.node.posts.get(post); ok && post.Contradicts(held) {
		if err := s.node.Keep(ctx, post); err != nil {
			return ledger.Post{}, nil, s.refused(err)
		}
	}
	u, err := s.node.Upload(name, post)
	if err != nil {
		return ledger.Post{}, nil, s.refused(err)
	}
	return post, u, nil
}

// receive appends chunks to u from offset to size, and holds the stream to end
// there.
func receive(in putStream, u *store.Upload, offset, size int64) error {
	for {
		m, err := in.Recv()
		if err == io.EOF && offset == size {
			return nil
		}
		if err == io.EOF {
			return gate.Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_MALFORMED, "resume there", "the stream ended at byte %d of %d", offset, size)
		}
		if err != nil {
			return err
		}
		chunk := m.GetChunk()
		switch n := int64(len(chunk)); {
		case n == 0:
			return malformed("a message without a chunk at byte %d", offset)
		case n > size-offset:
			return gate.Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_TOO_LARGE, "", "more bytes than the %d announced", size)
		}
		if err := u.Append(offset, chunk); err != nil {
			return err
		}
		offset += int64(len(chunk))
	}
}

// Offset is where the caller's upload of a blob goes on.
func (s *service) Offset(ctx context.Context, in *commonsealv1.OffsetRequest) (*commonsealv1.OffsetResponse, error) {
	name, err := s.caller(ctx)
	if err != nil {
		return nil, err
	}
	post, err := ledger.ParsePost(in.Post)
	if err != nil {
		return nil, malformed("%s", err)
	}
	_, u, err := s.begin(ctx, name, in.Post, uint64(post.Size))
	if err != nil {
		return nil, err
	}
	return &commonsealv1.OffsetResponse{Held: uint64(u.Offset())}, nil
}

// Get sends a blob. A chunk that is damaged ends the stream with a refusal that
// names the blob.
func (s *service) Get(in *commonsealv1.GetRequest, out getStream) error {
	name, err := s.member(out.Context())
	if err != nil {
		return err
	}
	d, err := parseDigest("a digest", in.Digest)
	if err != nil {
		return err
	}
	release, err := s.claim(name)
	if err != nil {
		return err
	}
	defer release()
	size, err := s.node.Store.Blobs.Size(d)
	if errors.Is(err, store.ErrNotFound) {
		return gate.Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_NOT_FOUND, "try another node, or later", "blob %x is not here", d)
	}
	if err != nil {
		return s.refused(err)
	}
	if in.Offset > uint64(size) {
		return malformed("from byte %d of blob %x, which has %d", in.Offset, d, size)
	}
	for at := int64(in.Offset); at < size; {
		chunk, err := s.node.Store.Blobs.Chunk(d, int(at/store.ChunkSize))
		if err != nil {
			return s.refused(err)
		}
		chunk = chunk[at%store.ChunkSize:]
		if err := out.Send(&commonsealv1.GetResponse{Chunk: chunk}); err != nil {
			return err
		}
		at += int64(len(chunk))
	}
	return nil
}
