package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/commonseal/commonseal/cmd/commonseal/internal/home"
	"github.com/commonseal/commonseal/ledger/audit"
	"github.com/commonseal/commonseal/ledger/gate"
	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

// newAudit verifies without anybody's permission.
func newAudit() *cobra.Command {
	c := &cobra.Command{
		Use:   "audit",
		Short: "Verify what the ledger says",
		Example: `  commonseal audit chain --from ledger.archive
  commonseal audit receipt churn.receipt --genesis genesis.json`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newAuditChain(), newAuditBlobs(), newAuditProve(), newAuditReceipt(), newAuditCheckpoint(), newAuditGrowth(), newAuditPayouts(), newAuditReport(), newAuditStep(), newAuditFraud())
	return c
}

// A lightFlags is how a light client is told whom to trust and whom to ask.
type lightFlags struct {
	home, trust, primary string
	witnesses            []string
}

func (f *lightFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.home, "home", "", "folder of a member, whose key opens the validators' doors")
	c.Flags().StringVar(&f.trust, "trust", "", "HEIGHT:HASH of a block, from somebody you trust")
	c.Flags().StringVar(&f.primary, "primary", "", "the validator to ask; the first of the home's doors if not given")
	c.Flags().StringSliceVar(&f.witnesses, "witness", nil, "validators to ask again; all others if not given")
}

// open is the home and its light client. Close ends its connections.
func (f *lightFlags) open(ctx context.Context) (_ *audit.Light, closeAll func() error, err error) {
	at, err := audit.ParsePoint(f.trust)
	if err != nil {
		return nil, nil, &usageError{"--trust: " + err.Error()}
	}
	h, err := home.Open(f.home)
	if err != nil {
		return nil, nil, err
	}
	doors, closeAll, err := dialDoors(h)
	if err != nil {
		return nil, nil, err
	}
	c := audit.LightConfig{Chain: h.Genesis.Chain, Trust: at}
	if c.Primary, c.Witnesses, err = chooseDoors(doors, f.primary, f.witnesses); err == nil {
		var l *audit.Light
		if l, err = audit.NewLight(ctx, c); err == nil {
			return l, closeAll, nil
		}
	}
	return nil, nil, errors.Join(err, closeAll())
}

// chooseDoors finds the primary and the witnesses among doors, by name.
func chooseDoors(doors []gate.Endpoint, primary string, witnesses []string) (first gate.Endpoint, others []gate.Endpoint, err error) {
	find := func(name string) (gate.Endpoint, error) {
		at := slices.IndexFunc(doors, func(e gate.Endpoint) bool { return e.Name == name })
		if at < 0 {
			return gate.Endpoint{}, &usageError{fmt.Sprintf("the home has no door of a validator %q", name)}
		}
		return doors[at], nil
	}
	if primary == "" && len(doors) > 0 {
		primary = doors[0].Name
	}
	if first, err = find(primary); err != nil {
		return first, nil, err
	}
	if len(witnesses) == 0 {
		for _, e := range doors {
			if e.Name != primary {
				witnesses = append(witnesses, e.Name)
			}
		}
	}
	for _, name := range witnesses {
		e, err := find(name)
		if err != nil {
			return first, nil, err
		}
		others = append(others, e)
	}
	return first, others, nil
}

// dialDoors are the validators of a home.
func dialDoors(h *home.Home) (out []gate.Endpoint, closeAll func() error, err error) {
	id, err := gate.NewIdentity(h.Keys.TLS.Ed25519())
	if err != nil {
		return nil, nil, err
	}
	var conns []*grpc.ClientConn
	closeAll = func() error {
		var errs []error
		for _, c := range conns {
			errs = append(errs, c.Close())
		}
		return errors.Join(errs...)
	}
	for _, d := range h.Node.Doors {
		conn, err := gate.Dial(d.Address, d.Key(), id)
		if err != nil {
			return nil, nil, errors.Join(fmt.Errorf("validator %s: %w", d.Name, err), closeAll())
		}
		conns = append(conns, conn)
		out = append(out, gate.Endpoint{Name: d.Name, Service: commonsealv1.NewLedgerServiceClient(conn)})
	}
	return out, closeAll, nil
}
