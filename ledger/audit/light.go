package audit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cometbft/cometbft/light"

	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/gate"
	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

const (
	drift = 10 * time.Second // that a validator's clock may be ahead of ours
	// DefaultPeriod is how old a header may be that is trusted: validators that left
	// longer ago have nothing to lose by signing another history.
	DefaultPeriod = 14 * 24 * time.Hour
	// DefaultFresh is how old the latest header may be: an idle chain makes one every
	// half minute.
	DefaultFresh = 10 * time.Minute
)

// LightConfig is what a [Light] client is made of.
type LightConfig struct {
	Chain     string
	Trust     Point           // from somebody, on another way than the doors
	Primary   gate.Endpoint   // who is asked
	Witnesses []gate.Endpoint // who is asked again, one at least, others than Primary
	Period    time.Duration   // how old what is trusted may be; 0: DefaultPeriod
	Fresh     time.Duration   // how old the latest header may be; 0: DefaultFresh
	Now       func() time.Time
}

// A Light client follows headers from one that is trusted, and executes nothing. Of
// a height far ahead it believes a header that validators with more than a third of
// the trusted power signed, one of whom is honest, and more than two thirds of those
// of its own height; if there are too few of the former it goes there in smaller
// steps. What it comes to a witness must show as well. It is used by one goroutine.
type Light struct {
	config  LightConfig
	base    *Trusted // the one it was told to trust
	trusted *Trusted // the highest that follows from it

	alone, anyHash, anySigner bool // tests only: no witness, no trusted hash, whoever signed
}

// NewLight asks the primary for the trusted header.
func NewLight(ctx context.Context, c LightConfig) (*Light, error) {
	return (&Light{config: c}).begin(ctx)
}

