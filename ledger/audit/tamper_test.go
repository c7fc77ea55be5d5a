package audit

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/commonseal/commonseal/federation/store"
	"github.com/commonseal/commonseal/ledger"
)

// A stash is bytes that somebody keeps, and how an auditor comes to doubt them: the
// check gets them with one bit flipped, and where.
type stash struct {
	name  string
	bytes []byte
	check func(flipped []byte, at int) error
}

// TestTamper flips single bits of everything that is kept of a chain that a
// validator made: its blocks and commits, as the archive has them, with the lengths
// and the genesis between; receipts of transactions and of records, of presence and
// of absence; checkpoints; what shows that the log grew; blobs and what a store notes
// beside them; and of exported epochs, a fifth of all flips. Every flip must be found
// by what the audit commands call.
//
// A flip in block h of an archive is looked for in block h alone: the bytes before it
// are those of the archive that was accepted, so an audit of the whole file comes to
// block h in the same state and asks the same question, [Replay.Block]'s. That it
// does is shown for some of the flips by auditing the whole file.
func TestTamper(t *testing.T) {
	if testing.Short() {
		t.Skip("10,000 flips")
	}
	const flips, wholes = 10_000, 25
	const seed = 20261124
	blobs := newBlobs(t)
	f := newLive(t, consortium(1)).task().contribute(blobs.manifest).admit(12)
	archive := archived(t, f)
	things := append(append(receipts(t, f), checkpoints(t, f)...), growths(t, f)...)
	epochs := epochFiles(t)
	kinds := [][]stash{{archive}, {archive}, things, blobs.stashes, epochs}
	random := rand.New(rand.NewPCG(seed, 0))
	found := 0
	for i := range flips {
		kind := kinds[i%len(kinds)]
		s := kind[random.IntN(len(kind))]
		at, bit := random.IntN(len(s.bytes)), random.IntN(8)
		flipped := bytes.Clone(s.bytes)
		flipped[at] ^= 1 << bit
		err := s.check(flipped, at)
		if err == nil {
			t.Errorf("seed %d, flip %d: bit %d of byte %d of %s is not found", seed, i, bit, at, s.name)
			continue
		}
		found++
		if n := len(kinds); i%n == 0 && i/n < wholes {
			if err := replayFile(flipped); err == nil {
				t.Errorf("flip %d is found in its block and not in the whole file", i)
			}
		}
	}
	t.Logf("seed %d: %d of %d flips found, in %d blocks, %d receipts and checkpoints, %d blobs, %d epochs: %d bytes",
		seed, found, flips, f.height(), len(things), len(blobs.stashes), len(epochs), total(kinds))
}

func total(kinds [][]stash) (n int) {
	for _, kind := range kinds[1:] {
		for _, s := range kind {
			n += len(s.bytes)
		}
	}
	return n
}

// replayFile re-executes an archive, as audit chain does.
func replayFile(b []byte) error {
	a, err := OpenArchive(bytes.NewReader(b))
	if err != nil {
		return err
	}
	r, err := NewReplay(a.Genesis)
	if err != nil {
		return err
	}
	return r.Archive(a)
}

// archived is the archive of a live chain, whose blocks become f's.
func archived(t *testing.T, f *fabric) stash {
	t.Helper()
	f.blocks = f.live.stored(t)
	var file bytes.Buffer
	w, err := NewArchiveWriter(&file, f.genesis)
	if err != nil {
		t.Fatal(err)
	}
	starts := []int{file.Len()} // of blocks
	before := []*Replay{}       // each block
	r, err := NewReplay(f.genesis)
	for _, b := range f.blocks {
		if err == nil {
			before = append(before, r.fork())
			err = errors.Join(r.Block(b.block, b.commit), w.Block(b.block, b.commit))
			starts = append(starts, file.Len())
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return stash{"the archive", file.Bytes(), func(flipped []byte, at int) error {
		if at < starts[0] {
			return replayFile(flipped)
		}
		h := len(starts) - 2
		for starts[h] > at {
			h--
		}
		block, commit, err := (&Archive{from: bytes.NewReader(flipped[starts[h]:])}).Next()
		if err == nil {
			_, _, err = before[h].check(block, commit)
		}
		return err
	}}
}

// fork is a replay that goes its own way from here.
func (r *Replay) fork() *Replay {
	out := *r
	out.flat = maps.Clone(r.flat)
	out.verifier = NewFollowing(r.genesis.Chain, out.signers)
	return &out
}

// receipts are of transactions and records of a live chain.
func receipts(t *testing.T, f *fabric) (out []stash) {
	t.Helper()
	v, err := NewVerifier(f.genesis.Chain, []ledger.Key{publicOf("vote", "v1")})
	if err != nil {
		t.Fatal(err)
	}
	n := f.live.node
	for i := range n.Tree().Leaves() {
		leaf, err := n.Tree().Leaf(i)
		if err != nil {
			t.Fatal(err)
		}
		b, err := n.Receipt(t.Context(), sha256.Sum256(leaf))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, stash{fmt.Sprint("the receipt of transaction ", i), b, func(b []byte, _ int) error {
			_, err := VerifyReceipt(b, v)
			return err
		}})
	}
	door := f.door("v1")
	for _, parts := range [][]string{
		{"member", "ann"}, {"member", "nobody"}, {"querier", "nobody"}, {"c1", fmt.Sprintf("%x", digestOf("c1"))},
		{"task", "loans"}, {"contribution", "loans", "training", "bob"}, {"contribution", "loans", "validation", "bob"}, {"keyepoch", "1"},
	} {
		key, err := ledger.RecordKey(f.genesis.Chain, parts[0], parts[1:]...)
		if err != nil {
			t.Fatal(err)
		}
		b, err := FetchRecord(t.Context(), door, key)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, stash{fmt.Sprint("the receipt of ", parts), b, func(b []byte, _ int) error {
			_, err := VerifyRecord(b, v)
			return err
		}})
	}
	for _, s := range out {
		if err := s.check(s.bytes, 0); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
	}
	return out
}

