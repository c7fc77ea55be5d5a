package gate

import (
	"context"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"pgregory.net/rapid"

	"github.com/commonseal/commonseal/ledger"
	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

// A blobs is NodeService as far as the guard of streams needs it.
type blobs struct {
	commonsealv1.UnimplementedNodeServiceServer
	ended chan error // what a handler returned
}

func (b *blobs) Put(s grpc.ClientStreamingServer[commonsealv1.PutRequest, commonsealv1.PutResponse]) (err error) {
	defer func() { b.ended <- err }()
	var stored uint64
	for {
		m, err := s.Recv()
		if err == io.EOF {
			return s.SendAndClose(&commonsealv1.PutResponse{Stored: stored})
		}
		if err != nil {
			return err
		}
		stored += uint64(len(m.GetChunk()))
	}
}

func (b *blobs) Get(_ *commonsealv1.GetRequest, s grpc.ServerStreamingServer[commonsealv1.GetResponse]) (err error) {
	defer func() { b.ended <- err }()
	for range 1000 {
		if err := s.Send(&commonsealv1.GetResponse{Chunk: make([]byte, ChunkBytes)}); err != nil {
			return err
		}
	}
	return nil
}

func (b *blobs) Serve(s grpc.BidiStreamingServer[commonsealv1.ServeRequest, commonsealv1.ServeResponse]) (err error) {
	defer func() { b.ended <- err }()
	for {
		if _, err := s.Recv(); err != nil {
			return err
		}
	}
}

func (b *blobs) Status(ctx context.Context, _ *commonsealv1.StatusRequest) (*commonsealv1.StatusResponse, error) {
	p, ok := PeerOf(ctx)
	if !ok {
		return nil, Refuse(commonsealv1.RefusalCode_REFUSAL_CODE_UNREGISTERED, "", "nobody")
	}
	return &commonsealv1.StatusResponse{Name: p.Name, Lines: []string{fmt.Sprintf("%x", p.Key)}}, nil
}

// blobHouse opens a house of blobs in a bubble, and returns a client of it.
func blobHouse(t *testing.T, off defence) (*blobs, commonsealv1.NodeServiceClient) {
	b := &blobs{ended: make(chan error, 1)}
	h := open(t, newMembers("ann"), off, true, func(s *grpc.Server) { commonsealv1.RegisterNodeServiceServer(s, b) })
	return b, commonsealv1.NewNodeServiceClient(h.dial(t, identity(t, "ann")))
}

func TestAttackSlowUpload(t *testing.T) {
	for _, off := range []defence{pace, 0} {
		synctest.Test(t, func(t *testing.T) {
			b, service := blobHouse(t, off)
			put, err := service.Put(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			begun, sent := time.Now(), uint64(0)
			for time.Since(begun) < time.Hour { // one byte a second
				if put.Send(&commonsealv1.PutRequest{Part: &commonsealv1.PutRequest_Chunk{Chunk: []byte{1}}}) != nil {
					break
				}
				sent++
				pause(t.Context(), time.Second)
			}
			out, err := put.CloseAndRecv()
			<-b.ended
			if off != 0 {
				if err != nil || out.Stored != sent || sent != 3600 {
					t.Errorf("with the defence off: %d bytes sent, %v", sent, err)
				}
				return
			}
			refusedAs(t, err, commonsealv1.RefusalCode_REFUSAL_CODE_TOO_SLOW)
			if took := time.Since(begun); took > messageTime+2*time.Second {
				t.Errorf("cut after %s", took)
			}
		})
	}
}

func TestAttackSilentUpload(t *testing.T) {
	for _, off := range []defence{pace, 0} {
		synctest.Test(t, func(t *testing.T) {
			b, service := blobHouse(t, off)
			ctx, cancel := context.WithCancel(t.Context())
			put, err := service.Put(ctx)
			if err != nil {
				t.Fatal(err)
			}
			// A burst does not buy a long silence after it.
			for range 8 {
				if err := put.Send(&commonsealv1.PutRequest{Part: &commonsealv1.PutRequest_Chunk{Chunk: make([]byte, ChunkBytes)}}); err != nil {
					t.Fatal(err)
				}
			}
			timer := time.NewTimer(time.Hour)
			defer timer.Stop()
			select {
			case err := <-b.ended:
				if off != 0 {
					t.Errorf("with the defence off: %v", err)
				}
				refusedAs(t, err, commonsealv1.RefusalCode_REFUSAL_CODE_TOO_SLOW)
			case <-timer.C:
				if off == 0 {
					t.Error("a silent upload stays open for an hour")
				}
			}
			cancel()
		})
	}
}

func TestAttackSlowReader(t *testing.T) {
	for _, off := range []defence{pace, 0} {
		synctest.Test(t, func(t *testing.T) {
			b, service := blobHouse(t, off)
			ctx, cancel := context.WithCancel(t.Context())
			if _, err := service.Get(ctx, &commonsealv1.GetRequest{}); err != nil { // and never reads
				t.Fatal(err)
			}
			timer := time.NewTimer(time.Hour)
			defer timer.Stop()
			select {
			case err := <-b.ended:
				if off != 0 {
					t.Errorf("with the defence off: %v", err)
				}
				refusedAs(t, err, commonsealv1.RefusalCode_REFUSAL_CODE_TOO_SLOW)
			case <-timer.C:
				if off == 0 {
					t.Error("a reader that does not read is served for an hour")
				}
			}
			cancel()
		})
	}
}

// TestAttackSilentCall opens calls of one message each way, and sends none.
func TestAttackSilentCall(t *testing.T) {
	for _, off := range []defence{pace, 0} {
		synctest.Test(t, func(t *testing.T) {
			h := open(t, newMembers("ann"), off, true, ledgerOf(newChain()))
			conn := h.dial(t, identity(t, "ann"))
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			begun := time.Now()
			desc := &grpc.StreamDesc{ClientStreams: true}
			s, err := conn.NewStream(ctx, desc, commonsealv1.LedgerService_Query_FullMethodName)
			if err != nil {
				t.Fatal(err)
			}
			err = s.RecvMsg(&commonsealv1.QueryResponse{})
			if took := time.Since(begun); err == nil || (took == messageTime) != (off == 0) {
				t.Errorf("defence off %v: %v after %s", off != 0, err, took)
			}
		})
	}
}

func TestHonestStreamsAreNotCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, service := blobHouse(t, 0)
		put, err := service.Put(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for range 16 { // 16 MiB at just above the least rate
			if err := put.Send(&commonsealv1.PutRequest{Part: &commonsealv1.PutRequest_Chunk{Chunk: make([]byte, ChunkBytes)}}); err != nil {
				t.Fatal(err)
			}
			pause(t.Context(), ChunkBytes*time.Second/leastRate)
		}
		out, err := put.CloseAndRecv()
		if err != nil || out.Stored != 16<<20 {
			t.Errorf("%v, %v", out, err)
		}
		<-b.ended

		// A server of a model waits for queries as long as it takes.
		ctx, cancel := context.WithCancel(t.Context())
		serve, err := service.Serve(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := serve.Send(&commonsealv1.ServeRequest{}); err != nil {
				t.Fatal(err)
			}
			pause(ctx, time.Hour)
		}
		cancel()
		if err := <-b.ended; status.Code(err) != codes.Canceled {
			t.Error(err)
		}
	})
}

func TestServeMustBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, service := blobHouse(t, 0)
		if _, err := service.Serve(t.Context()); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		refusedAs(t, <-b.ended, commonsealv1.RefusalCode_REFUSAL_CODE_TOO_SLOW)
		if took := time.Since(begun); took != messageTime {
			t.Errorf("cut after %s", took)
		}
	})
}

func TestRates(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRates(8, 32)
		begun := time.Unix(1e9, 0)
		now := begun
		taken := map[ledger.Key]int{}
		for range rapid.IntRange(1, 300).Draw(t, "calls") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(200*time.Millisecond)).Draw(t, "pause")))
			key := ledger.Key{rapid.Byte().Draw(t, "peer") % 3}
			if r.take(key, now) {
				taken[key]++
			} else if taken[key] < 32 {
				t.Fatal("refused before its burst is spent")
			}
		}
		for key, n := range taken {
			if most := 32 + 8*now.Sub(begun).Seconds(); float64(n) > most {
				t.Fatalf("peer %d: %d calls in %s, at most %f", key[0], n, now.Sub(begun), most)
			}
		}
	})
	r := newRates(1, 2)
	now := time.Unix(1e9, 0)
	for i := range 1000 {
		r.take(ledger.Key{byte(i), byte(i >> 8)}, now)
		now = now.Add(time.Second)
	}
	if len(r.by) > 3 {
		t.Errorf("%d buckets of peers that are gone", len(r.by))
	}
}
