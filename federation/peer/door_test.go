package peer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commonseal/commonseal/federation/node"
	"github.com/commonseal/commonseal/federation/store"
	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/gate"
	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

func TestStrangers(t *testing.T) {
	h := open(t, false)
	if _, _, _, err := h.dial(t, "mallory").Status(t.Context()); err == nil {
		t.Error("a stranger is let in")
	}
	imposter, err := Dial(h.lis.Addr().String(), public("tls", "south"), identity(t, "ann"))
	if err != nil {
		t.Fatal(err)
	}
	defer imposter.Close()
	if _, _, _, err := imposter.Status(t.Context()); err == nil || !strings.Contains(err.Error(), "has the key") {
		t.Error("another node than was dialled:", err)
	}
}

// A key that is revoked while its streams are open loses them with the block.
func TestRevokedWhileServing(t *testing.T) {
	h := open(t, false)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.door.Run(ctx, h.wait)
	}()
	defer func() { cancel(); <-done }()
	bob := h.dial(t, "bob")
	ended := h.serve(t, bob, h.share(1))
	for _, c := range []string{"ann", "cal"} {
		h.must(c, &ledger.Revoke{Name: "bob"})
	}
	if err := <-ended; err == nil {
		t.Error("the stream ended well")
	}
	if _, _, err := bob.Held(t.Context(), some()); err == nil {
		t.Error("bob is let in again")
	}
}

// Queriers put their own public key and predict, and nothing else.
func TestQuerierMayDo(t *testing.T) {
	h := open(t, false)
	quinn := h.dial(t, "quinn")
	model, ok := ledger.ModelOf(h.View(), h.model)
	if !ok {
		t.Fatal("no model")
	}
	key := ledger.Post{Chain: chain, Scope: model.Task, Kind: ledger.PostQuerierKey, Blob: sha256.Sum256(quinnsKey), Size: uint32(len(quinnsKey))}.Sign(private("sign", "quinn"))
	d := key.Blob
	for name, call := range map[string]func() error{
		"get":   func() error { _, err := quinn.Get(t.Context(), d); return err },
		"posts": func() error { _, _, err := quinn.Posts(t.Context(), d, 0); return err },
		"held":  func() error { _, _, err := quinn.Held(t.Context(), d); return err },
	} {
		if r := refusedAs(t, call(), commonsealv1.RefusalCode_REFUSAL_CODE_FORBIDDEN); !strings.Contains(r.Detail, "quinn is no member") {
			t.Error(name, r)
		}
	}
	if err := quinn.Put(t.Context(), key, quinnsKey); err != nil {
		t.Error("its own public key:", err)
	}
	blob := manifest(1, 1)
	refusedAs(t, quinn.Put(t.Context(), h.listing("quinn", blob), blob), commonsealv1.RefusalCode_REFUSAL_CODE_FORBIDDEN)
}

func TestPosts(t *testing.T) {
	h := open(t, false)
	ann := h.dial(t, "ann")
	blob := manifest(1, 1)
	if posts, cursor, err := ann.Posts(t.Context(), h.rows, 0); len(posts) != 0 || cursor != 0 || err != nil {
		t.Error(posts, cursor, err)
	}
	if err := ann.Put(t.Context(), h.listing("ann", blob), blob); err != nil {
		t.Fatal(err)
	}
	posts, cursor, err := h.dial(t, "bob").Posts(t.Context(), h.rows, 0)
	if len(posts) != 1 || err != nil || !bytes.Equal(posts[0].Append(nil), h.listing("ann", blob).Append(nil)) {
		t.Error(posts, cursor, err)
	}
	if more, next, err := ann.Posts(t.Context(), h.rows, cursor); len(more) != 0 || next != cursor || err != nil {
		t.Error(more, next, err)
	}
	for name, in := range map[string]*commonsealv1.PostsRequest{
		"no scope":        {},
		"a short scope":   {Scope: h.rows[1:]},
		"a large kind":    {Scope: h.rows[:], Kinds: []uint32{256}},
		"many kinds":      {Scope: h.rows[:], Kinds: make([]uint32, 256)},
		"a large cursor":  {Scope: h.rows[:], After: 1 << 63},
		"the last cursor": {Scope: h.rows[:], After: 1<<64 - 1},
	} {
		_, err := ann.service.Posts(t.Context(), in)
		refusedAs(t, err, commonsealv1.RefusalCode_REFUSAL_CODE_MALFORMED)
		t.Log(name, err)
	}
}

func TestAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, true)
		bob := dialMemory(t, h.lis, "bob", nil)
		out, err := bob.service.Posts(t.Context(), &commonsealv1.PostsRequest{Scope: h.rows[:], WaitMs: 1 << 31})
		if len(out.GetPosts()) != 0 || err != nil {
			t.Error(out, err)
		}
		begun := time.Now()
		came := make(chan error)
		go func() {
			posts, _, err := bob.Await(t.Context(), h.rows, 0)
			if len(posts) != 1 && err == nil {
				err = errors.New("no posts")
			}
			came <- err
		}()
		pause(t.Context(), 100*time.Second) // some long polls
		blob := manifest(1, 1)
		if err := dialMemory(t, h.lis, "ann", nil).Put(t.Context(), h.listing("ann", blob), blob); err != nil {
			t.Fatal(err)
		}
		if err := <-came; err != nil || time.Since(begun) > 101*time.Second {
			t.Errorf("after %s: %v", time.Since(begun), err)
		}
	})
}

// pause lets the time of a bubble pass.
func pause(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	<-ctx.Done()
}

// What waits is a stream: one peer has 16, over all connections.
func TestStreamsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, true)
		ctx, cancel := context.WithCancel(t.Context())
		waiting := make(chan error)
		for range 2 {
			bob := dialMemory(t, h.lis, "bob", nil)
			for range ledger.MaxStreams / 2 {
				go func() {
					_, _, err := bob.Await(ctx, h.rows, 0)
					waiting <- err
				}()
			}
		}
		synctest.Wait()
		third := dialMemory(t, h.lis, "bob", nil)
		_, _, err := third.Await(t.Context(), h.rows, 0)
		if refusedAs(t, err, commonsealv1.RefusalCode_REFUSAL_CODE_BUSY); !Later(err) {
			t.Error("busy is for good")
		}
		_, err = third.Get(t.Context(), some())
		refusedAs(t, err, commonsealv1.RefusalCode_REFUSAL_CODE_BUSY)
		if _, _, err := third.Posts(t.Context(), h.rows, 0); err != nil {
			t.Error("what does not wait:", err)
		}
		_, err = dialMemory(t, h.lis, "ann", nil).Get(t.Context(), some()) // is no trouble of ann's
		refusedAs(t, err, commonsealv1.RefusalCode_REFUSAL_CODE_NOT_FOUND)
		cancel()
		for range ledger.MaxStreams {
			<-waiting
		}
		synctest.Wait()
		_, err = third.Get(t.Context(), some())
		refusedAs(t, err, commonsealv1.RefusalCode_REFUSAL_CODE_NOT_FOUND)
	})
}

// A slow connection carries a byte a second once it is told to.
type slowConn struct {
	net.Conn
	slow chan struct{}
}

