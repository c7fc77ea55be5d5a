package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/commonseal/commonseal/federation/store"
	"github.com/commonseal/commonseal/ledger/gate"
	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

func TestRefusal(t *testing.T) {
	secret := errors.New("open /somewhere/secret")
	for _, test := range []struct {
		err  error
		want commonsealv1.RefusalCode
	}{
		{refused(NotYet, "x"), commonsealv1.RefusalCode_REFUSAL_CODE_NOT_READY},
		{refused(Forbidden, "x"), commonsealv1.RefusalCode_REFUSAL_CODE_FORBIDDEN},
		{refused(Malformed, "x"), commonsealv1.RefusalCode_REFUSAL_CODE_MALFORMED},
		{refused(Unknown, "x"), commonsealv1.RefusalCode_REFUSAL_CODE_UNKNOWN},
		{refused(OverQuota, "x"), commonsealv1.RefusalCode_REFUSAL_CODE_OVER_LIMIT},
		{&EquivocationError{}, commonsealv1.RefusalCode_REFUSAL_CODE_CONFLICT},
		{&store.QuotaError{}, commonsealv1.RefusalCode_REFUSAL_CODE_OVER_LIMIT},
		{&store.FullError{Dir: "/somewhere/secret"}, commonsealv1.RefusalCode_REFUSAL_CODE_STORAGE},
		{&store.DiskError{Op: "write", Cause: secret}, commonsealv1.RefusalCode_REFUSAL_CODE_STORAGE},
		{&store.LimitError{}, commonsealv1.RefusalCode_REFUSAL_CODE_MALFORMED},
		{&store.OffsetError{}, commonsealv1.RefusalCode_REFUSAL_CODE_MALFORMED},
		{&store.ConflictError{}, commonsealv1.RefusalCode_REFUSAL_CODE_CONFLICT},
		{&store.DigestError{}, commonsealv1.RefusalCode_REFUSAL_CODE_WRONG_DIGEST},
		{&store.CorruptError{}, commonsealv1.RefusalCode_REFUSAL_CODE_WRONG_DIGEST},
		{store.ErrNotFound, commonsealv1.RefusalCode_REFUSAL_CODE_NOT_FOUND},
		{context.DeadlineExceeded, commonsealv1.RefusalCode_REFUSAL_CODE_NOT_READY},
		{store.ErrCrash, commonsealv1.RefusalCode_REFUSAL_CODE_INTERNAL},
		{secret, commonsealv1.RefusalCode_REFUSAL_CODE_INTERNAL},
	} {
		told := gate.FromStatus(gate.Status(refusal(fmt.Errorf("around: %w", test.err))))
		var r *gate.Refusal
		if !errors.As(told, &r) || r.Code != test.want {
			t.Errorf("%T: %v, want %v", test.err, told, test.want)
		} else if strings.Contains(r.Error(), "secret") {
			t.Errorf("%T tells the peer of a folder: %v", test.err, r)
		}
	}
	if err := refusal(nil); err != nil {
		t.Error(err)
	}
}
