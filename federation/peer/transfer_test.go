package peer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/commonseal/commonseal/federation/node"
	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/gate"
	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

// A cable forwards connections to an address, and cuts the first ones after so
// many bytes of the client's, or of the server's.
type cable struct {
	lis net.Listener

	mu   sync.Mutex
	cuts []int64
	from bool // count the server's
	used int
}

func newCable(tb testing.TB, to string, from bool, cuts ...int64) *cable {
	tb.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	w := &cable{lis: lis, cuts: cuts, from: from}
	tb.Cleanup(func() { lis.Close() })
	go func() {
		for {
			near, err := lis.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			w.join(near, far)
		}
	}()
	return w
}

func (w *cable) join(near, far net.Conn) {
	w.mu.Lock()
	limit := int64(1 << 40)
	if w.used < len(w.cuts) {
		limit = w.cuts[w.used]
	}
	w.used++
	w.mu.Unlock()
	// No end is closed with bytes unread, which would take back what was sent.
	pump := func(to, from net.Conn, counted bool) {
		if counted {
			io.CopyN(to, from, limit)
		} else {
			io.Copy(to, from)
		}
		to.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, from)
		from.Close()
	}
	go pump(far, near, !w.from)
	go pump(near, far, w.from)
}

func (w *cable) connections() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.used
}

func TestPutResumes(t *testing.T) {
	blob := manifest(1, 5*mebi)
	for chunk := range int64(6) {
		t.Run(fmt.Sprint(chunk), func(t *testing.T) {
			t.Parallel()
			h := open(t, false)
			w := newCable(t, h.lis.Addr().String(), false, 100<<10+chunk*gate.ChunkBytes-chunk/5*900<<10)
			p := h.dial(t, "ann", w.lis.Addr().String())
			post := h.listing("ann", blob)
			if err := p.Put(t.Context(), post, blob); err != nil {
				t.Fatal(err)
			}
			if n := w.connections(); n != 2 {
				t.Errorf("%d connections, not 2", n)
			}
			got, err := h.store.Blobs.Get(post.Blob)
			if err != nil || !bytes.Equal(got, blob) {
				t.Error("the blob is another", err)
			}
			if posts, _ := h.node.Posts(post.Scope, nil, 0, 10); len(posts) != 1 {
				t.Errorf("%d posts", len(posts))
			}
		})
	}
}

func TestGetResumes(t *testing.T) {
	blob := manifest(2, 5*mebi)
	for chunk := range int64(6) {
		t.Run(fmt.Sprint(chunk), func(t *testing.T) {
			t.Parallel()
			h := open(t, false)
			d, err := h.store.Blobs.Put(blob)
			if err != nil {
				t.Fatal(err)
			}
			w := newCable(t, h.lis.Addr().String(), true, 100<<10+chunk*gate.ChunkBytes-chunk/5*900<<10)
			p := h.dial(t, "bob", w.lis.Addr().String())
			got, err := p.Get(t.Context(), d)
			if chunk == 0 { // nothing came, so that nothing resumes
				if err == nil || !Later(err) {
					t.Error("cut before the first chunk:", err)
				}
				got, err = p.Get(t.Context(), d)
			}
			if err != nil || !bytes.Equal(got, blob) {
				t.Error("the blob is another", err)
			}
			if n := w.connections(); n != 2 {
				t.Errorf("%d connections, not 2", n)
			}
		})
	}
}

func TestPutIsIdempotent(t *testing.T) {
	h := open(t, false)
	blob := manifest(3, 3*mebi)
	post := h.listing("ann", blob)
	ann := h.dial(t, "ann")
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if err := ann.Put(t.Context(), post, blob); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if posts, _ := h.node.Posts(post.Scope, nil, 0, 200); len(posts) != 1 {
		t.Errorf("%d posts", len(posts))
	}
	if used := h.store.Blobs.Used("ann"); used != int64(len(blob)) {
		t.Errorf("%d bytes are charged for %d", used, len(blob))
	}
	if n := h.store.Journal.Count(); n != 1 {
		t.Errorf("%d records", n)
	}
}

// A rawPut sends what it likes.
func rawPut(tb testing.TB, p *Peer, head *commonsealv1.PutHead, chunks ...[]byte) error {
	tb.Helper()
	ctx, cancel := context.WithCancel(tb.Context())
	defer cancel()
	s, err := p.service.Put(ctx)
	if err != nil {
		tb.Fatal(err)
	}
	if head != nil {
		err = s.Send(&commonsealv1.PutRequest{Part: &commonsealv1.PutRequest_Head{Head: head}})
	}
	for i := 0; i < len(chunks) && err == nil; i++ {
		err = s.Send(&commonsealv1.PutRequest{Part: &commonsealv1.PutRequest_Chunk{Chunk: chunks[i]}})
	}
	_, err = s.CloseAndRecv()
	return err
}

