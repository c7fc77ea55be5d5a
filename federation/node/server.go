package node

import (
	"context"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/commonseal/commonseal/ledger/gate"
	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

const (
	// serverQueries is how many queries a server may have before it that it has
	// not answered.
	serverQueries = 64
	// answerTime is how long a server may take for one before its stream is cut.
	// It is more than the patience of a querier: one late answer is no reason.
	answerTime = 2 * patience
	// detailRunes is what is passed on of a server's own words.
	detailRunes = 256
)

type serveStream = grpc.BidiStreamingServer[commonsealv1.ServeRequest, commonsealv1.ServeResponse]

// A server is a peer that answers queries on a stream that it opened.
type server struct {
	name  string
	queue chan *commonsealv1.ServeResponse // to send
	slots chan struct{}                    // one held by each question
	gone  chan struct{}                    // closed when it is cut

	mu    sync.Mutex // guards what follows
	last  uint64     // id
	open  map[uint64]question
	cause error // why it is gone
}

// A question is a query that a server has, whether or not somebody still waits
// for the answer.
type question struct {
	answered chan *commonsealv1.ServeAnswer
	late     *time.Timer
}

// Serve makes the peer a server of a model as long as the stream lasts.
func (s *service) Serve(stream serveStream) error {
	name, err := s.member(stream.Context())
	if err != nil {
		return err
	}
	release, err := s.claim(name)
	if err != nil {
		return err
	}
	defer release()
	m, err := stream.Recv()
	if err != nil {
		return err
	}
	model, err := parseDigest("a model", m.GetHello().GetModel())
	if err != nil {
		return err
	}
	server := &server{
		name:  name,
		queue: make(chan *commonsealv1.ServeResponse),
		slots: make(chan struct{}, serverQueries),
		gone:  make(chan struct{}),
		open:  map[uint64]question{},
	}
	leave, err := s.node.Enlist(model, name, server.ask)
	if err != nil {
		return s.refused(err)
	}
	defer leave()
	if err := stream.SendHeader(nil); err != nil { // the peer knows that it is enlisted
		return err
	}
	// Neither is waited for: both end with the stream, which ends with us.
	go server.send(stream)
	go server.receive(stream)
	select {
	case <-server.gone:
	case <-stream.Context().Done():
		server.cut(stream.Context().Err())
	}
	return server.cause
}

// cut ends the stream, and with it every question. The first cause counts.
func (s *server) cut(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.gone:
		return
	default:
	}
	s.cause = cause
	for _, q := range s.open {
		q.late.Stop()
	}
	close(s.gone)
}

func (s *server) send(stream serveStream) {
	for {
		select {
		case <-s.gone:
			return
		case m := <-s.queue:
			if err := stream.Send(m); err != nil {
				s.cut(err)
				return
			}
		}
	}
}

func (s *server) receive(stream serveStream) {
	for {
		m, err := stream.Recv()
		if err == io.EOF {
			s.cut(nil)
			return
		}
		if err != nil {
			s.cut(err)
			return
		}
		if a := m.GetAnswer(); a == nil || !s.settle(a.Id, a) {
			s.cut(malformed("an answer to no question"))
			return
		}
	}
}

// raise enters a question.
func (s *server) raise() (id uint64, q question) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	q = question{
		answered: make(chan *commonsealv1.ServeAnswer, 1),
		late: time.AfterFunc(answerTime, func() {
			s.cut(gate.Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_TOO_SLOW, "find out what holds it up and connect again", "a query without an answer for %s", answerTime))
		}),
	}
	s.open[s.last] = q
	return s.last, q
}

// settle ends a question with its answer, or with nil if it was never put, and
// says whether there was one.
func (s *server) settle(id uint64, a *commonsealv1.ServeAnswer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, ok := s.open[id]
	if !ok {
		return false
	}
	delete(s.open, id)
	q.late.Stop()
	<-s.slots // never waits: each question holds one
	q.answered <- a
	return true
}

// ask is the server as an [Ask]. Its error is a refusal that names the server.
func (s *server) ask(ctx context.Context, envelope, query []byte) ([]byte, error) {
	select {
	case s.slots <- struct{}{}:
	case <-s.gone:
		return nil, s.silent("has gone")
	case <-ctx.Done():
		return nil, s.silent("has %d queries to answer before this one", serverQueries)
	}
	id, q := s.raise()
	select {
	case s.queue <- &commonsealv1.ServeResponse{Id: id, Envelope: envelope, Query: query}:
	case <-s.gone:
		s.settle(id, nil)
		return nil, s.silent("has gone")
	case <-ctx.Done():
		s.settle(id, nil)
		return nil, s.silent("does not take queries")
	}
	select {
	case a := <-q.answered:
		if a.Code != commonsealv1.RefusalCode_REFUSAL_CODE_UNSPECIFIED {
			return nil, gate.Refuse(a.Code, "", "%s refuses: %.*s", s.name, detailRunes, a.Detail)
		}
		return a.Answer, nil
	case <-s.gone:
		return nil, s.silent("has gone")
	case <-ctx.Done():
		return nil, s.silent("does not answer")
	}
}

func (s *server) silent(format string, args ...any) error {
	r := gate.Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_NOT_READY, "try again later", format, args...)
	r.Detail = s.name + " " + r.Detail
	return r
}