// checkpoints are of some headers of a live chain.
func checkpoints(t *testing.T, f *fabric) (out []stash) {
	t.Helper()
	for height := int64(1); height <= f.height(); height += 7 {
		trusted, err := FetchHeader(t.Context(), f.door("v1"), f.genesis.Chain, height)
		if err != nil {
			t.Fatal(err)
		}
		b, err := trusted.Checkpoint()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, stash{fmt.Sprint("checkpoint ", height), b, func(b []byte, _ int) error {
			_, err := OpenCheckpoint(b, trusted.Point())
			return err
		}})
	}
	return out
}

// growths are receipts of how the log of an archived chain grew.
func growths(t *testing.T, f *fabric) (out []stash) {
	t.Helper()
	at := func(height int64) Point {
		trusted, err := FetchHeader(t.Context(), f.door("v1"), f.genesis.Chain, height)
		if err != nil {
			t.Fatal(err)
		}
		return trusted.Point()
	}
	last := at(f.height())
	for height := int64(1); height < f.height(); height += 7 {
		earlier := at(height)
		b, err := grownReceipt(t, f, earlier, last)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, stash{fmt.Sprint("the growth from block ", height), b, func(b []byte, _ int) error {
			_, err := VerifyGrowthReceipt(b, Points{earlier, last})
			return err
		}})
	}
	return out
}

// epochFiles are exported epochs. They are checked as audit payouts does, which knows
// no genesis.
func epochFiles(t *testing.T) (out []stash) {
	t.Helper()
	for seed := range uint64(20) {
		out = append(out, stash{fmt.Sprint("exported epoch ", seed), exported(t, seed), func(b []byte, _ int) error {
			_, _, err := ParseEpoch(b)
			return err
		}})
	}
	return out
}

// A blobStore is a store with the manifests and blocks of all companies.
type blobStore struct {
	t         *testing.T
	manifests map[string]ledger.Digest
	stashes   []stash
}

func newBlobs(t *testing.T) *blobStore {
	t.Helper()
	out := &blobStore{t: t, manifests: map[string]ledger.Digest{}}
	dir := t.TempDir()
	s, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for _, c := range companies {
		for i := range 4 {
			blob := make([]byte, 2000+random.IntN(4000))
			if c == "ann" && i == 3 {
				blob = make([]byte, store.ChunkSize+1000) // of two chunks
			}
			for j := range blob {
				blob[j] = byte(random.Uint32())
			}
			d, err := s.Blobs.Put(blob)
			if err != nil {
				t.Fatal(err)
			}
			out.manifests[c] = d // the last stands for the manifest
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(dir, "blobs")
	files, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := filepath.Join(folder, file.Name())
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out.stashes = append(out.stashes, stash{"blob file " + file.Name()[:8], b, func(flipped []byte, _ int) error {
			if err := os.WriteFile(name, flipped, 0o600); err != nil {
				t.Fatal(err)
			}
			defer os.WriteFile(name, b, 0o600)
			return verifyBlobs(folder)
		}})
	}
	if err := verifyBlobs(folder); err != nil {
		t.Fatal(err)
	}
	return out
}

// verifyBlobs is what audit blobs does.
func verifyBlobs(folder string) error {
	var bad []error
	err := store.Verify(folder, func(_ ledger.Digest, _ int64, err error) { bad = append(bad, err) })
	return errors.Join(append(bad, err)...)
}

func (b *blobStore) manifest(company string) (ledger.Digest, uint64) {
	return b.manifests[company], 1 << 20
}
