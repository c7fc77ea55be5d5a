package gate

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

const (
	// messageTime is how long one message may take either way: the largest
	// comes within it at twice the least rate.
	messageTime = time.Minute
	// leastRate is what a peer that uploads must send on average, in bytes a
	// second, after a first messageTime.
	leastRate = 32 << 10
)

// TransferTime is the longest that a door lets an upload of so many bytes take,
// and what a client grants a download as its deadline.
func TransferTime(bytes int64) time.Duration {
	return messageTime + time.Duration(bytes/leastRate)*time.Second
}

// A pacedStream cuts a stream whose peer dawdles. Each message must come within
// messageTime, and all so far at leastRate; each message sent must be taken
// within messageTime. A stream that is open ended both ways may be silent after
// its first message: its handler knows what it waits for.
//
// After an error the message must not be used: the transport may still write
// to it, until the handler returns.
type pacedStream struct {
	grpc.ServerStream
	ctx     context.Context
	endless bool
	off     defence

	// RecvMsg's, which has one caller at a time.
	begun time.Time
	got   int64 // bytes
}

func (s *pacedStream) Context() context.Context { return s.ctx }

// RecvMsg is the next message, or a refusal of a peer that is too slow.
func (s *pacedStream) RecvMsg(m any) error {
	first := s.begun.IsZero()
	if first {
		s.begun = time.Now()
	}
	if s.off&pace != 0 || s.endless && !first {
		return s.ServerStream.RecvMsg(m)
	}
	due := s.begun.Add(TransferTime(s.got))
	err := s.within(min(messageTime, time.Until(due)), func() error { return s.ServerStream.RecvMsg(m) })
	if message, ok := m.(proto.Message); ok && err == nil {
		s.got += int64(proto.Size(message))
	}
	return err
}

// SendMsg sends a message, or refuses a peer that does not read.
func (s *pacedStream) SendMsg(m any) error {
	if s.off&pace != 0 {
		return s.ServerStream.SendMsg(m)
	}
	return s.within(messageTime, func() error { return s.ServerStream.SendMsg(m) })
}

// within is what do returns, if it does in time. If it does not, do ends when
// the handler returns, which ends the stream.
func (s *pacedStream) within(limit time.Duration, do func() error) error {
	done := make(chan error, 1)
	go func() { done <- do() }()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_TOO_SLOW, "find a faster connection and resume",
			"the stream is slower than %d bytes a second or a message in %s", leastRate, messageTime)
	}
}
