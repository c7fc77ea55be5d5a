package gate

import (
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"github.com/commonseal/commonseal/ledger"
)

const (
	backoffLeast = 100 * time.Millisecond
	backoffMost  = 10 * time.Second
)

// Dial is a connection to the door at address (host:port) whose owner must
// prove the key want. It connects when it is first used, and again whenever it
// breaks. The caller closes it.
func Dial(address string, want ledger.Key, id *Identity) (*grpc.ClientConn, error) {
	return grpc.NewClient(address, dialOptions(id, want, 0)...)
}

func dialOptions(id *Identity, want ledger.Key, off defence) []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithTransportCredentials(credentials.NewTLS(id.clientConfig(want, off))),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(messageBytes),
			grpc.MaxCallSendMsgSize(messageBytes),
		),
		grpc.WithMaxHeaderListSize(headerBytes),
		grpc.WithStaticStreamWindowSize(streamAhead),
		grpc.WithStaticConnWindowSize(connAhead),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingEvery, Timeout: pingTimeout, PermitWithoutStream: true}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: backoffLeast, Multiplier: 2, Jitter: 0.2, MaxDelay: backoffMost},
			MinConnectTimeout: handshakeTime,
		}),
		grpc.WithDisableServiceConfig(), // no name server says how we call
		grpc.WithNoProxy(),
	}
}