func (l *Light) begin(ctx context.Context) (*Light, error) {
	c := &l.config
	if c.Period == 0 {
		c.Period = DefaultPeriod
	}
	if c.Fresh == 0 {
		c.Fresh = DefaultFresh
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if len(c.Witnesses) == 0 && !l.alone {
		return nil, errors.New("audit: no witness; name another validator than the primary, so that one cannot lie alone")
	}
	for _, w := range c.Witnesses {
		if w.Name == c.Primary.Name || w.Service == c.Primary.Service {
			return nil, fmt.Errorf("audit: witness %s is the primary; name another validator", w.Name)
		}
	}
	t, err := l.ask(ctx, c.Primary, c.Trust.Height)
	if err != nil {
		return nil, err
	}
	if t.Point() != c.Trust && !l.anyHash {
		return nil, fmt.Errorf("%w: %s shows block %v, and %v is trusted", ErrMismatch, c.Primary.Name, t.Point(), c.Trust)
	}
	l.base, l.trusted = t, t
	return l, nil
}

// Latest is the last header, if it is no older than [LightConfig.Fresh]: a validator
// that shows an old state is refused.
func (l *Light) Latest(ctx context.Context) (*Trusted, error) {
	t, err := l.to(ctx, 0)
	if err != nil {
		return nil, err
	}
	if age := l.config.Now().Sub(t.signed.Time); age > l.config.Fresh {
		return nil, fmt.Errorf("%w: the last block that %s shows is %v old; ask another primary", ErrUntrusted, l.config.Primary.Name, age.Round(time.Second))
	}
	return t, nil
}

// At is the header of a height, which is not below the trusted one's. If a witness
// shows another the error is a [*DivergenceError].
func (l *Light) At(ctx context.Context, height int64) (*Trusted, error) {
	if height < l.config.Trust.Height {
		return nil, fmt.Errorf("%w: block %d is before the trusted one, %d; trust an earlier one, or take a new receipt", ErrUntrusted, height, l.config.Trust.Height)
	}
	return l.to(ctx, height)
}

// to goes to a height, 0 being the primary's last.
func (l *Light) to(ctx context.Context, height int64) (*Trusted, error) {
	target, err := l.ask(ctx, l.config.Primary, height)
	if err != nil {
		return nil, err
	}
	from := l.trusted
	if target.signed.Height < from.signed.Height { // a later one was asked for before
		from = l.base
	}
	if err := l.skip(ctx, l.config.Primary, from, target); err != nil {
		return nil, err
	}
	if err := l.compare(ctx, from, target); err != nil {
		return nil, err
	}
	if target.signed.Height > l.trusted.signed.Height {
		l.trusted = target
	}
	return target, nil
}

// skip says whether a header follows from a trusted one, asking for headers between
// as far as it must.
func (l *Light) skip(ctx context.Context, e gate.Endpoint, from, target *Trusted) error {
	if target.Point() == from.Point() || l.anySigner {
		return nil
	}
	for ahead := []*Trusted{target}; len(ahead) > 0; {
		next := ahead[len(ahead)-1]
		err := light.Verify(from.signed, from.by.ValidatorSet, next.signed, next.by.ValidatorSet, l.config.Period, l.config.Now(), drift, light.DefaultTrustLevel)
		var far light.ErrNewValSetCantBeTrusted
		var old light.ErrOldHeaderExpired
		switch {
		case err == nil:
			from, ahead = next, ahead[:len(ahead)-1]
			continue
		case errors.As(err, &old):
			return fmt.Errorf("%w: block %d is older than %v; trust a later one", ErrUntrusted, from.signed.Height, l.config.Period)
		case !errors.As(err, &far):
			return fmt.Errorf("%w: block %d does not follow from block %d: %v", ErrUntrusted, next.signed.Height, from.signed.Height, err)
		}
		between := from.signed.Height + (next.signed.Height-from.signed.Height)/2
		t, err := l.ask(ctx, e, between)
		if err != nil {
			return err
		}
		ahead = append(ahead, t)
	}
	return nil
}

// compare asks every witness for the header of a height. Those that do not answer
// are left out, but one must.
func (l *Light) compare(ctx context.Context, from, target *Trusted) error {
	if l.alone {
		return nil
	}
	agree, silent := 0, []error{errors.New("audit: no witness answers; name others")}
	for _, w := range l.config.Witnesses {
		other, err := l.ask(ctx, w, target.signed.Height)
		if err != nil {
			silent = append(silent, err)
			continue
		}
		if other.Point() == target.Point() {
			agree++
			continue
		}
		return l.diverge(ctx, w, from, target, other)
	}
	if agree == 0 {
		return errors.Join(silent...)
	}
	return nil
}

// diverge is the error of two headers of one height. A witness that shows garbage
// is told from validators that signed two histories.
func (l *Light) diverge(ctx context.Context, w gate.Endpoint, from, target, other *Trusted) error {
	out := &DivergenceError{Height: target.signed.Height, Primary: l.config.Primary.Name, Witness: w.Name,
		Why: "both follow from what is trusted: validators signed two histories"}
	if err := l.skip(ctx, w, from, other); err != nil {
		out.Why = fmt.Sprintf("what %s shows does not follow from what is trusted: %v", w.Name, err)
	}
	var err error
	if out.First, err = target.Checkpoint(); err != nil {
		return err
	}
	if out.Second, err = other.Checkpoint(); err != nil {
		return err
	}
	return out
}

// ask is a header as a validator shows it, held to itself alone; of height 0 its
// last.
func (l *Light) ask(ctx context.Context, e gate.Endpoint, height int64) (*Trusted, error) {
	t, err := FetchHeader(ctx, e, l.config.Chain, height)
	if err != nil {
		return nil, fmt.Errorf("block %d from %s: %w", height, e.Name, err)
	}
	return t, nil
}

// FetchHeader is a header of a chain as a validator shows it, of height 0 its last,
// with the signatures of those who it says sign it. That says nothing of who they
// are: see [Light].
func FetchHeader(ctx context.Context, e gate.Endpoint, chain string, height int64) (*Trusted, error) {
	r, err := e.Service.Commit(ctx, &commonsealv1.CommitRequest{Height: height})
	if err != nil {
		return nil, gate.FromStatus(err)
	}
	if height != 0 && r.Height != height {
		return nil, fmt.Errorf("%w: it is block %d", ErrMismatch, r.Height)
	}
	signed, err := parseCommit(r.Commit)
	if err != nil {
		return nil, err
	}
	b, err := signedBlock(r.Block, signed)
	if err != nil {
		return nil, err
	}
	if height != 0 && b.Height != height {
		return nil, fmt.Errorf("%w: it is block %d", ErrMismatch, b.Height)
	}
	if len(r.Signers) == 0 {
		return nil, errNoSigners
	}
	var powers []ledger.Power
	for _, s := range r.Signers {
		if len(s.Vote) != len(ledger.Key{}) {
			return nil, fmt.Errorf("%w: a consensus key of %d bytes", ErrMalformed, len(s.Vote))
		}
		powers = append(powers, ledger.Power{Vote: ledger.Key(s.Vote), Power: s.Power})
	}
	return newTrusted(chain, &b.Header, signed, powers)
}
