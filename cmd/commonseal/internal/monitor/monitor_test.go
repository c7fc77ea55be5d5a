package monitor

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/commonseal/commonseal/ledger"
)

// A source is a role for tests.
type source struct {
	waits  error
	status Status
}

func (s source) Ready() error   { return s.waits }
func (s source) Status() Status { return s.status }

// serve runs a monitor until the test ends.
func serve(t *testing.T) *Server {
	t.Helper()
	s, err := Listen("127.0.0.1:0", "ann", "retail")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if _, err := net.Dial("tcp", s.Address()); err == nil {
			t.Error("the monitor listens after its end")
		}
	})
	return s
}

// get is the code and text of a page, asked for under a host's name.
func get(t *testing.T, s *Server, path, host string) (int, string) {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, "http://"+s.Address()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = host
	reply, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	b, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply.StatusCode, string(b)
}

func TestMonitor(t *testing.T) {
	s := serve(t)
	ctx := t.Context()
	if code, text := get(t, s, "/healthz", ""); code != 200 || text != "ok\n" {
		t.Errorf("healthz: %d %q", code, text)
	}
	if code, text := get(t, s, "/readyz", ""); code != 503 || text != "starting\n" {
		t.Errorf("readyz before there is a role: %d %q", code, text)
	}
	s.Register(source{waits: errors.New("block 1")})
	if code, text := get(t, s, "/readyz", ""); code != 503 || text != "block 1\n" {
		t.Errorf("readyz of one that waits: %d %q", code, text)
	}
	want := Status{Name: "ann", Chain: "retail", Ready: true, Height: 12, Root: "ab", Peers: 3, Jobs: []Job{{ID: "7f", State: "running", Step: 2, Steps: 10, Waiting: "bob"}}}
	s.Register(source{status: want})
	if code, text := get(t, s, "/readyz", ""); code != 200 || text != "ready\n" {
		t.Errorf("readyz: %d %q", code, text)
	}
	if got, err := Ask(ctx, s.Address()); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("status %+v, %v", got, err)
	}
	s.Metrics().MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "commonseal_uploads_total"}, func() float64 { return 7 }))
	_, text := get(t, s, "/metrics", "")
	for _, want := range []string{"commonseal_height 12\n", "commonseal_peers 3\n", "commonseal_jobs 1\n", "commonseal_ready 1\n", "commonseal_uploads_total 7\n", "go_goroutines "} {
		if !strings.Contains(text, want) {
			t.Errorf("metrics have no %q", want)
		}
	}
	if code, _ := get(t, s, "/debug/pprof/", ""); code != 404 {
		t.Errorf("a page that is not there: %d", code)
	}
}

// A page of another site, in a browser on this machine, reads nothing: its name
// leads here, and the request has the name.
func TestAttackRebinding(t *testing.T) {
	s := serve(t)
	for host, want := range map[string]int{"evil.example": 403, "evil.example:80": 403, "127.0.0.1.evil.example": 403, "10.0.0.1": 403, "": 200, "localhost": 200, "localhost:9": 200, "127.0.0.1": 200, "[::1]:9": 200, "[::1]": 200} {
		if code, _ := get(t, s, "/status", host); code != want {
			t.Errorf("as %q: %d, want %d", host, code, want)
		}
	}
	// without the defence the page is there
	inner := http.NewServeMux()
	inner.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "told") })
	var told recorder
	inner.ServeHTTP(&told, &http.Request{Method: "GET", Host: "evil.example", URL: mustURL(t, "/status")})
	if told.String() != "told" {
		t.Errorf("without the defence the attack fails: %q", told.String())
	}
}

func TestListenIsLoopbackOnly(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":0", "[::]:0", "localhost:0", "192.0.2.1:0", "127.0.0.1", "", "127.0.0.1:x"} {
		if s, err := Listen(address, "ann", "retail"); err == nil {
			t.Errorf("listens at %s", s.Address())
		}
		if _, err := Ask(t.Context(), address); err == nil {
			t.Errorf("asks %q", address)
		}
	}
	s := serve(t)
	if _, err := Listen(s.Address(), "ann", "retail"); err == nil || !strings.Contains(err.Error(), "running already?") {
		t.Errorf("listens twice: %v", err)
	}
}

// Who asks a port that is another program's is told so.
func TestAskAnother(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	other := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })}
	go other.Serve(l)
	defer other.Close()
	if _, err := Ask(t.Context(), l.Addr().String()); err == nil || !strings.Contains(err.Error(), "another program has its port") {
		t.Errorf("ask: %v", err)
	}
}

// Structs that print their fields do not in a log; what says how it is told does.
func TestLogTellsNoFields(t *testing.T) {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{0xa7}, ed25519.SeedSize))
	type voter struct {
		Key  ed25519.PrivateKey
		Name string
	}
	for _, asJSON := range []bool{false, true} {
		var b bytes.Buffer
		log := NewLog(&b, asJSON, slog.LevelInfo)
		log.Info("m", "v", voter{key, "n"}, "p", &voter{key, "n"}, "k", key, "l", []any{key}, "s", []string{"a"}, "e", errors.New("cause"), "d", slog.LevelInfo, "nil", nil)
		log.With("v", voter{key, "n"}).WithGroup("g").Warn("m", slog.Group("h", "v", key))
		text := b.String()
		if strings.Contains(text, "167") || strings.Contains(text, hex.EncodeToString(key[:6])) || strings.Contains(text, "p6en") {
			t.Errorf("the log has the key: %s", text)
		}
		for _, want := range []string{"[monitor.voter]", "cause", "a"} {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in %s", want, text)
			}
		}
	}
	var b bytes.Buffer // and without the defence the key is found
	slog.New(slog.NewJSONHandler(&b, nil)).Info("m", "v", voter{key, "n"})
	if !strings.Contains(b.String(), "p6en") {
		t.Errorf("without the defence the log has no key: %s", &b)
	}
}

// The lines of a job have its name, whichever process writes them.
func TestTrace(t *testing.T) {
	var b bytes.Buffer
	Trace(NewLog(&b, true, slog.LevelInfo), ledger.Digest{0xab, 0xcd}).Info("step")
	if !strings.Contains(b.String(), `"trace":"abcd000000000000"`) {
		t.Errorf("log %s", &b)
	}
}

// A recorder keeps what a handler writes.
type recorder struct{ strings.Builder }

func (*recorder) Header() http.Header { return http.Header{} }
func (*recorder) WriteHeader(int)     {}

func mustURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
