package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/commonseal/commonseal/cmd/commonseal/internal/home"
	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/chain"
	"github.com/commonseal/commonseal/ledger/gate"
)

// A latecomer is a validator that was admitted after the founding, as long as the
// others do not know it.
type latecomer struct {
	home  *home.Home
	doors []*gate.Doorstep // of validators that run
	log   *slog.Logger
}

// newLatecomer dials the validators that a home knows.
func newLatecomer(h *home.Home, id *gate.Identity, log *slog.Logger) (*latecomer, error) {
	l := &latecomer{home: h, log: log}
	for _, d := range h.Node.Doors {
		conn, err := gate.Dial(d.Address, d.Key(), id)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("validator %s: %w", d.Name, err), l.close())
		}
		l.doors = append(l.doors, gate.NewDoorstep(d.Name, conn))
	}
	return l, nil
}

func (l *latecomer) close() (err error) {
	for _, d := range l.doors {
		err = errors.Join(err, d.Close())
	}
	return err
}

// sources are whom the node asks for headers, if it begins with a snapshot: there is
// one when the chain is longer than from one to the next, or one was begun with
// before.
func (l *latecomer) sources(ctx context.Context, height, every int64) (out []chain.Source, err error) {
	if height <= 0 {
		if err := l.say(ctx, l.announcement(), nil); err != nil {
			return nil, err
		}
		long := func(d *gate.Doorstep) bool { _, err := d.LightBlock(ctx, every+2); return err == nil }
		if !slices.ContainsFunc(l.doors, long) {
			return nil, nil
		}
	}
	for _, d := range l.doors {
		out = append(out, d)
	}
	return out, nil
}

func (l *latecomer) announcement() *ledger.Announce {
	return ledger.NewAnnounce(l.home.Genesis.Chain, l.home.Member.Name, l.home.P2P, l.home.Keys.P2P.Ed25519())
}

// introduce has the validator announced, waits until its node has caught up, and
// has it counted. It returns when all that is in its own state, or ctx ends.
func (l *latecomer) introduce(ctx context.Context, n *chain.Node) error {
	announced := func() bool {
		return slices.ContainsFunc(ledger.Contacts(n.Tree().View()), func(c ledger.Contact) bool {
			return c.Name == l.home.Member.Name && c.Peer == l.home.Keys.P2P.Public() && c.Address == l.home.P2P
		})
	}
	if err := l.say(ctx, l.announcement(), announced); err != nil {
		return err
	}
	if err := n.Ready(ctx); err != nil {
		return err
	}
	signs := func() bool {
		return slices.ContainsFunc(ledger.Powers(n.Tree().View()), func(p ledger.Power) bool { return p.Name == l.home.Member.Name })
	}
	if err := l.say(ctx, &ledger.Attend{On: true}, signs); err != nil {
		return err
	}
	l.log.Info("this validator signs blocks", "height", n.Height())
	return nil
}

// sayAgain is how long a transaction is waited for before it is handed in again.
const sayAgain = 5 * time.Second

// say hands a body in at one validator after another, until its effect is seen, or,
// with nothing to see it in, until one takes it. They may not let this one in yet.
func (l *latecomer) say(ctx context.Context, body ledger.Body, seen func() bool) error {
	told := ""
	for try := 0; seen == nil || !seen(); try++ {
		door := l.doors[try%len(l.doors)]
		tx := ledger.SignTx(l.home.Genesis.Chain, time.Now().Add(asking).UnixMilli(), body, l.home.Keys.Signing.Ed25519())
		result, err := door.Submit(ctx, tx)
		taken := err == nil && (result.Code == ledger.OK || result.Code == ledger.Replayed)
		if taken && seen == nil {
			return nil
		}
		cause := result.Detail
		if err != nil {
			cause = err.Error()
		}
		if !taken && cause != told {
			l.log.Info("waits to be taken in: companies approve a newcomer with commonseal member approve", "validator", door.Name, "cause", cause)
			told = cause
		}
		timer := time.NewTimer(sayAgain)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
	}
	return nil
}
