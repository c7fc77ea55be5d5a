package peer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commonseal/commonseal/federation/wire"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/ledger/gate"
	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

// An answerer is what a server says to a query.
type answerer = func(ctx context.Context, envelope, query []byte) ([]byte, error)

// share is an honest server's answerer that adds value.
func (h *house) share(value uint64) answerer {
	b := answerOf(h.node.Profiles.Serve, value)
	return func(context.Context, []byte, []byte) ([]byte, error) { return b, nil }
}

// serve makes p a server until the test ends, and returns once the node knows.
// What ended it is sent on the channel.
func (h *house) serve(tb testing.TB, p *Peer, answer answerer) <-chan error {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	stream, err := p.enlist(ctx, h.model)
	if err != nil {
		tb.Fatal(err)
	}
	ended, done := make(chan error, 1), make(chan struct{})
	a := answers{stream: stream, answer: answer}
	go func() {
		defer close(done)
		ended <- p.failed(a.run(ctx, cancel))
	}()
	tb.Cleanup(func() {
		cancel()
		<-done
	})
	return ended
}

// query is quinn's query of a number, under its envelope.
func (h *house) query(sequence uint64) (envelope, query []byte) {
	query = fmt.Append(nil, "query ", sequence)
	q := wire.Query{Model: h.model, Sequence: sequence, Rows: 1, Digest: sha256.Sum256(query)}
	return q.Sign(chain, private("sign", "quinn")).Append(nil), query
}

// value is the first coefficient of an answer.
func (h *house) value(tb testing.TB, b []byte) uint64 {
	tb.Helper()
	a, err := he.ParseAnswer(b, h.node.Profiles.Serve, width)
	if err != nil {
		tb.Fatal(err)
	}
	return a.C0.Coeffs[0][0]
}

func TestPredict(t *testing.T) {
	h := open(t, false)
	quinn := h.dial(t, "quinn")
	envelope, query := h.query(1)
	_, err := quinn.Predict(t.Context(), envelope, query)
	if r := refusedAs(t, err, commonsealv1.RefusalCode_REFUSAL_CODE_NOT_READY); !strings.Contains(r.Detail, "ann") || !Later(err) {
		t.Error("without servers:", r)
	}
	for i, c := range companies {
		h.serve(t, h.dial(t, c), func(_ context.Context, e, q []byte) ([]byte, error) {
			if string(e) != string(envelope) || string(q) != string(query) {
				return nil, errors.New("another query")
			}
			return answerOf(h.node.Profiles.Serve, uint64(i+1)), nil
		})
	}
	b, err := quinn.Predict(t.Context(), envelope, query)
	if err != nil {
		t.Fatal(err)
	}
	if got := h.value(t, b); got != 1+2+3 {
		t.Errorf("the shares add up to %d", got)
	}
	if again, err := quinn.Predict(t.Context(), envelope, query); err != nil || string(again) != string(b) {
		t.Error("a repeat gets another answer:", err)
	}
	name, height, _, err := quinn.Status(t.Context())
	if name != "north" || height != h.Now() || err != nil {
		t.Error(name, height, err)
	}
}

func TestPredictManyAtOnce(t *testing.T) {
	h := open(t, false)
	for i, c := range companies {
		h.serve(t, h.dial(t, c), h.share(uint64(i)))
	}
	var wg sync.WaitGroup
	peers := make([]*Peer, 4)
	for i := range peers {
		peers[i] = h.dial(t, "quinn")
	}
	for i := range 64 {
		wg.Go(func() {
			envelope, query := h.query(uint64(i + 1))
			b, err := peers[i%len(peers)].Predict(t.Context(), envelope, query)
			if err != nil {
				t.Error(err)
			} else if got := h.value(t, b); got != 0+1+2 {
				t.Errorf("the shares add up to %d", got)
			}
		})
	}
	wg.Wait()
}

func TestServeRefuses(t *testing.T) {
	h := open(t, false)
	for name, test := range map[string]struct {
		who  string
		want commonsealv1.RefusalCode
	}{
		"a querier":           {"quinn", commonsealv1.RefusalCode_REFUSAL_CODE_FORBIDDEN},
		"one without a share": {"south", commonsealv1.RefusalCode_REFUSAL_CODE_FORBIDDEN},
	} {
		err := h.dial(t, test.who).Serve(t.Context(), h.model, h.share(1))
		refusedAs(t, err, test.want)
		t.Log(name, err)
	}
	refusedAs(t, h.dial(t, "ann").Serve(t.Context(), some("model"), h.share(1)), commonsealv1.RefusalCode_REFUSAL_CODE_NOT_READY)
}

