package chain

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"

	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/tree"
)

// giver is an application with a snapshot of block 4 on its shelf, and what it
// offers.
func giver(t *testing.T) (*application, *abci.Snapshot) {
	t.Helper()
	a := begun(t)
	var err error
	if a.shelf, err = openShelf(filepath.Join(t.TempDir(), "snapshots")); err != nil {
		t.Fatal(err)
	}
	for h := range int64(4) {
		block(t, a, h+1, "some", string(rune('a'+h)), string(bytes.Repeat([]byte{byte('a' + h)}, 60_000)))
	}
	state, err := a.Tree.At(4)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.shelf.take(state); err != nil {
		t.Fatal(err)
	}
	if offers := offers(t, a); len(offers) != 0 {
		t.Errorf("%d snapshots are offered before who takes one can verify it", len(offers))
	}
	block(t, a, 5)
	block(t, a, 6)
	all := offers(t, a)
	if len(all) != 1 || all[0].Height != 4 {
		t.Fatalf("offered: %v", all)
	}
	return a, all[0]
}

func offers(t *testing.T, a *application) []*abci.Snapshot {
	t.Helper()
	r, err := a.ListSnapshots(t.Context(), &abci.RequestListSnapshots{})
	if err != nil {
		t.Fatal(err)
	}
	return r.Snapshots
}

func chunkOf(t *testing.T, a *application, s *abci.Snapshot, index uint32) []byte {
	t.Helper()
	r, err := a.LoadSnapshotChunk(t.Context(), &abci.RequestLoadSnapshotChunk{Height: s.Height, Format: s.Format, Chunk: index})
	if err != nil {
		t.Fatal(err)
	}
	return r.Chunk
}

