package gate

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/status"

	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

// refusedAs fails unless err is a refusal with a code.
func refusedAs(tb testing.TB, err error, want commonsealv1.RefusalCode) {
	tb.Helper()
	var r *Refusal
	if !errors.As(FromStatus(err), &r) || r.Code != want || r.Detail == "" {
		tb.Errorf("%v, not a refusal %s", err, want)
	}
}

// stranger is a configuration with a certificate that private signs for itself.
func stranger(tb testing.TB, name string, begins, ends time.Time) *tls.Config {
	tb.Helper()
	cert, err := certify(private(name), begins, ends)
	if err != nil {
		tb.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{*cert}, NextProtos: []string{"h2"}}
}

// ecdsaConfig is one with a key of another type.
func ecdsaConfig(tb testing.TB) *tls.Config {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, NextProtos: []string{"h2"}}
}

func TestAttackCertificates(t *testing.T) {
	now := time.Now()
	old := func(config *tls.Config) *tls.Config { config.MaxVersion = tls.VersionTLS12; return config }
	for _, test := range []struct {
		name   string
		off    defence
		config *tls.Config
		logged string
	}{
		{"an unknown key", admission, stranger(t, "eve", now.Add(-time.Hour), now.Add(time.Hour)), "not on the ledger"},
		{"an expired certificate", inForce, stranger(t, "ann", now.Add(-3*time.Hour), now.Add(-time.Second)), "expired"},
		{"a certificate of tomorrow", inForce, stranger(t, "ann", now.Add(time.Hour), now.Add(2*time.Hour)), "valid from"},
		{"a certificate for a year", inForce, stranger(t, "ann", now.Add(-time.Hour), now.AddDate(1, 0, 0)), "longer than a day"},
		{"another type of key", ed25519Only | admission, ecdsaConfig(t), "not Ed25519"},
		{"TLS 1.2", tls13Only, old(stranger(t, "ann", now.Add(-time.Hour), now.Add(time.Hour))), "unsupported versions"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := open(t, newMembers("ann"), test.off, false, ledgerOf(newChain()))
			if err := query(t, h.dialTLS(t, test.config.Clone())); err != nil {
				t.Fatalf("with the defence off: %v", err)
			}
			h = open(t, newMembers("ann"), 0, false, ledgerOf(newChain()))
			if err := query(t, h.dialTLS(t, test.config.Clone())); status.Code(err) != codes.Unavailable {
				t.Errorf("%v, want a connection that does not come about", err)
			}
			h.close() // and with it the handshake, which logs last
			if !h.log.has(test.logged) {
				t.Errorf("the log does not say %q: %s", test.logged, h.log.text.String())
			}
		})
	}
}

func TestNoCertificateIsRefused(t *testing.T) {
	h := open(t, newMembers("ann"), 0, false, ledgerOf(newChain()))
	if err := query(t, h.dialTLS(t, &tls.Config{NextProtos: []string{"h2"}})); status.Code(err) != codes.Unavailable {
		t.Error(err)
	}
}

func TestAttackFalseServer(t *testing.T) {
	h := open(t, newMembers("ann"), 0, false, ledgerOf(newChain()))
	ann, mallory := identity(t, "ann"), identity(t, "mallory")
	for _, off := range []defence{admission, 0} {
		conn, err := grpc.NewClient(h.lis.Addr().String(), dialOptions(ann, mallory.Key(), off)...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if err := query(t, conn); (err == nil) != (off != 0) {
			t.Errorf("defence off %v: %v", off != 0, err)
		}
	}
	conn, err := Dial(h.lis.Addr().String(), h.door.id.Key(), ann)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := query(t, conn); err != nil {
		t.Errorf("the right server: %v", err)
	}
}

func TestAttackRevokedPeer(t *testing.T) {
	for _, off := range []defence{recheck, 0} {
		m, c := newMembers("ann", "bob"), newChain()
		h := open(t, m, off, false, ledgerOf(c))
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { h.door.Run(ctx, m.wait) })
		ann := identity(t, "ann")
		conn, other := h.dial(t, ann), h.dial(t, identity(t, "bob"))
		follow := func(conn grpc.ClientConnInterface) grpc.ServerStreamingClient[commonsealv1.FollowResponse] {
			s, err := commonsealv1.NewLedgerServiceClient(conn).Follow(t.Context(), &commonsealv1.FollowRequest{From: 1})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		theirs, ours := follow(conn), follow(other)
		c.add(t, "a=1")
		if _, err := theirs.Recv(); err != nil {
			t.Fatal(err)
		}
		m.revoke(ann.Key())
		if off == 0 {
			if _, err := theirs.Recv(); err == nil { // before any block
				t.Error("the stream of a revoked peer goes on")
			}
			if err := query(t, conn); err == nil {
				t.Error("a revoked peer calls")
			}
		} else {
			c.add(t, "b=2")
			if _, err := theirs.Recv(); err != nil {
				t.Errorf("with the defence off: %v", err)
			}
			if err := query(t, conn); err != nil {
				t.Errorf("with the defence off: %v", err)
			}
		}
		if _, err := ours.Recv(); err != nil {
			t.Errorf("the others' streams: %v", err)
		}
		cancel()
		running.Wait()
	}
}

func TestPeerOf(t *testing.T) {
	h := open(t, newMembers("ann", "bob"), 0, false, func(s *grpc.Server) { commonsealv1.RegisterNodeServiceServer(s, &blobs{}) })
	for _, name := range []string{"ann", "bob"} {
		id := identity(t, name)
		out, err := commonsealv1.NewNodeServiceClient(h.dial(t, id)).Status(t.Context(), &commonsealv1.StatusRequest{})
		if err != nil || out.Name != name || out.Lines[0] != id.String() {
			t.Errorf("%s is %v, %v", name, out, err)
		}
	}
	if _, ok := PeerOf(t.Context()); ok {
		t.Error("a peer without a door")
	}
}

// TestFloodOfCalls has a peer spend its burst.
func TestFloodOfCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, newMembers("ann", "bob"), 0, true, ledgerOf(newChain()))
		ann, bob := h.dial(t, identity(t, "ann")), h.dial(t, identity(t, "bob"))
		for range callBurst {
			if err := query(t, ann); err != nil {
				t.Fatal(err)
			}
		}
		refusedAs(t, query(t, ann), commonsealv1.RefusalCode_REFUSAL_CODE_BUSY)
		if err := query(t, bob); err != nil {
			t.Errorf("another peer: %v", err)
		}
		pause(t.Context(), time.Second)
		if err := query(t, ann); err != nil {
			t.Errorf("a second later: %v", err)
		}
	})
}