// What a server says instead of an answer reaches the querier with its name.
func TestServerDeclines(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		want commonsealv1.RefusalCode
		text string
	}{
		"a refusal": {gate.Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_OVER_LIMIT, "wait", "seen before"), commonsealv1.RefusalCode_REFUSAL_CODE_OVER_LIMIT, "bob refuses: seen before; wait"},
		"a secret":  {errors.New("key 42"), commonsealv1.RefusalCode_REFUSAL_CODE_INTERNAL, "bob refuses: a fault of the server"},
		"no text":   {gate.Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_OVER_LIMIT, "", "%s", strings.Repeat("\xff", 5000)), commonsealv1.RefusalCode_REFUSAL_CODE_OVER_LIMIT, "bob refuses: ?"},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, false)
			h.serve(t, h.dial(t, "ann"), h.share(1))
			h.serve(t, h.dial(t, "bob"), func(context.Context, []byte, []byte) ([]byte, error) { return nil, test.err })
			h.serve(t, h.dial(t, "cal"), h.share(1))
			envelope, query := h.query(1)
			_, err := h.dial(t, "quinn").Predict(t.Context(), envelope, query)
			if r := refusedAs(t, err, test.want); !strings.HasPrefix(r.Detail, test.text) || len(r.Detail) > 512 {
				t.Error(r)
			}
		})
	}
}

func TestServerHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, true)
		hang := func(ctx context.Context, _, _ []byte) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		h.serve(t, dialMemory(t, h.lis, "ann", nil), h.share(1))
		ended := h.serve(t, dialMemory(t, h.lis, "bob", nil), hang)
		h.serve(t, dialMemory(t, h.lis, "cal", nil), h.share(1))
		quinn := dialMemory(t, h.lis, "quinn", nil)
		envelope, query := h.query(1)
		begun := time.Now()
		_, err := quinn.Predict(t.Context(), envelope, query)
		if r := refusedAs(t, err, commonsealv1.RefusalCode_REFUSAL_CODE_NOT_READY); r.Detail != "bob does not answer" || time.Since(begun) > 11*time.Second {
			t.Errorf("after %s: %v", time.Since(begun), r)
		}
		refusedAs(t, <-ended, commonsealv1.RefusalCode_REFUSAL_CODE_TOO_SLOW)
		if cut := time.Since(begun); cut > 21*time.Second {
			t.Errorf("cut after %s", cut)
		}
		// It is asked no more, and nobody waits for it.
		begun = time.Now()
		_, err = quinn.Predict(t.Context(), envelope, query)
		if r := refusedAs(t, err, commonsealv1.RefusalCode_REFUSAL_CODE_NOT_READY); !strings.Contains(r.Detail, "bob") || time.Since(begun) > time.Second {
			t.Errorf("after %s: %v", time.Since(begun), r)
		}
		h.serve(t, dialMemory(t, h.lis, "bob", nil), h.share(1))
		if _, err := quinn.Predict(t.Context(), envelope, query); err != nil {
			t.Error("bob is back:", err)
		}
	})
}

// A server that hangs is not sent more than its bound, whoever asks.
func TestServerIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, true)
		stream, err := dialMemory(t, h.lis, "ann", nil).enlist(t.Context(), h.model)
		if err != nil {
			t.Fatal(err)
		}
		h.serve(t, dialMemory(t, h.lis, "bob", nil), h.share(1))
		h.serve(t, dialMemory(t, h.lis, "cal", nil), h.share(1))
		quinn := dialMemory(t, h.lis, "quinn", nil)
		var wg sync.WaitGroup
		var full, silent atomic.Int64
		for i := range 100 {
			wg.Go(func() {
				envelope, query := h.query(uint64(i + 1))
				_, err := h.node.Answer(t.Context(), "quinn", envelope, query)
				var r *gate.Refusal
				switch {
				case !errors.As(err, &r):
					t.Error(err)
				case strings.Contains(r.Detail, "64 queries to answer"):
					full.Add(1)
				case strings.Contains(r.Detail, "does not answer"):
					silent.Add(1)
				default:
					t.Error(r)
				}
			})
		}
		wg.Wait()
		if full.Load() != 36 || silent.Load() != 64 {
			t.Errorf("%d were not sent and %d not answered", full.Load(), silent.Load())
		}
		sent := 0
		for {
			if _, err = stream.Recv(); err != nil {
				break
			}
			sent++
		}
		refusedAs(t, err, commonsealv1.RefusalCode_REFUSAL_CODE_TOO_SLOW)
		if sent != 64 {
			t.Errorf("%d queries were sent", sent)
		}
		envelope, query := h.query(1)
		_, err = quinn.Predict(t.Context(), envelope, query)
		refusedAs(t, err, commonsealv1.RefusalCode_REFUSAL_CODE_NOT_READY)
	})
}

func TestServerTalksNonsense(t *testing.T) {
	for name, m := range map[string]*commonsealv1.ServeRequest{
		"an answer to no question": {Message: &commonsealv1.ServeRequest_Answer{Answer: &commonsealv1.ServeAnswer{Id: 7}}},
		"a second hello":           {Message: &commonsealv1.ServeRequest_Hello{Hello: &commonsealv1.ServeHello{}}},
		"nothing":                  {},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, false)
			stream, err := h.dial(t, "ann").enlist(t.Context(), h.model)
			if err != nil {
				t.Fatal(err)
			}
			if err := stream.Send(m); err != nil {
				t.Fatal(err)
			}
			_, err = stream.Recv()
			refusedAs(t, err, commonsealv1.RefusalCode_REFUSAL_CODE_MALFORMED)
		})
	}
}
