// Package peer is the way to an aggregation node: for the agents of companies,
// for other nodes and for queriers.
//
// What a node declines comes back as a [*gate.Refusal], which [Later] tells
// apart from what is refused for good. Any other error is of the connection, or
// says that the node lies: ask another node, or this one later. A transfer that
// breaks goes on where it was, as long as it gets further each time.
package peer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"

	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/gate"
	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

const (
	// callTime is how long a node may take for a small call, or for one message
	// of a blob.
	callTime = 30 * time.Second
	// reconnectTime is how long a broken transfer waits for the node to be back.
	reconnectTime = 10 * time.Second
)

// A Peer is a connection to a node. It connects when it is used first, and again
// whenever it breaks; a call to a node that is not there fails at once. Safe for
// concurrent use: up to [ledger.MaxStreams] calls run at a time, further ones
// wait for their turn.
type Peer struct {
	address string
	conn    *grpc.ClientConn
	service commonsealv1.NodeServiceClient
}

// Dial is a peer at address (host:port) that must prove key. The caller closes
// it.
func Dial(address string, key ledger.Key, id *gate.Identity) (*Peer, error) {
	conn, err := gate.Dial(address, key, id)
	if err != nil {
		return nil, fmt.Errorf("peer %s: %w", address, err)
	}
	return &Peer{address, conn, commonsealv1.NewNodeServiceClient(conn)}, nil
}

// Close ends all calls.
func (p *Peer) Close() error { return p.conn.Close() }

// Later says whether what failed with err may succeed later, unchanged.
func Later(err error) bool {
	var r *gate.Refusal
	if !errors.As(err, &r) {
		return err != nil
	}
	switch r.Code {
	case commonsealv1.RefusalCode_REFUSAL_CODE_BUSY,
		commonsealv1.RefusalCode_REFUSAL_CODE_TOO_SLOW,
		commonsealv1.RefusalCode_REFUSAL_CODE_NOT_FOUND,
		commonsealv1.RefusalCode_REFUSAL_CODE_NOT_READY,
		commonsealv1.RefusalCode_REFUSAL_CODE_STORAGE,
		commonsealv1.RefusalCode_REFUSAL_CODE_WRONG_DIGEST,
		commonsealv1.RefusalCode_REFUSAL_CODE_WRONG_STATE,
		commonsealv1.RefusalCode_REFUSAL_CODE_INTERNAL:
		return true
	}
	return false
}

// failed is what a call returned: the refusal in it, or all of it.
func (p *Peer) failed(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("peer %s: %w", p.address, gate.FromStatus(err))
}

// broken says whether a call failed because of the connection.
func broken(ctx context.Context, err error) bool {
	var r *gate.Refusal
	var l *lie
	return err != nil && ctx.Err() == nil && !errors.As(gate.FromStatus(err), &r) && !errors.As(err, &l)
}

// reconnect waits until the node is there again.
func (p *Peer) reconnect(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, reconnectTime)
	defer cancel()
	for {
		state := p.conn.GetState()
		switch state {
		case connectivity.Ready:
			return true
		case connectivity.Shutdown:
			return false
		case connectivity.Idle:
			p.conn.Connect()
		}
		if !p.conn.WaitForStateChange(ctx, state) {
			return false
		}
	}
}

// Held is the node's signed word that it keeps a manifest and all that it lists,
// and how many bytes these are. Whether the signature is the node's is for the
// ledger to say.
func (p *Peer) Held(ctx context.Context, manifest ledger.Digest) (ledger.Held, uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	out, err := p.service.Held(ctx, &commonsealv1.HeldRequest{Digest: manifest[:]})
	if err != nil {
		return ledger.Held{}, 0, p.failed(err)
	}
	if !ledger.ValidName(out.Node) || len(out.Signature) != len(ledger.Signature{}) {
		return ledger.Held{}, 0, fmt.Errorf("peer %s: a statement of %.32q with a signature of %d bytes", p.address, out.Node, len(out.Signature))
	}
	return ledger.Held{Node: out.Node, Signature: ledger.Signature(out.Signature)}, out.Bytes, nil
}

// Predict is the answer to a query under the signed envelope that announces it.
// Only the querier can read it.
func (p *Peer) Predict(ctx context.Context, envelope, query []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	out, err := p.service.Predict(ctx, &commonsealv1.PredictRequest{Envelope: envelope, Query: query})
	if err != nil {
		return nil, p.failed(err)
	}
	return out.Answer, nil
}

// Status is the node in a few words.
func (p *Peer) Status(ctx context.Context) (name string, height int64, lines []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	out, err := p.service.Status(ctx, &commonsealv1.StatusRequest{})
	if err != nil {
		return "", 0, nil, p.failed(err)
	}
	return out.Name, out.Height, out.Lines, nil
}
