package gate

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/tls"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/test/bufconn"

	"github.com/commonseal/commonseal/ledger"
	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

// private is the same key for the same name.
func private(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func identity(tb testing.TB, name string) *Identity {
	tb.Helper()
	id, err := NewIdentity(private(name))
	if err != nil {
		tb.Fatal(err)
	}
	return id
}

// members are who is on the ledger.
type members struct {
	mu      sync.Mutex
	names   map[ledger.Key]string
	height  int64 // of the block that changed them last
	changed chan struct{}
}

func newMembers(names ...string) *members {
	m := &members{names: map[ledger.Key]string{}, changed: make(chan struct{})}
	for _, name := range names {
		m.names[ledger.Key(private(name).Public().(ed25519.PublicKey))] = name
	}
	return m
}

func (m *members) admit(key ledger.Key) (string, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	name, ok := m.names[key]
	return name, ok
}

func (m *members) revoke(key ledger.Key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.names, key)
	m.height++
	close(m.changed)
	m.changed = make(chan struct{})
}

// wait is the wait of the state that they are in.
func (m *members) wait(ctx context.Context, above int64) (int64, error) {
	for {
		m.mu.Lock()
		height, changed := m.height, m.changed
		m.mu.Unlock()
		if height > above {
			return height, nil
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-changed:
		}
	}
}

// A logbook is what a door logged.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logbook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// logger writes into the book; nil has none.
func (l *logbook) logger() *slog.Logger {
	if l == nil {
		return nil
	}
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (l *logbook) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), text)
}

// A house is a server behind a door of "val".
type house struct {
	door   *Door
	server *grpc.Server
	lis    net.Listener
	log    *logbook
	done   chan struct{}
}

// open serves what register adds, on loopback, or in memory for a bubble of
// synctest.
func open(tb testing.TB, m *members, off defence, inMemory bool, register func(*grpc.Server)) *house {
	tb.Helper()
	h := &house{log: &logbook{}, done: make(chan struct{})}
	h.door = NewDoor(identity(tb, "val"), m.admit, h.log.logger())
	h.door.off = off
	h.server = grpc.NewServer(h.door.Options()...)
	register(h.server)
	if inMemory {
		h.lis = bufconn.Listen(1 << 16)
	} else {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			tb.Fatal(err)
		}
		h.lis = lis
	}
	go func() {
		defer close(h.done)
		h.server.Serve(h.lis)
	}()
	tb.Cleanup(h.close)
	return h
}

func (h *house) close() {
	h.server.Stop()
	<-h.done
}

// dial connects as an honest client does.
func (h *house) dial(tb testing.TB, id *Identity, more ...grpc.DialOption) *grpc.ClientConn {
	tb.Helper()
	want := h.door.id.Key()
	target := h.lis.Addr().String()
	if lis, ok := h.lis.(*bufconn.Listener); ok {
		target = "passthrough:///memory"
		more = append(more, grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }))
	}
	conn, err := grpc.NewClient(target, append(dialOptions(id, want, 0), more...)...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	return conn
}

// dialTLS connects with any TLS configuration.
func (h *house) dialTLS(tb testing.TB, config *tls.Config) *grpc.ClientConn {
	tb.Helper()
	config.InsecureSkipVerify = true
	return h.dial(tb, identity(tb, "nobody"), grpc.WithTransportCredentials(credentials.NewTLS(config)))
}

// query is a call that an admitted peer may make.
func query(tb testing.TB, conn grpc.ClientConnInterface) error {
	tb.Helper()
	_, err := commonsealv1.NewLedgerServiceClient(conn).Query(tb.Context(), &commonsealv1.QueryRequest{Key: []byte("a")})
	return err
}

func ledgerOf(c *chain) func(*grpc.Server) {
	return func(s *grpc.Server) { Serve(s, c, c) }
}
