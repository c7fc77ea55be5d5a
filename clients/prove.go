package clients

import (
	"context"
	"errors"
	"fmt"

	"github.com/commonseal/commonseal/ledger/audit"
	"github.com/commonseal/commonseal/ledger/gate"
	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

// Prove asks the validators for the proof of what the state has at a key, or that it
// has nothing there, and verifies it. The bytes are a [ledger.RecordReceipt], which
// verifies offline ever after.
func (c *Client) Prove(ctx context.Context, key []byte) ([]byte, error) {
	errs := []error{errors.New("no validator proves it")}
	for i, d := range c.doors {
		e := gate.Endpoint{Name: doorsOf(c.config)[i].Name, Service: commonsealv1.NewLedgerServiceClient(d)}
		receipt, err := audit.FetchRecord(ctx, e, key)
		if err == nil {
			err = c.known(ctx, func() error {
				_, err := audit.VerifyRecord(receipt, c.verifier)
				return err
			})
		}
		if err == nil {
			return receipt, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", e.Name, err))
	}
	return nil, errors.Join(errs...)
}

// known verifies something that may be of a block that was not followed yet: then
// who signs it is known in a moment.
func (c *Client) known(ctx context.Context, verify func() error) error {
	for {
		next := c.Changed()
		err := verify()
		if !errors.Is(err, audit.ErrAhead) {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-next:
		}
	}
}
