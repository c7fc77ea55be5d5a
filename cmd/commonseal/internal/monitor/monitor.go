// Package monitor tells the owner of a machine how a process on it does: health,
// readiness, metrics and status over HTTP, on loopback and nowhere else, and logs
// with one trace for each job.
package monitor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/commonseal/commonseal/cmd/commonseal/internal/home"
)

// A Source is a role that runs. Safe for concurrent use.
type Source interface {
	// Ready is nil if the process serves, or says what it waits for.
	Ready() error
	// Status is what the process does now.
	Status() Status
}

// A Status is what a process tells of itself: nothing that is secret, nothing of
// anybody's data.
type Status struct {
	Name    string `json:"name"`
	Chain   string `json:"chain"`
	Ready   bool   `json:"ready"`
	Waiting string `json:"waiting,omitempty"` // for what, unless ready
	Height  int64  `json:"height"`            // of the last block
	Root    string `json:"root,omitempty"`    // of the state after it, hexadecimal
	Block   string `json:"block,omitempty"`   // HEIGHT:HASH of the last header that a validator stored
	Peers   int    `json:"peers"`             // connections to others
	Jobs    []Job  `json:"jobs"`
}

// A Job is something that takes many rounds: a ceremony, a training run.
type Job struct {
	ID      string `json:"id"`
	State   string `json:"state"`
	Step    int    `json:"step"`
	Steps   int    `json:"steps"`
	Waiting string `json:"waiting,omitempty"` // for whom
}

const (
	headerTime = 5 * time.Second
	bodyTime   = 10 * time.Second
	stopTime   = 2 * time.Second
)

// A Server serves /healthz, /readyz, /metrics and /status of one process.
type Server struct {
	name, chain string
	listener    net.Listener
	metrics     *prometheus.Registry

	mu     sync.Mutex // guards source
	source Source
}

// Listen opens the port of the monitor of a member's process, which must be on
// loopback. [Server.Run] must follow.
func Listen(address, name, chain string) (*Server, error) {
	if err := home.CheckLoopback(address); err != nil {
		return nil, fmt.Errorf("monitor: %w", err)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("monitor: %w; is the process running already?", err)
	}
	s := &Server{name: name, chain: chain, listener: l, metrics: prometheus.NewRegistry()}
	s.metrics.MustRegister( // panics on a name registered twice; these are not
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		s.gauge("height", "Height of the last block.", func(t Status) float64 { return float64(t.Height) }),
		s.gauge("peers", "Connections to other processes.", func(t Status) float64 { return float64(t.Peers) }),
		s.gauge("jobs", "Jobs under way.", func(t Status) float64 { return float64(len(t.Jobs)) }),
		s.gauge("ready", "1 if the process serves.", func(t Status) float64 {
			if t.Ready {
				return 1
			}
			return 0
		}))
	return s, nil
}

func (s *Server) gauge(name, help string, value func(Status) float64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "commonseal", Name: name, Help: help}, func() float64 { return value(s.Status()) })
}

// Address is where the server listens, with the port it was given.
func (s *Server) Address() string { return s.listener.Addr().String() }

// Metrics is where a role registers its own.
func (s *Server) Metrics() prometheus.Registerer { return s.metrics }

// Register names the role that is told about. Until then the process is not
// ready.
func (s *Server) Register(source Source) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.source = source
}

// Status is what /status tells.
func (s *Server) Status() Status {
	s.mu.Lock()
	source := s.source
	s.mu.Unlock()
	var t Status
	err := errors.New("starting")
	if source != nil {
		t, err = source.Status(), source.Ready()
	}
	t.Name, t.Chain, t.Ready = s.name, s.chain, err == nil
	if err != nil {
		t.Waiting = err.Error()
	}
	if t.Jobs == nil {
		t.Jobs = []Job{}
	}
	return t
}

// Run serves until ctx ends.
func (s *Server) Run(ctx context.Context, log *slog.Logger) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if t := s.Status(); !t.Ready {
			http.Error(w, t.Waiting, http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(s.Status()); err != nil {
			log.Debug("status", "err", err)
		}
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics, promhttp.HandlerOpts{}))
	server := &http.Server{
		Handler:           onlyLoopback(mux),
		ReadHeaderTimeout: headerTime, ReadTimeout: bodyTime, WriteTimeout: bodyTime,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		end, cancel := context.WithTimeout(context.Background(), stopTime)
		defer cancel()
		stopped <- errors.Join(server.Shutdown(end), server.Close())
	}()
	if err := server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("monitor: %w", err)
	}
	<-stopped // a reader that does not read costs stopTime, and is no error
	return nil
}

// onlyLoopback refuses requests that name another host: a page in a browser on
// this machine could otherwise read them under a name of its own.
func onlyLoopback(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		if host != "localhost" && home.CheckLoopback(net.JoinHostPort(strings.Trim(host, "[]"), "80")) != nil {
			http.Error(w, "ask by the loopback address", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}
