package audit

import (
	"errors"
	"testing"

	"github.com/commonseal/commonseal/ledger"
)

// grownReceipt replays a chain for the receipt of its growth between two heights.
func grownReceipt(t *testing.T, f *fabric, earlier, later Point) ([]byte, error) {
	t.Helper()
	r, err := NewReplay(f.genesis)
	if err != nil {
		t.Fatal(err)
	}
	r.Grow(earlier, later)
	for _, b := range f.blocks {
		if err := r.Block(b.block, b.commit); err != nil {
			t.Fatal(err)
		}
	}
	return r.Growth()
}

func pointAt(f *fabric, height int64) Point {
	return Point{height, ledger.Digest(f.blocks[height-1].id.Hash)}
}

// Whatever the two blocks, the log before one begins with the log before the other:
// by those who trust both, or whose validators signed both.
func TestGrowthReceipt(t *testing.T) {
	f := newFabric(t, consortium(4)).task().contribute(someManifest).admit(20)
	f.make()
	last := pointAt(f, f.height())
	var founders []ledger.Key
	for _, p := range f.powers[0] {
		founders = append(founders, p.Vote)
	}
	v, err := NewVerifier(chain, founders)
	if err != nil {
		t.Fatal(err)
	}
	for height := int64(1); height <= f.height(); height++ {
		earlier := pointAt(f, height)
		b, err := grownReceipt(t, f, earlier, Point{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := VerifyGrowthReceipt(b, Points{earlier, last})
		if err != nil || got.Chain != chain || got.Earlier != earlier || got.Later != last || got.From > got.To || got.To == 0 {
			t.Fatalf("from block %d: %+v, %v", height, got, err)
		}
		if _, err := VerifyGrowthReceipt(b, v); err != nil {
			t.Errorf("from block %d, by the founders: %v", height, err)
		}
		if _, err := VerifyGrowthReceipt(b, Points{last}); height < f.height() && !errors.Is(err, ErrUntrusted) {
			t.Errorf("an earlier block that nobody trusts: %v", err)
		}
	}
	if _, err := grownReceipt(t, f, pointAt(f, 5), pointAt(f, 3)); !errors.Is(err, ErrMismatch) {
		t.Errorf("from block 5 to block 3: %v", err)
	}
}

// Two histories with the same validators, other from the first block on: no file
// joins the log of one to that of the other, whatever is exchanged between the files
// that each makes of itself, and though all headers are trusted.
func TestGrowthOfAnotherHistory(t *testing.T) {
	var parts [2]ledger.GrowthReceipt
	var trusted Points
	var histories [2]*fabric
	for i, revoked := range []string{"v4", "v3"} {
		f := newFabric(t, consortium(4))
		histories[i] = f
		f.make(f.sign("ann", &ledger.Revoke{Name: revoked}))
		f.make()
		f.make(f.sign("cal", &ledger.Revoke{Name: revoked}))
		f.make()
		trusted = append(trusted, pointAt(f, 2), pointAt(f, 4))
		b, err := grownReceipt(t, f, pointAt(f, 2), pointAt(f, 4))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := VerifyGrowthReceipt(b, trusted); err != nil || got.From != 1 || got.To != 2 {
			t.Fatalf("%+v, %v", got, err)
		}
		if parts[i], err = ledger.ParseGrowthReceipt(b); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := grownReceipt(t, histories[1], pointAt(histories[0], 2), Point{}); !errors.Is(err, ErrMismatch) {
		t.Errorf("the other history has the first's block: %v", err)
	}
	mixed := parts[1]
	mixed.Earlier, mixed.EarlierHead = parts[0].Earlier, parts[0].EarlierHead
	for name, change := range map[string]func(*ledger.GrowthReceipt){
		"the other's proof": func(*ledger.GrowthReceipt) {},
		"the first's proof": func(r *ledger.GrowthReceipt) { r.Growth = parts[0].Growth },
		"the other's head":  func(r *ledger.GrowthReceipt) { r.EarlierHead = parts[1].EarlierHead },
		"no proof":          func(r *ledger.GrowthReceipt) { r.Growth = nil },
	} {
		r := mixed
		change(&r)
		if got, err := VerifyGrowthReceipt(r.Append(nil), trusted); err == nil {
			t.Errorf("one history grows into the other, with %s: %+v", name, got)
		}
	}
	back := parts[0]
	back.Earlier, back.Later, back.EarlierHead, back.LaterHead = back.Later, back.Earlier, back.LaterHead, back.EarlierHead
	if got, err := VerifyGrowthReceipt(back.Append(nil), trusted); err == nil {
		t.Errorf("a log that was cut has grown: %+v", got)
	}
}
