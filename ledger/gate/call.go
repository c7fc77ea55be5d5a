package gate

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/tap"

	"github.com/commonseal/commonseal/ledger"
	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

// A Peer is who calls.
type Peer struct {
	Key  ledger.Key // its TLS key
	Name string     // on the ledger
}

type peerKey struct{}

// PeerOf is who makes the call that ctx belongs to; false if it did not come
// through a [Door].
func PeerOf(ctx context.Context) (Peer, bool) {
	p, ok := ctx.Value(peerKey{}).(Peer)
	return p, ok
}

type arrivalKey struct{}

// tap ends a call that does not get as far as enter in messageTime: of a call
// of one message each way, gRPC reads the request before anybody is asked. It
// runs on the connection's own goroutine and must be quick.
func (d *Door) tap(ctx context.Context, _ *tap.Info) (context.Context, error) {
	if d.off&pace != 0 {
		return ctx, nil
	}
	call, cancel := context.WithCancel(ctx)
	arrival := time.AfterFunc(messageTime, cancel)
	context.AfterFunc(ctx, func() { arrival.Stop(); cancel() })
	return context.WithValue(call, arrivalKey{}, arrival), nil
}

// enter checks a call before it is handled: that its peer is admitted now, has
// calls left and does not compress.
func (d *Door) enter(ctx context.Context) (context.Context, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil, Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_UNREGISTERED, "", "a call without a connection")
	}
	if arrival, ok := ctx.Value(arrivalKey{}).(*time.Timer); ok {
		arrival.Stop()
	}
	v, ok := p.AuthInfo.(visa)
	if !ok {
		return nil, Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_UNREGISTERED, "connect with TLS", "a call without a certificate")
	}
	name, ok := d.admit(v.key)
	if !ok && d.off&(admission|recheck) == 0 {
		return nil, Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_UNREGISTERED, "ask a member to register it", "the key %x is not on the ledger, or was revoked", v.key[:6])
	}
	if !d.calls.take(v.key, time.Now()) {
		return nil, Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_BUSY, "wait a second and call less often", "more than %d calls a second", callRate)
	}
	if c := compression(ctx); c != "" && d.off&noCompression == 0 {
		return nil, Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_COMPRESSED, "send it as it is", "a message compressed with %.16q", c)
	}
	return context.WithValue(ctx, peerKey{}, Peer{Key: v.key, Name: name}), nil
}

// compression is how the messages of a call are compressed, "" if they are not.
// gRPC itself refuses it only while no package of the process has registered a
// compressor, which any dependency may do.
func compression(ctx context.Context) string {
	s, ok := grpc.ServerTransportStreamFromContext(ctx).(interface{ RecvCompress() string })
	if !ok || s.RecvCompress() == encoding.Identity {
		return ""
	}
	return s.RecvCompress()
}

// unary is around every call of one message each way. Its request was read
// before, at most messageBytes of it however it was compressed.
func (d *Door) unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (response any, err error) {
	defer d.recovered(info.FullMethod, &err)
	ctx, err = d.enter(ctx)
	if err != nil {
		return nil, Status(err)
	}
	response, err = handle(ctx, request)
	d.note(info.FullMethod, err)
	return response, Status(err)
}

// stream is around every other call.
func (d *Door) stream(server any, s grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) (err error) {
	defer d.recovered(info.FullMethod, &err)
	ctx, err := d.enter(s.Context())
	if err != nil {
		return Status(err)
	}
	guarded := &pacedStream{ServerStream: s, ctx: ctx, endless: info.IsClientStream && info.IsServerStream, off: d.off}
	err = handle(server, guarded)
	d.note(info.FullMethod, err)
	return Status(err)
}

// note logs what the peer learns only as a fault of ours.
func (d *Door) note(method string, err error) {
	if r, ok := FromStatus(Status(err)).(*Refusal); ok && r.Code == commonsealv1.RefusalCode_REFUSAL_CODE_INTERNAL {
		d.log.Error("a call failed", "method", method, "cause", err.Error())
	}
}

// recovered makes a panic of a handler a failed call: one call must not end the
// process of a validator.
func (d *Door) recovered(method string, err *error) {
	if p := recover(); p != nil {
		d.log.Error("a call panicked", "method", method, "cause", fmt.Sprint(p), "stack", string(debug.Stack()))
		*err = Status(Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_INTERNAL, "its owner finds the cause in its log", "a fault of this process"))
	}
}
