package gate

import (
	"context"
	"time"

	"google.golang.org/grpc"

	"github.com/commonseal/commonseal/ledger"
	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

// lightTime is what one validator may take to look a header up.
const lightTime = 5 * time.Second

// ServeLight adds LightService to a server that was made with the options of a
// [Door]: the header of a height with what signed it, as the consensus engine
// encodes them.
func ServeLight(s *grpc.Server, lightBlock func(height int64) ([]byte, error)) {
	commonsealv1.RegisterLightServiceServer(s, &lightServer{lightBlock: lightBlock})
}

type lightServer struct {
	commonsealv1.UnimplementedLightServiceServer
	lightBlock func(height int64) ([]byte, error)
}

// LightBlock looks a block up.
func (s *lightServer) LightBlock(_ context.Context, in *commonsealv1.LightBlockRequest) (*commonsealv1.LightBlockResponse, error) {
	if in.Height < 1 {
		return nil, Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_MALFORMED, "begin at 1 or above", "the block of height %d", in.Height)
	}
	b, err := s.lightBlock(in.Height)
	if err != nil {
		return nil, Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_NOT_FOUND, "ask another validator", "no block of height %d here: %v", in.Height, err)
	}
	return &commonsealv1.LightBlockResponse{LightBlock: b}, nil
}

// A Doorstep is another validator for who has no ledger yet: it says what signed a
// block, and takes a transaction. Safe for concurrent use.
type Doorstep struct {
	Name string
	conn *grpc.ClientConn
}

// NewDoorstep is the validator that a connection of [Dial] leads to.
func NewDoorstep(name string, conn *grpc.ClientConn) *Doorstep {
	return &Doorstep{Name: name, conn: conn}
}

// LightBlock is the header of a height with what signed it. It is not verified.
func (d *Doorstep) LightBlock(ctx context.Context, height int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, lightTime)
	defer cancel()
	out, err := commonsealv1.NewLightServiceClient(d.conn).LightBlock(ctx, &commonsealv1.LightBlockRequest{Height: height})
	if err != nil {
		return nil, FromStatus(err)
	}
	return out.LightBlock, nil
}

// Submit hands a transaction in, and returns what the validator's check said.
func (d *Doorstep) Submit(ctx context.Context, tx []byte) (ledger.Result, error) {
	return submitTo(ctx, Endpoint{Name: d.Name, Service: commonsealv1.NewLedgerServiceClient(d.conn)}, tx)
}

// Close closes the connection.
func (d *Doorstep) Close() error { return d.conn.Close() }
