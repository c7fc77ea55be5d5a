package gate

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/commonseal/commonseal/ledger"
	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

// A Refusal is the one typed error that crosses an RPC. Asking again in the
// same way will be refused again, unless Next says to wait.
type Refusal struct {
	Code   commonsealv1.RefusalCode
	Detail string // the cause, for people; never parsed
	Next   string // what to do about it, for people
}

// Error is the cause and the next step.
func (r *Refusal) Error() string {
	if r.Next == "" {
		return r.Detail
	}
	return r.Detail + "; " + r.Next
}

// Refuse is a refusal with a formatted cause.
func Refuse(code commonsealv1.RefusalCode, next, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Detail: fmt.Sprintf(format, args...), Next: next}
}

// RefusalOf is a result of the ledger as a refusal, nil if it is [ledger.OK].
func RefusalOf(r ledger.Result) *Refusal {
	if r.Code == ledger.OK {
		return nil
	}
	return &Refusal{Code: commonsealv1.RefusalCode(r.Code), Detail: r.Detail}
}

// statusCodes is what a client that knows gRPC only sees of a refusal. What is
// not here is FailedPrecondition.
var statusCodes = map[commonsealv1.RefusalCode]codes.Code{
	commonsealv1.RefusalCode_REFUSAL_CODE_MALFORMED:     codes.InvalidArgument,
	commonsealv1.RefusalCode_REFUSAL_CODE_WRONG_CHAIN:   codes.InvalidArgument,
	commonsealv1.RefusalCode_REFUSAL_CODE_BAD_SIGNATURE: codes.Unauthenticated,
	commonsealv1.RefusalCode_REFUSAL_CODE_UNKNOWN:       codes.NotFound,
	commonsealv1.RefusalCode_REFUSAL_CODE_FORBIDDEN:     codes.PermissionDenied,
	commonsealv1.RefusalCode_REFUSAL_CODE_REPLAYED:      codes.AlreadyExists,
	commonsealv1.RefusalCode_REFUSAL_CODE_CONFLICT:      codes.AlreadyExists,
	commonsealv1.RefusalCode_REFUSAL_CODE_OVER_LIMIT:    codes.ResourceExhausted,
	commonsealv1.RefusalCode_REFUSAL_CODE_UNREGISTERED:  codes.Unauthenticated,
	commonsealv1.RefusalCode_REFUSAL_CODE_BUSY:          codes.ResourceExhausted,
	commonsealv1.RefusalCode_REFUSAL_CODE_TOO_SLOW:      codes.DeadlineExceeded,
	commonsealv1.RefusalCode_REFUSAL_CODE_TOO_LARGE:     codes.ResourceExhausted,
	commonsealv1.RefusalCode_REFUSAL_CODE_COMPRESSED:    codes.Unimplemented,
	commonsealv1.RefusalCode_REFUSAL_CODE_NOT_FOUND:     codes.NotFound,
	commonsealv1.RefusalCode_REFUSAL_CODE_NOT_READY:     codes.Unavailable,
	commonsealv1.RefusalCode_REFUSAL_CODE_STORAGE:       codes.ResourceExhausted,
	commonsealv1.RefusalCode_REFUSAL_CODE_WRONG_DIGEST:  codes.DataLoss,
	commonsealv1.RefusalCode_REFUSAL_CODE_NO_TICKET:     codes.PermissionDenied,
	commonsealv1.RefusalCode_REFUSAL_CODE_WRONG_SENDER:  codes.PermissionDenied,
	commonsealv1.RefusalCode_REFUSAL_CODE_INTERNAL:      codes.Internal,
}

// Status is err as a handler returns it: a refusal travels whole, the end of a
// context as what it is, and of anything else the peer learns only that there
// was a fault.
func Status(err error) error {
	if err == nil {
		return nil
	}
	var r *Refusal
	switch {
	case errors.As(err, &r):
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, "the call ended")
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, "the call took longer than its deadline")
	default:
		if s, ok := status.FromError(err); ok && s.Code() != codes.Unknown {
			return err // of the transport, or mapped before
		}
		r = Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_INTERNAL, "its owner finds the cause in its log", "a fault of this process")
	}
	code, ok := statusCodes[r.Code]
	if !ok {
		code = codes.FailedPrecondition
	}
	s, err := status.New(code, r.Error()).WithDetails(&commonsealv1.Refusal{Code: r.Code, Detail: r.Detail, NextStep: r.Next})
	if err != nil { // a text that is not UTF-8
		return status.Error(code, "refused")
	}
	return s.Err()
}

// FromStatus is the [Refusal] in what a call returned, or err itself.
func FromStatus(err error) error {
	s, ok := status.FromError(err)
	if !ok || err == nil {
		return err
	}
	for _, detail := range s.Details() {
		if r, ok := detail.(*commonsealv1.Refusal); ok && r.Code != commonsealv1.RefusalCode_REFUSAL_CODE_UNSPECIFIED {
			return &Refusal{Code: r.Code, Detail: r.Detail, Next: r.NextStep}
		}
	}
	return err
}
