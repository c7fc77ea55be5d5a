package gate

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"github.com/commonseal/commonseal/ledger"
)

// Limits of every door. Nobody has a reason to differ, so they are constants.
const (
	// ChunkBytes is the most that one message carries of a blob or a block.
	ChunkBytes = 1 << 20
	// messageBytes is the largest message, a chunk or block and what is around it.
	messageBytes = ChunkBytes + 64<<10
	headerBytes  = 16 << 10

	// A peer may have this many connections, with this many calls on each.
	peerConns = 8
	connCalls = 16
	// What a peer may send ahead of who reads it, on one stream and on one
	// connection. Fixed: grown ones could reach 16 MiB each.
	streamAhead, connAhead = 1 << 20, 4 << 20
	// A peer may begin this many calls a second, and save up this many.
	callRate, callBurst = 1024, 2048

	handshakeTime = 10 * time.Second
	pingEvery     = 30 * time.Second
	pingTimeout   = 10 * time.Second
	idleTime      = 10 * time.Minute
	// connTime and connGrace end a connection before the certificate that
	// opened it, which had at least renewBefore to live, can expire.
	connTime  = 8 * time.Hour
	connGrace = 10 * time.Minute
)

// An Admit says whether the owner of a TLS key may connect in the present
// state, and its name on the ledger. It is asked at every handshake, before every
// call and after every block, and must be quick and safe for concurrent use.
type Admit func(key ledger.Key) (name string, ok bool)

// A Door is what stands before the services of a process: who may come in, and
// how much of everything one peer may have. Safe for concurrent use.
type Door struct {
	id    *Identity
	admit Admit
	log   *slog.Logger
	off   defence

	calls *rates
	noise *rates // of refused handshakes in the log, which a stranger causes

	mu    sync.Mutex
	conns map[ledger.Key]map[*conn]struct{} // what is open, by the peer's key
}

// NewDoor is a door that proves id and lets in whom admit admits. A nil log
// writes nothing.
func NewDoor(id *Identity, admit Admit, log *slog.Logger) *Door {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Door{
		id: id, admit: admit, log: log,
		calls: newRates(callRate, callBurst),
		noise: newRates(1, 10),
		conns: map[ledger.Key]map[*conn]struct{}{},
	}
}

// Options are the options of a server behind the door; it needs no others. What
// its handlers return goes through [Status], and [PeerOf] tells them who calls.
func (d *Door) Options() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.Creds(d.credentials()),
		grpc.InTapHandle(d.tap),
		grpc.ChainUnaryInterceptor(d.unary),
		grpc.ChainStreamInterceptor(d.stream),
		grpc.MaxRecvMsgSize(messageBytes),
		grpc.MaxSendMsgSize(messageBytes),
		grpc.MaxHeaderListSize(headerBytes),
		grpc.MaxConcurrentStreams(connCalls),
		grpc.StaticStreamWindowSize(streamAhead),
		grpc.StaticConnWindowSize(connAhead),
		grpc.ConnectionTimeout(handshakeTime),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			Time:                  pingEvery,
			Timeout:               pingTimeout,
			MaxConnectionIdle:     idleTime,
			MaxConnectionAge:      connTime,
			MaxConnectionAgeGrace: connGrace,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
			MinTime:             pingEvery / 2,
			PermitWithoutStream: true,
		}),
		grpc.WaitForHandlers(true),
	}
}

// Run calls Recheck after every block, until ctx ends or wait fails. Whose state
// admits has the wait: [Follower.Wait], or the one of a [Chain].
func (d *Door) Run(ctx context.Context, wait func(ctx context.Context, above int64) (int64, error)) error {
	for height := int64(-1); ; {
		last, err := wait(ctx, height)
		if err != nil {
			return err
		}
		d.Recheck()
		height = last
	}
}

