package multiparty

import (
	"errors"
	"fmt"

	"github.com/commonseal/commonseal/he"
)

// A KeyList names the keys of a ceremony that is Done, or of a key set, part by
// part. With what the list is of it leads to the key digest, so that one key can
// be shown to be among those all parties agreed on without what they said.
type KeyList struct {
	CRS   he.Digest   // of the roster
	Parts []he.Digest // SHA-256 of each part's encoding, in the plan's order
}

// List is the list of the observer's keys, and nothing before it is Done.
func (o *Observer) List() (out KeyList) {
	if !o.Done() {
		return out
	}
	out.CRS = o.roster.CRS
	for _, sum := range o.exchanges[roundOne].sums {
		out.Parts = append(out.Parts, sum.Digest())
	}
	return out
}

// Part is the encoding of a part of the list, by its place there.
func (o *Observer) Part(i int) []byte { return o.exchanges[roundOne].sums[i].Append(nil) }

// A Recall is what a ceremony that is over is known by afterwards.
type Recall struct {
	List KeyList
	Keys he.Digest // that all parties acknowledged
	// Part is the encoding of a part by its digest.
	Part func(he.Digest) ([]byte, error)
	// Circuits are the profiles whose evaluation keys are wanted; no parts of
	// others are asked for but the public keys.
	Circuits []*he.Profile
}

// ErrRecall says that a list is not of the keys that the parties agreed on.
var ErrRecall = errors.New("the list of keys does not lead to the key digest on the ledger")

// RecallObserver is the observer of a base ceremony as it is when Done, made from
// its keys alone. It has the evaluation keys of r.Circuits and no others.
func RecallObserver(plan Plan, session he.Digest, parties []string, r Recall) (*Observer, error) {
	o, err := NewObserver(plan, session, parties)
	if err != nil {
		return nil, err
	}
	o.roster.CRS = r.List.CRS
	o.root = o.roster.Digest()
	return o, o.recall(r)
}

// RecallKeySetObserver is that of a key set.
func RecallKeySetObserver(plan Plan, id he.Digest, epoch *Epoch, r Recall) (*Observer, error) {
	o, err := NewKeySetObserver(plan, id, epoch)
	if err != nil {
		return nil, err
	}
	if r.List.CRS != o.roster.CRS {
		return nil, ErrRecall
	}
	return o, o.recall(r)
}

// recall holds the list to the key digest, then each part to the list.
func (o *Observer) recall(r Recall) error {
	x := &o.exchanges[roundOne]
	if len(r.List.Parts) != len(x.parts) {
		return fmt.Errorf("%d parts of %d: %w", len(r.List.Parts), len(x.parts), ErrRecall)
	}
	digests := [][]byte{o.root[:]}
	for i := range r.List.Parts {
		digests = append(digests, r.List.Parts[i][:])
	}
	if he.HashParts(labelKeys, digests...) != r.Keys {
		return ErrRecall
	}
	x.sums = make([]*he.Object, len(x.parts))
	for i, p := range x.parts {
		kind := p.kind
		switch {
		case kind == he.KindPublicShare:
		case !wanted(r.Circuits, p.profile):
			continue
		case kind == he.KindRelinShare1: // the sums of both rounds
			kind = he.KindRelinKey
		}
		b, err := r.Part(r.List.Parts[i])
		if err != nil {
			return fmt.Errorf("%v: %w", p, err)
		}
		sum, err := he.ParseObject(b, kind, p.profile)
		if err != nil {
			return fmt.Errorf("%v: %w", p, err)
		}
		if sum.Digest() != r.List.Parts[i] || sum.Level != p.profile.MaxLevel() || sum.Element != p.element {
			return fmt.Errorf("%v: %w", p, ErrRecall)
		}
		x.sums[i] = sum
	}
	o.exchanges[endTest].context = r.Keys
	o.stage, o.nonces = stages, nil
	return nil
}

func wanted(profiles []*he.Profile, p *he.Profile) bool {
	for _, w := range profiles {
		if w.Digest() == p.Digest() {
			return true
		}
	}
	return false
}
