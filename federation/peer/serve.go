package peer

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"

	"google.golang.org/grpc"

	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/gate"
	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

// Serve answers the queries that the node has for a model, several at a time,
// until ctx ends or the stream breaks, and returns once no call of answer runs.
// The error says why it ended: call it again then. A [*gate.Refusal] of answer's
// reaches the querier; of another error of its nobody learns but the caller of
// answer.
func (p *Peer) Serve(ctx context.Context, model ledger.Digest, answer func(ctx context.Context, envelope, query []byte) ([]byte, error)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := p.enlist(ctx, model)
	if err != nil {
		return err
	}
	a := answers{stream: stream, answer: answer}
	return p.failed(a.run(ctx, cancel))
}

type serveStream = grpc.BidiStreamingClient[commonsealv1.ServeRequest, commonsealv1.ServeResponse]

// enlist opens the stream of a server, and returns once the node knows it as one.
func (p *Peer) enlist(ctx context.Context, model ledger.Digest) (serveStream, error) {
	stream, err := p.service.Serve(ctx)
	if err != nil {
		return nil, p.failed(err)
	}
	hello := &commonsealv1.ServeRequest{Message: &commonsealv1.ServeRequest_Hello{Hello: &commonsealv1.ServeHello{Model: model[:]}}}
	if err := stream.Send(hello); err != nil {
		_, err = stream.Recv() // which says why
		return nil, p.failed(err)
	}
	if _, err := stream.Header(); err != nil {
		return nil, p.failed(err)
	}
	return stream, nil
}

// answers sends answers, one at a time.
type answers struct {
	answer func(ctx context.Context, envelope, query []byte) ([]byte, error)

	mu     sync.Mutex // guards sending
	stream serveStream
}

// run answers until the stream ends, then ends what still answers.
func (a *answers) run(ctx context.Context, cancel func()) error {
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	slots := make(chan struct{}, 2*runtime.GOMAXPROCS(0))
	for {
		q, err := a.stream.Recv()
		if err != nil {
			return err
		}
		select {
		case slots <- struct{}{}:
		case <-a.stream.Context().Done():
			continue // Recv says why
		}
		running.Go(func() {
			defer func() { <-slots }()
			a.give(ctx, q)
		})
	}
}

// give answers one query. If that cannot be sent the stream is broken, and its
// reader learns why.
func (a *answers) give(ctx context.Context, q *commonsealv1.ServeResponse) {
	out := &commonsealv1.ServeAnswer{Id: q.Id}
	b, err := a.answer(ctx, q.Envelope, q.Query)
	var r *gate.Refusal
	switch {
	case err == nil && len(b) > gate.ChunkBytes:
		out.Code, out.Detail = commonsealv1.RefusalCode_REFUSAL_CODE_TOO_LARGE, "the answer is too large"
	case err == nil:
		out.Answer = b
	case errors.As(err, &r):
		out.Code, out.Detail = r.Code, strings.ToValidUTF8(r.Error(), "?") // else it would not be sent
	default:
		out.Code, out.Detail = commonsealv1.RefusalCode_REFUSAL_CODE_INTERNAL, "a fault of the server"
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	_ = a.stream.Send(&commonsealv1.ServeRequest{Message: &commonsealv1.ServeRequest_Answer{Answer: out}})
}
