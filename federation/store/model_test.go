package store

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/commonseal/commonseal/ledger"
)

// A model is a store without a disk, offsets or quotas: two maps.
type model struct {
	records map[string]string
	blobs   map[ledger.Digest][]byte
}

// Whatever is done to a store, in memory or on disk and over restarts, is what a
// map would have made of it.
func TestModel(t *testing.T) {
	onBoth(t, func(t *testing.T, m *machine) {
		generation := 0
		rapid.Check(t, func(rt *rapid.T) {
			generation++ // a store on disk is slow to open: all runs share one
			run := fmt.Sprintf("%d/", generation)
			want := model{map[string]string{}, map[ledger.Digest][]byte{}}
			before := m.Journal.Count()
			rt.Repeat(map[string]func(*rapid.T){
				"put":    func(rt *rapid.T) { want.put(rt, m.Journal, run) },
				"upload": func(rt *rapid.T) { want.upload(rt, m.Blobs, run) },
				"delete": func(rt *rapid.T) { want.delete(rt, m.Blobs) },
				"restart": func(rt *rapid.T) {
					if rapid.IntRange(0, 9).Draw(rt, "seldom") == 0 {
						m.again()
					}
				},
				"": func(rt *rapid.T) {
					want.check(rt, m.Store, run)
					if n := m.Journal.Count() - before; n != uint64(len(want.records)) {
						rt.Fatalf("%d records, want %d", n, len(want.records))
					}
				},
			})
		})
	})
}

func (w *model) put(rt *rapid.T, j *Journal, run string) {
	var records []Record
	next, conflict := maps.Clone(w.records), false
	for range rapid.IntRange(1, 3).Draw(rt, "records") {
		key := run + rapid.StringMatching("[ab]{1,3}").Draw(rt, "key")
		value := rapid.StringMatching("[xy]{0,1}").Draw(rt, "value")
		records = append(records, Record{key, []byte(value)})
		if have, ok := next[key]; ok && have != value {
			conflict = true
		}
		next[key] = value
	}
	switch err := j.PutAll(records); {
	case conflict && !isA[ConflictError](err):
		rt.Fatalf("PutAll(%q): %v, want a conflict", records, err)
	case !conflict && err != nil:
		rt.Fatalf("PutAll(%q): %v", records, err)
	case !conflict:
		w.records = next
	}
}

// upload uploads right or wrong bytes, or breaks off.
func (w *model) upload(rt *rapid.T, b *Blobs, run string) {
	kind := rapid.IntRange(0, 2).Draw(rt, "kind")
	size := rapid.SampledFrom([]int{1, 40_000, ChunkSize, ChunkSize + 1}).Draw(rt, "size")
	blob := append([]byte(run), bytes.Repeat([]byte{byte(kind)}, size)...)
	d := ledger.Digest(sha256.Sum256(blob))
	u, err := b.Begin(rapid.SampledFrom([]string{"ann", "bob"}).Draw(rt, "owner"), plenty, d, int64(len(blob)))
	if err != nil {
		rt.Fatalf("Begin: %v", err)
	}
	if u.Offset() < u.size && rapid.IntRange(0, 3).Draw(rt, "break off") == 0 {
		if err := u.Append(u.Offset(), chunkOf(blob, u.Offset())); err != nil {
			rt.Fatalf("Append: %v", err)
		}
		return
	}
	wrong := u.Offset() < u.size && rapid.IntRange(0, 3).Draw(rt, "wrong") == 0
	sent := slices.Clone(blob)
	if wrong {
		sent[len(sent)-1] ^= 1
	}
	if err := appendAll(u, sent); err != nil {
		rt.Fatalf("Append: %v", err)
	}
	switch err := u.Finish(); {
	case wrong && !isA[DigestError](err):
		rt.Fatalf("Finish of other bytes: %v", err)
	case !wrong && err != nil:
		rt.Fatalf("Finish: %v", err)
	case !wrong:
		w.blobs[d] = blob
	}
}

func (w *model) delete(rt *rapid.T, b *Blobs) {
	if len(w.blobs) == 0 {
		return
	}
	digests := slices.SortedFunc(maps.Keys(w.blobs), func(a, b ledger.Digest) int { return bytes.Compare(a[:], b[:]) })
	d := rapid.SampledFrom(digests).Draw(rt, "digest")
	if err := b.Delete(d); err != nil {
		rt.Fatalf("Delete: %v", err)
	}
	delete(w.blobs, d)
	if has, err := b.Has(d); has || err != nil {
		rt.Fatalf("Has after Delete: %v, %v", has, err)
	}
}

func (w *model) check(rt *rapid.T, s *Store, run string) {
	var got, want []string
	err := s.Journal.Range(run, func(k string, v []byte) bool { got = append(got, k+"="+string(v)); return true })
	for _, k := range slices.Sorted(maps.Keys(w.records)) {
		want = append(want, k+"="+w.records[k])
	}
	if err != nil || strings.Join(got, " ") != strings.Join(want, " ") {
		rt.Fatalf("Range: %s, %v; want %s", got, err, want)
	}
	for d, blob := range w.blobs {
		if got, err := s.Blobs.Get(d); err != nil || !bytes.Equal(got, blob) {
			rt.Fatalf("Get(%x): %d bytes, %v", d, len(got), err)
		}
	}
}