// taker is an application that begins with a snapshot.
func taker(t *testing.T) *application {
	t.Helper()
	state, err := tree.Open("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { state.Close() })
	a := newApplication(testApp(state), newDoor(), nil)
	a.headers = &headers{times: map[int64]int64{4: 4000}}
	return a
}

func offer(t *testing.T, a *application, s *abci.Snapshot, root []byte) abci.ResponseOfferSnapshot_Result {
	t.Helper()
	r, err := a.OfferSnapshot(t.Context(), &abci.RequestOfferSnapshot{Snapshot: s, AppHash: root})
	if err != nil {
		t.Fatal(err)
	}
	return r.Result
}

func apply(t *testing.T, a *application, index uint32, chunk []byte) *abci.ResponseApplySnapshotChunk {
	t.Helper()
	r, err := a.ApplySnapshotChunk(t.Context(), &abci.RequestApplySnapshotChunk{Index: index, Chunk: chunk, Sender: "mal"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A snapshot is refused that is not what the validators signed, and so is whoever
// offers it; a chunk that is not the one is fetched from somebody else.
func TestSnapshotsAreRefused(t *testing.T) {
	g, s := giver(t)
	at, err := g.Tree.At(4)
	if err != nil {
		t.Fatal(err)
	}
	root := at.Root()
	a := taker(t)
	edited := func(change func(*abci.Snapshot)) *abci.Snapshot {
		c := *s
		c.Metadata, c.Hash = bytes.Clone(s.Metadata), bytes.Clone(s.Hash)
		change(&c)
		return &c
	}
	rehash := func(s *abci.Snapshot) { h := sha256.Sum256(s.Metadata); s.Hash = h[:] }
	for name, x := range map[string]struct {
		s    *abci.Snapshot
		want abci.ResponseOfferSnapshot_Result
	}{
		"none":             {nil, abci.ResponseOfferSnapshot_REJECT},
		"another format":   {edited(func(s *abci.Snapshot) { s.Format = 2 }), abci.ResponseOfferSnapshot_REJECT_FORMAT},
		"another height":   {edited(func(s *abci.Snapshot) { s.Height = 5 }), abci.ResponseOfferSnapshot_REJECT_SENDER},
		"more chunks":      {edited(func(s *abci.Snapshot) { s.Chunks++ }), abci.ResponseOfferSnapshot_REJECT_SENDER},
		"no manifest":      {edited(func(s *abci.Snapshot) { s.Metadata = nil; rehash(s) }), abci.ResponseOfferSnapshot_REJECT_SENDER},
		"a large manifest": {edited(func(s *abci.Snapshot) { s.Metadata = make([]byte, 4<<20); rehash(s) }), abci.ResponseOfferSnapshot_REJECT_SENDER},
		"another state":    {edited(func(s *abci.Snapshot) { s.Metadata[50] ^= 1; rehash(s) }), abci.ResponseOfferSnapshot_REJECT_SENDER},
		"another manifest": {edited(func(s *abci.Snapshot) { s.Metadata[len(s.Metadata)-1] ^= 1 }), abci.ResponseOfferSnapshot_REJECT_SENDER},
	} {
		if got := offer(t, a, x.s, root[:]); got != x.want {
			t.Errorf("%s: %v, want %v", name, got, x.want)
		}
	}
	if r := apply(t, a, 0, chunkOf(t, g, s, 0)); r.Result != abci.ResponseApplySnapshotChunk_REJECT_SNAPSHOT {
		t.Errorf("a chunk of nothing: %v", r.Result)
	}
	if got := offer(t, a, s, root[:]); got != abci.ResponseOfferSnapshot_ACCEPT {
		t.Fatalf("the true one: %v", got)
	}
	for name, x := range map[string]struct {
		index uint32
		chunk []byte
	}{"garbage": {0, []byte("garbage")}, "nothing": {0, nil}, "of another place": {1, chunkOf(t, g, s, 0)}} {
		r := apply(t, a, x.index, x.chunk)
		if r.Result != abci.ResponseApplySnapshotChunk_RETRY || len(r.RejectSenders) != 1 || len(r.RefetchChunks) != 1 {
			t.Errorf("%s: %v", name, r)
		}
	}
	for i := range s.Chunks {
		if r := apply(t, a, i, chunkOf(t, g, s, i)); r.Result != abci.ResponseApplySnapshotChunk_ACCEPT {
			t.Fatalf("chunk %d: %v", i, r)
		}
	}
	if view, height, now := a.last(); height != 4 || now != 4000 || a.Tree.Root() != root || view.Get([]byte("genesis")) == nil {
		t.Errorf("after block %d of %d: root %x, want %x", height, now, a.Tree.Root(), root)
	}
}

// A snapshot whose chunks are those of its manifest, but do not lead to the root.
func TestAttackSnapshotOfSomethingElse(t *testing.T) {
	g, s := giver(t)
	at, err := g.Tree.At(4)
	if err != nil {
		t.Fatal(err)
	}
	root := at.Root()
	m, err := tree.ParseManifest(s.Metadata)
	if err != nil {
		t.Fatal(err)
	}
	forged := chunkOf(t, g, s, 0)
	forged[200] ^= 1 // within the first transactions
	m.Chunks = []ledger.Digest{sha256.Sum256(forged)}
	b := m.Append(nil)
	hash := sha256.Sum256(b)
	a := taker(t)
	if got := offer(t, a, &abci.Snapshot{Height: 4, Format: 1, Chunks: 1, Hash: hash[:], Metadata: b}, root[:]); got != abci.ResponseOfferSnapshot_ACCEPT {
		t.Fatal(got)
	}
	if r := apply(t, a, 0, forged); r.Result != abci.ResponseApplySnapshotChunk_REJECT_SNAPSHOT || len(r.RejectSenders) != 1 {
		t.Errorf("%v", r)
	}
	if a.Tree.Height() != -1 {
		t.Errorf("the tree is at block %d", a.Tree.Height())
	}
}

// Old snapshots go, and what a process left that ended within one.
func TestShelf(t *testing.T) {
	a, _ := giver(t)
	for h := int64(7); h <= 9; h++ {
		block(t, a, h, string(rune('p'+h)))
		state, err := a.Tree.At(h)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.shelf.take(state); err != nil {
			t.Fatal(err)
		}
	}
	dir := a.shelf.dir
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "new"), 0o700), os.Mkdir(filepath.Join(dir, "12"), 0o700)); err != nil {
		t.Fatal(err)
	}
	again, err := openShelf(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*shelf{a.shelf, again} {
		if kept := s.list(100); len(kept) != 2 || kept[0].Height != 9 || kept[1].Height != 8 {
			t.Errorf("kept: %v", kept)
		}
		if b := s.chunk(9, 0); len(b) == 0 {
			t.Error("no chunk 0 of block 9")
		}
		if s.chunk(9, 1<<31) != nil || s.chunk(4, 0) != nil || s.chunk(-1, 0) != nil {
			t.Error("chunks that are not there")
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "9", "0"), []byte("rot"), 0o600); err != nil {
		t.Fatal(err)
	}
	if again.chunk(9, 0) != nil {
		t.Error("a damaged chunk is given away")
	}
	again.close()
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("on the shelf: %v, %v", entries, err)
	}
}

// chainOf is a source of one block, of validators of its own.
type chainOf []byte

func (c chainOf) LightBlock(context.Context, int64) ([]byte, error) { return c, nil }

// lightBlock is block 1 of a chain, signed by a validator.
func lightBlock(t *testing.T, name, signer string) []byte {
	t.Helper()
	key := keyOf("vote", name)
	set := types.NewValidatorSet([]*types.Validator{types.NewValidator(pubKey(key), 1)})
	h := types.Header{ChainID: testChain, Height: 1, Time: genesisTime, ValidatorsHash: set.Hash(), NextValidatorsHash: set.Hash(), ProposerAddress: set.Validators[0].Address,
		AppHash: make([]byte, 32), DataHash: make([]byte, 32), LastCommitHash: make([]byte, 32), ConsensusHash: make([]byte, 32), LastResultsHash: make([]byte, 32), EvidenceHash: make([]byte, 32)}
	h.Version.Block = 11
	id := types.BlockID{Hash: h.Hash(), PartSetHeader: types.PartSetHeader{Total: 1, Hash: make([]byte, 32)}}
	vote := types.Vote{Type: cmtproto.PrecommitType, Height: 1, BlockID: id, Timestamp: genesisTime, ValidatorAddress: set.Validators[0].Address}
	commit := &types.Commit{Height: 1, BlockID: id, Signatures: []types.CommitSig{{BlockIDFlag: types.BlockIDFlagCommit, ValidatorAddress: vote.ValidatorAddress, Timestamp: genesisTime,
		Signature: sign(keyOf("vote", signer), types.VoteSignBytes(testChain, vote.ToProto()))}}}
	p, err := (&types.LightBlock{SignedHeader: &types.SignedHeader{Header: &h, Commit: commit}, ValidatorSet: set}).ToProto()
	if err != nil {
		t.Fatal(err)
	}
	b, err := p.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Headers are believed that lead from the genesis file's validators, and no others:
// of other validators, or that others signed.
func TestAttackHeadersOfAnotherChain(t *testing.T) {
	doc := &types.GenesisDoc{ChainID: testChain, InitialHeight: 1, GenesisTime: genesisTime, Validators: []types.GenesisValidator{{PubKey: pubKey(keyOf("vote", "v0")), Power: 1}}}
	begin := func(b []byte, believing bool) error {
		h, err := newHeaders(doc, Trust{}, []Source{chainOf(b), chainOf(b)}, logger{discard})
		if err != nil {
			t.Fatal(err)
		}
		h.believing = believing
		_, err = h.begin(t.Context())
		return err
	}
	if err := begin(lightBlock(t, "v0", "v0"), false); err != nil {
		t.Fatalf("the true chain: %v", err)
	}
	for name, b := range map[string][]byte{"other validators": lightBlock(t, "mal", "mal"), "nobody's signature": lightBlock(t, "v0", "mal")} {
		if err := begin(b, true); err != nil && name == "other validators" {
			t.Errorf("%s: who believes it gets %v: it shows nothing", name, err)
		}
		if err := begin(b, false); !errors.Is(err, errNoHeaders) {
			t.Errorf("%s: %v, want %v", name, err, errNoHeaders)
		}
	}
}

// Whatever a source says, it is a light block in its one encoding, or an error.
func FuzzParseLightBlock(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("garbage"))
	t := &testing.T{}
	f.Add(lightBlock(t, "v0", "v0"))
	f.Fuzz(func(t *testing.T, b []byte) {
		block, err := parseLightBlock(b)
		if err != nil {
			return
		}
		_ = block.ValidateBasic(testChain)
		p, err := block.ToProto()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := p.Marshal(); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%x comes back as %x, %v", b, again, err)
		}
	})
}