func (c *slowConn) Write(b []byte) (int, error) {
	for i := range b {
		select {
		case <-c.slow:
		default:
			n, err := c.Conn.Write(b[i:])
			return i + n, err
		}
		pause(context.Background(), time.Second)
		if _, err := c.Conn.Write(b[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(b), nil
}

// An upload that dawdles is cut within two minutes; what came of it stays.
func TestSlowUpload(t *testing.T) {
	for name, silent := range map[string]bool{"silent": true, "a byte a second": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := open(t, true)
				slow := make(chan struct{})
				ann := dialMemory(t, h.lis, "ann", func(c net.Conn) net.Conn { return &slowConn{c, slow} })
				blob := manifest(9, 2*mebi)
				post := h.listing("ann", blob)
				s, err := ann.service.Put(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				begun := time.Now()
				s.Send(&commonsealv1.PutRequest{Part: &commonsealv1.PutRequest_Head{Head: &commonsealv1.PutHead{Post: post.Append(nil), Size: uint64(len(blob))}}})
				s.Send(&commonsealv1.PutRequest{Part: &commonsealv1.PutRequest_Chunk{Chunk: blob[:gate.ChunkBytes]}})
				synctest.Wait()
				if !silent {
					close(slow)
					s.Send(&commonsealv1.PutRequest{Part: &commonsealv1.PutRequest_Chunk{Chunk: blob[gate.ChunkBytes:][:gate.ChunkBytes]}})
				}
				err = s.RecvMsg(new(commonsealv1.PutResponse))
				if took := time.Since(begun); err == nil || took > 2*time.Minute {
					t.Errorf("after %s: %v", took, err)
				}
				if silent {
					refusedAs(t, err, commonsealv1.RefusalCode_REFUSAL_CODE_TOO_SLOW)
				}
				out, err := dialMemory(t, h.lis, "ann", nil).service.Offset(t.Context(), &commonsealv1.OffsetRequest{Post: post.Append(nil)})
				if err != nil || out.Held != gate.ChunkBytes {
					t.Error("its first chunk:", out, err)
				}
				ann.Close()
			})
		})
	}
}

// A silent node never says anything.
type silentNode struct {
	commonsealv1.UnimplementedNodeServiceServer
}

func (silentNode) Get(_ *commonsealv1.GetRequest, s commonsealv1.NodeService_GetServer) error {
	<-s.Context().Done()
	return nil
}

func (silentNode) Put(s commonsealv1.NodeService_PutServer) error {
	<-s.Context().Done()
	return nil
}

func TestSilentNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := serveIn(t, silentNode{})
		begun := time.Now()
		if _, err := p.Get(t.Context(), some()); !errors.Is(err, errSilent) || time.Since(begun) > callTime+time.Second {
			t.Errorf("after %s: %v", time.Since(begun), err)
		}
		begun = time.Now()
		blob := []byte("blob")
		post := ledger.Post{Chain: chain, Blob: some("blob"), Size: 4}.Sign(private("sign", "ann"))
		if err := p.Put(t.Context(), post, blob); !errors.Is(err, errSilent) || time.Since(begun) > 2*(callTime+time.Second) {
			t.Errorf("after %s: %v", time.Since(begun), err)
		}
	})
}

// A blob that rotted on disk is named, and is not here any more.
func TestRottenBlob(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	blob := manifest(10, 2*mebi)
	d, err := s.Blobs.Put(blob)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	rot(t, dir, blob[gate.ChunkBytes+1000:][:64])
	if s, err = store.Open(dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	h := open(t, false, func(c *node.Config) { c.Store = s })
	bob := h.dial(t, "bob")
	_, err = bob.Get(t.Context(), d)
	r := refusedAs(t, err, commonsealv1.RefusalCode_REFUSAL_CODE_WRONG_DIGEST)
	if !strings.Contains(r.Detail, fmt.Sprintf("blob %x", d)) || !Later(err) {
		t.Error(r)
	}
	_, err = bob.Get(t.Context(), d)
	refusedAs(t, err, commonsealv1.RefusalCode_REFUSAL_CODE_NOT_FOUND)
}

// rot flips a bit of what is somewhere below dir.
func rot(tb testing.TB, dir string, what []byte) {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil {
		tb.Fatal(err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		if at := bytes.Index(b, what); at >= 0 {
			b[at] ^= 1
			if err := os.WriteFile(name, b, 0o600); err != nil {
				tb.Fatal(err)
			}
			return
		}
	}
	tb.Fatal("it is in no file")
}
