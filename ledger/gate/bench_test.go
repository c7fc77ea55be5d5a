package gate

import (
	"context"
	"fmt"
	"io"
	"sync"
	"testing"

	"google.golang.org/grpc"

	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

// BenchmarkCall is a small call through a door on loopback, by one peer after
// another or by several at once.
func BenchmarkCall(b *testing.B) {
	for _, peers := range []int{1, 64} {
		b.Run(fmt.Sprintf("peers=%d", peers), func(b *testing.B) {
			var names []string
			for i := range peers {
				names = append(names, fmt.Sprint("peer", i))
			}
			h := open(b, newMembers(names...), 0, false, ledgerOf(newChain()))
			h.door.calls = newRates(1e9, 1e9) // what a peer may call is not the question
			var conns []*grpc.ClientConn
			for _, name := range names {
				conns = append(conns, h.dial(b, identity(b, name)))
				if err := query(b, conns[len(conns)-1]); err != nil {
					b.Fatal(err)
				}
			}
			b.ResetTimer()
			var calls sync.WaitGroup
			for i, conn := range conns {
				calls.Go(func() {
					for range (b.N + peers - 1 - i) / peers {
						if err := query(b, conn); err != nil {
							b.Error(err)
						}
					}
				})
			}
			calls.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}

// BenchmarkUpload is 64 MiB through the guard of streams.
func BenchmarkUpload(b *testing.B) {
	blobs := &blobs{ended: make(chan error, 1)}
	h := open(b, newMembers("ann"), 0, false, func(s *grpc.Server) { commonsealv1.RegisterNodeServiceServer(s, blobs) })
	service := commonsealv1.NewNodeServiceClient(h.dial(b, identity(b, "ann")))
	chunk := &commonsealv1.PutRequest{Part: &commonsealv1.PutRequest_Chunk{Chunk: make([]byte, ChunkBytes)}}
	b.SetBytes(64 << 20)
	for b.Loop() {
		put, err := service.Put(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		for range 64 {
			if err := put.Send(chunk); err != nil && err != io.EOF {
				b.Fatal(err)
			}
		}
		if _, err := put.CloseAndRecv(); err != nil {
			b.Fatal(err)
		}
		if err := <-blobs.ended; err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkHandshake is a connection, its handshake and one call.
func BenchmarkHandshake(b *testing.B) {
	h := open(b, newMembers("ann"), 0, false, ledgerOf(newChain()))
	ann := identity(b, "ann")
	for b.Loop() {
		conn, err := Dial(h.lis.Addr().String(), h.door.id.Key(), ann)
		if err != nil {
			b.Fatal(err)
		}
		if err := query(b, conn); err != nil {
			b.Fatal(err)
		}
		conn.Close()
	}
}

// BenchmarkFollow is a replica that comes to a chain of 1000 small blocks.
func BenchmarkFollow(b *testing.B) {
	c := newChain()
	for i := range 1000 {
		c.add(b, fmt.Sprintf("k%d=%d", i%10, i/10))
	}
	for _, n := range []int{2, 4} {
		b.Run(fmt.Sprintf("endpoints=%d", n), func(b *testing.B) {
			var es []Endpoint
			for i := range n {
				h := open(b, newMembers("ann"), 0, false, ledgerOf(c))
				es = append(es, Endpoint{fmt.Sprint("val", i), commonsealv1.NewLedgerServiceClient(h.dial(b, identity(b, "ann")))})
			}
			for b.Loop() {
				f, err := NewFollower(es, &replica{}, rules, nil)
				if err != nil {
					b.Fatal(err)
				}
				ctx, cancel := context.WithCancel(b.Context())
				done := make(chan error, 1)
				go func() { done <- f.Run(ctx) }()
				if _, err := f.Wait(ctx, 999); err != nil {
					b.Fatal(err)
				}
				cancel()
				<-done
			}
			b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds(), "blocks/s")
		})
	}
}
