package audit

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/cometbft/cometbft/types"

	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/gate"
	"github.com/commonseal/commonseal/ledger/tree"
	commonsealv1 "github.com/commonseal/commonseal/proto/commonseal/v1"
)

// hers is a set of validators that is one attacker.
func hers(int64) []ledger.Power {
	return []ledger.Power{{Name: "mallory", Vote: publicOf("vote", "mallory"), Power: 1}}
}

// swapped is f's chain up to a height, and then an attacker's who names herself as
// the validator.
func swapped(f *fabric, after int64, blocks int) *fabric {
	out := newFabric(f.tb, f.genesis)
	for range after {
		out.make()
	}
	out.signers = func(height int64) []ledger.Power {
		if height <= after {
			return out.powers[0]
		}
		return hers(height)
	}
	for range blocks {
		out.make()
	}
	return out
}

// An attacker shows headers that she alone signed, with the validators in them that
// she is. A light client that does not ask who signed believes them; one that follows
// what it trusts does not, nor does a replay.
func TestAttackSwappedValidators(t *testing.T) {
	f := newFabric(t, consortium(4))
	for range 10 {
		f.make()
	}
	forged := swapped(f, 1, 9)
	c := lightOf(f, forged.door("mallory"), forged.door("her friend"))
	careless := &Light{config: c, anySigner: true}
	if _, err := careless.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := careless.At(t.Context(), 10); err != nil || got.Point() != forged.point(10) {
		t.Fatalf("a client that takes any signer does not even believe the forgery: %v", err)
	}
	l, err := NewLight(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := l.At(t.Context(), 10); !errors.Is(err, ErrUntrusted) {
		t.Errorf("swapped validators: %v, %v, want %v", got, err, ErrUntrusted)
	}
	gullible, err := NewReplay(f.genesis)
	if err != nil {
		t.Fatal(err)
	}
	gullible.verifier.unsigned, gullible.verifier.anySet = true, true
	for _, b := range forged.blocks {
		if err := gullible.Block(b.block, b.commit); err != nil {
			t.Fatalf("a replay that does not ask who signed does not even believe the forgery: %v", err)
		}
	}
	if r, err := replay(f.genesis, forged.blocks); !errors.Is(err, ErrUnsigned) && !errors.Is(err, ErrOtherChain) || r.Summary().Blocks > 1 {
		t.Errorf("swapped validators: %v after %d blocks, want %v", err, r.Summary().Blocks, ErrUnsigned)
	}
}

// More than two thirds of the validators sign a header that makes others of the
// next: nobody but the ledger makes validators.
func TestAttackValidatorsOfAHeader(t *testing.T) {
	f := newFabric(t, consortium(4))
	f.make()
	f.edit = func(b *types.Block) {
		mallory, err := newSet(hers(0))
		if err != nil {
			t.Fatal(err)
		}
		b.NextValidatorsHash = mallory.hash
	}
	f.make()
	r, err := replay(f.genesis, f.blocks[:1])
	if err != nil {
		t.Fatal(err)
	}
	careless := r.fork()
	careless.verifier.anySet = true
	if err := careless.Block(f.blocks[1].block, f.blocks[1].commit); err != nil {
		t.Fatalf("a replay that does not hold headers to the validators does not even believe it: %v", err)
	}
	if err := r.Block(f.blocks[1].block, f.blocks[1].commit); !errors.Is(err, ErrOtherChain) {
		t.Errorf("validators of a header's own making: %v, want %v", err, ErrOtherChain)
	}
}

// fork is two chains of the same validators that differ from block 3 on.
func forked(tb testing.TB) (f, other *fabric) {
	f, other = newFabric(tb, consortium(4)), newFabric(tb, consortium(4))
	for i := range 6 {
		f.make()
		if i == 2 {
			other.edit = func(b *types.Block) { b.Time = b.Time.Add(time.Millisecond) }
		}
		other.make()
	}
	return f, other
}

// Validators sign two histories and show one of them to an auditor. Alone with its
// primary it believes; with an honest witness it has both headers in its hand, which
// convict who signed both.
func TestAttackForkedLog(t *testing.T) {
	f, other := forked(t)
	c := lightOf(f, other.door("liar"), f.door("honest"))
	alone := &Light{config: c, alone: true}
	if _, err := alone.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := alone.At(t.Context(), 6); err != nil || got.Point() != other.point(6) {
		t.Fatalf("a client without a witness does not even believe the fork: %v", err)
	}
	l, err := NewLight(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	_, err = l.At(t.Context(), 6)
	var d *DivergenceError
	if !errors.As(err, &d) {
		t.Fatalf("a fork: %v, want a divergence", err)
	}
	if d.Primary != "liar" || d.Witness != "honest" || d.Height != 6 {
		t.Errorf("the error names %s and %s at block %d", d.Primary, d.Witness, d.Height)
	}
	for i, b := range [][]byte{d.First, d.Second} {
		if _, err := OpenCheckpoint(b, []*fabric{other, f}[i].point(6)); err != nil {
			t.Errorf("header %d of the divergence: %v", i, err)
		}
	}
	// A replay stays on the history it is on.
	if _, err := replay(f.genesis, []madeBlock{f.blocks[0], f.blocks[1], f.blocks[2], other.blocks[3]}); !errors.Is(err, ErrMismatch) {
		t.Errorf("a block of the other history: %v, want %v", err, ErrMismatch)
	}
}

// A witness that makes headers up is named, and told from validators that fork.
func TestAttackWrongWitness(t *testing.T) {
	f := newFabric(t, consortium(4))
	for range 6 {
		f.make()
	}
	wrong := swapped(f, 1, 5)
	l, err := NewLight(t.Context(), lightOf(f, f.door("honest"), wrong.door("liar")))
	if err != nil {
		t.Fatal(err)
	}
	_, err = l.At(t.Context(), 6)
	var d *DivergenceError
	if !errors.As(err, &d) || d.Witness != "liar" || !bytes.Contains([]byte(d.Why), []byte("what liar shows does not follow")) {
		t.Errorf("a witness that lies: %v", err)
	}
}

// A primary shows an old end of the chain, where something is not there yet. A client
// to which no header is too old believes it.
func TestAttackStaleHeight(t *testing.T) {
	f := newFabric(t, consortium(4))
	for range 8 {
		f.make()
	}
	old := f.door("liar")
	old.Service.(*door).last = 3
	c := lightOf(f, old, f.door("honest"))
	c.Fresh = 1 << 62
	if l, err := NewLight(t.Context(), c); err != nil {
		t.Fatal(err)
	} else if got, err := l.Latest(t.Context()); err != nil || got.Point() != f.point(3) {
		t.Fatalf("a client to which nothing is too old does not even believe it: %v", err)
	}
	c.Fresh = 3 * time.Second
	l, err := NewLight(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := l.Latest(t.Context()); !errors.Is(err, ErrUntrusted) {
		t.Errorf("an old end: %v, %v, want %v", got, err, ErrUntrusted)
	}
}

// Blocks are left out at the end of an archive: what is left is in order, and who
// knows a later block finds that it is missing. None can be left out before.
func TestAttackTruncatedLog(t *testing.T) {
	f := newFabric(t, consortium(4))
	for range 6 {
		f.make()
	}
	r, err := replay(f.genesis, f.blocks[:4])
	if err != nil || r.Missing() != nil {
		t.Fatalf("who expects no block does not even believe the short archive: %v", err)
	}
	for _, test := range []struct {
		blocks int
		whole  bool
	}{{4, false}, {5, true}, {6, true}} {
		r, err := NewReplay(f.genesis)
		if err != nil {
			t.Fatal(err)
		}
		r.Expect(f.point(5))
		for _, b := range f.blocks[:test.blocks] {
			if err := r.Block(b.block, b.commit); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Missing(); (err == nil) != test.whole || err != nil && !errors.Is(err, ErrMismatch) {
			t.Errorf("%d blocks: %v", test.blocks, err)
		}
	}
	if _, err := replay(f.genesis, append(f.blocks[:2:2], f.blocks[3:]...)); err == nil {
		t.Error("a block was left out in the middle")
	}
}

// A tree that grows, whose roots four validators sign, proves records and growth.
type grownTree struct {
	v *Verifier
	t *tree.Tree
}

func growing(t *testing.T) *grownTree {
	t.Helper()
	disk, err := tree.Open("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { disk.Close() })
	return &grownTree{v: verifier(t, signers(4)), t: disk}
}

// grow stores a block, and is the header after it and its commit.
func (g *grownTree) grow(t *testing.T, writes []ledger.Write, leaves ...string) (header, commit []byte) {
	t.Helper()
	out := ledger.Outcome{Writes: writes}
	for _, l := range leaves {
		out.Leaves = append(out.Leaves, []byte(l))
	}
	root, err := g.t.Stage(g.t.Height()+1, out)
	if err == nil {
		err = g.t.Commit()
	}
	if err != nil {
		t.Fatal(err)
	}
	d := newDraft(g.v, root)
	_, commit = d.sign(t, signers(4)...)
	if header, err = d.Header.ToProto().Marshal(); err != nil {
		t.Fatal(err)
	}
	return header, commit
}

// receipt is of a leaf.
func (g *grownTree) receipt(t *testing.T, index uint64, leaf string, header, commit []byte) []byte {
	t.Helper()
	p, err := g.t.ProveLeaf(index, g.t.Leaves())
	if err != nil {
		t.Fatal(err)
	}
	r := ledger.Receipt{Tx: []byte(leaf), Leaf: p, Head: g.t.View().(*tree.Snapshot).ProveHead(), Header: header, Commit: commit}
	return r.Append(nil)
}

// Proofs are moved to what they do not prove. Each is true of something, so without
// the proof's own check all of it would be believed.
func TestAttackForgedProof(t *testing.T) {
	g := growing(t)
	ann, bob, v := []byte("member/ann"), []byte("member/bob"), []byte("a member")
	before, signedBefore := g.grow(t, []ledger.Write{{Key: []byte("genesis"), Value: v}})
	_, absent, err := g.t.Prove(ann)
	if err != nil {
		t.Fatal(err)
	}
	header, commit := g.grow(t, []ledger.Write{{Key: ann, Value: v}})
	_, present, err := g.t.Prove(ann)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		r    ledger.RecordReceipt
		want error
	}{
		{"true", ledger.RecordReceipt{Key: ann, Value: v, Proof: present, Header: header, Commit: commit}, nil},
		{"true, of absence", ledger.RecordReceipt{Key: ann, Proof: absent, Header: before, Commit: signedBefore}, nil},
		{"another value", ledger.RecordReceipt{Key: ann, Value: []byte("no member"), Proof: present, Header: header, Commit: commit}, ErrMismatch},
		{"another key", ledger.RecordReceipt{Key: bob, Value: v, Proof: present, Header: header, Commit: commit}, ErrMismatch},
		{"absent what is present", ledger.RecordReceipt{Key: ann, Proof: present, Header: header, Commit: commit}, ErrMismatch},
		{"absent, of a state before", ledger.RecordReceipt{Key: ann, Proof: absent, Header: header, Commit: commit}, ErrMismatch},
		{"present, in a state before", ledger.RecordReceipt{Key: ann, Value: v, Proof: present, Header: before, Commit: signedBefore}, ErrMismatch},
		{"no proof", ledger.RecordReceipt{Key: ann, Value: v, Header: header, Commit: commit}, ErrMalformed},
		{"nobody's signatures", ledger.RecordReceipt{Key: ann, Value: v, Proof: present, Header: header}, ErrMalformed},
	} {
		got, err := VerifyRecord(test.r.Append(nil), g.v)
		if !errors.Is(err, test.want) || err == nil && (!bytes.Equal(got.Key, test.r.Key) || !bytes.Equal(got.Value, test.r.Value)) {
			t.Errorf("%s: %+v, %v, want %v", test.name, got, err, test.want)
		}
	}
}

// The log is cut and written anew: the head that a receipt was under is no
// beginning of it, whoever signed.
func TestAttackRewrittenLog(t *testing.T) {
	g := growing(t)
	header, commit := g.grow(t, nil, "a", "b", "c")
	first := g.receipt(t, 1, "b", header, commit)
	header, commit = g.grow(t, nil, "d", "e")
	second := g.receipt(t, 4, "e", header, commit)
	growth, err := g.t.ProveGrowth(3, 5)
	if err != nil {
		t.Fatal(err)
	}
	if err := VerifyGrowth(first, second, growth, g.v); err != nil {
		t.Errorf("a log that grew: %v", err)
	}
	other := growing(t)
	other.grow(t, nil, "a", "B", "c")
	header, commit = other.grow(t, nil, "d", "e")
	rewritten := other.receipt(t, 4, "e", header, commit)
	otherGrowth, err := other.t.ProveGrowth(3, 5)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyReceipt(rewritten, g.v); err != nil {
		t.Fatalf("a receipt of the log that was written anew does not even verify by itself: %v", err)
	}
	for name, p := range map[string][]byte{"its own proof": otherGrowth, "the first's": growth, "none": nil} {
		if err := VerifyGrowth(first, rewritten, p, g.v); err == nil {
			t.Errorf("a log that was written anew is a growth of the first, with %s", name)
		}
	}
	if err := VerifyGrowth(second, first, growth, g.v); err == nil {
		t.Error("a log that was cut is a growth of the longer")
	}
}

// A validator sends blocks that are not the chain's: the next one has them.
func TestFetchLeavesALiar(t *testing.T) {
	f := newFabric(t, consortium(4))
	for range 6 {
		f.make()
	}
	_, other := forked(t)
	liar, short := other.door("liar"), f.door("short")
	liar.Service.(*door).lie = func(r *commonsealv1.CommitResponse) {
		if r.Height > 4 {
			r.Block = bytes.Replace(r.Block, []byte(chain), []byte("tasting"), 1)
		}
	}
	short.Service.(*door).last = 3
	doors := []gate.Endpoint{short, f.door("honest")}
	r, err := NewReplay(f.genesis)
	if err != nil {
		t.Fatal(err)
	}
	kept := 0
	if err := r.Fetch(t.Context(), doors, 6, func(_, _ []byte) error { kept++; return nil }); err != nil || kept != 6 || r.Summary().Point != f.point(6) {
		t.Errorf("fetched %d blocks: %v", kept, err)
	}
	if r, err = NewReplay(f.genesis); err != nil {
		t.Fatal(err)
	}
	if err := r.Fetch(t.Context(), []gate.Endpoint{liar}, 6, func(_, _ []byte) error { return nil }); err == nil {
		t.Error("fetched from a liar alone")
	}
	full := errors.New("the disk is full")
	if r, err = NewReplay(f.genesis); err != nil {
		t.Fatal(err)
	}
	if err := r.Fetch(t.Context(), doors, 6, func(_, _ []byte) error { return full }); !errors.Is(err, full) || r.Summary().Blocks != 1 {
		t.Errorf("blocks that cannot be kept: %v after %d", err, r.Summary().Blocks)
	}
	for _, test := range []struct {
		doors []gate.Endpoint
		want  int64
	}{{[]gate.Endpoint{f.door("a"), short, f.door("b")}, 6}, {[]gate.Endpoint{short, f.door("b")}, 3}, {[]gate.Endpoint{short}, 3}} {
		if got, err := Tip(t.Context(), chain, test.doors); err != nil || got != test.want {
			t.Errorf("the tip by %d doors: %d, %v, want %d", len(test.doors), got, err, test.want)
		}
	}
	if _, err := Tip(context.Background(), "elsewhere", doors); err == nil {
		t.Error("the tip of another chain")
	}
}
