package peer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/gate"
	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

// Put puts a post and its blob, and returns once the node keeps both on disk.
// The same again is harmless, and sends what is there already only if that is
// one chunk.
func (p *Peer) Put(ctx context.Context, post ledger.Post, blob []byte) error {
	if len(blob) != int(post.Size) || sha256.Sum256(blob) != post.Blob {
		return fmt.Errorf("peer %s: a post of %d bytes with digest %x for a blob of %d", p.address, post.Size, post.Blob[:6], len(blob))
	}
	signed := post.Append(nil)
	for last, again := int64(-1), false; ; {
		at, err := p.putOnce(ctx, signed, blob)
		var r *gate.Refusal
		switch {
		case err == nil:
			return nil
		case !again && errors.As(gate.FromStatus(err), &r) && r.Code == commonsealv1.RefusalCode_REFUSAL_CODE_WRONG_DIGEST:
			// What the node had of it was damaged, and is dropped now.
			again, last = true, -1
		case broken(ctx, err) && at > last && p.reconnect(ctx):
			last = at
		default:
			return p.failed(err)
		}
	}
}

// putOnce goes on where the node says, and returns that place, -1 if the node
// did not say.
func (p *Peer) putOnce(ctx context.Context, signed, blob []byte) (at int64, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := newWatch(cancel)
	defer watch.Stop()
	if len(blob) > gate.ChunkBytes {
		out, err := p.service.Offset(ctx, &commonsealv1.OffsetRequest{Post: signed})
		if err != nil {
			return -1, watch.cause(ctx, err)
		}
		if at = int64(out.Held); at < 0 || at > int64(len(blob)) {
			return -1, &lie{fmt.Sprintf("it holds %d bytes of %d", out.Held, len(blob))}
		}
	}
	stream, err := p.service.Put(ctx)
	if err != nil {
		return -1, watch.cause(ctx, err)
	}
	next := &commonsealv1.PutRequest{Part: &commonsealv1.PutRequest_Head{Head: &commonsealv1.PutHead{Post: signed, Size: uint64(len(blob)), Offset: uint64(at)}}}
	for rest := blob[at:]; ; {
		watch.reset()
		if stream.Send(next) != nil { // CloseAndRecv says why
			break
		}
		if len(rest) == 0 {
			break
		}
		n := min(len(rest), gate.ChunkBytes)
		next = &commonsealv1.PutRequest{Part: &commonsealv1.PutRequest_Chunk{Chunk: rest[:n]}}
		rest = rest[n:]
	}
	watch.reset()
	out, err := stream.CloseAndRecv()
	if err != nil {
		return at, watch.cause(ctx, err)
	}
	if out.Stored != uint64(len(blob)) {
		return -1, &lie{fmt.Sprintf("it stored %d bytes of %d", out.Stored, len(blob))}
	}
	return at, nil
}

// Get is the blob of a digest, of at most [ledger.MaxBlob] bytes.
func (p *Peer) Get(ctx context.Context, d ledger.Digest) ([]byte, error) {
	var blob []byte
	for last := -1; ; {
		err := p.getOnce(ctx, d, &blob)
		if err == nil {
			break
		}
		if !broken(ctx, err) || len(blob) <= max(last, 0) || !p.reconnect(ctx) {
			return nil, p.failed(err)
		}
		last = len(blob)
	}
	if got := sha256.Sum256(blob); got != d {
		return nil, fmt.Errorf("peer %s: it sent %d bytes with digest %x for blob %x", p.address, len(blob), got[:6], d[:6])
	}
	return blob, nil
}

// getOnce appends what follows *blob to it.
func (p *Peer) getOnce(ctx context.Context, d ledger.Digest, blob *[]byte) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := newWatch(cancel)
	defer watch.Stop()
	stream, err := p.service.Get(ctx, &commonsealv1.GetRequest{Digest: d[:], Offset: uint64(len(*blob))})
	if err != nil {
		return watch.cause(ctx, err)
	}
	for full := true; ; {
		m, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return watch.cause(ctx, err)
		}
		if n := len(m.Chunk); !full || n == 0 || n > gate.ChunkBytes || n > ledger.MaxBlob-len(*blob) {
			return &lie{fmt.Sprintf("a chunk of %d bytes after %d", n, len(*blob))}
		}
		// Else a peer could go on for days, byte by byte.
		full = (len(*blob)+len(m.Chunk))%gate.ChunkBytes == 0
		*blob = append(*blob, m.Chunk...)
		watch.reset()
	}
}

// A lie is what no honest node says. A transfer does not go on after it.
type lie struct{ what string }

func (l *lie) Error() string { return l.what + "; try another node" }

// A watch ends a call of which nothing was heard for callTime.
type watch struct{ *time.Timer }

// errSilent is why it does.
var errSilent = errors.New("nothing moved for " + callTime.String() + "; try another node")

func newWatch(cancel context.CancelCauseFunc) watch {
	return watch{time.AfterFunc(callTime, func() { cancel(errSilent) })}
}

func (w watch) reset() { w.Reset(callTime) }

// cause is errSilent if that is why a call failed.
func (watch) cause(ctx context.Context, err error) error {
	if context.Cause(ctx) == errSilent {
		return errSilent
	}
	return err
}
