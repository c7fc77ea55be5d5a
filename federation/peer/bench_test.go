package peer

import (
	"crypto/sha256"
	"encoding/binary"
	"sync/atomic"
	"testing"

	"github.com/commonseal/commonseal/federation/node"
	"github.com/commonseal/commonseal/federation/store"
	"github.com/commonseal/commonseal/federation/wire"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/ledger"
)

const benchBytes = 19 << 20 // about a share of the relinearisation key

// benchHouse is a house on disk.
func benchHouse(b *testing.B) *house {
	s, err := store.Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return open(b, false, func(c *node.Config) { c.Store, c.Quota = s, 1<<40 })
}

// BenchmarkPut puts blobs that the node does not have; each is on disk when Put
// returns.
func BenchmarkPut(b *testing.B) {
	h := benchHouse(b)
	ann := h.dial(b, "ann")
	blob := make([]byte, benchBytes)
	b.SetBytes(benchBytes)
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		binary.BigEndian.PutUint64(blob, uint64(i))
		post := ledger.Post{Chain: chain, Epoch: 1, Scope: h.rows, Kind: ledger.PostManifest, Step: uint16(ledger.Training), Index: uint16(i),
			Blob: sha256.Sum256(blob), Size: benchBytes}.Sign(private("sign", "ann"))
		b.StartTimer()
		if err := ann.Put(b.Context(), post, blob); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	h := benchHouse(b)
	d, err := h.store.Blobs.Put(make([]byte, benchBytes))
	if err != nil {
		b.Fatal(err)
	}
	bob := h.dial(b, "bob")
	b.SetBytes(benchBytes)
	for b.Loop() {
		if _, err := bob.Get(b.Context(), d); err != nil {
			b.Fatal(err)
		}
	}
}

// predicting is a house of production profiles whose three servers say what they
// have ready, and a maker of queries of production size.
func predicting(b *testing.B) (h *house, next func() (envelope, query []byte)) {
	h = open(b, false, func(c *node.Config) { c.Profiles = he.Standard() })
	for i, c := range companies {
		h.serve(b, h.dial(b, c), h.share(uint64(i)))
	}
	var sequence atomic.Uint64
	query := answerOf(h.node.Profiles.Serve, 1) // of a query's size
	digest := sha256.Sum256(query)
	return h, func() ([]byte, []byte) {
		q := wire.Query{Model: h.model, Sequence: sequence.Add(1), Rows: 1, Digest: digest}
		return q.Sign(chain, private("sign", "quinn")).Append(nil), query
	}
}

// BenchmarkPredict is one query after another, without the querier's and the
// servers' own work.
func BenchmarkPredict(b *testing.B) {
	h, next := predicting(b)
	quinn := h.dial(b, "quinn")
	for b.Loop() {
		envelope, query := next()
		if _, err := quinn.Predict(b.Context(), envelope, query); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPredict64 is 64 queries at a time, over 8 connections.
func BenchmarkPredict64(b *testing.B) {
	h, next := predicting(b)
	var quinns [8]*Peer
	for i := range quinns {
		quinns[i] = h.dial(b, "quinn")
	}
	var at atomic.Int64
	b.SetParallelism(32) // of 2 processors
	b.RunParallel(func(pb *testing.PB) {
		quinn := quinns[at.Add(1)%int64(len(quinns))]
		for pb.Next() {
			envelope, query := next()
			if _, err := quinn.Predict(b.Context(), envelope, query); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