// Recheck closes the connections, and with them the streams, of everybody who
// is not admitted any more.
func (d *Door) Recheck() {
	if d.off&recheck != 0 {
		return
	}
	d.mu.Lock()
	keys := make([]ledger.Key, 0, len(d.conns))
	for key := range d.conns {
		keys = append(keys, key)
	}
	d.mu.Unlock()
	for _, key := range keys {
		if _, ok := d.admit(key); ok {
			continue
		}
		d.mu.Lock()
		open := make([]*conn, 0, len(d.conns[key]))
		for c := range d.conns[key] {
			open = append(open, c)
		}
		d.mu.Unlock()
		for _, c := range open {
			c.cut()
		}
		d.log.Warn("connections closed: the peer is not admitted any more", "key", fmt.Sprintf("%x", key[:6]), "connections", len(open))
	}
}

// accept is the check of a handshake.
func (d *Door) accept(key ledger.Key) error {
	if _, ok := d.admit(key); !ok && d.off&admission == 0 {
		return fmt.Errorf("the key %x is not on the ledger, or was revoked", key[:6])
	}
	return nil
}

// enlist enters a connection of a peer in the book.
func (d *Door) enlist(c *conn) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	open := d.conns[c.key]
	if len(open) >= peerConns {
		return fmt.Errorf("the key %x has %d connections, the most one peer may have", c.key[:6], len(open))
	}
	if open == nil {
		open = map[*conn]struct{}{}
		d.conns[c.key] = open
	}
	open[c] = struct{}{}
	return nil
}

func (d *Door) strike(c *conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.conns[c.key], c)
	if len(d.conns[c.key]) == 0 {
		delete(d.conns, c.key)
	}
}

// A conn is a connection in a door's book.
type conn struct {
	net.Conn // the TLS connection
	raw      net.Conn
	door     *Door
	key      ledger.Key
}

// Close takes the connection out of the book.
func (c *conn) Close() error {
	c.door.strike(c)
	return c.Conn.Close()
}

// cut closes the connection below TLS, whose Close waits for a peer that does
// not read. The transport then fails, and calls Close.
func (c *conn) cut() { c.raw.Close() }

// A visa is what a handshake found out.
type visa struct {
	credentials.TLSInfo
	key ledger.Key
}

// doorCredentials are TLS credentials that keep the door's book.
type doorCredentials struct {
	credentials.TransportCredentials
	door *Door
}

func (d *Door) credentials() credentials.TransportCredentials {
	return doorCredentials{credentials.NewTLS(d.id.serverConfig(d.accept, d.off)), d}
}

// Clone is for gRPC, which copies credentials.
func (c doorCredentials) Clone() credentials.TransportCredentials {
	return doorCredentials{c.TransportCredentials.Clone(), c.door}
}

// ServerHandshake does the handshake and enters the connection in the book.
func (c doorCredentials) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	secured, info, err := c.TransportCredentials.ServerHandshake(raw)
	if err != nil {
		c.door.refused(raw, err)
		return nil, nil, err
	}
	auth, ok := info.(credentials.TLSInfo)
	if !ok {
		secured.Close()
		return nil, nil, fmt.Errorf("gate: a handshake of %T, not TLS", info)
	}
	key, err := readCertificate(auth.State, time.Now(), c.door.off)
	entered := &conn{Conn: secured, raw: raw, door: c.door, key: key}
	if err == nil {
		err = c.door.enlist(entered)
	}
	// Once more, now that Recheck sees the connection: the block that revokes
	// the key may have come since.
	if err == nil {
		if err = c.door.accept(key); err != nil {
			c.door.strike(entered)
		}
	}
	if err != nil {
		c.door.refused(raw, err)
		secured.Close()
		return nil, nil, err
	}
	return entered, visa{auth, key}, nil
}

func (d *Door) refused(raw net.Conn, err error) {
	if d.noise.take(ledger.Key{}, time.Now()) {
		d.log.Warn("connection refused", "from", raw.RemoteAddr().String(), "cause", err.Error())
	}
}