func TestConnectionsAPeer(t *testing.T) {
	h := open(t, newMembers("ann", "bob"), 0, false, ledgerOf(newChain()))
	ann := identity(t, "ann")
	for range peerConns {
		if err := query(t, h.dial(t, ann)); err != nil {
			t.Fatal(err)
		}
	}
	if err := query(t, h.dial(t, ann)); err == nil {
		t.Error("a connection too many")
	}
	if err := query(t, h.dial(t, identity(t, "bob"))); err != nil {
		t.Errorf("another peer: %v", err)
	}
}

func TestIdleStreamsStarveNobody(t *testing.T) {
	c := newChain()
	h := open(t, newMembers("ann", "bob"), 0, false, ledgerOf(c))
	ann := identity(t, "ann")
	ctx, cancel := context.WithCancel(t.Context())
	var streams sync.WaitGroup
	defer streams.Wait()
	defer cancel()
	for range peerConns {
		service := commonsealv1.NewLedgerServiceClient(h.dial(t, ann))
		for range 125 {
			streams.Go(func() {
				if s, err := service.Follow(ctx, &commonsealv1.FollowRequest{From: 1}); err == nil {
					s.Recv()
				}
			})
		}
	}
	bob := h.dial(t, identity(t, "bob"))
	for range 100 {
		if err := query(t, bob); err != nil {
			t.Fatal(err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waits > peerConns*connCalls {
		t.Errorf("%d idle streams of one peer", c.waits)
	}
}

func TestAttackCompressed(t *testing.T) {
	for _, off := range []defence{noCompression, 0} {
		h := open(t, newMembers("ann"), off, false, ledgerOf(newChain()))
		service := commonsealv1.NewLedgerServiceClient(h.dial(t, identity(t, "ann")))
		_, err := service.Submit(t.Context(), &commonsealv1.SubmitRequest{Tx: []byte("a=1")}, grpc.UseCompressor(gzip.Name))
		if off == 0 {
			refusedAs(t, err, commonsealv1.RefusalCode_REFUSAL_CODE_COMPRESSED)
		} else if err != nil {
			t.Errorf("with the defence off: %v", err)
		}
		// However it is packed, no message becomes larger than the limit.
		for _, options := range [][]grpc.CallOption{{grpc.UseCompressor(gzip.Name)}, nil} {
			options = append(options, grpc.MaxCallSendMsgSize(8<<20))
			_, err := service.Submit(t.Context(), &commonsealv1.SubmitRequest{Tx: make([]byte, 4<<20)}, options...)
			if status.Code(err) != codes.ResourceExhausted {
				t.Errorf("a message of 4 MiB: %v", err)
			}
		}
		if _, err := service.Submit(t.Context(), &commonsealv1.SubmitRequest{Tx: []byte("b=1")}); err != nil {
			t.Errorf("after it: %v", err)
		}
	}
}

func TestHandlerFaults(t *testing.T) {
	h := open(t, newMembers("ann"), 0, false, ledgerOf(newChain()))
	service := commonsealv1.NewLedgerServiceClient(h.dial(t, identity(t, "ann")))
	for _, key := range []string{"panic", "fault"} {
		_, err := service.Query(t.Context(), &commonsealv1.QueryRequest{Key: []byte(key)})
		refusedAs(t, err, commonsealv1.RefusalCode_REFUSAL_CODE_INTERNAL)
		if status.Code(err) != codes.Internal || errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	if !h.log.has("asked to") || !h.log.has("10.0.0.1") {
		t.Error("the log does not say why")
	}
	if _, err := service.Query(t.Context(), &commonsealv1.QueryRequest{Key: []byte("a")}); err != nil {
		t.Errorf("after it: %v", err)
	}
}
