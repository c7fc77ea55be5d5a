package audit

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"

	cmted "github.com/cometbft/cometbft/crypto/ed25519"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"

	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/tree"
)

const chain = "testing"

// signers are the keys of n validators.
func signers(n int) []ed25519.PrivateKey {
	var out []ed25519.PrivateKey
	for i := range n {
		seed := sha256.Sum256(fmt.Appendf(nil, "validator %d", i))
		out = append(out, ed25519.NewKeyFromSeed(seed[:]))
	}
	return out
}

func verifier(tb testing.TB, keys []ed25519.PrivateKey) *Verifier {
	tb.Helper()
	var public []ledger.Key
	for _, k := range keys {
		public = append(public, ledger.Key(k.Public().(ed25519.PublicKey)))
	}
	v, err := NewVerifier(chain, public)
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

// A draft is a block before it is signed.
type draft struct {
	*types.Block
	v *Verifier
}

func newDraft(v *Verifier, root ledger.Digest, txs ...string) draft {
	var data types.Txs
	for _, tx := range txs {
		data = append(data, types.Tx(tx))
	}
	b := types.MakeBlock(1, data, &types.Commit{}, nil)
	b.ChainID, b.Time, b.AppHash = v.chain, time.UnixMilli(1234).UTC(), root[:]
	by, _ := v.signersOf(1)
	b.ValidatorsHash, b.NextValidatorsHash = by.hash, by.hash
	b.ConsensusHash, b.ProposerAddress = by.hash, by.Validators[0].Address
	return draft{b, v}
}

// sign is the block's bytes, and a commit signed by keys, for the rest absent.
func (d draft) sign(tb testing.TB, keys ...ed25519.PrivateKey) (block, commit []byte) {
	tb.Helper()
	p, err := d.ToProto()
	if err != nil {
		tb.Fatal(err)
	}
	if block, err = p.Marshal(); err != nil {
		tb.Fatal(err)
	}
	parts := types.NewPartSetFromData(block, types.BlockPartSizeBytes)
	c := types.Commit{Height: d.Height, BlockID: types.BlockID{Hash: d.Hash(), PartSetHeader: parts.Header()}}
	by, err := d.v.signersOf(d.Height)
	if err != nil {
		tb.Fatal(err)
	}
	for range by.Size() {
		c.Signatures = append(c.Signatures, types.NewCommitSigAbsent())
	}
	for _, k := range keys {
		key := cmted.PrivKey(k)
		i, _ := by.GetByAddress(key.PubKey().Address())
		c.Signatures[i] = types.CommitSig{BlockIDFlag: types.BlockIDFlagCommit, ValidatorAddress: key.PubKey().Address(), Timestamp: time.UnixMilli(2000).UTC()}
		if c.Signatures[i].Signature, err = key.Sign(c.VoteSignBytes(chain, i)); err != nil {
			tb.Fatal(err)
		}
	}
	if commit, err = c.ToProto().Marshal(); err != nil {
		tb.Fatal(err)
	}
	return block, commit
}

func TestVerify(t *testing.T) {
	keys := signers(4)
	v := verifier(t, keys)
	root := sha256.Sum256([]byte("root"))
	good := newDraft(v, root, "a", "b")
	block, commit := good.sign(t, keys[:3]...)
	b, got, err := v.Verify(block, commit)
	if err != nil || got != root || b.Height != 1 || b.Time != 1234 || len(b.Txs) != 2 || string(b.Txs[1]) != "b" {
		t.Errorf("Verify = %+v, %x, %v", b, got, err)
	}
	if _, _, err := v.Verify(block, second(good.sign(t, keys...))); err != nil {
		t.Errorf("signed by all: %v", err)
	}
	other, otherCommit := newDraft(v, root, "a", "c").sign(t, keys...)
	for _, test := range []struct {
		name          string
		block, commit []byte
		want          error
	}{
		{"two thirds are not more", block, second(good.sign(t, keys[:2]...)), ErrUnsigned},
		{"nobody", block, second(good.sign(t)), ErrUnsigned},
		{"another block's commit", block, otherCommit, ErrMismatch},
		{"another block", other, commit, ErrMismatch},
		{"no block", nil, commit, ErrMismatch},
		{"no commit", block, nil, ErrMalformed},
		{"a long block", make([]byte, maxBlock+1), commit, ErrTooLarge},
		{"a long commit", block, make([]byte, 1<<20), ErrTooLarge},
		{"an unknown field", block, append(bytes.Clone(commit), 0x7a, 0), ErrMalformed},
		{"other bytes after the block", append(bytes.Clone(block), 0x7a, 0), commit, ErrMismatch},
	} {
		if _, _, err := v.Verify(test.block, test.commit); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
}

// What more than two thirds sign is still held to be a block of this chain.
func TestVerifyRefusesWhatIsSigned(t *testing.T) {
	keys := signers(4)
	v := verifier(t, keys)
	elsewhere := newDraft(v, ledger.Digest{})
	elsewhere.ChainID = "elsewhere"
	renewed := newDraft(v, ledger.Digest{})
	renewed.NextValidatorsHash = make([]byte, 32)
	rootless := newDraft(v, ledger.Digest{})
	rootless.AppHash = nil
	large := newDraft(v, ledger.Digest{}, string(make([]byte, ledger.MaxTx+1)))
	for _, test := range []struct {
		name string
		d    draft
		want error
	}{{"another chain", elsewhere, ErrOtherChain}, {"other validators", renewed, ErrOtherChain}, {"no root", rootless, ErrMalformed}, {"a large transaction", large, ErrTooLarge}} {
		block, commit := test.d.sign(t, keys...)
		if _, _, err := v.Verify(block, commit); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
}

func TestNewVerifierRefuses(t *testing.T) {
	for _, keys := range [][]ledger.Key{nil, {{1}, {1}}, make([]ledger.Key, maxValidators+1)} {
		if _, err := NewVerifier(chain, keys); err == nil {
			t.Errorf("%d keys were accepted", len(keys))
		}
	}
}

// Forged blocks are believed by a verifier that does not look at signatures, and
// by no other.
func TestAttackForgedBlock(t *testing.T) {
	v := verifier(t, signers(4))
	block, commit := newDraft(v, ledger.Digest{}, "forged").sign(t)
	careless := *v
	careless.unsigned = true
	if _, _, err := careless.Verify(block, commit); err != nil {
		t.Fatalf("without signatures the forgery is not even believed: %v", err)
	}
	if _, _, err := v.Verify(block, commit); !errors.Is(err, ErrUnsigned) {
		t.Errorf("forged block: %v, want %v", err, ErrUnsigned)
	}
}

// receipt is one of four transactions, signed by three of four validators.
func receipt(tb testing.TB, keys []ed25519.PrivateKey, v *Verifier) []byte {
	tb.Helper()
	t, err := tree.Open("")
	if err != nil {
		tb.Fatal(err)
	}
	defer t.Close()
	out := ledger.Outcome{Writes: []ledger.Write{{Key: []byte("k"), Value: []byte("v")}}, Leaves: [][]byte{[]byte("a"), []byte("b"), []byte("c"), []byte("d")}}
	root, err := t.Stage(0, out)
	if err == nil {
		err = t.Commit()
	}
	if err != nil {
		tb.Fatal(err)
	}
	d := newDraft(v, root)
	_, commit := d.sign(tb, keys[:3]...)
	header, err := d.Header.ToProto().Marshal()
	if err != nil {
		tb.Fatal(err)
	}
	leaf, err := t.ProveLeaf(2, 4)
	if err != nil {
		tb.Fatal(err)
	}
	r := ledger.Receipt{Tx: []byte("c"), Leaf: leaf, Head: t.View().(*tree.Snapshot).ProveHead(), Header: header, Commit: commit}
	return r.Append(nil)
}

func TestVerifyReceipt(t *testing.T) {
	keys := signers(4)
	v := verifier(t, keys)
	r := receipt(t, keys, v)
	e, err := VerifyReceipt(r, v)
	if err != nil || string(e.Tx) != "c" || e.Index != 2 || e.Height != 1 || e.Time != 1234 {
		t.Errorf("VerifyReceipt = %+v, %v", e, err)
	}
	if _, err := VerifyReceipt(r, verifier(t, signers(5)[1:])); !errors.Is(err, ErrUnsigned) {
		t.Errorf("of other validators: %v", err)
	}
}

// No receipt with one bit flipped verifies.
func TestAttackFlippedReceipt(t *testing.T) {
	keys := signers(4)
	v := verifier(t, keys)
	r := receipt(t, keys, v)
	for i := range 8 * len(r) {
		flipped := bytes.Clone(r)
		flipped[i/8] ^= 1 << (i % 8)
		if e, err := VerifyReceipt(flipped, v); err == nil {
			t.Errorf("bit %d of byte %d flipped: %+v verifies", i%8, i/8, e)
		}
	}
}

func FuzzVerify(f *testing.F) {
	keys := signers(4)
	v := verifier(f, keys)
	careless := *v
	careless.unsigned = true
	block, commit := newDraft(v, ledger.Digest{}, "a").sign(f, keys[:3]...)
	f.Add(block, commit)
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, b, c []byte) {
		if _, _, err := v.Verify(b, c); err == nil && !(bytes.Equal(b, block) && bytes.Equal(c, commit)) {
			t.Error("something unsigned was believed")
		}
		// The signatures set aside, to get at the block; its hashes too, as if the
		// commit were for it.
		careless.Verify(b, c)
		var p cmtproto.Commit
		if p.Unmarshal(commit) != nil {
			t.Fatal("the seed")
		}
		p.BlockID.PartSetHeader = pointer(types.NewPartSetFromData(b, types.BlockPartSizeBytes).Header()).ToProto()
		if again, err := p.Marshal(); err == nil {
			careless.Verify(b, again)
		}
	})
}

func FuzzVerifyReceipt(f *testing.F) {
	keys := signers(4)
	v := verifier(f, keys)
	careless := *v
	careless.unsigned = true
	good := receipt(f, keys, v)
	f.Add(good)
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := VerifyReceipt(b, v); err == nil && !bytes.Equal(b, good) {
			t.Errorf("%x verifies", b)
		}
		VerifyReceipt(b, &careless)
	})
}

func second(_, b []byte) []byte { return b }

func pointer[T any](v T) *T { return &v }
