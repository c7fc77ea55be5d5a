package gate

import (
	"crypto/sha256"
	"errors"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc"

	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

// service is a client of a validator of c, in memory.
func service(t *testing.T, c *chain) commonsealv1.LedgerServiceClient {
	t.Helper()
	_, e := endpoint(t, "val", c, c)
	return e.Service
}

func TestLedgerService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		s := service(t, c)
		hash := sha256.Sum256([]byte("a=1"))
		if out, err := s.Submit(t.Context(), &commonsealv1.SubmitRequest{Tx: []byte("a=1")}); err != nil || out.Code != 0 || [32]byte(out.Hash) != hash {
			t.Fatal(out, err)
		}
		c.add(t)
		c.add(t)
		for _, height := range []int64{0, 1, 2} {
			out, err := s.Commit(t.Context(), &commonsealv1.CommitRequest{Height: height})
			if err != nil {
				t.Fatal(err)
			}
			if b, _, err := verify(out.Block, out.Commit); err != nil || b.Height != out.Height || height != 0 && b.Height != height || height == 0 && b.Height != 2 {
				t.Errorf("block %d is %v, %v", height, b, err)
			}
			if len(out.Signers) != 1 || out.Signers[0].Power != 1 || [32]byte(out.Signers[0].Vote) != [32]byte{1} {
				t.Errorf("block %d is signed by %v", height, out.Signers)
			}
		}
		if out, err := s.Query(t.Context(), &commonsealv1.QueryRequest{Key: []byte("a"), Prove: true}); err != nil || string(out.Value) != "1" || len(out.Proof) == 0 || out.Height != 2 {
			t.Error(out, err)
		}
		if out, err := s.Query(t.Context(), &commonsealv1.QueryRequest{Key: []byte("b")}); err != nil || out.Value != nil || out.Proof != nil {
			t.Error(out, err)
		}
		if out, err := s.Receipt(t.Context(), &commonsealv1.ReceiptRequest{Hash: hash[:]}); err != nil || string(out.Receipt) != "receipt" {
			t.Error(out, err)
		}
	})
}

func TestLedgerServiceRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := service(t, newChain())
		first := func(_ any, err error) error { return err }
		follow := func(from int64) error {
			stream, err := s.Follow(t.Context(), &commonsealv1.FollowRequest{From: from})
			if err != nil {
				return err
			}
			return first(stream.Recv())
		}
		for _, test := range []struct {
			err  error
			want commonsealv1.RefusalCode
		}{
			{first(s.Submit(t.Context(), &commonsealv1.SubmitRequest{})), commonsealv1.RefusalCode_REFUSAL_CODE_TOO_LARGE},
			{first(s.Submit(t.Context(), &commonsealv1.SubmitRequest{Tx: make([]byte, txBytes+1)})), commonsealv1.RefusalCode_REFUSAL_CODE_TOO_LARGE},
			{first(s.Commit(t.Context(), &commonsealv1.CommitRequest{})), commonsealv1.RefusalCode_REFUSAL_CODE_NOT_FOUND},
			{first(s.Commit(t.Context(), &commonsealv1.CommitRequest{Height: 7})), commonsealv1.RefusalCode_REFUSAL_CODE_NOT_FOUND},
			{first(s.Commit(t.Context(), &commonsealv1.CommitRequest{Height: -7})), commonsealv1.RefusalCode_REFUSAL_CODE_NOT_FOUND},
			{first(s.Query(t.Context(), &commonsealv1.QueryRequest{})), commonsealv1.RefusalCode_REFUSAL_CODE_MALFORMED},
			{first(s.Query(t.Context(), &commonsealv1.QueryRequest{Key: make([]byte, keyBytes+1)})), commonsealv1.RefusalCode_REFUSAL_CODE_MALFORMED},
			{first(s.Receipt(t.Context(), &commonsealv1.ReceiptRequest{Hash: make([]byte, 31)})), commonsealv1.RefusalCode_REFUSAL_CODE_MALFORMED},
			{first(s.Receipt(t.Context(), &commonsealv1.ReceiptRequest{Hash: make([]byte, 32)})), commonsealv1.RefusalCode_REFUSAL_CODE_NOT_FOUND},
			{follow(0), commonsealv1.RefusalCode_REFUSAL_CODE_MALFORMED},
		} {
			refusedAs(t, test.err, test.want)
		}
	})
}

// TestFloodOfTransactions has a peer submit more than a pool can take.
func TestFloodOfTransactions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		h := open(t, newMembers("ann", "bob"), 0, true, ledgerOf(c))
		submit := func(conn grpc.ClientConnInterface) error {
			_, err := commonsealv1.NewLedgerServiceClient(conn).Submit(t.Context(), &commonsealv1.SubmitRequest{Tx: []byte("a=1")})
			return err
		}
		ann, bob := h.dial(t, identity(t, "ann")), h.dial(t, identity(t, "bob"))
		for range submitBurst {
			if err := submit(ann); err != nil {
				t.Fatal(err)
			}
		}
		var r *Refusal
		if err := FromStatus(submit(ann)); !errors.As(err, &r) || r.Code != commonsealv1.RefusalCode_REFUSAL_CODE_BUSY || r.Next == "" {
			t.Errorf("a transaction too many: %v", err)
		}
		if c.submits != submitBurst {
			t.Errorf("%d transactions reached the chain", c.submits)
		}
		if err := submit(bob); err != nil {
			t.Errorf("another peer: %v", err)
		}
	})
}