func TestPutRefuses(t *testing.T) {
	h := open(t, false)
	ann := h.dial(t, "ann")
	blob := manifest(4, mebi+1)
	first, rest := blob[:gate.ChunkBytes], blob[gate.ChunkBytes:]
	post := h.listing("ann", blob)
	signed, size := post.Append(nil), uint64(len(blob))
	other := bytes.Clone(first)
	other[100]++
	head := &commonsealv1.PutHead{Post: signed, Size: size}
	bent := bytes.Clone(signed)
	bent[len(bent)-1]++
	huge := ledger.Post{Chain: chain, Epoch: 1, Scope: h.rows, Kind: ledger.PostManifest, Step: 1, Blob: some(), Size: 64<<20 + 1}.Sign(private("sign", "ann")).Append(nil)
	foreign := post
	foreign.Chain = "other"
	foreign = foreign.Sign(private("sign", "ann"))
	for _, test := range []struct {
		name   string
		want   commonsealv1.RefusalCode
		head   *commonsealv1.PutHead
		chunks [][]byte
	}{
		{"no message at all", commonsealv1.RefusalCode_REFUSAL_CODE_MALFORMED, nil, nil},
		{"no head", commonsealv1.RefusalCode_REFUSAL_CODE_MALFORMED, nil, [][]byte{first}},
		{"10 GB declared", commonsealv1.RefusalCode_REFUSAL_CODE_TOO_LARGE, &commonsealv1.PutHead{Post: signed, Size: 10 << 30}, nil},
		{"more than a blob may have, in the post too", commonsealv1.RefusalCode_REFUSAL_CODE_MALFORMED, &commonsealv1.PutHead{Post: huge, Size: 64 << 20}, nil},
		{"another size than the post's", commonsealv1.RefusalCode_REFUSAL_CODE_MALFORMED, &commonsealv1.PutHead{Post: signed, Size: size - 1}, nil},
		{"a signature that does not verify", commonsealv1.RefusalCode_REFUSAL_CODE_MALFORMED, &commonsealv1.PutHead{Post: bent, Size: size}, nil},
		{"for another chain", commonsealv1.RefusalCode_REFUSAL_CODE_FORBIDDEN, &commonsealv1.PutHead{Post: foreign.Append(nil), Size: size}, nil},
		{"a post of another's", commonsealv1.RefusalCode_REFUSAL_CODE_FORBIDDEN, &commonsealv1.PutHead{Post: h.listing("bob", blob).Append(nil), Size: size}, nil},
		{"an offset within a chunk", commonsealv1.RefusalCode_REFUSAL_CODE_MALFORMED, &commonsealv1.PutHead{Post: signed, Size: size, Offset: 1}, nil},
		{"an offset beyond the end", commonsealv1.RefusalCode_REFUSAL_CODE_MALFORMED, &commonsealv1.PutHead{Post: signed, Size: size, Offset: 1 << 62}, nil},
		{"a gap", commonsealv1.RefusalCode_REFUSAL_CODE_MALFORMED, &commonsealv1.PutHead{Post: signed, Size: size, Offset: gate.ChunkBytes}, [][]byte{rest}},
		{"all announced as there", commonsealv1.RefusalCode_REFUSAL_CODE_MALFORMED, &commonsealv1.PutHead{Post: signed, Size: size, Offset: size}, nil},
		{"a small chunk", commonsealv1.RefusalCode_REFUSAL_CODE_MALFORMED, head, [][]byte{first[:10]}},
		{"an empty chunk", commonsealv1.RefusalCode_REFUSAL_CODE_MALFORMED, head, [][]byte{{}}},
		{"it ends early", commonsealv1.RefusalCode_REFUSAL_CODE_MALFORMED, head, [][]byte{first}},
		{"another chunk than before", commonsealv1.RefusalCode_REFUSAL_CODE_CONFLICT, head, [][]byte{other}},
		{"a wrong digest", commonsealv1.RefusalCode_REFUSAL_CODE_WRONG_DIGEST, &commonsealv1.PutHead{Post: signed, Size: size, Offset: gate.ChunkBytes}, [][]byte{other[:len(rest)]}},
		{"it never ends", commonsealv1.RefusalCode_REFUSAL_CODE_TOO_LARGE, head, [][]byte{first, rest, first, first, first, first, first, first}},
	} {
		t.Run(test.name, func(t *testing.T) {
			refusedAs(t, rawPut(t, ann, test.head, test.chunks...), test.want)
			if posts, _ := h.node.Posts(h.rows, nil, 0, 1); len(posts) != 0 {
				t.Error("its post is kept")
			}
			if has, err := h.store.Blobs.Has(post.Blob); has || err != nil {
				t.Error("its blob is visible", err)
			}
			if used := h.store.Blobs.Used("ann"); used != 0 && test.want == commonsealv1.RefusalCode_REFUSAL_CODE_WRONG_DIGEST {
				t.Errorf("%d bytes of what was dropped are charged", used)
			}
		})
	}
	if err := ann.Put(t.Context(), post, blob); err != nil {
		t.Error("the honest blob after all that:", err)
	}
	if err := ann.Put(t.Context(), post, other); err == nil {
		t.Error("a blob with another digest left the house")
	}
	// Something else in its place is refused before a byte of it, and kept.
	second := manifest(5, mebi)
	refusedAs(t, ann.Put(t.Context(), h.listing("ann", second), second), commonsealv1.RefusalCode_REFUSAL_CODE_CONFLICT)
	if used := h.store.Blobs.Used("ann"); used != int64(len(blob)) {
		t.Errorf("%d bytes are charged for %d", used, len(blob))
	}
	if n := ledger.Evidences(h.View())["ann"]; n != 1 {
		t.Errorf("ann is convicted %d times", n)
	}
}

