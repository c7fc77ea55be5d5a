package multiparty

import (
	"fmt"
	"log/slog"

	"github.com/commonseal/commonseal/he"
)

// An Observer makes the keys of a ceremony, or of a key set, from what all its
// parties published: an aggregation node's, which holds no share, or a party's
// that starts again and has its secrets but not the keys. It takes the same
// messages as a [Ceremony], of all parties, in any order that ErrEarly allows;
// it checks commitments, digests and the end test as a party does, and so comes
// to the same keys or to an [*Abort].
//
// It holds no secret and says nothing. Who sent a message is the driver's to
// know here too: a blob that a third party spoiled on its way is to be refused
// before it is given, since an abort would name its owner.
type Observer struct{ proceedings }

// NewObserver begins to observe the ceremony that [NewCeremony] begins with the
// same arguments, and refuses what it refuses.
func NewObserver(plan Plan, session he.Digest, parties []string) (*Observer, error) {
	seen, err := convoke(plan, session, parties, ceremonyDefences{})
	if err != nil {
		return nil, fmt.Errorf("observer: %w", err)
	}
	return &Observer{seen}, nil
}

// NewKeySetObserver begins to observe the key set that [NewKeySet] begins with
// the same arguments, and refuses what it refuses.
func NewKeySetObserver(plan Plan, id he.Digest, epoch *Epoch) (*Observer, error) {
	seen, err := convokeKeySet(plan, id, epoch, ceremonyDefences{})
	if err != nil {
		return nil, fmt.Errorf("observer: %w", err)
	}
	return &Observer{seen}, nil
}

// String tells how far it is, and no key.
func (o *Observer) String() string { return fmt.Sprintf("observer: %v", &o.proceedings) }

// GoString is String, short as it is.
func (o *Observer) GoString() string { return o.String() }

// LogValue is String, for logs.
func (o *Observer) LogValue() slog.Value { return slog.StringValue(o.String()) }
