package audit

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/cometbft/cometbft/types"

	"github.com/commonseal/commonseal/ledger"
)

func someManifest(c string) (ledger.Digest, uint64) { return digestOf("manifest of", c), 1 << 20 }

func TestReplay(t *testing.T) {
	f := newFabric(t, consortium(4)).task().contribute(someManifest).admit(20)
	f.make()
	var file bytes.Buffer
	w, err := NewArchiveWriter(&file, f.genesis)
	for _, b := range f.blocks {
		if err == nil {
			err = w.Block(b.block, b.commit)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	a, err := OpenArchive(&file)
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewReplay(a.Genesis)
	if err == nil {
		err = r.Archive(a)
	}
	if err != nil {
		t.Fatal(err)
	}
	want := Summary{Blocks: f.height(), Transactions: f.txs, Recorded: f.txs, Signatures: 4 * f.height(), Start: founding, End: f.now() - 1000,
		Root: f.state.Root(), Point: Point{f.height(), ledger.Digest(f.blocks[f.height()-1].id.Hash)}}
	if r.Summary() != want {
		t.Errorf("summary %+v, want %+v", r.Summary(), want)
	}
	if _, ok := ledger.ContributionOf(r.View(), loans, ledger.Training, "ann"); !ok {
		t.Error("the view has no contribution")
	}
}

// The validators change, and a replay knows who signs when.
func TestReplayFollowsTheValidators(t *testing.T) {
	f := newFabric(t, consortium(4))
	f.make()
	f.all(companies[:2], func(string) ledger.Body { return &ledger.Revoke{Name: "v4"} })
	for range 4 {
		f.make()
	}
	if a, b := len(f.signedBy(3)), len(f.signedBy(4)); a != 4 || b != 3 {
		t.Fatalf("%d and %d validators sign blocks 3 and 4, want 4 and 3", a, b)
	}
	if _, err := replay(f.genesis, f.blocks); err != nil {
		t.Error(err)
	}
	// Those of the genesis file, for ever, would not have signed block 4.
	var keys []ledger.Key
	for _, p := range f.powers[0] {
		keys = append(keys, p.Vote)
	}
	v, err := NewVerifier(chain, keys)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := v.Verify(f.blocks[3].block, f.blocks[3].commit); err == nil {
		t.Error("block 4 was believed by the validators of the genesis file")
	}
}

// A difference is found at its height, and says what differs.
func TestReplayFindsDifferences(t *testing.T) {
	for _, test := range []struct {
		name  string
		wrong func(f *fabric)
		what  string
	}{
		{"validators that apply something else", func(f *fabric) {
			f.apply = func(v ledger.View, b ledger.Block) ledger.Outcome {
				out := ledger.Apply(v, b)
				out.Leaves = append(out.Leaves, []byte("a lie"))
				return out
			}
		}, "root"},
		{"validators that tell other results", func(f *fabric) {
			f.apply = func(v ledger.View, b ledger.Block) ledger.Outcome {
				out := ledger.Apply(v, b)
				out.Results[0].Code = ledger.Late
				return out
			}
		}, "hash of results"},
	} {
		f := newFabric(t, consortium(4)).task()
		test.wrong(f)
		height := f.height() + 1
		f.make(f.sign("ann", &ledger.Revoke{Name: "v4"}))
		f.apply = ledger.Apply
		f.make()
		r, err := replay(f.genesis, f.blocks)
		var d *DifferenceError
		if !errors.As(err, &d) || d.Height != height || d.What != test.what || r.Summary().Blocks != height {
			t.Errorf("%s: %v, want a difference of the %s after block %d", test.name, err, test.what, height)
		}
	}
	f := newFabric(t, consortium(4))
	f.make()
	other := f.genesis
	other.Patience = 1
	var d *DifferenceError
	if _, err := replay(other, f.blocks); !errors.As(err, &d) || d.Height != 0 {
		t.Errorf("of another genesis: %v, want a difference of the root after block 0", err)
	}
}

// What follows is held to what came before, whoever signed it.
func TestReplayRefuses(t *testing.T) {
	f := newFabric(t, consortium(4))
	for range 3 {
		f.make()
	}
	fork := newFabric(t, consortium(4))
	fork.make()
	fork.edit = func(b *types.Block) { b.Time = b.Time.Add(time.Millisecond) }
	fork.make()
	fork.make()
	for _, test := range []struct {
		name   string
		blocks []madeBlock
	}{
		{"a block left out", []madeBlock{f.blocks[0], f.blocks[2]}},
		{"a block twice", []madeBlock{f.blocks[0], f.blocks[0]}},
		{"not from the first on", f.blocks[1:]},
		{"a branch of another block", []madeBlock{f.blocks[0], f.blocks[1], fork.blocks[2]}},
	} {
		if _, err := replay(f.genesis, test.blocks); !errors.Is(err, ErrMismatch) && !errors.Is(err, ErrAhead) {
			t.Errorf("%s: %v, want %v", test.name, err, ErrMismatch)
		}
	}
}