func TestPutDamagedBefore(t *testing.T) {
	h := open(t, false)
	ann := h.dial(t, "ann")
	blob := manifest(6, 2*mebi)
	post := h.listing("ann", blob)
	other := bytes.Clone(blob[:gate.ChunkBytes])
	other[0]++
	refusedAs(t, rawPut(t, ann, &commonsealv1.PutHead{Post: post.Append(nil), Size: uint64(len(blob))}, other), commonsealv1.RefusalCode_REFUSAL_CODE_MALFORMED)
	if err := ann.Put(t.Context(), post, blob); err != nil {
		t.Error(err)
	}
}

func TestQuota(t *testing.T) {
	h := open(t, false, func(c *node.Config) { c.Quota = 1 << 20 })
	blob := manifest(7, mebi)
	r := refusedAs(t, h.dial(t, "ann").Put(t.Context(), h.listing("ann", blob), blob), commonsealv1.RefusalCode_REFUSAL_CODE_OVER_LIMIT)
	if !strings.Contains(r.Detail, "ann has 0 of 1048576 bytes") || Later(r) {
		t.Error(r)
	}
	small := blob[:7+32]
	small = append(bytes.Clone(small[:3]), append([]byte{0, 0, 0, 1}, small[7:]...)...)
	if err := h.dial(t, "bob").Put(t.Context(), h.listing("bob", small), small); err != nil {
		t.Error("one full quota is bob's trouble:", err)
	}
}

func TestGetRefuses(t *testing.T) {
	h := open(t, false)
	d, err := h.store.Blobs.Put(manifest(8, 1))
	if err != nil {
		t.Fatal(err)
	}
	ann := h.dial(t, "ann")
	_, err = ann.Get(t.Context(), some("nothing"))
	if r := refusedAs(t, err, commonsealv1.RefusalCode_REFUSAL_CODE_NOT_FOUND); !strings.Contains(r.Detail, fmt.Sprintf("%x", some("nothing"))) {
		t.Error(r)
	}
	for _, in := range []*commonsealv1.GetRequest{{}, {Digest: d[1:]}, {Digest: d[:], Offset: 40}, {Digest: d[:], Offset: 1 << 63}} {
		s, err := ann.service.Get(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Recv()
		refusedAs(t, err, commonsealv1.RefusalCode_REFUSAL_CODE_MALFORMED)
	}
	s, err := ann.service.Get(t.Context(), &commonsealv1.GetRequest{Digest: d[:], Offset: 38})
	if err != nil {
		t.Fatal(err)
	}
	if m, err := s.Recv(); err != nil || len(m.Chunk) != 1 {
		t.Error("the last byte:", m, err)
	}
}

// A liar serves blobs as it likes.
type liar struct {
	commonsealv1.UnimplementedNodeServiceServer
	chunks [][]byte
}

func (l *liar) Get(_ *commonsealv1.GetRequest, s commonsealv1.NodeService_GetServer) error {
	for _, c := range l.chunks {
		if err := s.Send(&commonsealv1.GetResponse{Chunk: c}); err != nil {
			return err
		}
	}
	return nil
}

func TestGetBelievesNobody(t *testing.T) {
	chunk := make([]byte, gate.ChunkBytes)
	d := ledger.Digest(sha256.Sum256(chunk))
	endless := make([][]byte, 100)
	for i := range endless {
		endless[i] = chunk
	}
	for name, test := range map[string]struct {
		chunks [][]byte
		want   string
	}{
		"honest":        {[][]byte{chunk}, ""},
		"other bytes":   {[][]byte{append([]byte{1}, chunk[1:]...)}, "with digest"},
		"less":          {[][]byte{chunk[:10]}, "with digest"},
		"nothing":       {nil, "with digest"},
		"more":          {[][]byte{chunk, chunk}, "with digest"},
		"endless":       {endless, "a chunk of 1048576 bytes after 67108864"},
		"byte by byte":  {[][]byte{chunk[:1], chunk[:1]}, "a chunk of 1 bytes after 1"},
		"empty for fun": {[][]byte{{}, {}}, "a chunk of 0 bytes after 0"},
	} {
		t.Run(name, func(t *testing.T) {
			p := serveIn(t, &liar{chunks: test.chunks})
			_, err := p.Get(t.Context(), d)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("%v, not %q", err, test.want)
			}
		})
	}
}
