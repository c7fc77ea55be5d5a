package gate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/commonseal/commonseal/ledger"
	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

func TestRefusalsCross(t *testing.T) {
	for number, name := range commonsealv1.RefusalCode_name {
		if number == 0 {
			continue
		}
		r := Refuse(commonsealv1.RefusalCode(number), "do this", "%s", name)
		err := Status(fmt.Errorf("wrapped: %w", r))
		var got *Refusal
		if !errors.As(FromStatus(err), &got) || *got != *r {
			t.Errorf("%s came back as %v", name, got)
		}
		if c := status.Code(err); c == codes.OK || c == codes.Unknown {
			t.Errorf("%s is %s", name, c)
		}
		if again := Status(err); again != err {
			t.Errorf("%s mapped twice is %v", name, again)
		}
	}
}

// TestLedgerCodesAreRefusalCodes holds the two lists together.
func TestLedgerCodesAreRefusalCodes(t *testing.T) {
	for code, want := range map[ledger.Code]commonsealv1.RefusalCode{
		ledger.Malformed: commonsealv1.RefusalCode_REFUSAL_CODE_MALFORMED, ledger.WrongChain: commonsealv1.RefusalCode_REFUSAL_CODE_WRONG_CHAIN,
		ledger.Expired: commonsealv1.RefusalCode_REFUSAL_CODE_EXPIRED, ledger.BadSignature: commonsealv1.RefusalCode_REFUSAL_CODE_BAD_SIGNATURE,
		ledger.Unknown: commonsealv1.RefusalCode_REFUSAL_CODE_UNKNOWN, ledger.Forbidden: commonsealv1.RefusalCode_REFUSAL_CODE_FORBIDDEN,
		ledger.Replayed: commonsealv1.RefusalCode_REFUSAL_CODE_REPLAYED, ledger.Conflict: commonsealv1.RefusalCode_REFUSAL_CODE_CONFLICT,
		ledger.WrongState: commonsealv1.RefusalCode_REFUSAL_CODE_WRONG_STATE, ledger.OverLimit: commonsealv1.RefusalCode_REFUSAL_CODE_OVER_LIMIT,
		ledger.Late: commonsealv1.RefusalCode_REFUSAL_CODE_LATE, ledger.Ticketed: commonsealv1.RefusalCode_REFUSAL_CODE_USED,
	} {
		if r := RefusalOf(ledger.Result{Code: code, Detail: "why"}); r == nil || r.Code != want || r.Detail != "why" {
			t.Errorf("code %d is %v, want %s", code, r, want)
		}
	}
	if RefusalOf(ledger.Result{}) != nil {
		t.Error("OK is refused")
	}
}

func TestStatus(t *testing.T) {
	for _, test := range []struct {
		err  error
		want codes.Code
	}{
		{nil, codes.OK},
		{context.Canceled, codes.Canceled},
		{fmt.Errorf("waiting: %w", context.DeadlineExceeded), codes.DeadlineExceeded},
		{errors.New("open secret-file"), codes.Internal},
		{status.Error(codes.Unavailable, "the transport"), codes.Unavailable},
		{Refuse(99, "", "of a later version"), codes.FailedPrecondition},
		{Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_STORAGE, "", "not UTF-8: \xff"), codes.ResourceExhausted},
	} {
		got := Status(test.err)
		if status.Code(got) != test.want {
			t.Errorf("%v is %v, want %s", test.err, got, test.want)
		}
		if got != nil && strings.Contains(got.Error(), "secret-file") {
			t.Errorf("a peer learns of %v", got)
		}
	}
}

// FuzzFromStatus reads details of any bytes.
func FuzzFromStatus(f *testing.F) {
	s := status.Convert(Status(Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_BUSY, "wait", "too many")))
	f.Add(s.Proto().Details[0].Value)
	f.Fuzz(func(t *testing.T, b []byte) {
		p := s.Proto()
		p.Details[0].Value = slices.Clone(b)
		err := FromStatus(status.FromProto(p).Err())
		var r *Refusal
		if err == nil || errors.As(err, &r) && r.Code == 0 {
			t.Errorf("%v of %x", err, b)
		}
	})
}
