package node

import (
	"context"
	"errors"

	"github.com/commonseal/commonseal/federation/store"
	"github.com/commonseal/commonseal/ledger/gate"
	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

// reasonCodes are the reasons on the wire.
var reasonCodes = map[Reason]commonsealv1.RefusalCode{
	NotYet:    commonsealv1.RefusalCode_REFUSAL_CODE_NOT_READY,
	Forbidden: commonsealv1.RefusalCode_REFUSAL_CODE_FORBIDDEN,
	Malformed: commonsealv1.RefusalCode_REFUSAL_CODE_MALFORMED,
	Unknown:   commonsealv1.RefusalCode_REFUSAL_CODE_UNKNOWN,
	OverQuota: commonsealv1.RefusalCode_REFUSAL_CODE_OVER_LIMIT,
}

// refusal is an error of the node as a peer shall see it: what the peer can do
// something about as a [*gate.Refusal], all else as it is, of which the gate
// tells the peer nothing.
func refusal(err error) error {
	if err == nil {
		return nil
	}
	if r := ofStore(err); r != nil {
		return r
	}
	var already *gate.Refusal
	var declined *RefusedError
	var twice *EquivocationError
	switch {
	case errors.As(err, &already):
		return already
	case errors.As(err, &declined):
		r := gate.Refuse(reasonCodes[declined.Reason], "", "%s", declined.Detail)
		if declined.Reason == NotYet {
			r.Next = "try again later"
		}
		return r
	case errors.As(err, &twice):
		return gate.Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_CONFLICT, "", "%s", twice.Error())
	case errors.Is(err, context.DeadlineExceeded):
		return gate.Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_NOT_READY, "try again later", "not done in time: %s", err)
	}
	return err
}

// ofStore is an error of the store as a refusal, nil if it is none that concerns
// the peer. What the disk says is for the log: it names folders.
func ofStore(err error) *gate.Refusal {
	var (
		quota    *store.QuotaError
		full     *store.FullError
		disk     *store.DiskError
		limit    *store.LimitError
		offset   *store.OffsetError
		conflict *store.ConflictError
		digest   *store.DigestError
		corrupt  *store.CorruptError
	)
	switch {
	case errors.As(err, &quota):
		return gate.Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_OVER_LIMIT, "finish or leave other uploads, or ask the node's owner",
			"%s has %d of %d bytes here; %d more do not fit", quota.Owner, quota.Used, quota.Quota, quota.Size)
	case errors.As(err, &full):
		return gate.Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_STORAGE, "put it to another node, or here later", "the disk of this node is full")
	case errors.As(err, &disk):
		return gate.Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_STORAGE, "put it to another node", "the disk of this node fails")
	case errors.As(err, &limit):
		return gate.Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_MALFORMED, "", "%s of %d bytes; it has %d to %d", limit.What, limit.Size, limit.Min, limit.Max)
	case errors.As(err, &offset):
		return gate.Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_MALFORMED, "ask for the offset and resume there", "a chunk at byte %d, where %d is next", offset.Given, offset.Want)
	case errors.As(err, &digest):
		return gate.Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_WRONG_DIGEST, "put it again from its first byte", "the bytes have digest %x, not %x as announced; they were dropped", digest.Got, digest.Declared)
	case errors.As(err, &conflict):
		return gate.Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_CONFLICT, "ask for the offset and resume there", "other bytes than were put there before")
	case errors.As(err, &corrupt):
		return gate.Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_WRONG_DIGEST, "get it from another node", "%s is damaged here: %s", corrupt.What, corrupt.Cause)
	case errors.Is(err, store.ErrNotFound):
		return gate.Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_NOT_FOUND, "try another node, or later", "it is not here")
	}
	return nil
}
